//! Many environments stepped in parallel into one buffer.

use rayon::prelude::*;

use crate::env::{Env, EnvSpec, EnvTiming, EpisodeStats, Step};
use crate::error::EnvError;

/// `n` environments of one kind, stepped by rayon in the caller's thread pool.
///
/// Observations go into one contiguous `u8 [n, C, H, W]` buffer owned by the caller. An environment
/// whose episode ends is reset within the same step, so the buffer always holds the observations to
/// act on next; the true last observation stays available in [`VecEnv::final_obs`] until the next
/// step. Each environment has its own generators, so results do not depend on the number of
/// threads. A step does not allocate.
pub struct VecEnv {
    slots: Vec<Slot>,
    spec: EnvSpec,
}

/// Result of one step in one environment of a [`VecEnv`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VecStep {
    /// Reward the agent learns from.
    pub reward: f32,
    /// Reward from the game, unclipped.
    pub raw_reward: f32,
    /// True end of the agent's episode.
    pub terminated: bool,
    /// Agent's episode cut short.
    pub truncated: bool,
    /// Whole games that ended, in order: during the step, then during the reset after it.
    pub episodes: [Option<EpisodeStats>; 2],
}

impl VecStep {
    /// Returns `true` if the agent's episode is over, for either reason.
    pub fn is_last(&self) -> bool {
        self.terminated || self.truncated
    }

    /// Iterates over the whole games that ended in the step or in the reset after it.
    pub fn episodes(&self) -> impl Iterator<Item = EpisodeStats> + '_ {
        self.episodes.iter().flatten().copied()
    }
}

/// One environment and the results of its last step.
struct Slot {
    env: Box<dyn Env>,
    /// Last observation of the episode that ended in the last step.
    final_obs: Vec<u8>,
    ended: bool,
    /// Stored here so that a parallel step need not allocate to report errors.
    error: Option<EnvError>,
}

impl VecEnv {
    /// Builds a vector of `envs`, which must all have the same spec.
    pub fn try_new(envs: Vec<Box<dyn Env>>) -> Result<Self, EnvError> {
        let spec = envs.first().ok_or(EnvError::NoEnvs)?.spec().clone();
        if let Some(index) = envs.iter().position(|env| *env.spec() != spec) {
            let found = envs[index].spec().name.clone();
            return Err(EnvError::SpecMismatch { index, found, expected: spec.name });
        }

        let slots = envs.into_iter().map(|env| Slot::new(env, spec.obs_len())).collect();
        Ok(Self { slots, spec })
    }

    /// Number of environments, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a vector of environments is never empty")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the spec shared by all environments.
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// Bytes in an observation buffer of all environments: n · C · H · W.
    pub fn obs_len(&self) -> usize {
        self.len() * self.spec.obs_len()
    }

    /// Starts an episode in every environment and writes the first observations.
    pub fn reset(&mut self, obs: &mut [u8]) -> Result<(), EnvError> {
        self.check_len("observations", obs.len(), self.obs_len())?;
        let one = self.spec.obs_len();
        for_each(self.slots.par_iter_mut().zip(obs.par_chunks_mut(one)), |(slot, obs)| {
            // The last observation of an abandoned episode must not be bootstrapped from.
            slot.ended = false;
            slot.error = slot.env.reset(obs).err();
        });
        self.first_error()
    }

    /// Steps every environment. Afterwards `obs` holds the observations to act on next, and
    /// `steps[i]` the result of environment `i`.
    ///
    /// # Errors
    /// Names the first failing environment. The others have been stepped already, so the vector is
    /// unusable until restored or rebuilt.
    pub fn step(
        &mut self,
        actions: &[usize],
        obs: &mut [u8],
        steps: &mut [VecStep],
    ) -> Result<(), EnvError> {
        self.check_len("actions", actions.len(), self.len())?;
        self.check_len("steps", steps.len(), self.len())?;
        self.check_len("observations", obs.len(), self.obs_len())?;
        self.check_actions(actions)?;
        let rows = obs.par_chunks_mut(self.spec.obs_len()).zip(steps).zip(actions);
        for_each(self.slots.par_iter_mut().zip(rows), |(slot, ((obs, step), action))| {
            match slot.step(*action, obs) {
                Ok(taken) => *step = taken,
                Err(error) => slot.error = Some(error),
            }
        });

        self.first_error()
    }

