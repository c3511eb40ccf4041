//! Ape-X DQN: many actors that act on their own, one prioritised replay, one learner. Deep
//! Q-learning with dueling networks, double Q-learning and n-step targets. Source: Horgan et al.
//! 2018 (arXiv:1803.00933).
//!
//! - `actor`: environments, ε-greedy, n steps, first priorities; knows no threads
//! - `learner`: networks, optimiser step; knows no replay; `shard`: targets, loss and gradient of
//!   some rows
//! - `link`, `experience`: what lies between the two: experience one way, weights the other
//! - `limiter`: keeps both in step
//! - `agent`: all of it put together; `serial`: its update in one thread, to be read first
//! - `threaded`: the same update beside `workers`, the threads that act, ingest and prefetch

mod actor;
mod agent;
pub(crate) mod algorithm;
mod batch;
mod config;
mod experience;
mod failure;
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
pub use config::{ApexConfig, ApexReplayConfig, Inference};
pub use experience::{Experience, Weights};
pub use learner::{LearnStats, Learner, LearnerState};
pub use learner_config::LearnerConfig;
pub use limiter::Rates;
pub use link::{Closed, Link};
pub use report::{ApexReport, LearnReport};
