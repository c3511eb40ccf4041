//! Actor: steps a group of environments and builds transitions from the results.

use std::num::NonZeroU32;
use std::time::Instant;

use coordrl_envs::{EnvError, EpisodeStats, Rng, Role, VecEnv, VecStep, derive_rng};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::config::ApexConfig;
use super::experience::Experience;
use super::learner_config::LEARNER_TABLE;
use crate::AgentError;
use crate::actors::Place;
use crate::maths::ValueRescaling;
use crate::n_step::{Decision, NStep, NStepState, NStepTransition, StepOutcome};
use crate::policy::{argmax, epsilon_greedy};
use crate::replay::{ObsRef, PlaneForm, PlaneWriter, PlaneWriterState, StreamPart, Transition};
use crate::report::nanos_since;

/// Source of Q-values.
pub(crate) trait QSource {
    /// Computes Q of every action for `rows` observations, `[rows, A]` in row-major order.
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError>;

    /// Returns the version of the weights in use: the learner's update count.
    fn version(&self) -> u64;
}

/// Environments, and the state that turns their steps into experience. Independent of threads and
/// learner.
pub(crate) struct Actor {
    index: usize,
    envs: VecEnv,
    /// Observations to act on next, `u8 [n, C, H, W]`.
    obs: Vec<u8>,
    tracks: Vec<Track>,
    steps: Vec<VecStep>,
    stats: ActorStats,
    agent_steps: u64,
}

/// Per-environment state.
struct Track {
    stream: u32,
    epsilon: f64,
    rng: Rng,
    writer: PlaneWriter,
    n_step: NStep<ObsRef>,
    /// Observation to act on next.
    obs: ObsRef,
    decision: Option<Decision<ObsRef>>,
    completed: Vec<NStepTransition<ObsRef>>,
}

/// Statistics since experience was last taken.
#[derive(Default)]
struct ActorStats {
    agent_steps: u64,
    reward_sum: f64,
    episodes: Vec<EpisodeStats>,
    infer_nanos: u64,
}

/// State that later steps depend on; everything else has been sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApexActorState {
    agent_steps: u64,
    envs: Vec<ByteBuf>,
    tracks: Vec<TrackState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackState {
    rng: Rng,
    writer: PlaneWriterState,
    n_step: NStepState<ObsRef>,
    obs: ObsRef,
}

impl Actor {
    /// Builds the actor and resets its environments.
    pub fn start(
        config: &ApexConfig,
        rescaling: ValueRescaling,
        place: Place,
        mut envs: VecEnv,
        seed: u64,
    ) -> Result<Self, AgentError> {
        let Place { actor: index, first_env } = place;
        let mut obs = vec![0; envs.obs_len()];
        envs.reset(&mut obs).map_err(|source| AgentError::Env { actor: index, source })?;
        let shape = envs.spec().obs_shape;
        let epsilons = config.epsilons();

        // The settings were checked before: n is at least 1.
        let n = NonZeroU32::new(config.n_step).unwrap_or(NonZeroU32::MIN);
        let mut tracks = Vec::with_capacity(envs.len());
        for (env, first) in obs.chunks(envs.spec().obs_len()).enumerate() {
            let stream = first_env + env;
            let mut writer = PlaneWriter::try_new(shape, config.replay.plane_form())?;
            tracks.push(Track {
                stream: stream as u32,
                epsilon: epsilons[stream],
                rng: derive_rng(seed, Role::TrainPolicy, stream as u64),
                obs: writer.begin_episode(first)?,
                writer,
                n_step: NStep::new(n, config.discount, rescaling),
                decision: None,
                completed: Vec::new(),
            });
        }

        let steps = vec![VecStep::default(); envs.len()];
        Ok(Self { index, envs, obs, tracks, steps, stats: ActorStats::default(), agent_steps: 0 })
    }

    /// Returns the number of environments.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Returns the agent steps taken by each environment since the run began.
    pub fn agent_steps(&self) -> u64 {
        self.agent_steps
    }

