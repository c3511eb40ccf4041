//! The A2C agent: actors, networks and learner.

use std::time::Instant;

use tch::Tensor;

use super::config::{A2cConfig, TABLE};
use super::learner::{A2cLearner, Applied, a2c_loss};
use super::report::A2cReport;
use super::state::A2cTrainerState;
use crate::actors::check_setup;
use crate::error::{Worker, catch_panic};
use crate::maths::explained_variance;
use crate::nn::{NamedTensors, Network, Optimizer};
use crate::on_policy::{Collector, RolloutPlan, Targets};
use crate::report::nanos_since;
use crate::{AgentError, AgentSetup, AgentState, Counters, Timing};

/// Advantage actor-critic, synchronous: all environments act under one set of weights for a whole
/// rollout, then the weights change once. Source: Mnih et al. 2016 (arXiv:1602.01783), with the
/// actors in step instead of asynchronous. `examples/serial_a2c.rs` is the same in one file and one
/// thread.
///
/// After an error the environments may stand anywhere: load a saved state or drop the agent.
pub struct A2c {
    config: A2cConfig,
    collector: Collector,
    learner: A2cLearner,
    counters: Counters,
    total_frames: u64,
}

impl A2c {
    /// Draws the initial weights and resets all environments.
    pub fn build(config: &A2cConfig, setup: AgentSetup<'_>) -> Result<Self, AgentError> {
        check_setup(config.check(), &config.envs_per_actor(), &setup.actors)?;
        let total_frames = setup.total_frames;
        let steps = config.rollout_agent_steps as usize;
        let (collector, params) = Collector::build(setup, steps, config.gradients)?;
        let optimizer = Optimizer::new(&config.optimizer, &params);
        Ok(Self {
            config: config.clone(),
            collector,
            learner: A2cLearner { params, optimizer },
            counters: Counters::default(),
            total_frames,
        })
    }

    /// Collects one rollout from all environments and makes one optimiser step.
    ///
    /// # Errors
    /// If an environment fails, an actor panics, or loss, logits or gradients are not finite. The
    /// weights are then those before the call.
    pub fn update(&mut self) -> Result<A2cReport, AgentError> {
        let start = Instant::now();
        // By the counters before this rollout: the first update has the rate of frame 0.
        let rate = self.learning_rate();
        let plan = self.plan();
        let Self { config, collector, learner, .. } = self;
        let (targets, gradient) = collector
            .collect_and_differentiate(&plan, &|output, batch| a2c_loss(config, output, batch))?;
        let mut timing = collector.take_timing();

        let learning = Instant::now();
        // In the pool, because the optimiser spreads its chunks over the ambient one.
        let applied = collector.pool().install(|| {
            catch_panic(Worker::Learner, || learner.apply(gradient, config, rate, plan.update))
        })?;
        timing.learn_nanos += nanos_since(learning);
        let threads = collector.pool().current_num_threads() as u64;
        timing.fill_wait(nanos_since(start) * threads);

        // Only now: after an error the counters still belong to the unchanged weights.
        self.count();
        let Applied { grad_norm, total_loss, .. } = applied;
        tracing::trace!(update = plan.update, grad_norm, total_loss, "updated");
        Ok(self.report(&targets, &applied, rate, timing))
    }

