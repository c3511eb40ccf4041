//! Agent errors.

use coordrl_envs::{EnvError, Problem};

use crate::apex::FleetError;
use crate::nn::NetworkError;
use crate::panics::panic_to_error;
use crate::replay::ReplayError;

/// Reason why an agent could not be built, trained, saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The settings contradict each other or are out of range.
    #[error("the agent's settings are wrong: {}", list(.0))]
    Config(Vec<Problem>),
    /// The environments supplied do not match the settings.
    #[error(
        "{found:?} environments were handed in for the actors, but the settings ask for {expected:?}"
    )]
    ActorSizes {
        /// Number of environments supplied per actor.
        found: Vec<usize>,
        /// Number required by `envs_per_actor` of the settings.
        expected: Vec<usize>,
    },
    /// No environments were supplied at all.
    #[error("no environments were handed in: there must be at least one actor")]
    NoActors,
    /// The actors have different kinds of environments.
    #[error("actor {actor} has environments unlike those of actor 0, in name, shape or actions")]
    ActorSpec {
        /// First actor that differs.
        actor: usize,
    },
    /// An environment failed.
    #[error("actor {actor}: {source}")]
    Env {
        /// Actor that owns the environment.
        actor: usize,
        /// Cause, with the environment's index within the actor.
        source: EnvError,
    },
    /// A worker panicked: a bug, reported so that the run ends with its cause.
    #[error("{worker} panicked: {message}")]
    Panicked {
        /// Worker that panicked.
        worker: Worker,
        /// Panic message.
        message: String,
    },
    /// The network cannot be built, or its weights cannot be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training diverged. The weights are those before this update.
    #[error(
        "{what} not finite in update {update}: training diverged; \
         try a lower `{table}.optimizer.learning_rate` or `{table}.max_grad_norm`"
    )]
    NonFinite {
        /// Quantity that is not finite: `"loss"`, `"gradient"`, `"logits or values"`, `"weights"`,
        /// …
        what: &'static str,
        /// Update, counted from 0.
        update: u64,
        /// Settings table to adjust: `"a2c"`, `"apex.learner"`.
        table: &'static str,
    },
    /// The saved state does not fit this agent.
    #[error("the saved state cannot be used: {reason}")]
    State {
        /// Mismatch found.
        reason: String,
    },
    /// The observations are not whole rows, or not one row per generator.
    #[error("{bytes} bytes of observations are not {rows} rows of {row_bytes}")]
    ObsLength {
        /// Bytes supplied.
        bytes: usize,
        /// Rows expected.
        rows: usize,
        /// Bytes in one row.
        row_bytes: usize,
    },
    /// The parts of a batch have different lengths, or the batch is empty.
    #[error("a batch of {expected} transitions cannot have {found} {what}")]
    BatchLength {
        /// Name of the part: `"rewards"`, `"bytes of observations"`, …
        what: &'static str,
        /// Length found.
        found: usize,
        /// Length expected.
        expected: usize,
    },
    /// The replay returned an error.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The link to actors in other processes failed.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Another thread ended first; its own error has the cause.
    #[error("the agent's threads have ended")]
    WorkersGone,
    /// The system cannot start another thread.
    #[error("no thread could be started for {worker}: {cause}")]
    NoThread {
        /// Worker that needed the thread.
        worker: Worker,
        /// System error.
        cause: std::io::Error,
    },
    /// A transition's action does not exist in the environment.
    #[error("transition {row} of the batch took action {action} of {num_actions}")]
    ActionRange {
        /// Row of the transition in the batch.
        row: usize,
        /// Action of the transition.
        action: i64,
        /// Number of actions, counted from 0.
        num_actions: usize,
    },
}

/// A concurrent part of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// The actor with this index.
    Actor(usize),
    /// The learner.
    Learner,
    /// The thread that inserts experience into the replay.
    Ingest,
    /// The thread with this index that samples batches ahead of the learner.
    Prefetch(usize),
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Actor(index) => write!(f, "actor {index}"),
            Self::Learner => f.write_str("the learner"),
            Self::Ingest => f.write_str("the way into the replay"),
            Self::Prefetch(index) => write!(f, "prefetch {index}"),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// Runs `job` and converts a panic into an error that names `worker`.
///
/// The caller must not reuse state that `job` left half modified.
pub(crate) fn catch_panic<R>(
    worker: Worker,
    job: impl FnOnce() -> Result<R, AgentError>,
) -> Result<R, AgentError> {
    panic_to_error(job, |message| AgentError::Panicked { worker, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_keeps_its_words_and_its_place() {
        let caught = |worker, job: fn() -> Result<(), AgentError>| {
            catch_panic(worker, job).unwrap_err().to_string()
        };
        assert_eq!(
            caught(Worker::Learner, || panic!("out of luck")),
            "the learner panicked: out of luck"
        );
        assert_eq!(caught(Worker::Actor(2), || panic!("{} left", 0)), "actor 2 panicked: 0 left");
        assert_eq!(catch_panic(Worker::Learner, || Ok(7)).unwrap(), 7);
    }
}
