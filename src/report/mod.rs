//! Runs compared: one page that says which torso did better where, and how sure that is.
//!
//! - `find_runs`: paths to runs; `run`: one run read; `excluded`: those that no number counts.
//! - `arms`: the grid of games and arms, and which arm is compared with which.
//! - `measures`: final score, area and thresholds; `curves`: what a game's figures show.
//! - `verdict`: better, similar or worse in a game, by a stated rule; `chance`: how often the
//!   rule speaks for nothing; `compare`: the count over games;
//!   `failed_runs`: the same with failed runs as the worst of their game;
//!   `aggregate`: all games as one.
//! - `warnings`: what is odd about the runs; `limits`: what cannot be concluded from them.
//! - `json`: all of that as `report.json`; `figures` and `page` are made from it alone.
//! - `write`: the folder, whole or not at all; `words`: numbers and lists as a reader wants them.

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
