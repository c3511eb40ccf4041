//! Why there is no report.

use std::io;
use std::path::PathBuf;

use coordrl_plots::PlotError;
use coordrl_stats::StatsError;

use crate::exit_code::ExitCode;
use crate::run::run_dir::RunDirError;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A path is no run, or names a damaged one.
    #[error(transparent)]
    Run(#[from] RunDirError),
    /// Runs there are, but none can be used.
    #[error("nothing to report: of {} none is complete; {first}", super::format::count(*.runs, "run"))]
    NothingComplete {
        /// How many were found or planned.
        runs: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// `--baseline` names nothing that was trained.
    #[error("`--baseline {name}`: no complete run has this torso{hint} (there are: {known})")]
    UnknownBaseline {
        /// As typed.
        name: String,
        /// "; did you mean …?" or nothing.
        hint: String,
        /// What there is.
        known: String,
    },
    /// `--thresholds` with several games.
    #[error("`--thresholds` are points of one game, but these runs play several: {games}")]
    ThresholdsOfManyGames {
        /// Which.
        games: String,
    },
    /// There is no place that the report belongs to.
    #[error(
        "where should the report go? Without `--out DIR` it goes into the folder of a sweep, if exactly one is named"
    )]
    NeedsOut,
    /// The place is taken.
    #[error("{} is taken: it {what}; choose another `--out`", .path.display())]
    OutTaken {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The place cannot be written.
    #[error("cannot write the report to {}: {cause}; choose another `--out`", .path.display())]
    CannotWrite {
        /// The place.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Statistics refused their input.
    #[error("statistics: {0}")]
    Stats(#[from] StatsError),
    /// A figure refused its input.
    #[error("figures: {0}")]
    Plot(#[from] PlotError),
    /// The report does not fit into JSON.
    #[error("report.json: {0}")]
    Json(#[from] serde_json::Error),
}

impl ReportError {
    /// The exit code this error ends the process with.
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
            Self::Stats(_) | Self::Plot(_) | Self::Json(_) => ExitCode::Unexpected,
        }
    }
}

fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
