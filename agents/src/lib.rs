//! Learning: torsos, networks, optimisers, and the agents A2C and Ape-X, on libtorch.
//!
//! - [`maths`]: returns, advantages, losses, schedules: pure functions
//! - [`nn`]: torsos (and their registry), heads, initial weights, optimisers
//! - [`A2c`]: the agent, built from an [`AgentSetup`], trained by [`A2c::update`]
//! - [`Apex`]: likewise; its parts in [`apex`]
//! - [`replay`]: prioritised replay, for off-policy agents
//! - [`Policy`]: a trained network that acts without learning
//! - [`device`]: device selection by name, with on-demand loading of libtorch's CUDA library
//!
//! This crate reads no files, prints nothing and is independent of the command line.
//!
//! ```
//! use std::sync::Arc;
//!
//! use coordrl_agents::{A2c, A2cConfig, AgentSetup, build_pool, find_torso};
//! use coordrl_envs::{Assets, EnvConfig, EnvSeed, Role, VecEnv, make_env};
//!
//! let config = A2cConfig { envs: 4, ..Default::default() };
//! let assets = Assets { rom_dir: "roms".into() };
//! let mut seeds = (0..).map(|index| EnvSeed { seed: 1, role: Role::TrainEnv, index });
//! let mut actors = Vec::new();
//! for size in config.envs_per_actor() {
//!     let make = |seed| make_env("catch", &EnvConfig::default(), &assets, seed);
//!     let envs = seeds.by_ref().take(size).map(make).collect::<Result<_, _>>()?;
//!     actors.push(VecEnv::try_new(envs)?);
//! }
//! let mut agent = A2c::build(&config, AgentSetup {
//!     torso: find_torso("coordconv")?,
//!     device: tch::Device::Cpu,
//!     seed: 1,
//!     total_frames: 10_000,
//!     actors,
//!     pool: Arc::new(build_pool(2, 1)?),
//! })?;
//! let report = agent.update()?;
//! assert!(report.total_loss.is_finite());
//! assert_eq!(agent.counters().agent_steps, 4 * 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod a2c;
mod actors;
mod agent;
mod algorithms;
pub mod apex;
mod cuda;
pub mod device;
mod error;
pub mod maths;
mod metrics;
mod n_step;
pub mod nn;
mod off;
pub mod on_policy;
mod panics;
mod policy;
pub mod replay;
mod report;
mod threads;
mod versioned;

pub use a2c::{A2c, A2cConfig, A2cReport};
pub use agent::{Agent, AgentSetup, AgentState, UpdateReport, Wish};
pub use algorithms::{
    ALGORITHMS, Algorithm, AlgorithmConfig, MemoryAdvice, MemoryEstimate, find_algorithm,
};
pub use apex::{Apex, ApexConfig, ApexReplayConfig, ApexReport, Inference};
pub use error::{AgentError, Worker};
pub use maths::Schedule;
pub use metrics::{Metrics, NullMetrics, Tag, shared_tags};
pub use n_step::{Decision, NStep, NStepState, NStepTransition, StepOutcome};
pub use nn::{
    Network, NetworkError, OptimizerConfig, OptimizerKind, Torso, TorsoEntry, find_torso, torsos,
};
pub use on_policy::Gradients;
pub use panics::panic_to_error;
pub use policy::{ActMode, ActionScores, Maps, Policy};
pub use report::{Counters, Timing};
pub use threads::build_pool;
