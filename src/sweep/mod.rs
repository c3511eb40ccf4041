//! Sweeps: grids of runs, one process each, over games × algorithms × torsos × seeds.
//!
//! A [`plan::SweepPlan`] becomes [`cell::Cell`]s. A cell's progress is read from its run folder
//! only, so a sweep can be killed at any time and resumed by the same command. [`planned`] is what
//! it needs to know of a kind of run. [`forecast`]
//! estimates its cost, [`scheduler`] runs the processes, [`progress_table`] displays them, and
//! [`record`] stores what the report needs.

pub mod cell;
pub mod child;
pub mod cores;
pub mod disk;
pub mod folder;
pub mod forecast;
pub mod game_run;
pub mod plan;
pub mod planned;
pub mod progress_table;
pub mod record;
pub mod scheduler;

use std::path::PathBuf;

use crate::exit_code::ExitCode;
use crate::machine::size;
use record::CellFailure;

/// Error that prevents a sweep from starting or resuming.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The plan contains a run twice.
    #[error("the plan asks twice for {0}; name each game, algorithm, torso and seed once")]
    Duplicate(String),
    /// The plan lacks runs that the folder's sweep has.
    #[error(
        "sweep `{name}` already holds {missing}, which this plan leaves out; choose another `--name`"
    )]
    LeavesOut {
        /// Name of the sweep.
        name: String,
        /// The first run left out.
        missing: String,
    },
    /// The plan's report would use a different design.
    #[error(
        "sweep `{name}` was begun to be decided by {fixed}, this plan says {asked}; what decides is fixed before \
         the runs: choose another `--name`"
    )]
    OtherDesign {
        /// Name of the sweep.
        name: String,
        /// Design fixed earlier.
        fixed: String,
        /// Design in the plan.
        asked: String,
    },
    /// Another process is running the sweep.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Not enough disk space.
    #[error(
        "the runs will take about {} of disk, {} are free in {}; lower `keep_checkpoints`{}, \
         choose another `--runs-dir`, or start all the same with `--no-forecast`",
        size(*.needed), size(*.free), .folder.display(), smaller_replays(*.replays)
    )]
    Disk {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Folder of all runs.
        folder: PathBuf,
        /// `true` if replays are saved in runs whose settings may still change.
        replays: bool,
    },
    /// A trial run failed.
    #[error("a trial of {title} ended with {}: {}", .failure.ended_with, .failure.message)]
    Trial {
        /// Title of the run.
        title: String,
        /// Its failure.
        failure: CellFailure,
        /// Meaning of its exit code.
        code: ExitCode,
    },
}

impl SweepError {
    /// Returns the exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Duplicate(_) | Self::LeavesOut { .. } | Self::OtherDesign { .. } => {
                ExitCode::BadRequest
            }
            Self::InUse(_) => ExitCode::BadRun,
            Self::Disk { .. } => ExitCode::MachineRefused,
            Self::Trial { code, .. } => *code,
        }
    }
}

fn smaller_replays(saved: bool) -> &'static str {
    match saved {
        true => ", set `apex.replay.save=false` or a smaller `apex.replay.capacity`",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_told_with_all_that_helps() {
        let text = |replays| {
            let error =
                SweepError::Disk { needed: 3 << 30, free: 1 << 30, folder: "runs".into(), replays };
            error.to_string()
        };

        let with_replays = text(true);
        assert!(
            with_replays.starts_with(
                "the runs will take about 3.0 GiB of disk, 1.0 GiB are free in runs; "
            )
        );
        for part in [
            "`keep_checkpoints`",
            "`apex.replay.save=false`",
            "`apex.replay.capacity`",
            "`--runs-dir`",
            "`--no-forecast`",
        ] {
            assert!(with_replays.contains(part), "{part} not in {with_replays}");
        }

        assert!(!text(false).contains("apex"), "{}", text(false));
    }
}
