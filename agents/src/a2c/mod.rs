//! Synchronous advantage actor-critic.

mod actor;
mod agent;
pub(crate) mod algorithm;
mod central;
mod config;
mod learner;
mod report;
mod sharded;
mod state;

pub use agent::A2c;
pub(crate) use algorithm::ALGORITHM;
pub use config::{A2cConfig, Gradients};
pub use report::A2cReport;
