//! Why a checkpoint cannot be written, found or used.

use std::io;
use std::path::{Path, PathBuf};

use coordrl_agents::replay::ReplayError;

use super::names::position_in_name;
use crate::exit_code::ExitCode;

/// Why a checkpoint cannot be written, found or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The run has none.
    #[error("{} holds no checkpoint: the run was stopped before its first; delete the run's folder and start it anew", .0.display())]
    NoneFound(PathBuf),
    /// The one asked for is not there.
    #[error("no checkpoint `{wanted}` in {}; there are: {available}", .dir.display())]
    NotFound {
        /// Folder looked in.
        dir: PathBuf,
        /// As typed.
        wanted: String,
        /// Those that are there.
        available: String,
    },
    /// A file is missing, cut short, or not what was written.
    #[error("checkpoint {} is damaged: {cause}{}", .path.display(), previous_hint(.previous.as_ref()))]
    Damaged {
        /// The checkpoint folder.
        path: PathBuf,
        /// The file and what is wrong with it.
        cause: String,
        /// The newest whole checkpoint before it.
        previous: Option<PathBuf>,
    },
    /// The files are whole but do not fit this program or this run.
    #[error("checkpoint {} cannot be used: {cause}", .path.display())]
    Unusable {
        /// The checkpoint folder.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// The disk did not take it. Earlier checkpoints are untouched.
    #[error("cannot write checkpoint {}: {cause}; earlier checkpoints are untouched", .path.display())]
    CannotWrite {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl CheckpointError {
    /// The exit code this error ends the process with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotFound { .. } => ExitCode::BadRequest,
            Self::NoneFound(_) | Self::Damaged { .. } | Self::Unusable { .. } => ExitCode::BadRun,
            Self::CannotWrite { .. } => ExitCode::MachineRefused,
        }
    }

    /// Of a replay that turns out to be damaged as an agent reads it: it is too large to be checked
    /// before.
    pub fn damaged_replay(file: &Path, cause: &ReplayError) -> Self {
        let way_on =
            "without that file the run goes on after a new warm-up: remove it and try again";
        Self::damaged(
            file.parent().unwrap_or(file),
            format!("{}: {cause}; {way_on}", file.display()),
        )
    }

    /// The same for commands that cannot choose a checkpoint.
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
