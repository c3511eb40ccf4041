//! Runs as a report reads them: found from paths, read from their folders, and excluded with
//! reasons.

mod arm;
mod command;
mod exclude;
mod excluded;
mod find;
mod found;
mod run;

pub use arm::ArmId;
pub use command::as_typed;
pub use excluded::{ExcludedRun, RunKey, Why};
pub use find::{find_runs, without_repeats};
pub use found::{FoundRuns, Sweep};
pub use run::{CurvePoint, Run, ScoredBy};
