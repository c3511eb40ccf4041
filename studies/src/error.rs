//! Errors of studies.

use coordrl_agents::{NetworkError, panic_to_error};
use coordrl_envs::Problem;
use coordrl_envs::suggest::{LOOSE, hint, nearest};

use crate::detect::digits::DigitsError;
use crate::folder::FolderError;

/// Reasons why a study could not be built, trained, saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The settings contradict each other or are out of range.
    #[error("the settings of the study are wrong: {}", list(.0))]
    Config(Vec<Problem>),
    /// No layer, or no task, of that name in the registry.
    #[error("no {what} `{name}`{}; there are {}", hint(.nearest), .known.join(", "))]
    Unknown {
        /// `"layer"` or `"task"`.
        what: &'static str,
        /// Name requested.
        name: String,
        /// Most similar registered name, if any.
        nearest: Option<String>,
        /// All registered names.
        known: Vec<String>,
    },
    /// A custom layer whose output does not fit the network.
    #[error("the layer under study makes {found:?}, but the network needs {expected:?}")]
    LayerShape {
        /// Shape of its output.
        found: Vec<i64>,
        /// Shape that the network needs.
        expected: Vec<i64>,
    },
    /// An objective of a custom task whose parameters are none, do not stand next to each other, or
    /// are also another objective's.
    #[error(
        "`{parameters}` is not the beginning of the names of parameters next to each other that no other objective has"
    )]
    Objective {
        /// Beginning of their names.
        parameters: &'static str,
    },
    /// The network cannot be built or run, or its weights cannot be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The digits of `detect` cannot be read.
    #[error(transparent)]
    Digits(#[from] DigitsError),
    /// The pictures cannot be used.
    #[error("`data`: {0}")]
    Folder(#[from] FolderError),
    /// More pictures of an epoch than one in a thousand could not be read. Nothing is changed.
    #[error(
        "{count} of {of} pictures could not be read, more than one in a thousand; the last: {last}"
    )]
    Unreadable {
        /// Pictures that could not be read.
        count: usize,
        /// Pictures that were to be read.
        of: usize,
        /// The last of them, and why.
        last: String,
    },
    /// A thread could not be started.
    #[error("no thread could be started: {cause}")]
    NoThread {
        /// Reason.
        cause: String,
    },
    /// Training diverged. The weights are those before the step that did; running statistics may be
    /// later ones.
    #[error(
        "{what} not finite in update {update}: training diverged; try a lower `study.learning_rate`"
    )]
    NonFinite {
        /// Non-finite quantity: `"loss"`, `"gradient"`.
        what: &'static str,
        /// The update, counted from 0.
        update: u64,
    },
    /// A saved state that does not fit this study.
    #[error("the saved state cannot be used: {reason}")]
    State {
        /// Reason.
        reason: String,
    },
    /// A bug, caught so that the run ends with its cause.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// Index of the shard.
        shard: usize,
        /// The panic's message.
        message: String,
    },
}

impl From<tch::TchError> for StudyError {
    fn from(error: tch::TchError) -> Self {
        Self::Network(error.into())
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// Builds the error for a name that none of the `known` ones is.
pub(crate) fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> StudyError {
    StudyError::Unknown {
        what,
        name: name.to_owned(),
        nearest: nearest(name, known.clone(), LOOSE).map(str::to_owned),
        known: known.map(str::to_owned).collect(),
    }
}

/// Runs `job` and converts a panic into an error that names the shard.
pub(crate) fn catch_panic<R>(
    shard: usize,
    job: impl FnOnce() -> Result<R, StudyError>,
) -> Result<R, StudyError> {
    panic_to_error(job, |message| StudyError::Panicked { shard, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_keeps_its_words_and_its_shard() {
        let error = catch_panic::<()>(2, || panic!("out of luck")).unwrap_err();
        assert_eq!(error.to_string(), "shard 2 panicked: out of luck");
    }
}
