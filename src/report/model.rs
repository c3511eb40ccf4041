//! The report itself: what `report.json` holds, and all that page and figures are made from.

use serde::Serialize;

use super::aggregate::Aggregates;
use super::arms::ArmRow;
use super::compare::{Comparison, Tests};
use super::excluded::ExcludedRun;
use super::figure_row::FigureRow;
use super::find_runs::Sweep;
use super::measures::GameRow;
use crate::sweep::record::Primary;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub version: u32,
    /// Version and commit of the program that made it.
    pub made_by: String,
    /// The command that makes it again.
    pub command: String,
    /// Draws of each bootstrap.
    pub repetitions: u32,
    /// Confidence of the intervals.
    pub level: f64,
    /// The measure that decides.
    pub primary: Primary,
    /// One for each pair of arms.
    pub comparisons: Vec<Comparison>,
    /// The same with every run that failed or diverged counted as the worst of its game; empty where none did.
    pub failed_as_worst: Vec<Comparison>,
    /// Protocols that the runs play under: `classic`, `machado` or `raw`.
    pub protocols: Vec<String>,
    /// How many tests were made, and how many would be expected to succeed by chance.
    pub tests: Tests,
    /// What is odd about the runs.
    pub warnings: Vec<String>,
    /// What these runs cannot show.
    pub cannot_be_concluded: Vec<String>,
    /// Algorithm and torso of each arm, with size and speed.
    pub arms: Vec<ArmRow>,
    /// Scores, areas, thresholds and curves.
    pub games: Vec<GameRow>,
    /// All games together, for each group of arms that are compared.
    pub aggregates: Vec<Aggregates>,
    /// Runs that no number here counts.
    pub excluded: Vec<ExcludedRun>,
    /// Sweeps that the runs came from.
    pub sweeps: Vec<Sweep>,
    /// The pictures, in the order of the page.
    pub figures: Vec<FigureRow>,
}

impl Report {
    /// The name a reader sees for an arm.
    pub fn label(&self, arm: &str) -> String {
        self.arms.iter().find(|row| row.name == arm).map_or_else(|| arm.to_owned(), |row| row.label.clone())
    }
}
