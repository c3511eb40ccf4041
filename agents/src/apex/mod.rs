//! Ape-X DQN: many asynchronous actors, one prioritised replay, one learner. Deep Q-learning with
//! dueling networks, double Q-learning and n-step targets. Source: Horgan et al. 2018
//! (arXiv:1803.00933).
//!
//! - `actor`: environments, ε-greedy, n-step transitions, initial priorities; independent of
//!   threads
//! - `learner`: networks, optimiser step; independent of the replay; `shard`: targets, loss and
//!   gradient of some rows
//! - `link`, `experience`: messages between the two: experience one way, weights the other
//! - `fleet`: the same messages between processes, over a broker
//! - `limiter`: balances both
//! - `agent`: all of it combined; `serial`: its update in one thread, to be read first
//! - `threaded`: the same update, beside `workers`, the threads that act, ingest and prefetch

mod actor;
mod agent;
pub(crate) mod algorithm;
mod batch;
mod config;
mod experience;
mod failure;
mod fleet;
mod inference;
mod learner;
mod learner_config;
mod learning;
mod limiter;
mod link;
mod memory;
mod report;
mod serial;
mod shard;
mod state;
mod threaded;
mod workers;

pub use agent::Apex;
pub(crate) use algorithm::ALGORITHM;
pub use algorithm::EVALUATION_EPSILON;
pub use batch::LearnBatch;
pub use config::{ApexConfig, ApexReplayConfig, FleetConfig, Inference};
pub use experience::{Experience, Weights};
pub use fleet::{Acceptance, ActorProcess, ActorProgress, FleetError, FleetSetup, LearnerProgress};
pub use learner::{ApexLearner, LearnStats, LearnerState};
pub use learner_config::LearnerConfig;
pub use limiter::Rates;
pub use link::{Closed, Link};
pub use report::{ApexReport, LearnReport, RemoteBatches};
