//! `sweep.json`: what a sweep is made of and how its cells fared. The report reads it too.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Algo;

/// Raised when the layout of [`SweepRecord`] changes.
pub const RECORD_VERSION: u32 = 1;
/// Folder of all sweeps below the folder of all runs.
const SWEEPS: &str = "sweeps";
const RECORD: &str = "sweep.json";

/// A sweep as its folder `<runs_dir>/sweeps/<name>` keeps it.
///
/// How far a cell is stands in the cell's run folder alone; here is only what no run folder can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepRecord {
    /// [`RECORD_VERSION`] of the program that wrote it.
    pub version: u32,
    /// Name of the sweep.
    pub name: String,
    /// What the plan says about itself.
    pub summary: Option<String>,
    /// Command line of every process that worked on the sweep, oldest first, each word in the form of
    /// [`crate::text::path_text`].
    pub commands: Vec<Vec<String>>,
    /// What its report goes by; absent in sweeps of the first versions.
    #[serde(default)]
    pub design: Option<Design>,
    /// One for each run, in the order they are made.
    pub cells: Vec<CellRecord>,
}

/// The measure that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Primary {
    /// Area under the learning curve: how fast an arm learns, which is what the CoordConv paper claims.
    #[default]
    Area,
    /// Score at the end.
    Final,
}

impl Primary {
    /// Reads `area` or `final`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "area" => Ok(Self::Area),
            "final" => Ok(Self::Final),
            _ => Err("write `area` or `final`".to_owned()),
        }
    }

    /// The word that [`Primary::parse`] reads.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Final => "final",
        }
    }

    /// The name a reader sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Final => "final score",
        }
    }
}

/// What the report of a sweep goes by. It is fixed before the runs, so that they cannot choose it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// The measure that decides.
    pub primary: Primary,
    /// Torso that the others are compared with; absent: the usual one.
    pub reference: Option<String>,
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.reference.as_deref().unwrap_or("the usual torso");
        write!(f, "the {} against {reference}", self.primary.name())
    }
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRecord {
    /// Game played.
    pub game: String,
    /// Learning algorithm.
    pub algo: Algo,
    /// Feature extractor.
    pub torso: String,
    /// Seed of the run.
    pub seed: u64,
    /// Length of the run in emulator frames.
    pub frames: u64,
    /// The run's folder, from the folder of all runs.
    #[serde(with = "crate::text::path_text")]
    pub run: PathBuf,
    /// The last failure, until the cell is done.
    pub failure: Option<CellFailure>,
}

/// How a cell failed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellFailure {
    /// Attempts that failed, all of them in one process of the sweep.
    pub attempts: u32,
    /// What the last one ended with: `exit code 4`, or the signal that ended it.
    pub ended_with: String,
    /// What it said last.
    pub message: String,
}

/// The folder of a sweep.
pub fn folder_of(runs_dir: &Path, name: &str) -> PathBuf {
    runs_dir.join(SWEEPS).join(name)
}

/// Where the record of the sweep in `folder` lies.
pub fn record_path(folder: &Path) -> PathBuf {
    folder.join(RECORD)
}

/// The folder of all runs that the sweep in `folder` belongs to.
pub fn runs_dir_of(folder: &Path) -> PathBuf {
    folder.join("../..")
}
