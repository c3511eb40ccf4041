//! Runs of the coordinate tasks, with the same folders, checkpoints and metric files as training
//! runs.
//!
//! - [`StudyRunConfig`]: all settings, on top of [`coordrl_studies::StudyConfig`]
//! - [`launch`]: starts or resumes a run
//! - [`training`]: the study as the run loop trains it
//! - [`StudyResult`]: result of a finished run
//! - [`planned`]: the study as a sweep plans it
//! - [`campaign`]: all studies as a sweep; tabulates them beside the paper's numbers and draws
//!   figures
//! - [`dump`]: writes the data set to files

pub mod campaign;
mod comparison;
mod config;
pub mod dump;
mod figures;
mod forecast;
pub mod launch;
mod page;
pub mod planned;
mod progress;
mod result;
pub mod training;
mod walks;

pub use config::{StudyRunConfig, layer_of, resolve, split_of, task_of};
pub use progress::{StudyProgress, TimeToMark};
pub use result::StudyResult;
