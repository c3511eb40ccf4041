//! Advantage actor-critic, synchronous.

mod actor;
mod agent;
mod central;
mod config;
mod learner;
mod report;
mod sharded;
mod state;

pub use agent::{A2c, A2cSetup};
pub use config::{A2cConfig, Gradients};
pub use report::A2cReport;
pub use state::AgentState;
