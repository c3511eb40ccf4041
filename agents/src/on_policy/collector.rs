//! Actors with their networks and threads.

use std::sync::Arc;

use coordrl_envs::{EnvSpec, EpisodeStats, Rng};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tch::{Device, Tensor};

use super::actor::{RolloutActor, RolloutPlan};
use super::batch::{ActorCriticBatch, BatchGradient, LossFn};
use super::rollout::{EndedGame, Targets};
use super::{central, sharded};
use crate::actors::start_each;
use crate::error::{Worker, catch_panic};
use crate::nn::{NamedTensors, Network, ParamStore, TorsoEntry};
use crate::versioned::bad;
use crate::{AgentError, AgentSetup, Timing};

/// Place where the gradients of an update are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gradients {
    /// `actors` on a CPU, `central` elsewhere.
    Auto,
    /// Each actor computes the gradient of its own rows in its own thread; the learner sums them.
    Actors,
    /// The learner infers for one actor while the others' environments are stepped, and computes
    /// the gradient of all rows at once.
    Central,
}

/// Generators and environments of an actor, one of each per environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct ActorState {
    pub(crate) rngs: Vec<Rng>,
    pub(crate) envs: Vec<ByteBuf>,
}

/// Environments that act under one network, and the threads that step them.
///
/// Results do not depend on the number of threads or on scheduling: every environment has its own
/// generator, and gradients are added in the actors' order. After an error the environments are
/// in an undefined state.
pub struct Collector {
    actors: Vec<RolloutActor>,
    /// One per actor, or a single one where gradients are central.
    networks: Vec<Network>,
    store: ParamStore,
    pool: Arc<ThreadPool>,
    central: bool,
}

impl Collector {
    /// Draws the initial weights and resets all environments. Returns the collector and the
    /// parameters, flat `[P]`, in memory shared with its networks: an optimiser changes them in
    /// place.
    ///
    /// # Errors
    /// If there is no actor, an environment cannot be reset, or the network cannot be built.
    pub fn build(
        setup: AgentSetup<'_>,
        rollout_agent_steps: usize,
        gradients: Gradients,
    ) -> Result<(Self, Tensor), AgentError> {
        let AgentSetup { torso, device, seed, actors, pool, .. } = setup;
        let spec = actors.first().ok_or(AgentError::NoActors)?.spec();
        let central = match gradients {
            Gradients::Actors => false,
            Gradients::Central => true,
            Gradients::Auto => device != Device::Cpu,
        };

        let count = if central { 1 } else { actors.len() };
        let (store, params, networks) = build_networks(torso, spec, device, seed, count)?;
        let actors = pool.install(|| {
            start_each(actors, |place, envs| {
                RolloutActor::start(place, envs, rollout_agent_steps, seed)
            })
        })?;
        Ok((Self { actors, networks, store, pool, central }, params))
    }

    /// Collects a rollout of every actor. Returns the targets in the actors' order.
    ///
    /// # Errors
    /// If an environment fails, an actor panics, or logits or values are not finite.
    pub fn collect(&mut self, plan: &RolloutPlan) -> Result<Vec<Targets>, AgentError> {
        let Self { actors, networks, pool, .. } = self;
        if self.central {
            // Not installed in the pool: the learner infers in this thread while the pool's threads
            // step.
            return catch_panic(Worker::Learner, || {
                central::collect(actors, &networks[0], pool, plan)
            });
        }
        pool.install(|| sharded::collect(actors, networks, plan))
    }

    /// Collects a rollout of every actor and computes the gradient of `loss` on it.
    ///
    /// # Errors
    /// As [`Collector::collect`].
    pub fn collect_and_differentiate(
        &mut self,
        plan: &RolloutPlan,
        loss: LossFn<'_>,
    ) -> Result<(Vec<Targets>, BatchGradient), AgentError> {
        let Self { actors, networks, pool, .. } = self;
        let (targets, shards) = if self.central {
            let network = &networks[0];
            let (targets, gradient) = catch_panic(Worker::Learner, || {
                central::collect_and_differentiate(actors, network, pool, plan, loss)
            })?;
            (targets, vec![gradient])
        } else {
            pool.install(|| sharded::collect_and_differentiate(actors, networks, plan, loss))?
        };

        let Some(gradient) = BatchGradient::sum(shards) else {
            unreachable!("`build` refuses to do without actors")
        };

        Ok((targets, gradient))
    }

    /// Returns the last rollout of all actors as one batch, with these targets.
    pub fn batch(&self, targets: &[Targets]) -> ActorCriticBatch {
        central::batch_of(&self.actors, targets, self.store.device())
    }

