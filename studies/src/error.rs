//! Everything that can go wrong with a study.

use coordrl_agents::NetworkError;
use coordrl_envs::Problem;

use crate::Task;

/// Why a study could not be built, trained, saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The settings contradict each other or are out of range.
    #[error("the settings of the study are wrong: {}", list(.0))]
    Config(Vec<Problem>),
    /// No layer of that name in the registry.
    #[error("no layer `{name}`{}; there are {}", hint(.nearest), .known.join(", "))]
    UnknownLayer {
        /// The name asked for.
        name: String,
        /// The registered name most like it, if one is.
        nearest: Option<String>,
        /// All registered names.
        known: Vec<String>,
    },
    /// A layer of somebody's own that does not fit into the network.
    #[error("the layer under study makes {found:?}, but the network needs {expected:?}")]
    LayerShape {
        /// Shape of what it made.
        found: Vec<i64>,
        /// Shape that it should have made.
        expected: Vec<i64>,
    },
    /// The network cannot be built or run, or its weights cannot be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training diverged. The weights are those from before this update.
    #[error("{what} not finite in update {update}: training diverged; try a lower `study.learning_rate`")]
    NonFinite {
        /// What is not finite: `"loss"`, `"gradient"`.
        what: &'static str,
        /// The update, counted from 0.
        update: u64,
    },
    /// Saved state that does not fit this study.
    #[error("the saved state cannot be used: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// A picture was asked of a network that makes none.
    #[error("`{task}` paints no pictures: it reads them")]
    NoPicture {
        /// The task.
        task: Task,
    },
    /// A bug, caught so that the run ends with its cause.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// Which part of the batch.
        shard: usize,
        /// The panic's own words.
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

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// Runs `job` and turns a panic into an error that names the shard.
pub(crate) fn catch_panic<R>(
    shard: usize,
    job: impl FnOnce() -> Result<R, StudyError>,
) -> Result<R, StudyError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let message = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(StudyError::Panicked { shard, message: message.unwrap_or_default() })
    })
}