    /// Takes one agent step in every environment.
    ///
    /// # Errors
    /// If an environment fails or a Q-value is not finite. Some environments may then have stepped
    /// and others not: load a saved state or drop the actor.
    pub fn step(&mut self, q: &mut dyn QSource) -> Result<(), AgentError> {
        let rows = self.len();
        let values = self.infer(q, None, rows)?;
        let actions = self.decide(&values);
        let stepped = self.envs.step(&actions, &mut self.obs, &mut self.steps);
        stepped.map_err(|source| self.failed(source))?;
        // Right after the step, because the environments keep final observations only until the
        // next one.
        let truncated_values = self.bootstrap_truncated(q)?;
        self.record(&truncated_values)?;
        self.stats.agent_steps += rows as u64;
        self.agent_steps += 1;
        Ok(())
    }

    /// Takes all experience since the last call, with the version of the weights used last.
    pub fn take_experience(&mut self, weights_version: u64) -> Experience {
        let timing = self.envs.take_timing();
        let ActorStats { agent_steps, reward_sum, episodes, infer_nanos } =
            std::mem::take(&mut self.stats);
        Experience {
            actor: self.index as u32,
            parts: self.tracks.iter_mut().filter_map(Track::take_part).collect(),
            agent_steps,
            reward_sum,
            episodes,
            weights_version,
            nanos: [timing.emulate_nanos, timing.preprocess_nanos, infer_nanos],
        }
    }

    /// Returns the state for [`Actor::load`], without experience not taken yet.
    pub fn save(&self) -> Result<ApexActorState, AgentError> {
        let envs = self.envs.save_state().map_err(|source| self.failed(source))?;
        Ok(ApexActorState {
            agent_steps: self.agent_steps,
            envs: envs.into_iter().map(ByteBuf::from).collect(),
            tracks: self.tracks.iter().map(Track::save).collect(),
        })
    }

    /// Returns `true` if a state has as many environments.
    pub fn fits(&self, state: &ApexActorState) -> bool {
        state.envs.len() == self.len() && state.tracks.len() == self.len()
    }

    /// Restores the state returned by [`Actor::save`].
    ///
    /// # Errors
    /// If a part does not fit; the actor must not be used then.
    pub fn load(&mut self, state: ApexActorState) -> Result<(), AgentError> {
        let envs: Vec<Vec<u8>> = state.envs.into_iter().map(ByteBuf::into_vec).collect();
        let loaded = self.envs.load_state(&envs, &mut self.obs);
        loaded.map_err(|source| self.failed(source))?;
        for (track, saved) in self.tracks.iter_mut().zip(state.tracks) {
            track.n_step.load(saved.n_step)?;
            track.writer.load_state(saved.writer)?;
            // Saved between two steps, when no decision is pending.
            (track.rng, track.obs, track.decision) = (saved.rng, saved.obs, None);
            track.completed.clear();
        }

        self.agent_steps = state.agent_steps;
        self.stats = ActorStats::default();
        Ok(())
    }

    /// Restarts the streams at the current observations, for a replay that has none of the planes
    /// sent before. Incomplete n-step transitions are dropped.
    pub fn restart_streams(&mut self, form: PlaneForm) -> Result<(), AgentError> {
        let shape = self.envs.spec().obs_shape;
        let rows = self.obs.chunks(self.envs.spec().obs_len());
        for (track, obs) in self.tracks.iter_mut().zip(rows) {
            track.writer = PlaneWriter::try_new(shape, form)?;
            track.obs = track.writer.begin_episode(obs)?;
            track.n_step.clear();
        }
        Ok(())
    }

    /// Sets ε of each environment, in order.
    pub fn set_epsilons(&mut self, epsilons: &mut impl Iterator<Item = f64>) {
        for (track, epsilon) in self.tracks.iter_mut().zip(epsilons) {
            track.epsilon = epsilon;
        }
    }

    /// Computes Q of the current observations, or of `other`.
    fn infer(
        &mut self,
        q: &mut dyn QSource,
        other: Option<&[u8]>,
        rows: usize,
    ) -> Result<Vec<f32>, AgentError> {
        let start = Instant::now();
        let values = q.q_values(other.unwrap_or(&self.obs), rows)?;
        self.stats.infer_nanos += nanos_since(start);
        // `argmax` passes over NaN: unchecked, a network of NaN would silently play action 0.
        if values.iter().any(|value| !value.is_finite()) {
            return Err(AgentError::NonFinite {
                what: "Q-values",
                update: q.version(),
                table: LEARNER_TABLE,
            });
        }
        Ok(values)
    }