    /// Returns the training progress.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.collector.store().parameter_count()
    }

    /// Returns a network on the current weights; its outputs change with every update.
    pub fn network(&self) -> &Network {
        self.collector.network()
    }

    /// Returns the learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        let optimizer = &self.config.optimizer;
        let schedule = optimizer.schedule.factor(self.counters.frames, self.total_frames);

        optimizer.learning_rate * schedule * optimizer.warmup_factor(self.counters.updates)
    }

    /// Copies the parameters by name to the CPU, for playing while training continues.
    pub fn weights(&self) -> NamedTensors {
        self.collector.store().to_named()
    }

    /// Returns all state that later updates depend on.
    ///
    /// # Errors
    /// If a weight or an optimiser moment is not finite: such a state is useless and must not
    /// replace a good one.
    pub fn save(&self) -> Result<AgentState, AgentError> {
        self.check_finite()?;
        let actors = self.collector.save_actors()?;
        Ok(AgentState {
            weights: self.collector.store().to_named(),
            optimizer: self.learner.optimizer.to_named(),
            target: Vec::new(),
            trainer: A2cTrainerState { counters: self.counters, actors }.to_bytes()?,
        })
    }

    /// Restores the state saved by [`A2c::save`], in this process or another; training then
    /// continues bit for bit.
    ///
    /// # Errors
    /// If the state is damaged or belongs to an agent with another network, optimiser or number of
    /// environments. Nothing is changed then, unless an environment rejected its own state: after
    /// [`AgentError::Env`] the agent must not be used.
    pub fn load(&mut self, state: AgentState) -> Result<(), AgentError> {
        let trainer = A2cTrainerState::from_bytes(&state.trainer)?;
        // What can be checked without a change comes first. Environments can only be tried, so they
        // come before the weights and the optimiser.
        self.collector.store().check(&state.weights)?;
        self.learner.optimizer.check(&state.optimizer)?;
        self.collector.load_actors(trainer.actors, TABLE)?;
        self.collector.store_mut().load(&state.weights)?;
        self.learner.optimizer.load(&state.optimizer)?;
        self.counters = trainer.counters;
        Ok(())
    }

    /// Returns the data of the last or failed update: `actor<k>.obs` `u8 [T + 1, n, C, H, W]`,
    /// `.actions`, `.rewards`, `.discounts` `[T, n]` and `.values` `[T + 1, n]`. For inspecting a
    /// run that diverged.
    pub fn last_rollout(&self) -> NamedTensors {
        self.collector.last_rollout()
    }

    /// Replaces the weights and leaves all other state at its initial values.
    ///
    /// # Errors
    /// If names or shapes do not match this network; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        Ok(self.collector.store_mut().load(weights)?)
    }

    fn check_finite(&self) -> Result<(), AgentError> {
        let update = self.counters.updates;
        match (self.collector.store().is_finite(), self.learner.optimizer.is_finite()) {
            (true, true) => Ok(()),
            (false, _) => Err(AgentError::NonFinite { what: "weights", update, table: TABLE }),
            (true, false) => {
                Err(AgentError::NonFinite { what: "the optimiser's moments", update, table: TABLE })
            }
        }
    }

    fn plan(&self) -> RolloutPlan {
        RolloutPlan {
            update: self.counters.updates,
            table: TABLE,
            rollout_agent_steps: self.config.rollout_agent_steps as usize,
            discount: self.config.discount,
            gae_lambda: self.config.gae_lambda,
            normalize_advantage: self.config.normalize_advantage,
            device: self.collector.store().device(),
        }
    }

    fn count(&mut self) {
        let rows = self.config.rows_per_update();
        self.counters.updates += 1;
        self.counters.agent_steps += rows;
        self.counters.frames += rows * u64::from(self.collector.frame_skip());
    }

    fn report(
        &self,
        targets: &[Targets],
        applied: &Applied,
        learning_rate: f64,
        timing: Timing,
    ) -> A2cReport {
        let values = self.collector.values();
        let returns: Vec<f32> = targets.iter().flat_map(|part| &part.returns).copied().collect();
        A2cReport {
            policy_loss: applied.losses.policy,
            value_loss: applied.losses.value,
            entropy: applied.losses.entropy,
            total_loss: applied.total_loss,
            explained_variance: explained_variance(&values, &returns),
            grad_norm: applied.grad_norm,
            dead_share: applied.dead_share,
            learning_rate,
            mean_clipped_reward: self.collector.reward_sum() / returns.len() as f64,
            episodes: self.collector.episodes(),
            timing,
        }
    }
}

impl std::fmt::Debug for A2c {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("A2c")
            .field("config", &self.config)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
