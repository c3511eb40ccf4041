//! Runs of the coordinate tasks: the same folders, checkpoints and metric files as training runs.
//!
//! - [`StudyRunConfig`]: everything that can be set, on top of [`coordrl_studies::StudyConfig`]
//! - [`launch`]: a new run or a resumed one
//! - [`StudyRun`]: the loop of update, evaluation, log point and checkpoint
//! - [`StudyResult`]: what a finished run says
//! - [`campaign`]: all of them, one table beside the paper's numbers, and pictures
//! - [`dump`]: the data set as files

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
