//! The contract between an environment and its caller.

use serde::{Deserialize, Serialize};

use crate::error::EnvError;

/// Static facts of an environment, needed to build a network and a driver before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvSpec {
    /// Short name, as typed on the command line: `pong`, `catch`.
    pub name: String,
    /// Shape of one observation, `[C, H, W]`, in bytes 0…255.
    pub obs_shape: [usize; 3],
    /// Names of the actions, in the order of their indices.
    pub actions: Vec<String>,
    /// Emulator frames per agent step.
    pub frame_skip: u32,
}

impl EnvSpec {
    /// Number of actions.
    pub fn num_actions(&self) -> usize {
        self.actions.len()
    }

    /// Bytes in one observation: C · H · W.
    pub fn obs_len(&self) -> usize {
        self.obs_shape.iter().product()
    }
}

/// Result of one agent step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Reward the agent learns from (clipped if the protocol clips).
    pub reward: f32,
    /// Reward from the game, unclipped.
    pub raw_reward: f32,
    /// True end of the agent's episode: never bootstrap. A lost life may count as one.
    pub terminated: bool,
    /// Cut short by a limit: bootstrap from the last observation.
    pub truncated: bool,
    /// Statistics of a whole game (not a life), on the step that ended it.
    pub episode: Option<EpisodeStats>,
}

impl Step {
    /// Returns `true` if the agent's episode is over, for either reason.
    pub fn is_last(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// Statistics of a finished game: all lives, unclipped rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeStats {
    /// Undiscounted sum of raw rewards over the whole game.
    pub episode_return: f64,
    /// Emulator frames the agent played; frames spent in resets are excluded.
    pub episode_length_frames: u64,
}

/// Time spent in an environment since the last query, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvTiming {
    /// Time inside the emulator.
    pub emulate_nanos: u64,
    /// Time turning screens into observations.
    pub preprocess_nanos: u64,
}

/// A picture of the game as a person would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row: `[H, W, 3]`.
    pub rgb: Vec<u8>,
}

/// One environment, stepped by one thread at a time.
///
/// Observations are written into a slice of [`EnvSpec::obs_len`] bytes that the caller owns, laid
/// out `[C, H, W]`. After a step that ends the agent's episode the slice holds the *last*
/// observation of that episode; the caller calls [`Env::reset`] before the next step.
pub trait Env: Send {
    /// Returns the static facts of this environment.
    fn spec(&self) -> &EnvSpec;

    /// Starts the agent's next episode and writes its first observation.
    ///
    /// Returns the statistics of a whole game that ended *during* the reset (a life-loss reset
    /// continues the game, which may end in the process), else `None`.
    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError>;

    /// Takes one agent step and writes the resulting observation.
    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError>;

    /// Serialises the complete state: emulator, frame stack, generators, counters.
    fn save_state(&self) -> Result<Vec<u8>, EnvError>;

    /// Restores a state from [`Env::save_state`], in this process or another, and writes the
    /// current observation.
    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError>;

    /// Turns recording of every emulator frame on or off, for videos. Recording costs time and
    /// memory until [`Env::take_screens`] is called. Environments without pictures ignore it.
    fn record_screens(&mut self, _on: bool) {}

    /// Takes the pictures recorded since the last call, resets included, oldest first.
    fn take_screens(&mut self) -> Vec<Screen> {
        Vec::new()
    }

    /// Takes the time spent since the last call; zero for environments that do not measure it.
    fn take_timing(&mut self) -> EnvTiming {
        EnvTiming::default()
    }
}
