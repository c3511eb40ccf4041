//! Learning: torsos, networks, optimisers and the A2C agent, on libtorch.
//!
//! - [`maths`]: returns, advantages, losses, schedules: pure functions
//! - [`nn`]: torsos (and their registry), heads, first values, optimisers
//! - [`a2c`]: the agent
//!
//! Nothing here reads files, prints or knows the command line.

pub mod a2c;
pub mod maths;
pub mod nn;
mod off;

pub use a2c::*;
