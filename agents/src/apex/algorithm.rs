//! Registration of Ape-X in the list of algorithms.

use std::io::{self, Read, Write};

use coordrl_envs::{EnvSpec, Problem};
use tch::{Device, Tensor};

use super::memory::{apex_bytes, fitting_capacity, replay_bytes};
use super::{Apex, ApexConfig, ApexReport, FleetSetup};
use crate::algorithms::{Algorithm, AlgorithmConfig, MemoryAdvice, MemoryEstimate};
use crate::nn::{NamedTensors, NetworkError, QNetwork, TorsoEntry};
use crate::shared_tags::{DEAD_SHARE, GRAD_NORM, LEARNING_RATE, REWARD_CLIPPED};
use crate::{
    ActMode, Agent, AgentError, AgentSetup, AgentState, Counters, Metrics, OptimizerConfig, Policy,
    Tag, UpdateReport, Wish, tags,
};

/// Exploration rate ε in evaluations: nearly greedy, but no game can loop forever.
pub const EVALUATION_EPSILON: f64 = 0.001;

/// Ape-X DQN.
pub const ALGORITHM: Algorithm = Algorithm {
    name: "apex",
    title: "Ape-X",
    preset_suffix: "-apex",
    tags: TAGS,
    takes_all_cores: true,
    has_policy: false,
    fixed_on_fork: &[
        "envs",
        "actors",
        "discount",
        "n_step",
        "serial",
        "replay.capacity",
        "learner.head",
        "learner.optimizer.kind",
    ],
    optimizer_table: "learner.optimizer",
};

const TAGS: &[&Tag] = &[
    &REWARD_CLIPPED,
    &GRAD_NORM,
    &DEAD_SHARE,
    &LEARNING_RATE,
    &LOSS_TD,
    &MEAN_Q,
    &TD_ERROR,
    &REPLAY_LEN,
    &REPLAY_AGE,
    &STALE_SHARE,
    &SAMPLES_PER_INSERT,
    &POLICY_LAG,
    &REMOTE_BATCHES,
    &REMOTE_LOST,
    &REMOTE_DUPLICATES,
    &REMOTE_PROCESSES,
];

tags! {
    LOSS_TD: "loss/td", "none",
        "Importance-weighted loss of the TD errors, mean over the updates since the last log point.";
    MEAN_Q: "value/mean_q", "discounted return",
        "Mean Q of the actions in the batch, mean over the updates since the last log point.";
    TD_ERROR: "value/abs_td_error", "discounted return",
        "Mean |TD error| of the batch, not weighted, mean over the updates since the last log point.";
    REPLAY_LEN: "replay/transitions", "transitions",
        "Transitions in the replay.";
    REPLAY_AGE: "replay/age_transitions", "transitions",
        "How many transitions came after those of the batch, mean over batch and updates since the last log point.";
    STALE_SHARE: "replay/stale_share", "share of the batch",
        "Transitions that had left the replay when their new priorities came, mean over the updates since the last log point.";
    SAMPLES_PER_INSERT: "replay/samples_per_insert", "samples per transition",
        "Transitions learnt from for each one inserted since the warm-up.";
    POLICY_LAG: "actors/policy_lag_updates", "updates",
        "How many updates the learner was ahead of the weights that acted, mean over the experience since the last log point.";
    REMOTE_BATCHES: "actors/remote_batches", "batches",
        "Batches of experience of other processes in the replay, since the run began; 0 without `--link`.";
    REMOTE_LOST: "actors/remote_batches_lost", "batches",
        "Batches of other processes that are missing, or of no use without a missing one, since the run began.";
    REMOTE_DUPLICATES: "actors/remote_batches_twice", "batches",
        "Batches of other processes that came a second time, and were left out, since the run began.";
    REMOTE_PROCESSES: "actors/remote_processes", "processes",
        "Actor processes elsewhere that have sent experience and are not gone.";
}

