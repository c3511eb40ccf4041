//! The agent: actors, networks and learner, put together.

use std::sync::Arc;
use std::time::Instant;

use coordrl_envs::{EnvSpec, EpisodeStats, VecEnv};
use rayon::ThreadPool;
use serde_bytes::ByteBuf;
use tch::{Device, Tensor};

use super::actor::{Actor, RolloutPlan};
use super::config::{A2cConfig, Gradients, TABLE};
use super::learner::{Applied, Gradient, Learner, LossPlan};
use super::report::A2cReport;
use super::state::{ActorState, AgentState, TrainerState};
use super::{central, sharded};
use crate::actors::{check_setup, start_each};
use crate::error::{Worker, catch_panic};
use crate::maths::explained_variance;
use crate::nn::{NamedTensors, Network, Optimizer, ParamStore, TorsoEntry};
use crate::report::nanos_since;
use crate::rollout::{EndedGame, Targets};
use crate::{AgentError, Counters, Timing};

/// What an agent is built from.
pub struct A2cSetup<'a> {
    /// Settings; checked again here.
    pub config: &'a A2cConfig,
    /// One of [`crate::nn::torsos`], or an entry of your own.
    pub torso: &'a TorsoEntry,
    /// Where the network is.
    pub device: Device,
    /// Decides first weights and the draws of actions.
    pub seed: u64,
    /// Length of the run, for schedules that end with it.
    pub total_frames: u64,
    /// Environments, one vector an actor, sizes as [`A2cConfig::envs_per_actor`] says.
    pub actors: Vec<VecEnv>,
    /// Threads that step environments and, on a CPU, take gradients: see
    /// [`build_pool`](crate::build_pool).
    pub pool: Arc<ThreadPool>,
}

/// Advantage actor-critic, synchronous: all environments act under one set of weights for a whole
/// rollout, then the weights change once. Source: Mnih et al. 2016 (arXiv:1602.01783), with the
/// actors in step instead of asynchronous.
///
/// After an error the environments may stand anywhere: load a saved state or drop the agent.
pub struct A2c {
    config: A2cConfig,
    actors: Vec<Actor>,
    /// One for each actor, or a single one where gradients are central.
    networks: Vec<Network>,
    store: ParamStore,
    learner: Learner,
    pool: Arc<ThreadPool>,
    counters: Counters,
    total_frames: u64,
    central: bool,
}

impl A2c {
    /// Draws the first weights and resets all environments.
    pub fn build(setup: A2cSetup<'_>) -> Result<Self, AgentError> {
        let A2cSetup { config, torso, device, seed, total_frames, actors, pool } = setup;
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

    /// One rollout of all environments and one optimiser step.
    ///
    /// # Errors
    /// If an environment fails, an actor panics, or loss, logits or gradients are not finite. The
    /// weights are then those from before the call.
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

    /// How far training is.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Number of numbers that are trained.
    pub fn parameter_count(&self) -> u64 {
        self.store.parameter_count()
    }

    /// A network on the current weights; what it computes changes with every update.
    pub fn network(&self) -> &Network {
        &self.networks[0]
    }

    /// Learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        let optimizer = &self.config.optimizer;
        let schedule = optimizer.schedule.factor(self.counters.frames, self.total_frames);

        optimizer.learning_rate * schedule * optimizer.warmup_factor(self.counters.updates)
    }

    /// Parameters by name, on the CPU: for playing with them while training goes on.
    pub fn weights(&self) -> NamedTensors {
        self.store.to_named()
    }

    /// Everything that later updates depend on.
    ///
    /// # Errors
    /// If a weight or a moment of the optimiser is not finite: such a state is worth nothing, and
    /// must not take the place of one that is.
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

    /// Goes on from what [`A2c::save`] gave, in this process or another, to the last bit.
    ///
    /// # Errors
    /// If the state is damaged or of an agent with another network, optimiser or number of
    /// environments. Nothing is changed then, unless an environment refused its own state: after
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

    /// What the last update learnt from, or was about to when it failed: `actor<k>.obs`
    /// `u8 [T + 1, n, C, H, W]`, `.actions`, `.rewards`, `.discounts` `[T, n]` and `.values`
    /// `[T + 1, n]`. For looking into a run that diverged.
    pub fn last_rollout(&self) -> NamedTensors {
        self.actors
            .iter()
            .flat_map(|actor| actor.rollout.to_named(&format!("actor{}", actor.index())))
            .collect()
    }

    /// Starts from other weights, with everything else as at the beginning.
    ///
    /// # Errors
    /// If names or shapes are not those of this network; nothing is changed then.
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

    /// Whole games that ended, by agent step and then by environment, however they are grouped.
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

/// First weights in one flat tensor, and `count` networks that read them.
fn build_networks(
    torso: &TorsoEntry,
    spec: &EnvSpec,
    device: Device,
    seed: u64,
    count: usize,
) -> Result<(ParamStore, Tensor, Vec<Network>), AgentError> {
    let mut store = ParamStore::new(seed, device);
    let build = |store: &mut _| Network::build(torso, spec.obs_shape, spec.num_actions(), store);
    build(&mut store)?; // draws the parameters
    let params = store.pack()?;
    let networks = (0..count).map(|_| build(&mut store)).collect::<Result<_, _>>()?;
    Ok((store, params, networks))
}

/// Index, among all environments, of each actor's first.
fn first_envs(actors: &[Actor]) -> impl Iterator<Item = usize> + '_ {
    actors.iter().scan(0, |next, actor| {
        let first = *next;
        *next += actor.len();
        Some(first)
    })
}
