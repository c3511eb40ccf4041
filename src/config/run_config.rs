//! Every setting of a training run, as typed.

use std::path::PathBuf;

use coordrl_agents::{A2cConfig, AlgorithmConfig, ApexConfig, find_algorithm};
use coordrl_envs::EnvConfig;
use serde::{Deserialize, Serialize};

use super::{Configuration, Period};
use coordrl_agents::device::DeviceChoice;

/// The learning algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algo {
    /// Synchronous advantage actor-critic.
    A2c,
    /// Ape-X DQN.
    Apex,
}

impl Algo {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::A2c, Self::Apex];

    /// The name used in folders and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::A2c => "a2c",
            Self::Apex => "apex",
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
    /// Worker threads, which step environments (A2C) or learn (Ape-X); absent: one per core. Never changes a result.
    pub threads: Option<u32>,
    /// Threads libtorch may use inside one operation. Summing in another order changes last bits.
    pub torch_threads: u32,
    /// Frames between two log points.
    pub log_every_frames: Period,
    /// Frames between two checkpoints, or `"off"` for the first and the last only.
    pub checkpoint_every_frames: Period,
    /// How many of the newest checkpoints stay; the best stays besides.
    pub keep_checkpoints: u32,
    /// Full games that are played for the score.
    pub evaluation: EvaluationConfig,
    /// Videos that are made now and then while training.
    pub video: VideoConfig,
    /// Folder with the ROMs; absent: where set-up put them.
    pub rom_dir: Option<PathBuf>,
    /// The environment.
    pub env: EnvConfig,
    /// The A2C agent; of no effect with another algorithm.
    pub a2c: A2cConfig,
    /// The Ape-X agent; of no effect with another algorithm.
    pub apex: ApexConfig,
}

/// Evaluations: at frame 0, now and then while training, and with the last weights. They change
/// nothing in what is learnt, and decide which checkpoint is the best: they should fall where
/// checkpoints do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Frames between two evaluations, or `"off"` for none at all. A run that is shorter has none.
    pub every_frames: Period,
    /// Full games of each, always the same ones.
    pub episodes: u64,
    /// Emulator frames of all games of an evaluation together, after which those that still go on are
    /// cut and count with what they have.
    pub max_frames: u64,
    /// Full games with the last weights, none of which an earlier evaluation has played.
    pub final_episodes: u64,
    /// As `max_frames`, for the games with the last weights.
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

/// Videos during training, in the run's folder `videos`. They change nothing in what is learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoConfig {
    /// Frames between two videos, or `"off"`.
    pub every_frames: Period,
    /// Emulator frames after which a video ends, if its game has not: 60 a second.
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

    /// Whether the run is evaluated: a run shorter than one period is not.
    pub fn is_evaluated(&self) -> bool {
        self.evaluation.every_frames.falls_between(0, self.frames)
    }

    /// Whether a setting belongs to an algorithm that is not in use.
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