    /// Returns a network on the current weights; its output changes with every update.
    pub fn network(&self) -> &Network {
        &self.networks[0]
    }

    /// Returns the parameters by name.
    pub fn store(&self) -> &ParamStore {
        &self.store
    }

    /// Returns the parameters by name, to load others.
    pub fn store_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }

    /// Returns the threads that step environments.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Number of emulator frames per agent step.
    pub fn frame_skip(&self) -> u32 {
        self.actors[0].envs().spec().frame_skip
    }

    /// Returns times by activity since the last call.
    pub fn take_timing(&mut self) -> Timing {
        let mut timing = Timing::default();
        self.actors.iter_mut().for_each(|actor| timing.add(&actor.take_timing()));
        timing
    }

    /// Returns the values of the observations acted on in the last rollout, in the order of the
    /// targets.
    pub fn values(&self) -> Vec<f32> {
        self.actors.iter().flat_map(|actor| actor.rollout.acted_values()).copied().collect()
    }

    /// Sum of the rewards of the last rollout.
    pub fn reward_sum(&self) -> f64 {
        self.actors
            .iter()
            .flat_map(|actor| actor.rollout.rewards())
            .map(|&reward| f64::from(reward))
            .sum()
    }

    /// Returns the games that ended in the last rollout, by agent step and then by environment,
    /// regardless of the grouping into actors.
    pub fn episodes(&self) -> Vec<EpisodeStats> {
        let mut ended: Vec<(usize, usize, &EndedGame)> = Vec::new();
        for (actor, first_env) in self.actors.iter().zip(first_envs(&self.actors)) {
            let games = actor.rollout.ended().iter();
            ended.extend(games.map(|game| (game.step, first_env + game.env, game)));
        }
        // Stable, so that two games of one environment that end in the same step keep their order.
        ended.sort_by_key(|(step, env, _)| (*step, *env));
        ended.into_iter().map(|(_, _, game)| game.stats).collect()
    }

    /// Returns the data of the last or failed rollout: `actor<k>.obs` `u8 [T + 1, n, C, H, W]`,
    /// `.actions`, `.rewards`, `.discounts` `[T, n]` and `.values` `[T + 1, n]`.
    pub fn last_rollout(&self) -> NamedTensors {
        self.actors
            .iter()
            .flat_map(|actor| actor.rollout.to_named(&format!("actor{}", actor.index())))
            .collect()
    }

    /// Returns the number of environments of each actor.
    pub fn envs_per_actor(&self) -> Vec<usize> {
        self.actors.iter().map(RolloutActor::len).collect()
    }

    /// Returns generators and environments, one state per actor.
    ///
    /// # Errors
    /// If an environment cannot be saved.
    pub fn save_actors(&self) -> Result<Vec<ActorState>, AgentError> {
        let mut states = Vec::with_capacity(self.actors.len());
        for actor in &self.actors {
            let (rngs, envs) = actor.save()?;
            let envs = envs.into_iter().map(ByteBuf::from).collect();
            states.push(ActorState { rngs, envs });
        }
        Ok(states)
    }

    /// Restores what [`Collector::save_actors`] returned. Errors name the settings in `table`.
    ///
    /// # Errors
    /// If the states are of other numbers of environments, with nothing changed, or if an
    /// environment refuses its state; the collector must not be used then.
    pub fn load_actors(&mut self, states: Vec<ActorState>, table: &str) -> Result<(), AgentError> {
        let expected = self.envs_per_actor();
        let found: Vec<usize> = states.iter().map(|actor| actor.envs.len()).collect();
        let generators: Vec<usize> = states.iter().map(|actor| actor.rngs.len()).collect();
        if found != expected || generators != expected {
            return Err(bad(format!(
                "it has actors of {found:?} environments, this agent has {expected:?}; \
                 see `{table}.envs` and `{table}.actors`"
            )));
        }

        for (actor, saved) in self.actors.iter_mut().zip(states) {
            let states: Vec<Vec<u8>> = saved.envs.into_iter().map(ByteBuf::into_vec).collect();
            actor.load(saved.rngs, &states)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("envs", &self.envs_per_actor()).finish_non_exhaustive()
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
    let (params, networks) = store.build_packed(count, |store| {
        Network::build(torso, spec.obs_shape, spec.num_actions(), store)
    })?;
    Ok((store, params, networks))
}

/// Returns the index of each actor's first environment among all environments.
fn first_envs(actors: &[RolloutActor]) -> impl Iterator<Item = usize> + '_ {
    actors.iter().scan(0, |next, actor| {
        let first = *next;
        *next += actor.len();
        Some(first)
    })
}
