//! Settings of a training run, as typed.

use std::path::PathBuf;

use coordrl_agents::{A2cConfig, AlgorithmConfig, ApexConfig, find_algorithm};
use coordrl_envs::EnvConfig;
use serde::{Deserialize, Serialize};

use super::{Configuration, Period};
use coordrl_agents::device::DeviceChoice;

/// Learning algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algo {
    /// Synchronous advantage actor-critic.
    A2c,
    /// Ape-X DQN.
    Apex,
}

impl Algo {
    /// All algorithms.
    pub const ALL: [Self; 2] = [Self::A2c, Self::Apex];

    /// Returns the name used in folders and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::A2c => "a2c",
            Self::Apex => "apex",
        }
    }
}

/// Settings of one run. Keys absent from files and command line have their default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// `catch` or an Atari game; `coordrl games` lists them.
    pub game: String,
    /// Learning algorithm.
    pub algo: Algo,
    /// Name of the feature extractor in the torso registry.
    pub torso: String,
    /// Random seed.
    pub seed: u64,
    /// Run length in emulator frames.
    pub frames: u64,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: DeviceChoice,
    /// Worker threads of environments (A2C) or learner (Ape-X); absent: one per core. No effect on
    /// results.
    pub threads: Option<u32>,
    /// Threads per libtorch operation. They change the order of sums, and so the last bits of
    /// results.
    pub torch_threads: u32,
    /// Frames between two log points.
    pub log_every_frames: Period,
    /// Frames between two checkpoints, or `"off"` for the first and the last only.
    pub checkpoint_every_frames: Period,
    /// Number of newest checkpoints to keep; the best is kept as well.
    pub keep_checkpoints: u32,
    /// Evaluations.
    pub evaluation: EvaluationConfig,
    /// Videos recorded during training.
    pub video: VideoConfig,
    /// Folder of the ROMs; absent: the folder used by set-up.
    pub rom_dir: Option<PathBuf>,
    /// Environment settings.
    pub env: EnvConfig,
    /// A2C settings; unused with another algorithm.
    pub a2c: A2cConfig,
    /// Ape-X settings; unused with another algorithm.
    pub apex: ApexConfig,
}

/// Evaluations at frame 0, periodically during training, and with the final weights. They do not
/// affect learning but select the best checkpoint, so their period should be a multiple of the
/// checkpoint period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Frames between two evaluations, or `"off"` for none. Runs shorter than the period have none.
    pub every_frames: Period,
    /// Full games per evaluation, always the same ones.
    pub episodes: u64,
    /// Emulator frames of all games of an evaluation together, after which unfinished games are cut
    /// and count with their return so far.
    pub max_frames: u64,
    /// Full games with the final weights, none of them used by earlier evaluations.
    pub final_episodes: u64,
    /// Like `max_frames`, for the games with the final weights.
    pub final_max_frames: u64,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every_frames: Period::EveryFrames(250_000),
            episodes: 10,
            max_frames: 500_000,
            final_episodes: 100,
            final_max_frames: 2_000_000,
        }
    }
}

/// Videos during training, in the run's folder `videos`. They do not affect learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoConfig {
    /// Frames between two videos, or `"off"`.
    pub every_frames: Period,
    /// Maximum length of a video in emulator frames, 60 per second.
    pub max_frames: u64,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self { every_frames: Period::Off, max_frames: 7_200 }
    }
}

impl RunConfig {
    /// Returns the settings of the algorithm in use.
    pub fn algorithm(&self) -> &dyn AlgorithmConfig {
        match self.algo {
            Algo::A2c => &self.a2c,
            Algo::Apex => &self.apex,
        }
    }

    /// Returns the settings of every algorithm, selected or not.
    pub(super) fn algorithms_mut(&mut self) -> [&mut dyn AlgorithmConfig; Algo::ALL.len()] {
        [&mut self.a2c, &mut self.apex]
    }

    /// Returns `true` if the run is evaluated: runs shorter than one period are not.
    pub fn is_evaluated(&self) -> bool {
        self.evaluation.every_frames.falls_between(0, self.frames)
    }

    /// Returns `true` if a setting belongs to an algorithm that is not selected.
    pub fn is_idle(&self, key: &str) -> bool {
        let table = key.split_once('.').map_or(key, |(table, _)| table);
        find_algorithm(table).is_some_and(|algorithm| algorithm.name != self.algo.name())
    }
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
            evaluation: EvaluationConfig::default(),
            video: VideoConfig::default(),
            rom_dir: None,
            env: EnvConfig::default(),
            a2c: A2cConfig::default(),
            apex: ApexConfig::default(),
        }
    }
}
