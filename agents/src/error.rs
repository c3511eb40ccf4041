//! Everything that can go wrong with an agent.

use coordrl_envs::{EnvError, Problem};

use crate::nn::NetworkError;
use crate::replay::ReplayError;

/// Why an agent could not be built, trained, saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The settings contradict each other or are out of range.
    #[error("the agent's settings are wrong: {}", list(.0))]
    Config(Vec<Problem>),
    /// The environments handed in are not those that the settings speak of.
    #[error("{found:?} environments were handed in for the actors, but the settings ask for {expected:?}")]
    ActorSizes {
        /// Environments of each actor handed in.
        found: Vec<usize>,
        /// As `envs_per_actor` of the settings gives it.
        expected: Vec<usize>,
    },
    /// Actors whose environments differ.
    #[error("actor {actor} has environments unlike those of actor 0, in name, shape or actions")]
    ActorSpec {
        /// The odd one.
        actor: usize,
    },
    /// An environment failed.
    #[error("actor {actor}: {source}")]
    Env {
        /// The actor it belongs to.
        actor: usize,
        /// What failed, with the environment's index within the actor.
        source: EnvError,
    },
    /// A bug, caught so that the run ends with its cause.
    #[error("{worker} panicked: {message}")]
    Panicked {
        /// Who.
        worker: Worker,
        /// The panic's own words.
        message: String,
    },
    /// The network cannot be built, or its weights cannot be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training diverged. The weights are those from before this update.
    #[error(
        "{what} not finite in update {update}: training diverged; \
         try a lower `{table}.optimizer.learning_rate` or `{table}.max_grad_norm`"
    )]
    NonFinite {
        /// What is not finite: `"loss"`, `"gradient"`, `"logits or values"`, `"weights"`, …
        what: &'static str,
        /// The update, counted from 0.
        update: u64,
        /// The table of the settings that would help: `"a2c"`, `"apex.learner"`.
        table: &'static str,
    },
    /// Saved state that does not fit this agent.
    #[error("the saved state cannot be used: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// Observations that are not whole rows, or not one row a generator.
    #[error("{bytes} bytes of observations are not {rows} rows of {row_bytes}")]
    ObsLength {
        /// Bytes given.
        bytes: usize,
        /// Rows expected.
        rows: usize,
        /// Bytes in one row.
        row_bytes: usize,
    },
    /// A batch whose parts have different lengths, or none.
    #[error("a batch of {expected} transitions cannot have {found} {what}")]
    BatchLength {
        /// Which part: `"rewards"`, `"bytes of observations"`, …
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// The replay refused something.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Another thread has ended first; its own error says why.
    #[error("the agent's threads have ended")]
    WorkersGone,
    /// The system gives no more threads.
    #[error("no thread could be started for {worker}: {cause}")]
    NoThread {
        /// Whose.
        worker: Worker,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A transition with an action that the environment does not have.
    #[error("transition {row} of the batch took action {action} of {num_actions}")]
    ActionRange {
        /// The transition's place in the batch.
        row: usize,
        /// Its action.
        action: i64,
        /// How many there are, from 0.
        num_actions: usize,
    },
}

/// A part of the agent that works on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// The actor of this index.
    Actor(usize),
    /// The learner.
    Learner,
    /// What takes experience into the replay.
    Ingest,
    /// What draws batches ahead of the learner, by index.
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

/// Runs `job` and turns a panic into an error that names `worker`.
///
/// What `job` left half done must not be used again; the caller sees to that.
pub(crate) fn catch_panic<R>(
    worker: Worker,
    job: impl FnOnce() -> Result<R, AgentError>,
) -> Result<R, AgentError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let message = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(AgentError::Panicked { worker, message: first_line(&message.unwrap_or_default()) })
    })
}

/// libtorch's messages go on with its own call stack.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_keeps_its_words_and_its_place() {
        let caught =
            |worker, job: fn() -> Result<(), AgentError>| catch_panic(worker, job).unwrap_err().to_string();
        assert_eq!(caught(Worker::Learner, || panic!("out of luck")), "the learner panicked: out of luck");
        assert_eq!(caught(Worker::Actor(2), || panic!("{} left", 0)), "actor 2 panicked: 0 left");
        assert_eq!(catch_panic(Worker::Learner, || Ok(7)).unwrap(), 7);
    }
}
