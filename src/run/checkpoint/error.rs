//! Checkpoint errors.

use std::io;
use std::path::{Path, PathBuf};

use coordrl_agents::replay::ReplayError;

use super::names::position_in_name;
use crate::exit_code::ExitCode;

/// Error writing, finding or reading a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The run has no checkpoint.
    #[error("{} holds no checkpoint: the run was stopped before its first; delete the run's folder and start it anew", .0.display())]
    NoneFound(PathBuf),
    /// The requested checkpoint does not exist.
    #[error("no checkpoint `{wanted}` in {}; there are: {available}", .dir.display())]
    NotFound {
        /// Folder searched.
        dir: PathBuf,
        /// Checkpoint requested, as typed.
        wanted: String,
        /// Positions of the existing checkpoints.
        available: String,
    },
    /// A file is missing, truncated, or differs from what was written.
    #[error("checkpoint {} is damaged: {cause}{}", .path.display(), previous_hint(.previous.as_ref()))]
    Damaged {
        /// Checkpoint folder.
        path: PathBuf,
        /// File and what is wrong with it.
        cause: String,
        /// Newest intact checkpoint before it.
        previous: Option<PathBuf>,
    },
    /// The files are intact but do not fit this program or this run.
    #[error("checkpoint {} cannot be used: {cause}", .path.display())]
    Unusable {
        /// Checkpoint folder.
        path: PathBuf,
        /// Mismatch found.
        cause: String,
    },
    /// Writing failed; earlier checkpoints are untouched.
    #[error("cannot write checkpoint {}: {cause}; earlier checkpoints are untouched", .path.display())]
    CannotWrite {
        /// Intended folder.
        path: PathBuf,
        /// Error from the operating system.
        cause: io::Error,
    },
}

impl CheckpointError {
    /// Returns the process exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotFound { .. } => ExitCode::BadRequest,
            Self::NoneFound(_) | Self::Damaged { .. } | Self::Unusable { .. } => ExitCode::BadRun,
            Self::CannotWrite { .. } => ExitCode::MachineRefused,
        }
    }

    /// Builds the error for a replay found damaged while an agent reads it: it is too large to
    /// verify beforehand.
    pub fn damaged_replay(file: &Path, cause: &ReplayError) -> Self {
        let way_on =
            "without that file the run goes on after a new warm-up: remove it and try again";
        Self::damaged(
            file.parent().unwrap_or(file),
            format!("{}: {cause}; {way_on}", file.display()),
        )
    }

    /// Rewords the hint for commands without a `--checkpoint` flag.
    pub fn without_flag(self) -> Self {
        match self {
            Self::Damaged { path, cause, previous: Some(previous) } => {
                let way_on =
                    format!("remove it to go on from the newest whole one, {}", previous.display());
                Self::Damaged { path, cause: format!("{cause}; {way_on}"), previous: None }
            }
            other => other,
        }
    }

    pub(super) fn damaged(path: &Path, cause: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), cause: cause.into(), previous: None }
    }
}

fn previous_hint(previous: Option<&PathBuf>) -> String {
    previous.map_or_else(String::new, |path| {
        let position = position_in_name(path).unwrap_or(0);
        format!(
            "; the newest whole one is {}, for `train --resume`, `eval` and `play` with `--checkpoint {position}`",
            path.display()
        )
    })
}
