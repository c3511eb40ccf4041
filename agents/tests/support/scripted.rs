//! A scripted environment with formulas that are easy to port to other languages.

use coordrl_envs::{Env, EnvError, EnvSpec, EpisodeStats, Step};

/// End of an episode at an agent step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// True end of an episode.
    Terminated,
    /// Truncation by a limit.
    Truncated,
}

/// Injected failure and its step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    Panic { at_step: u64 },
    Error { at_step: u64 },
    NanReward { at_step: u64 },
}

/// An environment whose observations are hashes of (environment, number of observations shown).
pub struct Scripted {
    pub spec: EnvSpec,
    pub index: u64,
    /// Returns whether agent step `step`, counted from 0, ends the episode.
    pub end: fn(index: u64, step: u64) -> Option<End>,
    pub reward: fn(index: u64, step: u64, action: usize) -> f32,
    pub pixel: fn(index: u64, shown: u64, position: u64) -> u8,
    pub fault: Fault,
    pub steps: u64,
    pub shown: u64,
}

/// 64-bit finaliser of MurmurHash3: mixes all bits and is easy to port to any language.
pub fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Returns a pixel of unstructured noise.
pub fn noise(index: u64, shown: u64, position: u64) -> u8 {
    mix(index << 48 ^ shown << 24 ^ position) as u8
}

impl Scripted {
    pub fn new(index: u64, obs_shape: [usize; 3], actions: usize) -> Self {
        let actions = (0..actions).map(|a| format!("A{a}")).collect();
        Self {
            spec: EnvSpec { name: "scripted".into(), obs_shape, actions, frame_skip: 4 },
            index,
            end: |_, _| None,
            reward: |_, _, _| 1.0,
            pixel: noise,
            fault: Fault::None,
            steps: 0,
            shown: 0,
        }
    }

    fn show(&mut self, obs: &mut [u8]) {
        let index = self.index;
        let shown = self.shown;
        let fill = |(position, byte): (usize, &mut u8)| {
            *byte = (self.pixel)(index, shown, position as u64)
        };
        obs.iter_mut().enumerate().for_each(fill);
        self.shown += 1;
    }
}

impl Env for Scripted {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.show(obs);
        Ok(None)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        let step = self.steps;
        self.steps += 1;
        let mut reward = (self.reward)(self.index, step, action);
        match self.fault {
            Fault::Panic { at_step } if at_step == step => panic!("the script says so"),
            Fault::Error { at_step } if at_step == step => {
                return Err(EnvError::NeedsReset { game: "scripted".into() });
            }
            Fault::NanReward { at_step } if at_step == step => reward = f32::NAN,
            _ => {}
        }

        self.show(obs);
        let end = (self.end)(self.index, step);
        let stats = EpisodeStats { episode_return: step as f64, episode_length_frames: self.index };
        Ok(Step {
            reward,
            raw_reward: reward,
            terminated: end == Some(End::Terminated),
            truncated: end == Some(End::Truncated),
            episode: end.map(|_| stats),
        })
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        Ok([self.steps.to_le_bytes(), self.shown.to_le_bytes()].concat())
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        let bad = |_| EnvError::BadState { game: "scripted".into(), reason: "16 bytes".into() };
        let bytes: [u8; 16] = state.try_into().map_err(bad)?;
        let number = |half: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[half * 8 + i]));
        // One less, because `show` counts the restored observation again.
        (self.steps, self.shown) = (number(0), number(1) - 1);
        self.show(obs);
        Ok(())
    }
}
