//! Actors on other machines: experience one way, weights the other, over a broker that speaks the
//! Redis protocol. Knows bytes only: what a batch holds and what weights are is the caller's.
//!
//! - [`Broker`]: the operations needed, each one atomic at the broker
//! - [`MemoryBroker`]: all of them in memory, the reference that tests and simulation run on
//! - [`ActorEnd`], [`LearnerEnd`]: what an actor process and the learner do with a broker, one
//!   operation a turn, without threads and clocks of their own
//! - [`Ledger`]: what the learner has inserted of each actor; saved in its checkpoints
//! - [`Batch`]: experience as it travels
//!
//! # Why nothing counts twice
//!
//! Experience is a *log*, not a queue. Every actor process numbers its batches 1, 2, 3, … and
//! appends them to a stream of its own. The learner reads from a position that its checkpoint
//! holds, and alone removes batches: those that a finished checkpoint covers. A learner that is
//! killed reads again what its last checkpoint had not seen; an actor that does not know if a
//! batch arrived sends it again under the same number, which the broker refuses if it has it.
//!
//! # Who is the learner
//!
//! The run's *epoch* has a number and a holder, and only the holder may publish or remove. A
//! learner extends its lease on it; once the lease has lapsed another may take the next epoch, and
//! whoever held the one before is refused from then on. A broker that has lost everything is
//! filled again by the learner under the next number.

mod actor_end;
mod batch;
mod broker;
mod learner_end;
mod ledger;
mod memory_broker;
mod redis;

pub use self::redis::{BrokerMemory, RedisBroker};
pub use actor_end::{ActorEnd, ActorLimits, ActorTurn, Waiting};
pub use batch::{Batch, BatchError};
pub use broker::{
    Appended, Attendance, Attended, Broker, BrokerError, Claimed, Entry, Epoch, Member, ProcessId,
    Renewed, Standing, WeightsId,
};
pub use learner_end::{LearnerEnd, LearnerTurn, Leasing};
pub use ledger::{Accepted, Account, Ledger};
pub use memory_broker::MemoryBroker;
