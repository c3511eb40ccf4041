//! The A2C agent: actors, networks and learner.

use std::sync::Arc;
use std::time::Instant;

use coordrl_envs::{EnvSpec, EpisodeStats};
use rayon::ThreadPool;
use serde_bytes::ByteBuf;
use tch::{Device, Tensor};

use super::actor::{Actor, RolloutPlan};
use super::config::{A2cConfig, Gradients, TABLE};
use super::learner::{Applied, Gradient, Learner, LossPlan};
use super::report::A2cReport;
use super::state::{ActorState, TrainerState};
use super::{central, sharded};
use crate::actors::{check_setup, start_each};
use crate::error::{Worker, catch_panic};
use crate::maths::explained_variance;
use crate::nn::{NamedTensors, Network, Optimizer, ParamStore, TorsoEntry};
use crate::report::nanos_since;
use crate::rollout::{EndedGame, Targets};
use crate::{AgentError, AgentSetup, AgentState, Counters, Timing};

/// Synchronous advantage actor-critic: all environments act with the same weights for a whole
/// rollout, then the weights change once. Source: Mnih et al. 2016 (arXiv:1602.01783), with
/// synchronous instead of asynchronous actors.
///
/// After an error the environments are in an undefined state: load a saved state or drop the agent.
pub struct A2c {
    config: A2cConfig,
    actors: Vec<Actor>,
    /// One per actor, or a single one with central gradients.
    networks: Vec<Network>,
    store: ParamStore,
    learner: Learner,
    pool: Arc<ThreadPool>,
    counters: Counters,
    total_frames: u64,
    central: bool,
}

impl A2c {
    /// Draws the initial weights and resets all environments.
    pub fn build(config: &A2cConfig, setup: AgentSetup<'_>) -> Result<Self, AgentError> {
        let AgentSetup { torso, device, seed, total_frames, actors, pool } = setup;
        check_setup(config.check(), &config.envs_per_actor(), &actors)?;
        let central = match config.gradients {
            Gradients::Actors => false,
            Gradients::Central => true,
            Gradients::Auto => device != Device::Cpu,
        };
        let count = if central { 1 } else { actors.len() };
        let spec = actors[0].spec();
        let (store, params, networks) = build_networks(torso, spec, device, seed, count)?;
        let optimizer = Optimizer::new(&config.optimizer, &params);
        let steps = config.rollout_agent_steps as usize;
        Ok(Self {
            config: config.clone(),
            actors: pool
                .install(|| start_each(actors, |place, envs| Actor::start(place, envs, steps, seed)))?,
            networks,
            store,
            learner: Learner { params, optimizer },
            pool,
            counters: Counters::default(),
            total_frames,
            central,
        })
    }

    /// Collects one rollout from all environments and makes one optimiser step.
    ///
    /// # Errors
    /// If an environment fails, an actor panics, or loss, logits or gradients are not finite. The
    /// weights are then those before the call.
    pub fn update(&mut self) -> Result<A2cReport, AgentError> {
        let start = Instant::now();
        let rate = self.learning_rate();
        let (targets, gradients) = self.collect_and_differentiate()?;
        let mut timing = Timing::default();
        self.actors.iter_mut().for_each(|actor| timing.add(&actor.take_timing()));

        let learning = Instant::now();
        let (learner, config, update) = (&mut self.learner, &self.config, self.counters.updates);
        let applied = self
            .pool
            .install(|| catch_panic(Worker::Learner, || learner.apply(gradients, config, rate, update)))?;
        timing.learn_nanos += nanos_since(learning);
        self.count();
        tracing::trace!(update, grad_norm = applied.grad_norm, total_loss = applied.total_loss, "updated");
        timing.fill_wait(nanos_since(start) * self.pool.current_num_threads() as u64);
        Ok(self.report(&targets, &applied, rate, timing))
    }

