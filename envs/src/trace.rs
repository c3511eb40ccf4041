//! A step-by-step record of a game, for comparison with another implementation.
//!
//! The tracer drives the same [`VecEnv`] as training. That resets automatically at the end of an
//! episode, so a probe around the environment reads the emulator right after the step, before the
//! reset.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::config::EnvConfig;
use crate::env::EnvSpec;
use crate::error::EnvError;
#[cfg(not(feature = "ale"))]
use crate::registry::find_game;
use crate::registry::{Assets, EnvSeed};
use crate::rng::{Rng, Role, derive_rng};
use crate::saved;
use crate::vec_env::{VecEnv, VecStep};

/// Result of one step of a traced game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceRecord {
    /// Number of the step, from 0; a restored trace continues the count.
    pub step: u64,
    /// Index of the action taken.
    pub action: usize,
    /// The game's reward over the step, unclipped.
    pub reward: f64,
    /// Lives left.
    pub lives: i32,
    /// True end of the agent's episode: game over, or a lost life if the settings count it.
    pub terminated: bool,
    /// Game cut by its frame limit.
    pub truncated: bool,
    /// CRC-32 of the console's 128 bytes of RAM after the step.
    pub ram_crc32: u32,
    /// CRC-32 of the latest frame in ALE's grey, at the ROM's own size, row by row.
    pub screen_crc32: u32,
}

/// Starting state of a trace's first game.
///
/// In most games the two are equivalent. In those that keep a counter across resets, such as Beam
/// Rider, the same actions yield different screens and rewards from the first frame on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// The state right after loading the ROM, as in training.
    #[default]
    Loaded,
    /// The state after one further emulator reset, as in Gymnasium, EnvPool and Stable-Baselines3.
    Reset,
}

/// Plays one game step by step and records it.
///
/// The game starts in the state chosen by [`Begin`], after the reset that the settings prescribe,
/// and the trace ends with the record that ends the whole game. A lost life that ends the agent's
/// episode is followed by the automatic reset, as in training, and the trace continues.
pub struct Tracer {
    envs: VecEnv,
    seen: Arc<Mutex<Snapshot>>,
    obs: Vec<u8>,
    next_step: u64,
    over: bool,
}

/// Emulator state seen by the probe right after the last step.
#[derive(Clone, Copy, Debug, Default)]
struct Snapshot {
    lives: i32,
    ram_crc32: u32,
    screen_crc32: u32,
}

#[derive(Serialize, Deserialize)]
struct TraceState {
    #[serde(with = "serde_bytes")]
    env: Vec<u8>,
    next_step: u64,
    over: bool,
}

impl Tracer {
    /// Loads a game; `seed` determines no-ops and sticky actions.
    ///
    /// # Errors
    /// As [`crate::make_env`], and for a game without an emulator.
    pub fn try_new(
        game: &str,
        config: &EnvConfig,
        assets: &Assets,
        seed: u64,
        begin: Begin,
    ) -> Result<Self, EnvError> {
        let seen = Arc::new(Mutex::new(Snapshot::default()));
        let seed = EnvSeed { seed, role: Role::TrainEnv, index: 0 };
        let probe = probe(game, config, assets, seed, begin, Arc::clone(&seen))?;
        let mut envs = VecEnv::try_new(vec![probe])?;
        let mut obs = vec![0; envs.obs_len()];
        envs.reset(&mut obs)?;
        Ok(Self { envs, seen, obs, next_step: 0, over: false })
    }

    /// Returns the environment's spec: shape of observations, names of actions.
    pub fn spec(&self) -> &EnvSpec {
        self.envs.spec()
    }

    /// Returns `true` once the whole game has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes one step; `None` once the game is over.
    pub fn step(&mut self, action: usize) -> Result<Option<TraceRecord>, EnvError> {
        if self.over {
            return Ok(None);
        }

        let mut step = [VecStep::default()];
        self.envs.step(&[action], &mut self.obs, &mut step)?;
        let [step] = step;
        // A snapshot is replaced as a whole, so even a poisoned lock holds a valid one.
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A game that ends in the reset after a lost life is over too: anything later is another
        // game.
        self.over = step.episodes().next().is_some();
        let record = TraceRecord {
            step: self.next_step,
            action,
            reward: f64::from(step.raw_reward),
            lives: seen.lives,
            terminated: step.terminated,
            truncated: step.truncated,
            ram_crc32: seen.ram_crc32,
            screen_crc32: seen.screen_crc32,
        };

        self.next_step += 1;
        Ok(Some(record))
    }

