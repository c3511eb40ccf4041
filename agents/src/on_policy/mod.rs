//! On-policy learning: groups of environments act under one set of weights for a rollout, which is
//! learned from once or a few times and then dropped.
//!
//! - [`Collector`]: actors, networks and threads; the part that an on-policy algorithm starts from
//! - [`ActorCriticBatch`]: a rollout as tensors; [`BatchGradient`]: what a loss makes of it
//!
//! A2C is a loss and an optimiser step on top of these; `examples/own_algorithm.rs` has PPO, and
//! `examples/serial_a2c.rs` is A2C without them, in one thread: read it first.

mod actor;
mod batch;
mod central;
mod collector;
mod rollout;
mod sharded;

pub use actor::RolloutPlan;
pub use batch::{ActorCriticBatch, BatchGradient, BatchTargets, Loss, LossFn};
pub use collector::{ActorState, Collector, Gradients};
pub use rollout::Targets;
