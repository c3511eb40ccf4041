//! The registry entry of A2C.

use std::io::Read;

use coordrl_envs::{EnvSpec, Problem};
use tch::{Device, Tensor};

use super::{A2c, A2cConfig, A2cReport};
use crate::algorithms::{
    Algorithm, AlgorithmConfig, ENV_BYTES, MemoryAdvice, MemoryEstimate, learn_factor,
};
use crate::nn::{NamedTensors, Network, NetworkError, TorsoEntry};
use crate::shared_tags::{DEAD_SHARE, GRAD_NORM, LEARNING_RATE, REWARD_CLIPPED};
use crate::{
    ActMode, Agent, AgentError, AgentSetup, AgentState, Counters, Metrics, OptimizerConfig, Policy,
    Tag, UpdateReport, tags,
};

/// Synchronous advantage actor-critic.
pub const ALGORITHM: Algorithm = Algorithm {
    name: "a2c",
    title: "A2C",
    preset_suffix: "",
    tags: TAGS,
    takes_all_cores: false,
    has_policy: true,
    fixed_on_fork: &["envs", "actors", "optimizer.kind"],
    optimizer_table: "optimizer",
};

const TAGS: &[&Tag] = &[
    &REWARD_CLIPPED,
    &LOSS_POLICY,
    &LOSS_VALUE,
    &LOSS_TOTAL,
    &ENTROPY,
    &EXPLAINED_VARIANCE,
    &GRAD_NORM,
    &DEAD_SHARE,
    &LEARNING_RATE,
];

tags! {
    LOSS_POLICY: "loss/policy", "nats × advantage",
        "Policy-gradient loss, mean over the updates since the last log point.";
    LOSS_VALUE: "loss/value", "squared return",
        "Mean squared error of the value head, before its coefficient, mean over the updates since the last log point.";
    LOSS_TOTAL: "loss/total", "none",
        "What the optimiser minimises: policy loss − entropy bonus + weighted value loss, mean over the updates since the last log point.";
    ENTROPY: "policy/entropy", "nats",
        "Mean entropy of the action distribution; ln(number of actions) when acting uniformly.";
    EXPLAINED_VARIANCE: "value/explained_variance", "none",
        "1 − Var(return − value) / Var(return) of each rollout, mean over the updates since the last log point: 1 is perfect, 0 no better than a constant.";
}

impl AlgorithmConfig for A2cConfig {
    fn algorithm(&self) -> &'static Algorithm {
        &ALGORITHM
    }

    fn check(&self) -> Vec<Problem> {
        A2cConfig::check(self)
    }

    fn resolve(&mut self) {
        self.actors = Some(self.num_actors());
    }

    fn optimizer(&self) -> &OptimizerConfig {
        &self.optimizer
    }

    fn rows_per_update(&self) -> u64 {
        A2cConfig::rows_per_update(self)
    }

    fn envs_per_actor(&self) -> Vec<usize> {
        A2cConfig::envs_per_actor(self)
    }

    /// Counts environments, the rollout (T + 1 rows) and the memory for learning from it.
    fn memory(&self, obs_shape: [usize; 3], device: Device) -> MemoryEstimate {
        let envs = u64::from(self.envs);
        // Saturating: absurd settings give a huge estimate instead of an overflow.
        let rows = envs.saturating_mul(u64::from(self.rollout_agent_steps).saturating_add(1));
        let obs = rows.saturating_mul(obs_shape.iter().product::<usize>() as u64);
        let other_bytes = envs
            .saturating_mul(ENV_BYTES)
            // Once as bytes in the rollout, the rest while learning from it.
            .saturating_add(obs.saturating_mul(1 + learn_factor(device)));
        MemoryEstimate { replay_bytes: 0, other_bytes }
    }

    fn memory_advice(&self, _: [usize; 3], _: MemoryEstimate, _: u64) -> MemoryAdvice {
        MemoryAdvice::Rollout { envs: self.envs, steps: self.rollout_agent_steps }
    }

    fn build(&self, setup: AgentSetup<'_>) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(A2c::build(self, setup)?))
    }

    fn check_network(
        &self,
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
    ) -> Result<(), NetworkError> {
        Network::check(torso, obs_shape, num_actions)
    }

    fn build_policy(
        &self,
        torso: &TorsoEntry,
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
    ) -> Result<Policy, AgentError> {
        Policy::build(torso, spec, weights, device)
    }

    fn evaluation_mode(&self) -> ActMode {
        ActMode::Sampled
    }
}

impl Agent for A2c {
    fn update(&mut self, metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError> {
        let report = A2c::update(self)?;
        report.send_to(metrics);
        Ok(UpdateReport { episodes: report.episodes, timing: report.timing })
    }

    fn counters(&self) -> Counters {
        A2c::counters(self)
    }

    fn parameter_count(&self) -> u64 {
        A2c::parameter_count(self)
    }

    fn weights(&self) -> NamedTensors {
        A2c::weights(self)
    }

    fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        A2c::load_weights(self, weights)
    }

    fn save(&self) -> Result<AgentState, AgentError> {
        A2c::save(self)
    }

    fn load(&mut self, state: AgentState, _: Option<&mut dyn Read>) -> Result<(), AgentError> {
        A2c::load(self, state)
    }

    fn last_batch(&self) -> NamedTensors {
        self.last_rollout()
    }
}

impl A2cReport {
    fn send_to(&self, metrics: &mut dyn Metrics) {
        metrics.add(&REWARD_CLIPPED, self.mean_clipped_reward);
        metrics.add(&LOSS_POLICY, self.policy_loss);
        metrics.add(&LOSS_VALUE, self.value_loss);
        metrics.add(&LOSS_TOTAL, self.total_loss);
        metrics.add(&ENTROPY, self.entropy);
        if let Some(share) = self.explained_variance {
            metrics.add(&EXPLAINED_VARIANCE, share);
        }
        metrics.add(&GRAD_NORM, self.grad_norm);
        metrics.add(&DEAD_SHARE, self.dead_share);
        metrics.set(&LEARNING_RATE, self.learning_rate);
    }
}
