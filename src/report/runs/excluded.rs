//! Runs excluded from the statistics, with reasons.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{ArmId, Run};
use crate::config::{Algo, RunConfig};
use crate::run::run_dir::RunDir;
use crate::sweep::record::CellRecord;
use crate::text::numbers;

/// Run excluded from the statistics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExcludedRun {
    /// RunKey of the run; absent if it is unknown because `config.json` is damaged.
    #[serde(flatten)]
    pub cell: Option<RunKey>,
    /// Folder of the run.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub run: PathBuf,
    /// Reason for the exclusion.
    pub why: Why,
}

/// Identity of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunKey {
    /// Game.
    pub game: String,
    /// Learning algorithm.
    pub algo: Algo,
    /// Feature extractor.
    pub torso: String,
    /// Seed.
    pub seed: u64,
}

/// Reason why a run is excluded.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Planned by a sweep but not started.
    #[error("planned, not begun")]
    Missing,
    /// Failed in the sweep's attempts.
    #[error("failed with {ended_with}{}", after_colon(.message))]
    Failed {
        /// `exit code 4`, or a signal.
        ended_with: String,
        /// Last error message, or the last line of the log.
        message: String,
    },
    /// Ended, or still running, before its last frame.
    #[error(
        "unfinished, at {} of {} frames",
        numbers::frames(*.frames as f64),
        numbers::frames(*.of as f64)
    )]
    Unfinished {
        /// Frames trained.
        frames: u64,
        /// Frames planned.
        of: u64,
    },
    /// Diverged: a value became non-finite.
    #[error("diverged at {} frames", numbers::frames(*.frames as f64))]
    Diverged {
        /// Frames trained.
        frames: u64,
    },
    /// Finished no full game, so it has no score.
    #[error("no full game was finished, so it has no score")]
    NoGame,
    /// Finished its first full game only after the shortest run of the game had ended.
    #[error("no full game within the budget, {} frames", numbers::frames(*.budget as f64))]
    NoGameWithin {
        /// Frames of the shortest run.
        budget: u64,
    },
    /// One of its files cannot be read.
    #[error("{} is damaged: {cause}", .file.display())]
    Damaged {
        /// The file, relative to the run's folder.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        file: PathBuf,
        /// Location and cause of the damage.
        cause: String,
    },
    /// Intact but unusable: written by another version of this program.
    #[error("{cause}")]
    Unusable {
        /// Explanation.
        cause: String,
    },
    /// Another run of the same seed is used.
    #[error("repeats a seed; {} is used", .used.display())]
    Repeated {
        /// Folder of the run that is used.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        used: PathBuf,
    },
    /// The folder named by a sweep contains a different run.
    #[error("its folder holds {holds}")]
    Other {
        /// Description of the run found.
        holds: String,
    },
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Why {
    /// Returns the kind of reason, to count runs by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "not begun",
            Self::Failed { .. } => "failed",
            Self::Unfinished { .. } => "unfinished",
            Self::Diverged { .. } => "diverged",
            Self::NoGame | Self::NoGameWithin { .. } => "without a full game",
            Self::Damaged { .. } => "damaged",
            Self::Unusable { .. } => "of another version of this program",
            Self::Repeated { .. } => "repeating a seed",
            Self::Other { .. } => "of something else",
        }
    }
}

impl ExcludedRun {
    /// Excludes a run that was read.
    pub fn of_run(run: &Run, why: Why) -> Self {
        Self { cell: Some(RunKey::of(&run.config)), run: run.path.clone(), why }
    }

    /// Excludes a run that could not be read; its configuration often still can.
    pub fn of_damaged(run: &Path, why: Why) -> Self {
        let config = RunDir::open_to_read(run).and_then(|folder| folder.read_config::<RunConfig>());
        Self { cell: config.ok().map(|config| RunKey::of(&config)), run: run.to_owned(), why }
    }
}

impl fmt::Display for ExcludedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cell {
            Some(cell) => write!(f, "{cell}: {}", self.why),
            None => write!(f, "{}: {}", self.run.display(), self.why),
        }
    }
}

impl RunKey {
    /// Returns the identity of a run with these settings.
    pub fn of(config: &RunConfig) -> Self {
        let game = config.game.clone();
        let torso = config.torso.clone();
        Self { game, algo: config.algo, torso, seed: config.seed }
    }

    /// Returns the identity of a run that a sweep plans.
    pub fn planned(cell: &CellRecord) -> Self {
        let game = cell.game.clone();
        let torso = cell.torso.clone();
        Self { game, algo: cell.algo, torso, seed: cell.seed }
    }

    /// Returns its arm.
    pub fn arm(&self) -> ArmId {
        ArmId { algo: self.algo, torso: self.torso.clone() }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, seed {}", self.game, self.arm(), self.seed)
    }
}
