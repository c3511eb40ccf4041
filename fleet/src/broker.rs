//! The operations of a broker.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A process in a run: random, and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u64);

impl ProcessId {
    /// Draws a name.
    pub fn random() -> Self {
        // The keys of a hash map are the standard library's source of random numbers.
        Self(RandomState::new().build_hasher().finish())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A run's learner, and its turn. Numbers grow, and so tell an older learner from a later one; only if a
/// learner and the broker die together, before a checkpoint has the number, may two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Starts at 1.
    pub number: u64,
    /// The learner.
    pub holder: ProcessId,
}

/// Answer to a learner that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The learner holds the epoch of this number.
    Held(u64),
    /// Another learner's lease has not lapsed.
    Taken {
        /// The other.
        by: Epoch,
        /// Time until its lease lapses, if it is not renewed.
        lapses_in: Duration,
    },
}

/// Answer to a learner that extends its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The learner holds the epoch of this number.
    Held {
        /// Above the one it knew if the broker had lost it.
        number: u64,
        /// Somebody asks the whole run to end.
        stop: bool,
    },
    /// Another learner has taken a later epoch.
    Lost(Epoch),
}

/// Answer to a learner that publishes or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Done.
    Held,
    /// Not done: the learner does not hold the epoch. [`Broker::renew`] says why.
    NotHeld,
}

/// Name of published weights: no two with the same name ever differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeightsId {
    /// Number of the epoch they were published in.
    pub epoch: u64,
    /// The learner's update count.
    pub version: u64,
}

/// A batch in the log of an actor process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose log.
    pub actor: ProcessId,
    /// Number of the batch within the log: 1, 2, 3, …
    pub seq: u64,
    /// Encoded [`Batch`](crate::Batch).
    pub bytes: Vec<u8>,
}

/// Answer to an actor that appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch is in the log.
    Added,
    /// The log has had this number before: an earlier attempt had arrived.
    AlreadyThere,
}

/// Regular request of an actor process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// The process.
    pub actor: ProcessId,
    /// Number of places on the ladder of exploration rates that it needs.
    pub places: u32,
    /// Number of places in the run.
    pub places_in_run: u32,
    /// Time after which its places are free again, unless it asks before.
    pub lease: Duration,
    /// Anything that a table of actors should show.
    pub about: String,
}

/// State of the run as an actor process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// The learner, and its turn.
    pub epoch: Epoch,
    /// Counts the processes that joined the run, this one included; another number than before means
    /// that the run had forgotten this process, and that its streams of frames are gone.
    pub joined: u64,
    /// Places leased, ascending; fewer than asked for if no more are free.
    pub places: Vec<u32>,
    /// Number of batches in the actor's log that no finished checkpoint covers.
    pub log_len: u64,
    /// Number of the last batch that the learner has read.
    pub read: u64,
    /// The newest weights.
    pub weights: Option<WeightsId>,
    /// The run ends.
    pub stop: bool,
}

/// An actor process that has attended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub actor: ProcessId,
    /// Time since it last attended.
    pub silent_for: Duration,
    /// Number of batches in its log.
    pub log_len: u64,
    /// Its description of itself.
    pub about: String,
}

/// Failure of an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// No answer: the operation may have been carried out, may still be, or never will.
    #[error("no answer from the broker: {0}")]
    NoAnswer(String),
    /// The broker's memory is full. Not carried out.
    #[error("the broker's memory is full: {0}")]
    Full(String),
    /// The broker refuses, and would again. Not carried out.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

/// Operations on one run at a broker. Each is carried out as a whole or not at all, and may be
/// asked again after [`BrokerError::NoAnswer`] with the same effect.
pub trait Broker {
    /// Makes `learner` the learner of the run, unless another holds an epoch above `known` and its
    /// lease has not lapsed. The number is above `known`, the last one the run's folder knows of,
    /// and above the one at the broker.
    fn claim(
        &mut self,
        learner: ProcessId,
        known: u64,
        lease: Duration,
    ) -> Result<Claimed, BrokerError>;

    /// Extends the lease, also one that has lapsed if nobody took over. If the broker has lost the
    /// epoch, or an older learner has put one there since, takes the number after `held`.
    fn renew(
        &mut self,
        learner: ProcessId,
        held: u64,
        lease: Duration,
    ) -> Result<Renewed, BrokerError>;

    /// Releases the lease, so that the next learner need not wait until it lapses.
    fn release(&mut self, learner: ProcessId) -> Result<Standing, BrokerError>;

    /// Removes what another run of this name has left: everything but the epoch, and the logs of
    /// processes that have never attended. Does nothing once the epoch has a record.
    fn reset(&mut self, learner: ProcessId) -> Result<Standing, BrokerError>;

    /// Writes what actors must know of the run. Until then its epoch does not exist for them.
    fn publish_record(
        &mut self,
        learner: ProcessId,
        record: &[u8],
    ) -> Result<Standing, BrokerError>;

    /// Writes weights and makes them the newest. Those before remain for readers that are about to
    /// fetch them; older ones go.
    fn publish_weights(
        &mut self,
        learner: ProcessId,
        version: u64,
        weights: &[u8],
    ) -> Result<Standing, BrokerError>;

    /// Writes the learner's description of itself, for a table of processes.
    fn describe(&mut self, learner: ProcessId, about: &str) -> Result<Standing, BrokerError>;

    /// Reads what [`Broker::describe`] wrote last.
    fn description(&mut self) -> Result<Option<String>, BrokerError>;

    /// Removes every batch up to and including the given one from each log.
    fn trim(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError>;

    /// Says which batch of each log the learner has read last.
    fn report_read(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError>;

    /// Removes all trace of those of these actor processes whose logs are empty. Returns those that
    /// there is no trace of then; `None` if the learner does not hold the epoch.
    fn forget(
        &mut self,
        learner: ProcessId,
        actors: &[ProcessId],
    ) -> Result<Option<Vec<ProcessId>>, BrokerError>;

    /// Lists the actor processes that have attended.
    fn members(&mut self) -> Result<Vec<Member>, BrokerError>;

    /// Returns up to `most` batches of each log after the given ones, in order. Waits up to `wait`
    /// if there are none.
    fn read(
        &mut self,
        after: &[(ProcessId, u64)],
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError>;

    /// Asks the learner and all actors of an epoch to end, if it is the current one. Those who start
    /// later are not asked.
    fn request_stop(&mut self, epoch: u64) -> Result<(), BrokerError>;

    /// Reads what [`Broker::publish_record`] wrote in this epoch.
    fn record(&mut self) -> Result<Option<Vec<u8>>, BrokerError>;

    /// Extends an actor's leases and returns the state of the run; `None` if there is none, or no
    /// record of its epoch yet.
    fn attend(&mut self, attendance: &Attendance) -> Result<Option<Attended>, BrokerError>;

    /// Appends a batch to the actor's log.
    fn append(&mut self, actor: ProcessId, seq: u64, batch: &[u8])
    -> Result<Appended, BrokerError>;

    /// Fetches weights; `None` if they are gone because newer ones came.
    fn weights(&mut self, id: WeightsId) -> Result<Option<Vec<u8>>, BrokerError>;
}
