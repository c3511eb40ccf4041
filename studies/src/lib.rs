//! Studies: the coordinate tasks of the CoordConv paper (Liu et al. 2018, arXiv:1807.03247), learned
//! with the CoordConv layer of [`coordrl_agents::nn`] or with a custom layer.
//!
//! - [`Task`]: what is learned and the mark at which it counts as solved; [`tasks`] lists them
//! - [`StudyLayer`]: the layer under study; [`layers`] lists the named ones
//! - [`StudyConfig`]: the settings, with a recipe for each task
//! - [`Study`]: network, data and optimiser, built from a [`StudySetup`], trained by
//!   [`Study::update`]
//! - [`folder`], [`resnet`]: folders of pictures, and networks with torchvision's weights
//! - [`data`]: Not-so-Clevr, the data set of the three coordinate tasks, and its splits
//!
//! A study knows its data as numbered rows; [`Task::prepare`] turns them into losses and scores.
//! This crate does not print or depend on the command line; of files it reads data, and keeps notes on
//! folders that it has checked.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use coordrl_agents::build_pool;
//! use coordrl_studies::{Split, Study, StudySetup, find_layer, find_task};
//!
//! let (task, layer) = (find_task("regress")?, find_layer("coordconv")?);
//! let mut study = Study::build(StudySetup {
//!     task,
//!     split: Split::Quadrant,
//!     layer,
//!     config: &task.recipe(layer),
//!     seed: 1,
//!     data_dir: Path::new("."), // only other tasks read data
//!     notes_dir: None,
//!     device: tch::Device::Cpu,
//!     pool: Arc::new(build_pool(2, 1)?),
//! })?;
//! assert_eq!(study.parameter_count(), 906);
//! let report = study.update()?;
//! assert!(report.loss.is_finite());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adversary;
mod blocks;
mod config;
mod counters;
pub mod data;
pub mod detect;
mod draws;
mod error;
mod evaluation;
pub mod folder;
mod gan;
mod imagenet;
mod layer;
mod lsun;
mod objects;
mod param_group;
mod registry;
pub mod resnet;
mod shard;
mod state;
mod study;
mod task;
mod tasks;
#[cfg(test)]
mod test_support;
mod vae;

pub use config::{Inputs, RateSchedule, StudyConfig, StudyLoss, StudyOptimizer};
pub use counters::StudyCounters;
pub use data::{Centre, Split, SplitIndices};
pub use error::StudyError;
pub use evaluation::{Measures, Score, StudyEvaluation};
pub use gan::GanConfig;
pub use imagenet::ImageNetConfig;
pub use layer::{
    BuildLayer, Layer, LayerInput, LayerKind, LayerPlace, LayerShape, LayerStart, StudyLayer,
    UnderStudy, find_layer, layers,
};
pub use lsun::LsunConfig;
pub use objects::spread::{Places, Spread};
pub use registry::{find_task, tasks};
pub use state::StudyState;
pub use study::{Study, StudySetup, StudyUpdateReport};
pub use task::{
    BoxedPicture, BuildLearner, DrawnPictures, Draws, Exhibit, Intake, Mark, Measure, MeasureRange,
    Objective, PaintedWalk, Prepared, Ranking, RowSplit, ScoreSums, SpreadPanel, Tally, Task,
    TaskLearner, TaskSetup, WHOLE, as_they_are,
};
pub use vae::VaeConfig;
