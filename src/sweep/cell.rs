//! One run of a sweep, and its progress according to its run folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metrics::read::read_last_point;
use crate::run::checkpoint;
use crate::run::run_dir::{CHECKPOINTS, CONFIG, EARLY_FILES, META, METRICS, RunDir, RunDirError};
use crate::sweep::planned::Planned;

/// Run planned by a sweep.
#[derive(Clone, Debug)]
pub struct Cell<P> {
    /// Resolved settings.
    pub plan: P,
    /// Arguments of the command that starts it, after the subcommand.
    pub arguments: Vec<String>,
    /// Folder of the run, relative to the folder of all runs.
    pub run: PathBuf,
}

/// Progress of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellState {
    /// Nothing worth keeping.
    Waiting,
    /// A checkpoint to resume from.
    Begun {
        /// Position of the checkpoint: frames of a game, updates of a study.
        position: u64,
    },
    /// Training is complete, logged and evaluated.
    Done,
}

impl<P: Planned> Cell<P> {
    /// Returns a title such as `pong a2c-conv seed 1`.
    pub fn title(&self) -> String {
        format!("{} {} seed {}", self.plan.subject(), self.plan.arm(), self.plan.seed())
    }

    /// Returns the name of the variant.
    pub fn arm(&self) -> String {
        self.plan.arm()
    }

    /// Returns the settings.
    pub fn config(&self) -> &P::Config {
        self.plan.config()
    }

    /// Reads the state from the run's folder.
    ///
    /// # Errors
    /// If the folder holds something other than this run.
    pub fn state(&self, runs_dir: &Path) -> Result<CellState, RunDirError> {
        let path = runs_dir.join(&self.run);
        if !path.exists() {
            return Ok(CellState::Waiting);
        }

        let run = match RunDir::open_to_read(&path) {
            Ok(run) => run,
            // A run stopped while starting: the lock is created first.
            Err(_) if is_unbegun(&path) => return Ok(CellState::Waiting),
            Err(error) => return Err(error),
        };

        // With the settings written but not the metadata, a folder opens without having begun.
        if is_unbegun(&path) {
            return Ok(CellState::Waiting);
        }

        let old: P::Config = run.read_config()?;
        let position = checkpoint::list(&run.checkpoints_dir()).last().map(|entry| entry.position);
        let refusals = self.plan.refused_on_resume(&old, position.unwrap_or(0));
        if !refusals.is_empty() {
            let cause = format!("\n  - {}\nchoose another `--name`", refusals.join("\n  - "));
            return Err(RunDirError::OtherRun { path, cause });
        }

        if self.plan.is_complete(&run, position) {
            return Ok(CellState::Done);
        }

        match position {
            Some(position) => Ok(CellState::Begun { position }),
            None if holds_nothing_to_lose(&path) => Ok(CellState::Waiting),
            None => Err(RunDirError::OtherRun {
                path,
                cause:
                    "it has no checkpoint to go on from, and files that would be lost; move it away"
                        .to_owned(),
            }),
        }
    }

    /// Removes what is left of a run stopped before its first checkpoint, so that it can start
    /// again.
    ///
    /// # Errors
    /// If another process uses the folder, or it cannot be removed.
    pub fn clear(&self, runs_dir: &Path) -> Result<(), RunDirError> {
        let path = runs_dir.join(&self.run);
        if !path.exists() {
            return Ok(());
        }
        // Held while the folder is removed, so that no process can start a run in it.
        let _lock = RunDir::lock_leftover(&path)?;
        if !holds_nothing_to_lose(&path) {
            return Err(RunDirError::InUse(path)); // another process has started it since
        }
        fs::remove_dir_all(&path).map_err(|cause| RunDirError::CannotWrite { path, cause })
    }
}

/// Returns `true` if `path` holds no more than a run stopped while starting leaves.
fn is_unbegun(path: &Path) -> bool {
    let is_begun = path.join(CONFIG).exists() && path.join(META).exists();
    !is_begun && holds_nothing_to_lose(path)
}

/// Returns `true` if everything in `path` comes from a run stopped before its first log point and
/// checkpoint.
fn holds_nothing_to_lose(path: &Path) -> bool {
    let names = fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.file_name()));
    let has_early_files_only = names
        .is_ok_and(|mut names| names.all(|name| EARLY_FILES.iter().any(|known| name == *known)));

    has_early_files_only
        && checkpoint::list(&path.join(CHECKPOINTS)).is_empty()
        && matches!(read_last_point(&path.join(METRICS)), Ok(None))
}
