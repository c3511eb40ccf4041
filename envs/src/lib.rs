//! Environments: observations, actions and rewards. Frames are bytes; no tensors here.
//!
//! - [`env`](mod@env): the [`Env`] contract between an environment and its caller;
//! - [`config`]: the settings of an Atari environment, and the protocols that supply their
//!   defaults;
//! - [`registry`]: the games, their names, and [`make_env`]; [`gym_id`]: the rules behind
//!   Gymnasium's ids;
//! - `atari`: the Arcade Learning Environment behind that contract (feature `ale`);
//! - [`toy`]: `catch`, a pixel game that can be learned in a minute;
//! - [`vec_env`]: many environments stepped by rayon into one buffer, the hot path of training;
//! - [`check`]: a contract checker for any environment;
//! - [`gym`]: adapters to and from the traits of `gymnasium-rs`;
//! - [`trace`]: a step-by-step record of a game, for comparison with another implementation;
//! - [`saved`]: the envelope around saved states, usable by custom environments;
//! - [`suggest`]: similar names for a mistyped one;
//! - [`rng`]: the source of every random draw.
//!
//! ```
//! use coordrl_envs::{Assets, EnvConfig, EnvSeed, Role, VecEnv, VecStep, make_env};
//!
//! let seed = |index| EnvSeed { seed: 1, role: Role::TrainEnv, index };
//! let assets = Assets { rom_dir: "roms".into() };
//! let envs = (0..4).map(|i| make_env("catch", &EnvConfig::default(), &assets, seed(i)));
//! let mut envs = VecEnv::try_new(envs.collect::<Result<_, _>>()?)?;
//!
//! let mut obs = vec![0; envs.obs_len()]; // u8 [4, C, H, W]
//! let mut steps = vec![VecStep::default(); envs.len()];
//! envs.reset(&mut obs)?;
//! envs.step(&[0, 1, 2, 1], &mut obs, &mut steps)?;
//! assert!(!steps[0].is_last());
//! # Ok::<(), coordrl_envs::EnvError>(())
//! ```

#[cfg(feature = "ale")]
pub mod atari;
pub mod check;
pub mod config;
pub mod env;
pub mod error;
pub mod frame_stack;
mod games;
pub mod gym;
pub mod gym_id;
mod reference_scores;
pub mod registry;
pub mod rng;
pub mod saved;
pub mod suggest;
pub mod toy;
pub mod trace;
pub mod vec_env;

// Linked only so that gymnasium-rs' own pyo3 builds without a Python (docs/adr/0004).
use pyo3 as _;

// ALE reads ROMs through zlib; naming the crate is what links its static library.
#[cfg(feature = "ale")]
use libz_sys as _;

#[cfg(feature = "ale")]
pub use atari::AtariEnv;
pub use check::{Violation, check_env};
pub use config::{EnvConfig, FrameLimit, GameSetting, Problem, Protocol, ResolvedEnvConfig};
pub use env::{Env, EnvSpec, EnvTiming, EpisodeStats, Screen, Step};
pub use error::EnvError;
pub use games::{GameInfo, GameKind, games};
pub use gym_id::GymId;
pub use reference_scores::{ReferenceScores, reference_scores};
pub use registry::{Assets, EnvSeed, find_game, make_env};
pub use rng::{Rng, Role, derive_rng};
pub use vec_env::{VecEnv, VecStep};
