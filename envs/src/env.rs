//! The contract between an environment and everything that steps it.

use serde::{Deserialize, Serialize};

use crate::error::EnvError;

/// What a network and a driver must know of an environment before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvSpec {
    /// Short name, as typed on the command line: `pong`, `catch`.
    pub name: String,
    /// Shape of one observation, `[C, H, W]`, in bytes 0…255.
    pub obs_shape: [usize; 3],
    /// Names of the actions, in the order of their indices.
    pub actions: Vec<String>,
    /// Emulator frames that one agent step stands for.
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

/// What one agent step gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Reward as the agent learns from it (clipped where the protocol clips).
    pub reward: f32,
    /// Reward as the game gave it.
    pub raw_reward: f32,
    /// A true end for the agent: what follows is worth nothing. A lost life may count as one.
    pub terminated: bool,
    /// Cut short by a limit: what follows would have been worth something.
    pub truncated: bool,
    /// Set on the step at which a whole game ended (not a life).
    pub episode: Option<EpisodeStats>,
}

impl Step {
    /// Whether the agent's episode is over, for either reason.
    pub fn is_last(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// A finished game: all lives, rewards not clipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeStats {
    /// Undiscounted sum of raw rewards over the whole game.
    pub episode_return: f64,
    /// Emulator frames the agent played; frames spent in resets are not counted.
    pub episode_length_frames: u64,
}

/// Where an environment's time went since it was last asked, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvTiming {
    /// Inside the emulator.
    pub emulate_nanos: u64,
    /// Turning screens into observations.
    pub preprocess_nanos: u64,
}

/// A picture of the game as a person would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
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
    /// The fixed facts of this environment.
    fn spec(&self) -> &EnvSpec;

    /// Starts the agent's next episode and writes its first observation.
    ///
    /// Returns the statistics of a whole game that ended *during* the reset (a life-loss reset
    /// plays on, and the game may end under it), else `None`.
    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError>;

    /// Takes one agent step and writes the observation after it.
    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError>;

    /// Everything that decides what follows, as bytes: emulator, frame stack, generators, counters.
    fn save_state(&self) -> Result<Vec<u8>, EnvError>;

    /// Restores what [`Env::save_state`] gave, in this process or another, and writes the current
    /// observation.
    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError>;

    /// Keeps a picture of every emulator frame from now on, or no longer. For videos: it takes time
    /// and memory until [`Env::take_screens`] is called. Environments without pictures ignore it.
    fn record_screens(&mut self, _on: bool) {}

    /// The pictures of all frames since the last call, resets included, oldest first.
    fn take_screens(&mut self) -> Vec<Screen> {
        Vec::new()
    }

    /// Hands over the time spent since the last call. Environments that do not measure say zero.
    fn take_timing(&mut self) -> EnvTiming {
        EnvTiming::default()
    }
}