    /// Returns the training progress.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.store.parameter_count()
    }

    /// Returns a network on the current weights; its outputs change with every update.
    pub fn network(&self) -> &Network {
        &self.networks[0]
    }

    /// Returns the learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        let optimizer = &self.config.optimizer;
        let schedule = optimizer.schedule.factor(self.counters.frames, self.total_frames);

        optimizer.learning_rate * schedule * optimizer.warmup_factor(self.counters.updates)
    }

    /// Copies the parameters by name to the CPU, for playing while training continues.
    pub fn weights(&self) -> NamedTensors {
        self.store.to_named()
    }

    /// Returns all state that later updates depend on.
    ///
    /// # Errors
    /// If a weight or an optimiser moment is not finite: such a state is useless and must not
    /// replace a good one.
    pub fn save(&self) -> Result<AgentState, AgentError> {
        self.check_finite()?;
        let save = |actor: &Actor| {
            let (rngs, envs) = actor.save()?;
            Ok(ActorState { rngs, envs: envs.into_iter().map(ByteBuf::from).collect() })
        };
        let actors = self.actors.iter().map(save).collect::<Result<_, AgentError>>()?;
        Ok(AgentState {
            weights: self.store.to_named(),
            optimizer: self.learner.optimizer.to_named(),
            target: Vec::new(),
            trainer: TrainerState { counters: self.counters, actors }.to_bytes()?,
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
        let trainer = TrainerState::from_bytes(&state.trainer)?;
        let sizes: Vec<usize> = self.actors.iter().map(Actor::len).collect();
        trainer.check_sizes(&sizes)?;
        self.store.check(&state.weights)?;
        self.learner.optimizer.check(&state.optimizer)?;
        for (actor, saved) in self.actors.iter_mut().zip(trainer.actors) {
            let states: Vec<Vec<u8>> = saved.envs.into_iter().map(ByteBuf::into_vec).collect();
            actor.load(saved.rngs, &states)?;
        }
        self.store.load(&state.weights)?;
        self.learner.optimizer.load(&state.optimizer)?;
        self.counters = trainer.counters;
        Ok(())
    }

    /// Returns the data of the last or failed update: `actor<k>.obs` `u8 [T + 1, n, C, H, W]`,
    /// `.actions`, `.rewards`, `.discounts` `[T, n]` and `.values` `[T + 1, n]`. For inspecting a
    /// run that diverged.
    pub fn last_rollout(&self) -> NamedTensors {
        self.actors
            .iter()
            .flat_map(|actor| actor.rollout.to_named(&format!("actor{}", actor.index())))
            .collect()
    }

    /// Replaces the weights and leaves all other state at its initial values.
    ///
    /// # Errors
    /// If names or shapes do not match this network; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        Ok(self.store.load(weights)?)
    }

    fn collect_and_differentiate(&mut self) -> Result<(Vec<Targets>, Vec<Gradient>), AgentError> {
        let (plan, loss) = (self.plan(), self.loss_plan());
        let normalize = self.config.normalize_advantage;
        let Self { actors, networks, pool, .. } = self;
        if self.central {
            let network = &networks[0];
            let (targets, gradient) = catch_panic(Worker::Learner, || {
                central::collect_and_differentiate(actors, network, pool, &plan, &loss, normalize)
            })?;
            return Ok((targets, vec![gradient]));
        }
        pool.install(|| sharded::collect_and_differentiate(actors, networks, &plan, &loss, normalize))
    }

    fn check_finite(&self) -> Result<(), AgentError> {
        let update = self.counters.updates;
        match (self.store.is_finite(), self.learner.optimizer.is_finite()) {
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
            rollout_agent_steps: self.config.rollout_agent_steps as usize,
            discount: self.config.discount,
            gae_lambda: self.config.gae_lambda,
            device: self.store.device(),
        }
    }

    fn loss_plan(&self) -> LossPlan {
        let A2cConfig { entropy_coef, value_coef, .. } = self.config;
        LossPlan { entropy_coef, value_coef, rows: self.config.rows_per_update() as f64 }
    }

    fn count(&mut self) {
        let rows = self.config.rows_per_update();
        self.counters.updates += 1;
        self.counters.agent_steps += rows;
        self.counters.frames += rows * u64::from(self.actors[0].envs().spec().frame_skip);
    }

    fn report(
        &self,
        targets: &[Targets],
        applied: &Applied,
        learning_rate: f64,
        timing: Timing,
    ) -> A2cReport {
        let rollouts = || self.actors.iter().map(|actor| &actor.rollout);
        let values: Vec<f32> = rollouts().flat_map(|r| r.acted_values()).copied().collect();
        let returns: Vec<f32> = targets.iter().flat_map(|part| &part.returns).copied().collect();
        let reward: f64 = rollouts().flat_map(|r| r.rewards()).map(|&r| f64::from(r)).sum();
        A2cReport {
            policy_loss: applied.losses.policy,
            value_loss: applied.losses.value,
            entropy: applied.losses.entropy,
            total_loss: applied.total_loss,
            explained_variance: explained_variance(&values, &returns),
            grad_norm: applied.grad_norm,
            dead_share: applied.dead_share,
            learning_rate,
            mean_clipped_reward: reward / returns.len() as f64,
            episodes: self.episodes(),
            timing,
        }
    }

    /// Returns the games that ended, by agent step and then by environment, regardless of the
    /// grouping.
    fn episodes(&self) -> Vec<EpisodeStats> {
        let mut ended: Vec<(usize, usize, &EndedGame)> = Vec::new();
        for (actor, first_env) in self.actors.iter().zip(first_envs(&self.actors)) {
            let games = actor.rollout.ended().iter();
            ended.extend(games.map(|game| (game.step, first_env + game.env, game)));
        }
        ended.sort_by_key(|(step, env, _)| (*step, *env));
        ended.into_iter().map(|(_, _, game)| game.stats).collect()
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

/// Draws initial weights into one flat tensor and builds `count` networks that share them.
fn build_networks(
    torso: &TorsoEntry,
    spec: &EnvSpec,
    device: Device,
    seed: u64,
    count: usize,
) -> Result<(ParamStore, Tensor, Vec<Network>), AgentError> {
    let mut store = ParamStore::new(seed, device);
    let build = |store: &mut _| Network::build(torso, spec.obs_shape, spec.num_actions(), store);
    build(&mut store)?; // draws the parameters; dropped, as it predates the packed memory
    let params = store.pack()?;
    let networks = (0..count).map(|_| build(&mut store)).collect::<Result<_, _>>()?;
    Ok((store, params, networks))
}

/// Returns the index of each actor's first environment among all environments.
fn first_envs(actors: &[Actor]) -> impl Iterator<Item = usize> + '_ {
    actors.iter().scan(0, |next, actor| {
        let first = *next;
        *next += actor.len();
        Some(first)
    })
}
