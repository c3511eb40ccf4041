//! Learning: torsos, networks, optimisers and the A2C agent, on libtorch.
//!
//! - [`maths`]: returns, advantages, losses, schedules: pure functions
//! - [`nn`]: torsos (and their registry), heads, first values, optimisers
//! - [`A2c`]: the agent, built from an [`A2cSetup`], trained by [`A2c::update`]
//! - [`Policy`]: a trained network that only acts
//!
//! Nothing here reads files, prints or knows the command line.

mod a2c;
mod error;
pub mod maths;
pub mod nn;
mod off;
mod policy;
mod rollout;
mod threads;

pub use a2c::{A2c, A2cConfig, A2cSetup, AgentState, Counters, Gradients, Timing, UpdateReport};
pub use error::{AgentError, Worker};
pub use maths::Schedule;
pub use nn::{Network, NetworkError, OptimizerConfig, OptimizerKind, Torso, TorsoEntry, find_torso, torsos};
pub use policy::{ActMode, Policy};
pub use threads::build_pool;
