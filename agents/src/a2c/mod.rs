//! Advantage actor-critic, synchronous.
mod config;
pub use config::{A2cConfig, Gradients};
