//! `sweep.json`: cells of a sweep and their failures. The report reads it too.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Algo;

/// Version of the layout of [`SweepRecord`], incremented when it changes.
pub const RECORD_VERSION: u32 = 1;
/// Folder of all sweeps, inside the folder of all runs.
const SWEEPS: &str = "sweeps";
const RECORD: &str = "sweep.json";

/// Record of a sweep in its folder `<runs_dir>/sweeps/<name>`.
///
/// Progress is read from the run folders only; this record holds what they cannot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepRecord {
    /// [`RECORD_VERSION`] of the program that wrote it.
    pub version: u32,
    /// Name of the sweep.
    pub name: String,
    /// Summary from the plan.
    pub summary: Option<String>,
    /// Command line of every process that worked on the sweep, oldest first, each word in the form
    /// of [`crate::text::path_text`].
    pub commands: Vec<Vec<String>>,
    /// Design of its report; absent in sweeps of early versions.
    #[serde(default)]
    pub design: Option<Design>,
    /// One entry per run, in the order of execution.
    pub cells: Vec<CellRecord>,
}

/// Primary measure, which decides the verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Primary {
    /// Area under the learning curve: speed of learning, which is what the CoordConv paper claims.
    #[default]
    Area,
    /// Final score.
    Final,
}

impl Primary {
    /// Parses `area` or `final`.
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

    /// Returns the word that [`Primary::parse`] accepts.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Final => "final",
        }
    }

    /// Returns the display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Final => "final score",
        }
    }
}

/// Design of a sweep's report, fixed before the runs so that results cannot influence it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// Primary measure.
    pub primary: Primary,
    /// Baseline torso; absent: the default one.
    pub reference: Option<String>,
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.reference.as_deref().unwrap_or("the usual torso");
        write!(f, "the {} against {reference}", self.primary.name())
    }
}

/// Entry for one run of a sweep.
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
    /// Folder of the run, relative to the folder of all runs.
    #[serde(with = "crate::text::path_text")]
    pub run: PathBuf,
    /// Last failure, until the cell is done.
    pub failure: Option<CellFailure>,
}

/// Last failure of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellFailure {
    /// Number of failed attempts, all in one process of the sweep.
    pub attempts: u32,
    /// End of the last attempt: `exit code 4`, or the signal that ended it.
    pub ended_with: String,
    /// Last error message, or the last line of the log.
    pub message: String,
}

/// Returns the folder of a sweep.
pub fn folder_of(runs_dir: &Path, name: &str) -> PathBuf {
    runs_dir.join(SWEEPS).join(name)
}

/// Returns the path of the record of the sweep in `folder`.
pub fn record_path(folder: &Path) -> PathBuf {
    folder.join(RECORD)
}

/// Returns the folder of all runs that contains the sweep in `folder`.
pub fn runs_dir_of(folder: &Path) -> PathBuf {
    // Unlike `parent`, this also works for a folder given as `.`.
    folder.join("../..")
}
