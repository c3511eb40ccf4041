//! The content of `report.json`, from which page and figures are rendered.

use serde::Serialize;

use super::figure_row::FigureRow;
use crate::report::analysis::aggregate::Aggregates;
use crate::report::analysis::compare::{GameVerdict, Tests, VerdictCount};
use crate::report::analysis::grid::ArmRow;
use crate::report::analysis::measures::GameRow;
use crate::report::runs::{ArmId, ExcludedRun, Sweep};
use crate::sweep::record::Primary;

/// Complete report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub version: u32,
    /// Version and commit of the program.
    pub made_by: String,
    /// Command that reproduces the report.
    pub command: String,
    /// Bootstrap repetitions.
    pub repetitions: u32,
    /// Confidence level of the intervals.
    pub level: f64,
    /// Primary measure, which decides the verdicts.
    pub primary: Primary,
    /// One comparison per pair of arms.
    pub comparisons: Vec<ComparisonRow>,
    /// Comparisons with every failed or diverged run scored as the worst of its game; empty if
    /// there is none.
    pub failed_as_worst: Vec<ComparisonRow>,
    /// Protocols of the runs: `classic`, `machado` or `raw`.
    pub protocols: Vec<String>,
    /// Number of tests, and the number expected to succeed by chance.
    pub tests: Tests,
    /// Anomalies of the runs.
    pub warnings: Vec<String>,
    /// Conclusions that these runs do not support.
    pub cannot_be_concluded: Vec<String>,
    /// Algorithm and torso of each arm, with size and speed.
    pub arms: Vec<ArmRow>,
    /// Scores, areas, thresholds and curves of each game.
    pub games: Vec<GameRow>,
    /// Aggregate scores over all games, one entry per group of compared arms.
    pub aggregates: Vec<Aggregates>,
    /// Runs excluded from all statistics.
    pub excluded: Vec<ExcludedRun>,
    /// Sweeps from which runs were read.
    pub sweeps: Vec<Sweep>,
    /// Figures, in page order.
    pub figures: Vec<FigureRow>,
}

impl Report {
    /// Returns the display name of an arm.
    pub fn label<'a>(&'a self, arm: &'a ArmId) -> &'a str {
        label_of(&self.arms, arm)
    }
}

/// Comparison of an arm with its baseline in all games that both have.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonRow {
    /// The arm.
    pub arm: ArmId,
    /// Baseline arm.
    pub baseline: ArmId,
    /// "coordconv against conv: 1 better and 0 worse after Holm; uncorrected 6 better, 2 similar, 1
    /// worse, 0 unknown".
    pub headline: String,
    /// Strength of the evidence, in one or two sentences.
    pub strength: String,
    /// Number of games per verdict.
    pub count: VerdictCount,
    /// Verdict in each game.
    pub games: Vec<GameVerdict>,
}

/// Returns the display name of an arm.
pub fn label_of<'a>(arms: &'a [ArmRow], arm: &'a ArmId) -> &'a str {
    arms.iter().find(|row| row.name == *arm).map_or(&arm.torso, |row| &row.label)
}
