//! Actors in other processes: the learner's end of the link and the actors' end of it, over a
//! broker ([`coordrl_fleet`]).
//!
//! ```text
//! actor process                          broker                      learner
//! actor threads ─▶ batches ─▶ ActorEnd ─▶ a log per process ─▶ Downlink ─▶ ingest ─▶ replay
//!       ▲                                                                              │
//!       └──────── weights ◀─ ActorEnd ◀── newest weights ◀──── Downlink ◀── learner ◀──┘
//! ```

mod actor_process;
mod actor_threads;
mod downlink;
mod state;

use std::time::Duration;

use coordrl_fleet::{Account, Broker, BrokerError, Epoch, ProcessId};

use crate::Counters;

pub use self::actor_process::{Acceptance, ActorProcess, ActorProgress};
pub(super) use self::downlink::{Arrival, Downlink};
pub(super) use self::state::{DecodedEntry, FleetState, Pending};

/// Time without a renewal after which another learner may take over, or another actor a place on
/// the ladder.
const LEASE: Duration = Duration::from_secs(10);

/// Everything that a learner needs to take experience from other processes.
pub struct FleetSetup {
    /// The run at the broker.
    pub broker: Box<dyn Broker + Send>,
    /// This process.
    pub me: ProcessId,
    /// Description of the run for actors, in a form that only the caller knows.
    pub record: Vec<u8>,
    /// Describes the learner for a table of processes.
    pub about: Box<dyn FnMut(&LearnerProgress) -> String + Send>,
}

/// State of a learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerProgress {
    /// Frames and updates.
    pub counters: Counters,
    /// Batches of each actor process that is not gone.
    pub accounts: Vec<(ProcessId, Account)>,
}

/// Failure of the link between learner and actors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// This algorithm has no link.
    #[error("{0} takes no experience from other processes")]
    NoLink(&'static str),
    /// Another learner trains the run.
    #[error(
        "another learner, process {}, has this run at the broker (epoch {}): stop it first",
        .0.holder, .0.number
    )]
    Taken(Epoch),
    /// Another learner has taken the run over.
    #[error(
        "another learner, process {}, has taken this run over at the broker (epoch {})",
        .0.holder, .0.number
    )]
    Lost(Epoch),
    /// The run is not what this actor process was started for.
    #[error("the run has changed: {0}; start this actor anew")]
    Changed(String),
    /// The broker cannot be reached, or refuses.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The link's thread has ended without a reason: a bug.
    #[error("the thread of the link has ended")]
    ThreadEnded,
    /// The system cannot start the thread of the link.
    #[error("no thread could be started for the link")]
    NoThread,
}
