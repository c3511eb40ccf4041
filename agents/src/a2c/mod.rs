//! Synchronous advantage actor-critic.

mod agent;
pub(crate) mod algorithm;
mod config;
mod learner;
mod report;
mod state;

pub use agent::A2c;
pub(crate) use algorithm::ALGORITHM;
pub use config::A2cConfig;
pub use report::A2cReport;
