//! The interface between a learning agent and the loop that trains it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use coordrl_envs::{EpisodeStats, VecEnv};
use rayon::ThreadPool;
use tch::{Device, Tensor};

use crate::apex::{FleetError, FleetSetup};
use crate::nn::{NamedTensors, TorsoEntry};
use crate::{AgentError, Counters, Metrics, Timing};

/// Everything an agent is built from besides the settings of its algorithm.
pub struct AgentSetup<'a> {
    /// One of [`crate::nn::torsos`], or a custom entry.
    pub torso: &'a TorsoEntry,
    /// Device of the networks that learn.
    pub device: Device,
    /// Seed of the initial weights and of all random draws.
    pub seed: u64,
    /// Length of the run, for schedules that end with it.
    pub total_frames: u64,
    /// Environments, one vector per actor; sizes as in [`AlgorithmConfig::envs_per_actor`].
    ///
    /// [`AlgorithmConfig::envs_per_actor`]: crate::AlgorithmConfig::envs_per_actor
    pub actors: Vec<VecEnv>,
    /// Threads that step environments or take gradients: see [`build_pool`](crate::build_pool).
    pub pool: Arc<ThreadPool>,
}

/// Report of an update, besides its metrics.
#[derive(Clone, Debug, Default)]
pub struct UpdateReport {
    /// Games that ended.
    pub episodes: Vec<EpisodeStats>,
    /// Time by activity.
    pub timing: Timing,
}

/// Request of an agent to the run loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Write a checkpoint soon: actors in other processes wait for it.
    Checkpoint,
    /// End with a checkpoint: somebody asks all processes of the run to.
    Stop,
}

/// A learning agent.
///
/// After an error in [`Agent::update`] the environments are in an undefined state: load a saved
/// state or drop the agent.
pub trait Agent {
    /// Makes one update, or as much progress as possible. Returns within a fraction of a second, or
    /// the duration of an update.
    ///
    /// # Errors
    /// If an environment or a thread fails, or a number is not finite.
    fn update(&mut self, metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError>;

    /// Pauses the agent's threads, if any, and returns their outstanding reports. The next update
    /// resumes them.
    ///
    /// # Errors
    /// If a thread has failed.
    fn pause(&mut self, _metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError> {
        Ok(UpdateReport::default())
    }

    /// Returns frames, agent steps and updates so far.
    fn counters(&self) -> Counters;

    /// Returns the number of trainable parameters.
    fn parameter_count(&self) -> u64;

    /// Returns the current weights by name, on the CPU.
    fn weights(&self) -> NamedTensors;

    /// Replaces the weights and leaves all other state at its initial values.
    ///
    /// # Errors
    /// If names or shapes do not match this network; nothing is changed then.
    fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError>;

    /// Returns all state that later updates depend on, except a replay.
    ///
    /// # Errors
    /// If the agent is not paused, or holds numbers that are not finite.
    fn save(&self) -> Result<AgentState, AgentError>;

    /// Restores the state returned by [`Agent::save`], and a replay if there is one.
    ///
    /// # Errors
    /// If the state does not fit this agent or is damaged.
    fn load(&mut self, state: AgentState, replay: Option<&mut dyn Read>) -> Result<(), AgentError>;

    /// Returns `true` if the agent learns from a replay.
    fn has_replay(&self) -> bool {
        false
    }

    /// Returns `true` if checkpoints include a replay, written by [`Agent::write_replay`].
    fn saves_replay(&self) -> bool {
        false
    }

    /// Writes the replay that belongs to the last [`Agent::save`].
    ///
    /// # Errors
    /// If the writer fails, or the agent is not paused.
    fn write_replay(&self, _to: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Takes experience from actors in other processes too. To be called before [`Agent::load`].
    ///
    /// # Errors
    /// If the algorithm has no such link, or the link cannot be made.
    fn join_fleet(&mut self, _setup: FleetSetup) -> Result<(), AgentError> {
        Err(FleetError::NoLink("this algorithm").into())
    }

    /// Reports that a checkpoint of the last [`Agent::save`] is complete.
    fn checkpointed(&mut self) {}

    /// Returns what the agent asks of the run loop.
    fn wish(&self) -> Option<Wish> {
        None
    }

    /// Returns the batch of the last or failed update, by name.
    fn last_batch(&self) -> NamedTensors;
}

/// State of an agent paused between two updates.
#[derive(Debug)]
pub struct AgentState {
    /// Parameters by name, `f32`, on the CPU.
    pub weights: NamedTensors,
    /// The optimiser's moments by name, on the CPU.
    pub optimizer: NamedTensors,
    /// A target network's parameters by name; empty without one.
    pub target: NamedTensors,
    /// All other state, in the algorithm's own versioned format.
    pub trainer: Vec<u8>,
}