    /// Returns the observation to act on next, `u8 [C, H, W]`, as training has it.
    ///
    /// After a step that ended an episode this is the first observation of the next one, whereas
    /// the record describes the moment before the automatic reset.
    pub fn obs(&self) -> &[u8] {
        &self.obs
    }

    /// Saves all state that determines the rest of the trace, except the actions to come.
    pub fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        let env = self.envs.save_state()?.pop().unwrap_or_default();
        saved::pack(
            &self.spec().name,
            &TraceState { env, next_step: self.next_step, over: self.over },
        )
    }

    /// Resumes from [`Tracer::save_state`], in this process or another.
    pub fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let state: TraceState = saved::unpack(&self.spec().name, state)?;
        // `seen` is not restored: every step replaces it before it is read.
        self.envs.load_state(&[state.env], &mut self.obs)?;
        (self.next_step, self.over) = (state.next_step, state.over);
        Ok(())
    }
}

/// Uniformly drawn actions, identical for the same seed on every machine.
pub struct RandomActions {
    rng: Rng,
    num_actions: usize,
}

impl RandomActions {
    /// Draws actions from 0 to `num_actions` − 1.
    ///
    /// # Panics
    /// If `num_actions` is 0, which no environment's spec allows.
    pub fn new(seed: u64, num_actions: usize) -> Self {
        assert!(num_actions > 0, "an environment has at least one action");
        Self { rng: derive_rng(seed, Role::TraceActions, 0), num_actions }
    }
}

impl Iterator for RandomActions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        Some(self.rng.random_range(0..self.num_actions))
    }
}

#[cfg(not(feature = "ale"))]
fn probe(
    game: &str,
    _: &EnvConfig,
    _: &Assets,
    _: EnvSeed,
    _: Begin,
    _: Arc<Mutex<Snapshot>>,
) -> Result<Box<dyn crate::env::Env>, EnvError> {
    Err(EnvError::NotTraceable { game: find_game(game)?.name.to_owned() })
}

#[cfg(feature = "ale")]
use with_ale::probe;

#[cfg(feature = "ale")]
mod with_ale {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::{Assets, Begin, EnvConfig, EnvError, EnvSeed, Snapshot};
    use crate::atari::AtariEnv;
    use crate::env::{Env, EnvSpec, EnvTiming, EpisodeStats, Step};
    use crate::games::GameKind;
    use crate::registry::find_game;

    /// An Atari environment that records the emulator's state right after each step.
    struct Probe {
        env: AtariEnv,
        seen: Arc<Mutex<Snapshot>>,
        /// The screen in grey, at its native size.
        grey: Vec<u8>,
    }

    pub(super) fn probe(
        game: &str,
        config: &EnvConfig,
        assets: &Assets,
        seed: EnvSeed,
        begin: Begin,
        seen: Arc<Mutex<Snapshot>>,
    ) -> Result<Box<dyn Env>, EnvError> {
        let game = find_game(game)?;
        if game.kind != GameKind::Atari {
            return Err(EnvError::NotTraceable { game: game.name.to_owned() });
        }
        let mut env = AtariEnv::try_new(game.name, config, assets, seed)?;
        if begin == Begin::Reset {
            env.begin_after_reset();
        }
        Ok(Box::new(Probe { env, seen, grey: Vec::new() }))
    }

    impl Probe {
        fn note(&mut self) {
            let ale = self.env.ale();
            self.grey.clear();
            self.grey.extend(ale.screen().iter().map(|index| ale.grey()[usize::from(*index)]));
            let snapshot = Snapshot {
                lives: ale.lives(),
                ram_crc32: crc32fast::hash(ale.ram()),
                screen_crc32: crc32fast::hash(&self.grey),
            };
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
    }

    impl Env for Probe {
        fn spec(&self) -> &EnvSpec {
            self.env.spec()
        }

        fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
            // No snapshot here: a record describes the moment before the automatic reset.
            self.env.reset(obs)
        }

        fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
            let step = self.env.step(action, obs)?;
            self.note();
            Ok(step)
        }

        fn save_state(&self) -> Result<Vec<u8>, EnvError> {
            self.env.save_state()
        }

        fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
            self.env.load_state(state, obs)
        }

        fn take_timing(&mut self) -> EnvTiming {
            self.env.take_timing()
        }
    }
}