    /// Selects ε-greedy actions, each environment with its own ε and generator.
    fn decide(&mut self, values: &[f32]) -> Vec<usize> {
        let count = self.envs.spec().num_actions();
        self.tracks
            .iter_mut()
            .zip(values.chunks(count))
            .map(|(track, row)| track.decide(row))
            .collect()
    }

    /// Computes, per environment, the maximum Q of the true final observation of each episode
    /// truncated in this step.
    fn bootstrap_truncated(&mut self, q: &mut dyn QSource) -> Result<Vec<Option<f32>>, AgentError> {
        let mut obs = Vec::new();
        let mut cut = Vec::new();
        for (env, step) in self.steps.iter().enumerate() {
            // A true end wins over a truncation in the same step: nothing follows it.
            if step.truncated
                && !step.terminated
                && let Some(last) = self.envs.final_obs(env)
            {
                obs.extend_from_slice(last);
                cut.push(env);
            }
        }

        let mut max_q_of = vec![None; self.len()];
        if !cut.is_empty() {
            let values = self.infer(q, Some(&obs), cut.len())?;
            let rows = values.chunks(self.envs.spec().num_actions());
            rows.zip(cut).for_each(|(row, env)| max_q_of[env] = Some(row[argmax(row)]));
        }

        Ok(max_q_of)
    }

    fn record(&mut self, truncated_values: &[Option<f32>]) -> Result<(), AgentError> {
        let rows = self.obs.chunks(self.envs.spec().obs_len());
        let tracks = self.tracks.iter_mut().zip(&self.steps).zip(rows).enumerate();
        for (env, ((track, step), obs)) in tracks {
            let cut = truncated_values[env].zip(self.envs.final_obs(env));
            track.record(step, obs, cut)?;
            self.stats.reward_sum += f64::from(step.reward);
            self.stats.episodes.extend(step.episodes());
        }
        Ok(())
    }

    fn failed(&self, source: EnvError) -> AgentError {
        AgentError::Env { actor: self.index, source }
    }
}

impl Track {
    /// Selects an action, given Q of every action, and keeps the decision for [`Track::record`].
    fn decide(&mut self, q: &[f32]) -> usize {
        let action = epsilon_greedy(q, self.epsilon, &mut self.rng);
        self.decision = Some(Decision {
            obs: self.obs,
            action: action as u32,
            q_taken: q[action],
            max_q: q[argmax(q)],
        });
        action
    }

    /// Records the result of the last decision. `obs` is the observation to act on next; `cut` is,
    /// for a truncated episode, its true final observation and the maximum Q there.
    fn record(
        &mut self,
        step: &VecStep,
        obs: &[u8],
        cut: Option<(f32, &[u8])>,
    ) -> Result<(), AgentError> {
        // The final observation is written before the next episode begins: it shares planes with
        // the one before it.
        let outcome = match cut {
            Some((max_q, last)) => {
                StepOutcome::Truncated { last_obs: self.writer.follow(last)?, max_q }
            }
            None if step.is_last() => StepOutcome::Terminated,
            None => StepOutcome::Continues,
        };

        self.obs = if step.is_last() {
            self.writer.begin_episode(obs)?
        } else {
            self.writer.follow(obs)?
        };

        if let Some(decision) = self.decision.take() {
            self.n_step.push(decision, step.reward, outcome, &mut self.completed);
        }

        Ok(())
    }

    fn take_part(&mut self) -> Option<StreamPart> {
        let first_plane = self.writer.first_pending();
        let planes = self.writer.take_planes();
        // Planes travel ahead of their transitions, which take n more steps to complete.
        if planes.is_empty() && self.completed.is_empty() {
            return None;
        }

        let transitions = self.completed.drain(..).map(transition_of).collect();
        Some(StreamPart { stream: self.stream, first_plane, planes, transitions })
    }

    fn save(&self) -> TrackState {
        TrackState {
            rng: self.rng.clone(),
            writer: self.writer.save_state(),
            n_step: self.n_step.save(),
            obs: self.obs,
        }
    }
}

/// Converts a completed transition to the replay's form.
fn transition_of(done: NStepTransition<ObsRef>) -> Transition {
    Transition {
        obs: done.obs_tm1,
        next_obs: done.obs_t.unwrap_or(done.obs_tm1), // ignored: the discount is 0
        action: done.action_tm1 as u16,
        reward: done.reward_t,
        discount: done.discount_t,
        td_error_abs: done.abs_td_error,
    }
}

#[cfg(test)]
mod tests;
