//! The folder of one run: its name, its lock, and the only code that knows the files inside it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::exit_code::ExitCode;

const CONFIG: &str = "config.json";
const META: &str = "meta.json";
const METRICS: &str = "metrics.jsonl";
const EVENTS: &str = "tb";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = "run.lock";

/// Why a run folder cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The name given with `--name` is not one folder.
    #[error("`--name {0}` is not a folder name: leave out `/` and leading dots")]
    BadName(String),
    /// `--name` is taken.
    #[error("{} exists already; continue it with `train --resume`, or choose another `--name`", .0.display())]
    Exists(PathBuf),
    /// The runs folder does not take new folders.
    #[error("cannot create the run folder {}: {cause}; choose another `--runs-dir`", .path.display())]
    CannotCreate {
        /// Folder that was to be made.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The path named is no run folder.
    #[error("{} is not a run folder: {cause}", .path.display())]
    NotARun {
        /// The path named.
        path: PathBuf,
        /// What is missing.
        cause: String,
    },
    /// Another process trains in it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A file of the run does not parse.
    #[error("{} is damaged: {cause}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: String,
    },
    /// The run plays another game than asked for.
    #[error("{} is a run of `{found}`, not of `{wanted}`", .path.display())]
    OtherGame {
        /// The run folder.
        path: PathBuf,
        /// Game in its `config.json`.
        found: String,
        /// Game asked for.
        wanted: String,
    },
    /// Writing inside the folder failed.
    #[error("cannot write {}: {cause}", .path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl RunDirError {
    /// The exit code this error ends the process with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadName(_) | Self::Exists(_) => ExitCode::BadRequest,
            Self::CannotCreate { cause, .. } if is_out_of_space(cause) => ExitCode::MachineRefused,
            Self::CannotCreate { .. } => ExitCode::BadRequest,
            Self::NotARun { .. } | Self::InUse(_) | Self::Damaged { .. } | Self::OtherGame { .. } => {
                ExitCode::BadRun
            }
            Self::CannotWrite { .. } => ExitCode::MachineRefused,
        }
    }
}

fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What produced a run; `config.json` says what was asked, this says by whom and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of this program.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// Seed of the run.
    pub seed: u64,
    /// Preset the settings started from.
    pub preset: Option<String>,
    /// Run and checkpoint this one was forked from.
    pub forked_from: Option<String>,
    /// Weights this one started from.
    pub init_from: Option<String>,
    /// Trainable numbers in the network.
    pub parameters: u64,
    /// One entry for the start and each resume, oldest first.
    pub sessions: Vec<Session>,
}

/// One process that worked on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it started, in seconds since 1970.
    pub started_unix_secs: u64,
    /// Frames the run had then.
    pub start_frames: u64,
    /// The command line.
    pub command: Vec<String>,
    /// Where the network was.
    pub device: String,
    /// Worker threads.
    pub threads: usize,
    /// Host name.
    pub host: String,
    /// Operating system and processor.
    pub platform: String,
    /// Cores the process may use.
    pub cores: usize,
}

/// A run folder. While it is open for training the lock is held.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Released by the system when the process ends, however it ends.
    _lock: Option<File>,
}

