//! An actor: a group of environments stepped as one batch.

use std::time::Instant;

use coordrl_envs::{EnvError, Rng, Role, VecEnv, VecStep, derive_rng};
use tch::{Device, Tensor};

use super::rollout::{Rollout, Targets};
use crate::actors::Place;
use crate::nn::{KeptMaps, Network};
use crate::policy::{PolicyOutput, infer, infer_keeping};
use crate::report::nanos_since;
use crate::{ActMode, AgentError, Timing};

/// Environments, their action generators and the current rollout.
pub(crate) struct RolloutActor {
    index: usize,
    envs: VecEnv,
    /// One per environment, so that draws do not depend on the split into actors.
    rngs: Vec<Rng>,
    pub rollout: Rollout,
    actions: Vec<usize>,
    steps: Vec<VecStep>,
    /// Maps of the torso's first stage with the way back, `[n, M]` for each step acted on so far,
    /// if the rollout is collected with [`WaysBack::Kept`].
    maps: Vec<KeptMaps>,
    timing: Timing,
}

/// Ways back through the passes that choose actions: see [`Stages`](crate::nn::Stages).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaysBack {
    /// Not recorded: the rollout is evaluated again to learn from it, or never.
    Dropped,
    /// Kept where the torso has stages, for one backward pass under the same weights.
    Kept,
}

/// Parameters of a rollout other than the networks; the same for all actors.
#[derive(Clone, Copy, Debug)]
pub struct RolloutPlan {
    /// Index of this update, from 0, for error messages.
    pub update: u64,
    /// Table of the algorithm's settings, for error messages.
    pub table: &'static str,
    /// Agent steps of each environment: those that the collector was built for.
    pub rollout_agent_steps: usize,
    /// Discount γ.
    pub discount: f64,
    /// λ of generalised advantage estimation; 1 for n-step returns.
    pub gae_lambda: f64,
    /// Normalises advantages to mean 0 and standard deviation 1 over the whole update.
    pub normalize_advantage: bool,
    /// Device of the networks.
    pub device: Device,
}

impl RolloutActor {
    /// Creates an actor and resets its environments.
    pub fn start(
        place: Place,
        envs: VecEnv,
        rollout_agent_steps: usize,
        seed: u64,
    ) -> Result<Self, AgentError> {
        let Place { actor: index, first_env } = place;
        let n = envs.len();
        let mut actor = Self {
            index,
            rngs: (first_env..first_env + n)
                .map(|env| derive_rng(seed, Role::TrainPolicy, env as u64))
                .collect(),
            rollout: Rollout::new(rollout_agent_steps, n, envs.spec().obs_shape),
            actions: vec![0; n],
            steps: vec![VecStep::default(); n],
            maps: Vec::new(),
            timing: Timing::default(),
            envs,
        };

        // Into the last row, from which `begin` starts every rollout.
        actor.envs.reset(actor.rollout.last_obs_mut()).map_err(|source| actor.failed(source))?;
        Ok(actor)
    }

    /// Collects a whole rollout with `network` and computes its targets.
    pub fn collect(
        &mut self,
        network: &Network,
        plan: &RolloutPlan,
        ways_back: WaysBack,
    ) -> Result<Targets, AgentError> {
        self.begin();
        for t in 0..plan.rollout_agent_steps {
            self.decide(t, network, plan, ways_back)?;
            self.step(t, plan)?;
        }
        self.bootstrap_and_compute_targets(network, plan)
    }

    /// Starts a new rollout from the last observations of the previous one.
    pub fn begin(&mut self) {
        self.rollout.begin();
        // An update that failed may have left some behind, for weights that have changed since.
        self.maps.clear();
    }

    /// Chooses the actions of step `t`.
    pub fn decide(
        &mut self,
        t: usize,
        network: &Network,
        plan: &RolloutPlan,
        ways_back: WaysBack,
    ) -> Result<(), AgentError> {
        let obs = self.rollout.obs_tensor(t);
        let output = self.infer(&obs, network, plan, ways_back)?;
        for ((action, row), rng) in self.actions.iter_mut().zip(output.rows()).zip(&mut self.rngs) {
            *action = ActMode::Sampled.choose(row.logits, rng);
        }
        self.rollout.record_decision(t, &self.actions, output.values());
        Ok(())
    }

