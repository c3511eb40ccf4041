//! Runs found from paths.

use std::path::PathBuf;

use serde::Serialize;

use super::{ExcludedRun, Run};
use crate::sweep::record::Design;

/// Usable and excluded runs.
#[derive(Debug, Default)]
pub struct FoundRuns {
    /// Complete runs in the order they were found, at most one per game, algorithm, torso and seed.
    pub runs: Vec<Run>,
    /// Excluded runs.
    pub excluded: Vec<ExcludedRun>,
    /// Sweeps named on the command line.
    pub sweeps: Vec<Sweep>,
    /// Paths below the named folders that were skipped, with reasons.
    pub passed_over: Vec<String>,
}

impl FoundRuns {
    /// Returns the design fixed before the runs; `None` if the sweeps disagree.
    pub fn design(&self) -> Option<&Design> {
        let mut designs = self.sweeps.iter().map(|sweep| sweep.design.as_ref());
        let first = designs.next()??;
        designs.all(|design| design == Some(first)).then_some(first)
    }
}

/// Sweep from which runs were read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// Folder of the sweep.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub folder: PathBuf,
    /// Name of the sweep.
    pub name: String,
    /// Command lines of its processes.
    pub commands: Vec<Vec<String>>,
    /// Design of its report, fixed before the runs; absent in sweeps of early versions.
    pub design: Option<Design>,
}