impl AlgorithmConfig for ApexConfig {
    fn algorithm(&self) -> &'static Algorithm {
        &ALGORITHM
    }

    fn check(&self) -> Vec<Problem> {
        ApexConfig::check(self)
    }

    fn resolve(&mut self) {
        self.actors = Some(self.num_actors());
    }

    fn optimizer(&self) -> &OptimizerConfig {
        &self.learner.optimizer
    }

    fn rows_per_update(&self) -> u64 {
        self.learner.batch_size.into()
    }

    fn envs_per_actor(&self) -> Vec<usize> {
        ApexConfig::envs_per_actor(self)
    }

    fn own_threads(&self) -> usize {
        self.num_threads()
    }

    fn saves_replay(&self) -> bool {
        self.replay.save
    }

    fn memory(&self, obs_shape: [usize; 3], device: Device) -> MemoryEstimate {
        MemoryEstimate {
            replay_bytes: replay_bytes(self, obs_shape, self.replay.capacity),
            other_bytes: apex_bytes(self, obs_shape, device),
        }
    }

    fn memory_advice(
        &self,
        obs_shape: [usize; 3],
        estimate: MemoryEstimate,
        free: u64,
    ) -> MemoryAdvice {
        let MemoryEstimate { replay_bytes, other_bytes } = estimate;
        let fitting =
            fitting_capacity(self, obs_shape, replay_bytes, free.saturating_sub(other_bytes));
        MemoryAdvice::Replay { capacity: self.replay.capacity, fitting }
    }

    fn build(&self, setup: AgentSetup<'_>) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(Apex::build(self, setup)?))
    }

    fn check_network(
        &self,
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
    ) -> Result<(), NetworkError> {
        QNetwork::check(torso, obs_shape, num_actions, self.learner.head)
    }

    fn build_policy(
        &self,
        torso: &TorsoEntry,
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
    ) -> Result<Policy, AgentError> {
        Policy::build_q(torso, self.learner.head, spec, weights, device)
    }

    fn evaluation_mode(&self) -> ActMode {
        ActMode::EpsilonGreedy { epsilon: EVALUATION_EPSILON }
    }
}

impl Agent for Apex {
    fn update(&mut self, metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError> {
        Ok(Apex::update(self)?.send_to(metrics))
    }

    fn pause(&mut self, metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError> {
        Ok(Apex::pause(self)?.send_to(metrics))
    }

    fn join_fleet(&mut self, setup: FleetSetup) -> Result<(), AgentError> {
        Apex::join_fleet(self, setup)
    }

    fn checkpointed(&mut self) {
        Apex::checkpointed(self);
    }

    fn wish(&self) -> Option<Wish> {
        Apex::wish(self)
    }

    fn counters(&self) -> Counters {
        Apex::counters(self)
    }

    fn parameter_count(&self) -> u64 {
        Apex::parameter_count(self)
    }

    fn weights(&self) -> NamedTensors {
        Apex::weights(self)
    }

    fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        Apex::load_weights(self, weights)
    }

    fn save(&self) -> Result<AgentState, AgentError> {
        Apex::save(self)
    }

    fn load(&mut self, state: AgentState, replay: Option<&mut dyn Read>) -> Result<(), AgentError> {
        Apex::load(self, state, replay)
    }

    fn has_replay(&self) -> bool {
        true
    }

    fn saves_replay(&self) -> bool {
        Apex::saves_replay(self)
    }

    fn write_replay(&self, to: &mut dyn Write) -> io::Result<()> {
        Apex::write_replay(self, to).map_err(io::Error::other)
    }

    fn last_batch(&self) -> NamedTensors {
        Apex::last_batch(self)
    }
}

impl ApexReport {
    /// Sends the metrics to `metrics` and returns the rest.
    fn send_to(self, metrics: &mut dyn Metrics) -> UpdateReport {
        if let Some(reward) = self.mean_clipped_reward {
            metrics.add_weighted(&REWARD_CLIPPED, reward, self.agent_steps);
        }

        if let Some(lag) = self.policy_lag_updates {
            metrics.add(&POLICY_LAG, lag);
        }

        metrics.set(&REPLAY_LEN, self.replay_len as f64);
        metrics.set(&REMOTE_BATCHES, self.remote.inserted as f64);
        metrics.set(&REMOTE_LOST, self.remote.lost as f64);
        metrics.set(&REMOTE_DUPLICATES, self.remote.duplicates as f64);
        metrics.set(&REMOTE_PROCESSES, self.remote.processes as f64);
        if let Some(ratio) = self.samples_per_insert {
            metrics.set(&SAMPLES_PER_INSERT, ratio);
        }

        if let Some(update) = &self.learned {
            let learned = &update.learned;
            metrics.add(&LOSS_TD, learned.loss);
            metrics.add(&MEAN_Q, learned.mean_q);
            metrics.add(&TD_ERROR, learned.mean_abs_td);
            metrics.add(&GRAD_NORM, learned.grad_norm);
            metrics.add(&DEAD_SHARE, learned.dead_share);
            metrics.set(&LEARNING_RATE, update.learning_rate);
            metrics.add(&REPLAY_AGE, update.replay_age);
            metrics.add(&STALE_SHARE, update.stale_share);
        }

        UpdateReport { episodes: self.episodes, timing: self.timing }
    }
}
