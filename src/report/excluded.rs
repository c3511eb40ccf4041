//! Runs that no number counts, and why.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::format::frames;
use super::run::Run;
use crate::config::{Algo, RunConfig};
use crate::run::run_dir::RunDir;
use crate::sweep::record::CellRecord;

/// A run that the statistics do without.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExcludedRun {
    /// What it is a run of; absent where nothing tells, its `config.json` being damaged.
    #[serde(flatten)]
    pub cell: Option<Cell>,
    /// Folder of the run.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub run: PathBuf,
    /// Why.
    pub why: Why,
}

/// What tells runs apart.
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

/// Why a run is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A sweep plans it, and it has not begun.
    Missing,
    /// A sweep's attempts at it failed.
    Failed {
        /// `exit code 4`, or a signal.
        ended_with: String,
        /// What it said last.
        message: String,
    },
    /// It ended, or still runs, before its last frame.
    Unfinished {
        /// Where it stands.
        frames: u64,
        /// Where it should end.
        of: u64,
    },
    /// A number was no longer finite.
    Diverged {
        /// Where it stands.
        frames: u64,
    },
    /// Not one full game was finished, so there is no score.
    NoGame,
    /// The first full game was finished only after the shortest run of the game had ended.
    NoGameWithin {
        /// Where the shortest run ends.
        budget: u64,
    },
    /// A file of it cannot be read.
    Damaged {
        /// Which, in its folder.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        file: PathBuf,
        /// Where and what.
        cause: String,
    },
    /// It is whole, but cannot be used: another version of this program wrote it.
    Unusable {
        /// In words.
        cause: String,
    },
    /// Another run of the same seed is used.
    Repeated {
        /// Which.
        #[serde(serialize_with = "crate::text::path_text::serialize")]
        used: PathBuf,
    },
    /// The folder that a sweep names holds a run of something else.
    Other {
        /// What it holds.
        holds: String,
    },
}

impl ExcludedRun {
    /// A run that was read.
    pub fn of_run(run: &Run, why: Why) -> Self {
        Self { cell: Some(Cell::of(&run.config)), run: run.path.clone(), why }
    }

    /// A run that could not be read. Its configuration often can.
    pub fn of_damaged(run: &Path, why: Why) -> Self {
        let config = RunDir::open_to_read(run).and_then(|folder| folder.read_config::<RunConfig>());
        Self { cell: config.ok().map(|config| Cell::of(&config)), run: run.to_owned(), why }
    }

    /// A run that a sweep plans, in this folder.
    pub fn of_cell(cell: &CellRecord, run: PathBuf, why: Why) -> Self {
        let (game, torso) = (cell.game.clone(), cell.torso.clone());
        let cell = Cell { game, algo: cell.algo, torso, seed: cell.seed };
        Self { cell: Some(cell), run, why }
    }

    /// Which run, and why it is left out, as a sentence without its full stop.
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
        let (game, torso) = (config.game.clone(), config.torso.clone());
        Self { game, algo: config.algo, torso, seed: config.seed }
    }

    /// Its arm, as folders call it.
    pub fn arm(&self) -> String {
        format!("{}-{}", self.algo.name(), self.torso)
    }
}

impl Why {
    /// The reason in a few words.
    pub fn text(&self) -> String {
        match self {
            Self::Missing => "planned, not begun".to_owned(),
            Self::Failed { ended_with, message } if message.is_empty() => format!("failed with {ended_with}"),
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
