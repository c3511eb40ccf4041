//! Runs excluded from the statistics, with reasons.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::run::Run;
use crate::config::{Algo, RunConfig};
use crate::run::run_dir::RunDir;
use crate::sweep::record::CellRecord;
use crate::text::numbers::frames;

/// Run excluded from the statistics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExcludedRun {
    /// Cell of the run; absent if it is unknown because `config.json` is damaged.
    #[serde(flatten)]
    pub cell: Option<Cell>,
    /// Folder of the run.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub run: PathBuf,
    /// Reason for the exclusion.
    pub why: Why,
}

/// Identity of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
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
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Planned by a sweep but not started.
    Missing,
    /// Failed in the sweep's attempts.
    Failed {
        /// `exit code 4`, or a signal.
        ended_with: String,
        /// Last error message, or the last line of the log.
        message: String,
    },
    /// Ended, or still running, before its last frame.
    Unfinished {
        /// Frames trained.
        frames: u64,
        /// Frames planned.
        of: u64,
    },
    /// Diverged: a value became non-finite.
    Diverged {
        /// Frames trained.
        frames: u64,
    },
    /// Finished no full game, so it has no score.
    NoGame,
    /// Finished its first full game only after the shortest run of the game had ended.
    NoGameWithin {
        /// Frames of the shortest run.
        budget: u64,
    },
    /// One of its files cannot be read.
    Damaged {
        /// The file, relative to the run's folder.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        file: PathBuf,
        /// Location and cause of the damage.
        cause: String,
    },
    /// Intact but unusable: written by another version of this program.
    Unusable {
        /// Explanation.
        cause: String,
    },
    /// Another run of the same seed is used.
    Repeated {
        /// Folder of the run that is used.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        used: PathBuf,
    },
    /// The folder named by a sweep contains a different run.
    Other {
        /// Description of the run found.
        holds: String,
    },
}

impl ExcludedRun {
    /// Excludes a run that was read.
    pub fn of_run(run: &Run, why: Why) -> Self {
        Self { cell: Some(Cell::of(&run.config)), run: run.path.clone(), why }
    }

    /// Excludes a run that could not be read; its configuration often still can.
    pub fn of_damaged(run: &Path, why: Why) -> Self {
        let config = RunDir::open_to_read(run).and_then(|folder| folder.read_config::<RunConfig>());
        Self { cell: config.ok().map(|config| Cell::of(&config)), run: run.to_owned(), why }
    }

    /// Excludes a run planned by a sweep in this folder.
    pub fn of_cell(cell: &CellRecord, run: PathBuf, why: Why) -> Self {
        let game = cell.game.clone();
        let torso = cell.torso.clone();
        let cell = Cell { game, algo: cell.algo, torso, seed: cell.seed };
        Self { cell: Some(cell), run, why }
    }

    /// Returns the run and the reason as a sentence without a full stop.
    pub fn text(&self) -> String {
        let which = match &self.cell {
            Some(cell) => format!("{}, {}, seed {}", cell.game, cell.arm(), cell.seed),
            None => self.run.display().to_string(),
        };
        format!("{which}: {}", self.why.text())
    }
}

impl Cell {
    fn of(config: &RunConfig) -> Self {
        let game = config.game.clone();
        let torso = config.torso.clone();
        Self { game, algo: config.algo, torso, seed: config.seed }
    }

    /// Returns the arm's name in run folders.
    pub fn arm(&self) -> String {
        format!("{}-{}", self.algo.name(), self.torso)
    }
}

impl Why {
    /// Returns the reason in a few words.
    pub fn text(&self) -> String {
        match self {
            Self::Missing => "planned, not begun".to_owned(),
            Self::Failed { ended_with, message } if message.is_empty() => {
                format!("failed with {ended_with}")
            }
            Self::Failed { ended_with, message } => format!("failed with {ended_with}: {message}"),
            Self::Unfinished { frames: at, of } => {
                format!("unfinished, at {} of {} frames", frames(*at as f64), frames(*of as f64))
            }
            Self::Diverged { frames: at } => format!("diverged at {} frames", frames(*at as f64)),
            Self::NoGame => "no full game was finished, so it has no score".to_owned(),
            Self::NoGameWithin { budget } => {
                format!("no full game within the budget, {} frames", frames(*budget as f64))
            }
            Self::Damaged { file, cause } => format!("{} is damaged: {cause}", file.display()),
            Self::Unusable { cause } => cause.clone(),
            Self::Repeated { used } => format!("repeats a seed; {} is used", used.display()),
            Self::Other { holds } => format!("its folder holds {holds}"),
        }
    }
}
