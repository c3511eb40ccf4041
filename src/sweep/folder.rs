//! Folder of a sweep: its lock, its record, and the logs of its runs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::SweepError;
use super::cell::Cell;
use super::disk;
use super::game_run::GameCell;
use super::plan::SweepPlan;
use super::planned::Planned;
use super::record::{CellFailure, CellRecord, RECORD_VERSION, SweepRecord, folder_of, record_path};
use super::scheduler::Journal;
use crate::run::run_dir::{RunDirError, read_json, write_json};
use crate::text::path_text::encode;

const LOCK: &str = "sweep.lock";
const LOGS: &str = "logs";

/// Sweep locked by this process.
#[derive(Debug)]
pub struct SweepFolder {
    path: PathBuf,
    record: SweepRecord,
    /// Released by the system when the process ends, for any reason.
    _lock: File,
}

impl SweepFolder {
    /// Reads the record of a sweep; `None` if there is none yet. Writes nothing.
    ///
    /// # Errors
    /// If the record exists but is damaged, or of another version.
    pub fn read(runs_dir: &Path, name: &str) -> Result<Option<SweepRecord>, RunDirError> {
        let path = record_path(&folder_of(runs_dir, name));
        if !path.exists() {
            return Ok(None);
        }
        read_record(&path).map(Some)
    }

    /// Checks that the folder can be opened, before trial runs take minutes. Leaves no files
    /// behind.
    ///
    /// # Errors
    /// Same as [`SweepFolder::open`].
    pub fn check(runs_dir: &Path, name: &str) -> anyhow::Result<()> {
        let path = folder_of(runs_dir, name);
        // Only a lock that exists can be held, and taking it would create the file.
        if path.join(LOCK).exists() {
            take_lock(&path)?;
        }
        disk::try_writing(&path).map_err(|cause| RunDirError::CannotCreate { path, cause })?;
        Ok(())
    }

