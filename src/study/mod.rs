//! Runs of the coordinate tasks, with the same folders, checkpoints and metric files as training
//! runs.
//!
//! - [`StudyRunConfig`]: all settings, on top of [`coordrl_studies::StudyConfig`]
//! - [`launch`]: starts or resumes a run
//! - [`StudyRun`]: loop of updates, evaluations, log points and checkpoints
//! - [`StudyResult`]: result of a finished run
//! - [`campaign`]: runs all studies; tabulates them beside the paper's numbers and draws figures
//! - [`dump`]: writes the data set to files

pub mod campaign;
mod config;
pub mod dump;
mod figures;
pub mod launch;
mod paper;
mod progress;
mod result;
mod run;

pub use config::{StudyRunConfig, layer_of, resolve, split_of, task_of};
pub use progress::{StudyProgress, TimeToMark};
pub use result::StudyResult;
pub use run::{StudyOutcome, StudyRun};
