//! Runs as a report reads them: found from paths, read from their folders, and excluded with
//! reasons.

mod command;
mod excluded;
mod find;
mod run;

pub use command::as_typed;
pub use excluded::{Cell, ExcludedRun, Why};
pub use find::{FoundRuns, Sweep, find_runs, without_repeats};
pub use run::{CurvePoint, Run, ScoredBy};
