//! Report errors.

use std::io;
use std::path::PathBuf;

use coordrl_plots::PlotError;
use coordrl_stats::StatsError;

use crate::exit_code::ExitCode;
use crate::run::run_dir::RunDirError;

/// Error while making a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A path is not a run, or the run is damaged.
    #[error(transparent)]
    Run(#[from] RunDirError),
    /// Runs were found, but none is usable.
    #[error("nothing to report: no run is complete ({runs} found or planned); {first}")]
    NothingComplete {
        /// Number of runs found or planned.
        runs: usize,
        /// Problem of the first run.
        first: String,
    },
    /// `--baseline` matches no trained torso or arm.
    #[error("`--baseline {name}`: no complete run has this torso{hint} (there are: {known})")]
    UnknownBaseline {
        /// Name as typed.
        name: String,
        /// "; did you mean …?" or empty.
        hint: String,
        /// Known names.
        known: String,
    },
    /// `--thresholds` with several games.
    #[error("`--thresholds` are points of one game, but these runs play several: {games}")]
    ThresholdsOfManyGames {
        /// The games.
        games: String,
    },
    /// No `--out`, and no single sweep to write into.
    #[error(
        "where should the report go? Without `--out DIR` it goes into the folder of a sweep, if \
         exactly one is named"
    )]
    NeedsOut,
    /// The output path is taken.
    #[error("{} is taken: it {what}; choose another `--out`", .path.display())]
    OutTaken {
        /// The output path.
        path: PathBuf,
        /// Description of what is there.
        what: &'static str,
    },
    /// The output path cannot be written.
    #[error("cannot write the report to {}: {cause}; choose another `--out`", .path.display())]
    CannotWrite {
        /// The output path.
        path: PathBuf,
        /// I/O error.
        cause: io::Error,
    },
    /// The statistics rejected their input.
    #[error("statistics: {0}")]
    Stats(#[from] StatsError),
    /// A figure rejected its input.
    #[error("figures: {0}")]
    Plot(#[from] PlotError),
    /// The report cannot be serialised to JSON.
    #[error("report.json: {0}")]
    Json(#[from] serde_json::Error),
}

impl ReportError {
    /// Returns the exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Run(error) => error.exit_code(),
            Self::NothingComplete { .. } => ExitCode::BadRun,
            Self::CannotWrite { cause, .. } if is_out_of_space(cause) => ExitCode::MachineRefused,
            Self::UnknownBaseline { .. }
            | Self::ThresholdsOfManyGames { .. }
            | Self::NeedsOut
            | Self::OutTaken { .. }
            | Self::CannotWrite { .. } => ExitCode::BadRequest,
            // Their input is made by the report itself, so a rejection is a bug.
            Self::Stats(_) | Self::Plot(_) | Self::Json(_) => ExitCode::Unexpected,
        }
    }
}

fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
