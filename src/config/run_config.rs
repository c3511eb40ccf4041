//! Every setting of a training run, as typed.

use std::path::PathBuf;

use coordrl_agents::A2cConfig;
use coordrl_envs::EnvConfig;
use serde::{Deserialize, Serialize};

use super::{Configuration, Period};
use crate::device::DeviceChoice;

/// The learning algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algo {
    /// Synchronous advantage actor-critic.
    A2c,
}

impl Algo {
    /// The name used in folders and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::A2c => "a2c",
        }
    }
}

/// All settings of one run. What is absent in a file or on the command line has the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// `catch` or an Atari game; `coordrl games` lists them.
    pub game: String,
    /// Learning algorithm.
    pub algo: Algo,
    /// Name of the feature extractor in the torso registry.
    pub torso: String,
    /// Everything random follows from this number.
    pub seed: u64,
    /// Length of the whole run in emulator frames.
    pub frames: u64,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: DeviceChoice,
    /// Worker threads that step environments; absent: one per core. Never changes a result.
    pub threads: Option<u32>,
    /// Threads libtorch may use inside one operation. Summing in another order changes last bits.
    pub torch_threads: u32,
    /// Frames between two log points.
    pub log_every_frames: Period,
    /// Frames between two checkpoints, or `"off"` for the first and the last only.
    pub checkpoint_every_frames: Period,
    /// How many of the newest checkpoints stay; the best stays besides.
    pub keep_checkpoints: u32,
    /// Folder with the ROMs; absent: where set-up put them.
    pub rom_dir: Option<PathBuf>,
    /// The environment.
    pub env: EnvConfig,
    /// The A2C agent.
    pub a2c: A2cConfig,
}

impl Configuration for RunConfig {
    fn with_every_key() -> Self {
        let mut config = Self::default();
        config.env = config.env.resolve().into();
        config
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            game: "pong".to_owned(),
            algo: Algo::A2c,
            torso: "conv".to_owned(),
            seed: 1,
            frames: 40_000_000,
            device: DeviceChoice::Auto,
            threads: None,
            torch_threads: 1,
            log_every_frames: Period::EveryFrames(10_000),
            checkpoint_every_frames: Period::EveryFrames(500_000),
            keep_checkpoints: 3,
            rom_dir: None,
            env: EnvConfig::default(),
            a2c: A2cConfig::default(),
        }
    }
}