    /// Steps the environments with the chosen actions.
    pub fn step(&mut self, t: usize, plan: &RolloutPlan) -> Result<(), AgentError> {
        let obs = self.rollout.next_obs_mut(t);
        let stepped = self.envs.step(&self.actions, obs, &mut self.steps);
        stepped.map_err(|source| self.failed(source))?;
        self.rollout.record_steps(t, &self.steps, &self.envs, plan.discount);
        Ok(())
    }

    /// Computes the bootstrap values, including those of truncated episodes, and the targets.
    pub fn bootstrap_and_compute_targets(
        &mut self,
        network: &Network,
        plan: &RolloutPlan,
    ) -> Result<Targets, AgentError> {
        let last = plan.rollout_agent_steps;
        // Row T is not acted on: its values only bootstrap, and the next rollout evaluates it again
        // under the new weights.
        let obs = self.rollout.obs_tensor(last);
        let bootstrap = self.infer(&obs, network, plan, WaysBack::Dropped)?;
        self.rollout.record_values(last, bootstrap.values());
        // Final observations are in no row, because the environments were reset in the same step.
        let truncated_values: Vec<f32> = match self.rollout.truncated_obs_tensor() {
            Some(obs) => self.infer(&obs, network, plan, WaysBack::Dropped)?.values().collect(),
            None => Vec::new(),
        };
        Ok(self.rollout.targets(&truncated_values, plan.discount, plan.gae_lambda))
    }

    fn infer(
        &mut self,
        obs: &Tensor,
        network: &Network,
        plan: &RolloutPlan,
        ways_back: WaysBack,
    ) -> Result<PolicyOutput, AgentError> {
        let start = Instant::now();
        let output = match ways_back {
            WaysBack::Dropped => infer(network, obs, plan.device)?,
            WaysBack::Kept => {
                let (output, maps) = infer_keeping(network, obs, plan.device)?;
                self.maps.extend(maps);
                output
            }
        };
        self.timing.infer_nanos += nanos_since(start);
        if output.is_finite() {
            return Ok(output);
        }
        Err(AgentError::NonFinite {
            what: "logits or values",
            update: plan.update,
            table: plan.table,
        })
    }

    /// Takes the maps of all rows acted on, with the ways back; none if they were not kept.
    pub fn take_maps(&mut self) -> Vec<KeptMaps> {
        std::mem::take(&mut self.maps)
    }

    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the number of environments.
    pub fn len(&self) -> usize {
        self.envs.len()
    }

    pub fn envs(&self) -> &VecEnv {
        &self.envs
    }

    /// Adds time spent on this actor's gradient.
    pub fn add_learn_nanos(&mut self, nanos: u64) {
        self.timing.learn_nanos += nanos;
    }

    /// Returns the times since the last call.
    pub fn take_timing(&mut self) -> Timing {
        let mut timing = std::mem::take(&mut self.timing);
        let envs = self.envs.take_timing();
        timing.emulate_nanos += envs.emulate_nanos;
        timing.preprocess_nanos += envs.preprocess_nanos;
        timing
    }

    /// Returns the states of generators and environments, for a checkpoint.
    pub fn save(&self) -> Result<(Vec<Rng>, Vec<Vec<u8>>), AgentError> {
        let states = self.envs.save_state().map_err(|source| self.failed(source))?;
        Ok((self.rngs.clone(), states))
    }

    /// Restores the state saved by [`RolloutActor::save`].
    pub fn load(&mut self, rngs: Vec<Rng>, states: &[Vec<u8>]) -> Result<(), AgentError> {
        let loaded = self.envs.load_state(states, self.rollout.last_obs_mut());
        loaded.map_err(|source| self.failed(source))?;
        // Only once all environments have accepted their states.
        self.rngs = rngs;
        Ok(())
    }

    fn failed(&self, source: EnvError) -> AgentError {
        AgentError::Env { actor: self.index, source }
    }
}
