//! Comparison of runs: one page that shows which torso did better where, and how certain that is.
//!
//! - `find_runs`: finds runs from paths; `run`: reads one run; `excluded`: runs left out of the
//!   statistics.
//! - `arms`: the grid of games and arms, and which arms are compared with which.
//! - `measures`: final score, area and thresholds; `curves`: data of a game's figures.
//! - `verdict`: better, similar or worse in a game, by a stated rule; `false_positives`: its error
//!   rate; `compare`: counts over games; `failed_runs`: the same with failed runs as the worst of
//!   their game; `aggregate`: scores over all games.
//! - `warnings`: anomalies of the runs; `limits`: what cannot be concluded from them.
//! - `model`: the content of `report.json`; `figures` and `page` are rendered from it alone.
//! - `write`: writes the folder, complete or not at all; `format`: numbers and lists for readers.

mod aggregate;
mod arms;
mod build;
mod compare;
mod curves;
mod error;
mod excluded;
mod failed_runs;
mod false_positives;
mod figure_row;
mod figures;
mod find_runs;
mod format;
mod limits;
mod measures;
mod model;
mod page;
mod run;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
mod verdict;
mod warnings;
mod write;

pub use build::Request;
pub use compare::Comparison;
pub use error::ReportError;
pub use find_runs::{FoundRuns, find_runs, without_repeats};
pub use format::{score, span};
pub use model::Report;
pub use verdict::{ALPHA, Difference, Verdict};
pub use write::Destination;