    /// Returns the true last observation of environment `index` if its episode ended in the last
    /// step.
    pub fn final_obs(&self, index: usize) -> Option<&[u8]> {
        let slot = self.slots.get(index)?;
        slot.ended.then_some(slot.final_obs.as_slice())
    }

    /// Saves the state of every environment, in order.
    pub fn save_state(&self) -> Result<Vec<Vec<u8>>, EnvError> {
        let slots = self.slots.iter().enumerate();
        slots
            .map(|(index, slot)| slot.env.save_state().map_err(|error| error.in_env(index)))
            .collect()
    }

    /// Restores states from [`VecEnv::save_state`] and writes the current observations.
    pub fn load_state(&mut self, states: &[Vec<u8>], obs: &mut [u8]) -> Result<(), EnvError> {
        self.check_len("states", states.len(), self.len())?;
        self.check_len("observations", obs.len(), self.obs_len())?;
        let one = self.spec.obs_len();
        let rows = self.slots.iter_mut().zip(states).zip(obs.chunks_mut(one)).enumerate();
        for (index, ((slot, state), obs)) in rows {
            // The final observation is not saved: the agent used it right after the step that ended
            // the episode.
            slot.ended = false;
            // After an error the environments before this one are restored and the rest are not.
            slot.env.load_state(state, obs).map_err(|error| error.in_env(index))?;
        }
        Ok(())
    }

    /// Takes the time spent since the last call, summed over environments (not wall time).
    pub fn take_timing(&mut self) -> EnvTiming {
        let mut sum = EnvTiming::default();
        for slot in &mut self.slots {
            let one = slot.env.take_timing();
            sum.emulate_nanos += one.emulate_nanos;
            sum.preprocess_nanos += one.preprocess_nanos;
        }
        sum
    }

    /// Checks actions before any environment moves, so that a bad action changes nothing.
    fn check_actions(&self, actions: &[usize]) -> Result<(), EnvError> {
        let num_actions = self.spec.num_actions();
        match actions.iter().position(|action| *action >= num_actions) {
            None => Ok(()),
            Some(index) => {
                let game = self.spec.name.clone();
                let error = EnvError::IllegalAction { action: actions[index], num_actions, game };
                Err(error.in_env(index))
            }
        }
    }

    fn check_len(&self, what: &'static str, found: usize, expected: usize) -> Result<(), EnvError> {
        if found == expected {
            Ok(())
        } else {
            Err(EnvError::BufferLength { what, found, expected })
        }
    }

    fn first_error(&mut self) -> Result<(), EnvError> {
        let mut errors = self.slots.iter_mut().map(|slot| slot.error.take()).enumerate();
        let first = errors.find_map(|(index, error)| error.map(|error| error.in_env(index)));
        // Clear the rest as well: a stale error must not surface in a later step.
        errors.for_each(drop);
        first.map_or(Ok(()), Err)
    }
}

impl Slot {
    fn new(env: Box<dyn Env>, obs_len: usize) -> Self {
        // Allocated once, so that the end of an episode does not allocate.
        Self { env, final_obs: vec![0; obs_len], ended: false, error: None }
    }

    /// Steps once, then resets if the episode ended.
    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<VecStep, EnvError> {
        let Step { reward, raw_reward, terminated, truncated, episode } =
            self.env.step(action, obs)?;
        let mut episodes = [episode, None];
        self.ended = terminated || truncated;
        if self.ended {
            // The reset overwrites `obs`, but a truncated episode bootstraps from its last one.
            self.final_obs.copy_from_slice(obs);
            // The no-ops of a reset may themselves end a game.
            episodes[1] = self.env.reset(obs)?;
        }
        Ok(VecStep { reward, raw_reward, terminated, truncated, episodes })
    }
}

/// Runs in the ambient pool.
fn for_each<T: Send>(items: impl IndexedParallelIterator<Item = T>, run: impl Fn(T) + Sync + Send) {
    // One item per task: environments take unequal time (resets, game logic), so let rayon balance
    // them.
    items.with_max_len(1).for_each(run);
}
