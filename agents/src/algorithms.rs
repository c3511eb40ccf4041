//! The registry of learning algorithms.

use coordrl_envs::{EnvSpec, Problem};
use tch::{Device, Tensor};

use crate::nn::{NetworkError, TorsoEntry};
use crate::{ActMode, Agent, AgentError, AgentSetup, OptimizerConfig, Policy, Tag, a2c, apex};

/// All learning algorithms; the first is the default.
pub const ALGORITHMS: &[Algorithm] = &[a2c::ALGORITHM, apex::ALGORITHM];

/// Properties of an algorithm that do not depend on its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Algorithm {
    /// Name in settings, flags and folders, and of its settings table.
    pub name: &'static str,
    /// Name in prose.
    pub title: &'static str,
    /// Suffix of its preset names, as in `pong-apex`.
    pub preset_suffix: &'static str,
    /// Tags reported by its updates, in logging order.
    pub tags: &'static [&'static Tag],
    /// `true` if one run keeps all cores busy, so that a sweep runs one at a time.
    pub takes_all_cores: bool,
    /// `true` if its network outputs a distribution over actions rather than Q-values.
    pub has_policy: bool,
    /// Settings that determine the shape of a checkpoint, without the table's name: not even a fork
    /// may change them.
    pub fixed_on_fork: &'static [&'static str],
    /// Table of the optimiser settings, without the algorithm's name.
    pub optimizer_table: &'static str,
}

/// Returns the algorithm named `name`.
pub fn find_algorithm(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}

/// Settings of an algorithm, from which everything else is built.
pub trait AlgorithmConfig {
    /// Returns the algorithm.
    fn algorithm(&self) -> &'static Algorithm;

    /// Returns all problems with the settings; keys start with the table's name.
    fn check(&self) -> Vec<Problem>;

    /// Writes out the settings that are derived from others, so that a run keeps them if the rule
    /// for them changes. The settings have passed the check.
    fn resolve(&mut self) {}

    /// Returns the optimiser settings.
    fn optimizer(&self) -> &OptimizerConfig;

    /// Returns the number of rows or transitions per update.
    fn rows_per_update(&self) -> u64;

    /// Returns the number of environments of each actor.
    fn envs_per_actor(&self) -> Vec<usize>;

    /// Returns the number of threads besides those of the pool.
    fn own_threads(&self) -> usize {
        0
    }

    /// Returns `true` if checkpoints include a replay.
    fn saves_replay(&self) -> bool {
        false
    }

    /// Estimates the maximum memory use of an agent in bytes.
    fn memory(&self, obs_shape: [usize; 3], device: Device) -> MemoryEstimate;

    /// Returns settings that would reduce `estimate` to `free` bytes.
    fn memory_advice(
        &self,
        obs_shape: [usize; 3],
        estimate: MemoryEstimate,
        free: u64,
    ) -> MemoryAdvice;

    /// Builds an agent with initial weights and reset environments, without starting threads.
    ///
    /// # Errors
    /// If the settings are invalid, or environments or network cannot be built from them.
    fn build(&self, setup: AgentSetup<'_>) -> Result<Box<dyn Agent>, AgentError>;

    /// Checks that the network can be built, without allocating it.
    ///
    /// # Errors
    /// If the torso does not fit the observations.
    fn check_network(
        &self,
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
    ) -> Result<(), NetworkError>;

    /// Builds a network for acting only, with `weights` by name.
    ///
    /// # Errors
    /// If names or shapes of the weights do not match the network.
    fn build_policy(
        &self,
        torso: &TorsoEntry,
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
    ) -> Result<Policy, AgentError>;

    /// Returns the default evaluation mode of its agents.
    fn evaluation_mode(&self) -> ActMode;
}

/// Estimate of an agent's maximum memory use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Bytes of the replay; 0 without one.
    pub replay_bytes: u64,
    /// Bytes of everything else that scales with settings.
    pub other_bytes: u64,
}

/// Settings that would reduce an agent's memory use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryAdvice {
    /// Fewer environments, or a shorter rollout.
    Rollout {
        /// Number of environments.
        envs: u32,
        /// Agent steps of a rollout.
        steps: u32,
    },
    /// A smaller replay.
    Replay {
        /// Requested number of transitions.
        capacity: u64,
        /// Number of transitions that would fit.
        fitting: u64,
    },
}

/// Approximate bytes of one emulator with its state.
pub(crate) const ENV_BYTES: u64 = 1 << 20;

/// Host bytes that forward and backward need per byte of observations: pixels as `f32` (4), the
/// conv torso's activations (3) and their gradients (3), rounded up. None with a GPU.
pub(crate) fn learn_factor(device: Device) -> u64 {
    if device == Device::Cpu { 12 } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
        assert_eq!(names.len(), ALGORITHMS.len());
        assert!(
            names.iter().all(|name| find_algorithm(name).is_some_and(|found| found.name == *name))
        );
        assert_eq!(find_algorithm("ppo9"), None);
    }

    #[test]
    fn suffixes_of_presets_are_unique() {
        let suffixes: BTreeSet<&str> =
            ALGORITHMS.iter().map(|algorithm| algorithm.preset_suffix).collect();
        assert_eq!(suffixes.len(), ALGORITHMS.len());
    }
}
