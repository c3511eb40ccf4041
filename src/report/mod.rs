//! Comparison of runs: one page that shows which torso did better where, and how certain that is.
//!
//! Three rooms, each of which uses only the ones before it:
//! - `runs`: finds runs from paths, reads them, and excludes those that do not count.
//! - `analysis`: numbers only: measures of each run, verdicts in each game, aggregates over games.
//! - `render`: `report.json`, the figures and the page.
//!
//! `build` leads from the runs found to the report.

mod analysis;
mod build;
mod error;
mod render;
mod runs;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use build::ReportRequest;
pub use error::ReportError;
pub use render::{ComparisonRow, Report, ReportDestination, span};
pub use runs::{FoundRuns, find_runs, without_repeats};