    /// Creates or reopens the folder with these cells.
    ///
    /// # Errors
    /// If another process uses it, it has cells that are not among these, or it cannot be written.
    pub fn open(
        runs_dir: &Path,
        name: &str,
        plan: &SweepPlan,
        cells: &[GameCell],
    ) -> anyhow::Result<Self> {
        let path = folder_of(runs_dir, name);
        fs::create_dir_all(&path)
            .map_err(|cause| RunDirError::CannotCreate { path: path.clone(), cause })?;
        // Locked before the record is read: another process could otherwise replace it in between.
        let lock = take_lock(&path)?;
        let old = Self::read(runs_dir, name)?;
        let mut record = SweepRecord {
            version: RECORD_VERSION,
            name: name.to_owned(),
            summary: plan.summary.clone(),
            design: Some(plan.design()),
            commands: old.as_ref().map(|old| old.commands.clone()).unwrap_or_default(),
            cells: cells.iter().map(GameCell::to_record).collect(),
        };

        if let Some(old) = old {
            check_holds_all(name, &old.cells, &record.cells)?;
            check_design(&old, plan)?;
            // Records of early versions have no design, and keep none: theirs was never fixed.
            record.design = old.design;
            keep_failures(old.cells, &mut record.cells);
        }

        record.commands.push(std::env::args_os().map(encode).collect());
        write_json(&record_path(&path), &record)?;
        Ok(Self { path, record, _lock: lock })
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Journal for SweepFolder {
    fn log_path<P: Planned>(&self, cell: &Cell<P>) -> PathBuf {
        log_path(&self.path, cell)
    }

    fn note(&mut self, cell: usize, failure: Option<CellFailure>) -> Result<(), RunDirError> {
        // Most cells never fail, and every write is flushed to disk.
        if self.record.cells[cell].failure != failure {
            self.record.cells[cell].failure = failure;
            write_json(&record_path(&self.path), &self.record)?;
        }
        Ok(())
    }
}

/// Returns the path of the log of a cell's processes, in the folder of its sweep.
pub fn log_path<P: Planned>(folder: &Path, cell: &Cell<P>) -> PathBuf {
    folder.join(LOGS).join(log_name(cell))
}

/// Returns the name of a cell's log: the longest name derived from the name of a sweep.
pub fn log_name<P: Planned>(cell: &Cell<P>) -> OsString {
    let parts: Vec<&OsStr> = cell.run.iter().collect();
    let mut name = parts.join(OsStr::new("-"));
    name.push(".log");
    name
}

/// Reads `sweep.json`.
///
/// # Errors
/// If it is damaged, or written by another version of this program.
pub fn read_record(path: &Path) -> Result<SweepRecord, RunDirError> {
    // The version first: a record of another version need not have the same fields.
    let record: Value = read_json(path)?;
    match record.get("version").and_then(Value::as_u64) {
        Some(version) if version != u64::from(RECORD_VERSION) => {
            let cause = format!("it has version {version}, this program reads {RECORD_VERSION}");
            Err(RunDirError::OtherVersion { path: path.to_owned(), cause })
        }
        _ => serde_json::from_value(record).map_err(|error| RunDirError::Damaged {
            path: path.to_owned(),
            cause: error.to_string(),
        }),
    }
}

/// Checks that the report's design, which is fixed before the runs, has not changed.
pub fn check_design(old: &SweepRecord, plan: &SweepPlan) -> Result<(), SweepError> {
    match &old.design {
        Some(fixed) if *fixed != plan.design() => Err(SweepError::OtherDesign {
            name: old.name.clone(),
            fixed: fixed.to_string(),
            asked: plan.design().to_string(),
        }),
        _ => Ok(()),
    }
}

/// Checks that no earlier cell is missing from the plan; a sweep may only grow.
pub fn check_holds_all(
    name: &str,
    old: &[CellRecord],
    new: &[CellRecord],
) -> Result<(), SweepError> {
    match old.iter().find(|old| !new.iter().any(|new| new.run == old.run)) {
        None => Ok(()),
        Some(missing) => Err(SweepError::LeavesOut {
            name: name.to_owned(),
            missing: missing.run.display().to_string(),
        }),
    }
}

/// Keeps recorded failures until a cell is done, however often the sweep is restarted.
fn keep_failures(old: Vec<CellRecord>, new: &mut [CellRecord]) {
    for old in old {
        if let Some(cell) = new.iter_mut().find(|new| new.run == old.run) {
            cell.failure = old.failure;
        }
    }
}

/// Locks the folder of a sweep until the file is closed.
///
/// # Errors
/// If another process holds the lock, or the folder cannot be written.
pub fn take_lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    // An advisory lock, not the file's existence: the system releases it however the process ends.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|cause| RunDirError::cannot_write(&path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SweepError::InUse(folder.to_owned()).into()),
        Err(TryLockError::Error(cause)) => Err(RunDirError::cannot_write(&path, cause).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algo;

    #[test]
    fn a_record_of_a_later_version_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = record_path(folder.path());
        fs::write(&path, r#"{"version": 2, "name": "s", "hosts": []}"#).unwrap();
        let error = read_record(&path).unwrap_err();
        assert!(matches!(error, RunDirError::OtherVersion { .. }), "{error}");
        assert!(error.to_string().ends_with("it has version 2, this program reads 1"), "{error}");
        fs::write(&path, r#"{"version": 1, "name": "s", "hosts": []}"#).unwrap();
        assert!(matches!(read_record(&path), Err(RunDirError::Damaged { .. })));
    }

    #[test]
    fn a_failure_is_known_until_its_cell_is_done_though_the_sweep_begins_again_and_grows() {
        let cell = |run: &str, failure: Option<CellFailure>| CellRecord {
            game: "pong".to_owned(),
            algo: Algo::A2c,
            torso: "conv".to_owned(),
            seed: 1,
            frames: 1000,
            run: run.into(),
            failure,
        };

        let failure = CellFailure {
            attempts: 2,
            ended_with: "signal 9".to_owned(),
            message: "no last words".to_owned(),
        };

        let mut new = [cell("a", None), cell("b", None), cell("c", None)];
        keep_failures(vec![cell("b", Some(failure.clone())), cell("a", None)], &mut new);
        assert_eq!(new, [cell("a", None), cell("b", Some(failure)), cell("c", None)]);
    }
}