impl RunDir {
    /// `<runs_dir>/<game>/<algo>-<torso>/<name>`, or `seed<k>-<time>` for the name.
    pub fn planned_path(
        runs_dir: &Path,
        config: &RunConfig,
        name: Option<&str>,
    ) -> Result<PathBuf, RunDirError> {
        let name = match name {
            Some(name) if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) => {
                return Err(RunDirError::BadName(name.to_owned()));
            }
            Some(name) => name.to_owned(),
            None => format!("seed{}-{}", config.seed, timestamp(now_unix_secs())),
        };
        let group = format!("{}-{}", config.algo.name(), config.torso);
        Ok(runs_dir.join(&config.game).join(group).join(name))
    }

    /// Makes the folder and takes its lock. A taken automatic name gets a number after it.
    pub fn create(planned: &Path, named_by_user: bool) -> Result<Self, RunDirError> {
        let cannot = |cause| RunDirError::CannotCreate { path: planned.to_owned(), cause };
        if let Some(parent) = planned.parent() {
            fs::create_dir_all(parent).map_err(cannot)?;
        }
        let mut path = planned.to_owned();
        let mut copies = 1;
        while let Err(error) = fs::create_dir(&path) {
            match error.kind() {
                io::ErrorKind::AlreadyExists if named_by_user => return Err(RunDirError::Exists(path)),
                io::ErrorKind::AlreadyExists => {
                    copies += 1;
                    path = PathBuf::from(format!("{}-{copies}", planned.display()));
                }
                _ => return Err(cannot(error)),
            }
        }
        let lock = take_lock(&path)?;
        fs::create_dir(path.join(CHECKPOINTS)).map_err(cannot)?;
        fs::create_dir(path.join(EVENTS)).map_err(cannot)?;
        Ok(Self { path, _lock: Some(lock) })
    }

    /// Opens a run to continue it, and takes its lock.
    pub fn open_to_train(path: &Path) -> Result<Self, RunDirError> {
        let mut run = Self::open_to_read(path)?;
        run._lock = Some(take_lock(path)?);
        Ok(run)
    }

    /// Opens a run without lock: nothing in it will be written.
    pub fn open_to_read(path: &Path) -> Result<Self, RunDirError> {
        let not_a_run = |cause: &str| RunDirError::NotARun { path: path.to_owned(), cause: cause.to_owned() };
        if !path.is_dir() {
            return Err(not_a_run("no such folder"));
        }
        if !path.join(CONFIG).is_file() {
            return Err(not_a_run("it has no config.json"));
        }
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every setting of the run.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The numbers, one JSON object a log point.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// TensorBoard's folder.
    pub fn events_dir(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    /// The folder of all checkpoints.
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Reads `config.json`.
    pub fn read_config(&self) -> Result<RunConfig, RunDirError> {
        read_json(&self.config_path())
    }

    /// Writes `config.json` whole or not at all.
    pub fn write_config(&self, config: &RunConfig) -> Result<(), RunDirError> {
        write_json(&self.config_path(), config)
    }

    /// Reads `meta.json`.
    pub fn read_meta(&self) -> Result<Meta, RunDirError> {
        read_json(&self.path.join(META))
    }

    /// Writes `meta.json` whole or not at all.
    pub fn write_meta(&self, meta: &Meta) -> Result<(), RunDirError> {
        write_json(&self.path.join(META), meta)
    }

    /// Refuses a run of another game than the one asked for.
    pub fn expect_game(&self, found: &str, wanted: &str) -> Result<(), RunDirError> {
        if found == wanted {
            return Ok(());
        }
        Err(RunDirError::OtherGame {
            path: self.path.clone(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        })
    }
}

fn take_lock(path: &Path) -> Result<File, RunDirError> {
    let lock_path = path.join(LOCK);
    let cannot = |cause| RunDirError::CannotWrite { path: lock_path.clone(), cause };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunDirError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(cannot(cause)),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let damaged = |cause: String| RunDirError::Damaged { path: path.to_owned(), cause };
    let text = fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunDirError> {
    let cannot = |cause| RunDirError::CannotWrite { path: path.to_owned(), cause };
    let mut text = serde_json::to_string_pretty(value).map_err(|error| cannot(io::Error::other(error)))?;
    text.push('\n');
    replace_file(path, text.as_bytes()).map_err(cannot)
}

/// Writes a file under a temporary name, flushes it to disk and renames it: after a crash the path
/// holds either the old bytes or the new ones.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    write_durably(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a new file and waits until it is on the disk.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the names in a folder are on the disk.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Seconds since 1970.
pub fn now_unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `YYYYMMDD-HHMMSS` in UTC, so that names sort by time everywhere.
///
/// The date follows from the day number by Howard Hinnant's `civil_from_days`.
fn timestamp(unix_secs: u64) -> String {
    let (days, rest) = (unix_secs / 86_400, unix_secs % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// The machine's name, for `meta.json` and event files.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_dates() {
        assert_eq!(timestamp(0), "19700101-000000");
        assert_eq!(timestamp(951_782_399), "20000228-235959");
        assert_eq!(timestamp(951_782_400), "20000229-000000");
        assert_eq!(timestamp(1_767_225_599), "20251231-235959");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let config = RunConfig::default();
        for name in ["", "..", "../x", "a/b", ".hidden"] {
            let error = RunDir::planned_path(Path::new("runs"), &config, Some(name)).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::BadRequest, "{name}");
        }
        let path = RunDir::planned_path(Path::new("runs"), &config, Some("mine")).unwrap();
        assert_eq!(path, Path::new("runs/pong/a2c-conv/mine"));
    }

    #[test]
    fn a_run_is_locked_while_it_is_open_for_training() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("a"), true).unwrap();
        run.write_config(&RunConfig::default()).unwrap();
        let error = RunDir::open_to_train(run.path()).unwrap_err();
        assert!(matches!(error, RunDirError::InUse(_)), "{error}");
        RunDir::open_to_read(run.path()).unwrap();
        let path = run.path().to_owned();
        drop(run);
        RunDir::open_to_train(&path).unwrap();
    }

    #[test]
    fn a_taken_automatic_name_gets_a_number_and_a_taken_own_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let planned = folder.path().join("seed1");
        RunDir::create(&planned, false).unwrap();
        let second = RunDir::create(&planned, false).unwrap();
        assert_eq!(second.path(), folder.path().join("seed1-2"));
        assert!(matches!(RunDir::create(&planned, true), Err(RunDirError::Exists(_))));
    }

    #[test]
    fn replacing_a_file_that_cannot_be_written_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        replace_file(&path, b"old").unwrap();
        fs::create_dir(folder.path().join("x.tmp")).unwrap();
        replace_file(&path, b"new").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
