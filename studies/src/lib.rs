//! The three coordinate tasks of the CoordConv paper (Liu et al. 2018, arXiv:1807.03247), learned
//! with the CoordConv layer of [`coordrl_agents::nn`] or with a custom layer.
//!
//! - [`data`]: Not-so-Clevr, the data set of all three, and its splits
//! - [`Task`]: the tasks, and the mark at which each counts as solved
//! - [`StudyLayer`]: the layer under study, and the registry of named ones
//! - [`StudyConfig`]: the settings, with a recipe for each task
//! - [`Study`]: network, data and optimiser, built from a [`StudySetup`], trained by
//!   [`Study::update`]
//!
//! Networks, losses, splits and settings are those of the authors' released code
//! (uber-research/CoordConv) unless noted otherwise. This crate does not read files, print or
//! depend on the command line.
//!
//! ```
//! use std::sync::Arc;
//!
//! use coordrl_agents::build_pool;
//! use coordrl_studies::{Split, Study, StudyConfig, StudySetup, Task, find_layer};
//!
//! let (task, split, layer) = (Task::Regress, Split::Quadrant, find_layer("coordconv")?);
//! let mut study = Study::build(StudySetup {
//!     task,
//!     split,
//!     layer,
//!     config: &StudyConfig::recipe(task, layer, split),
//!     seed: 1,
//!     device: tch::Device::Cpu,
//!     pool: Arc::new(build_pool(2, 1)?),
//! })?;
//! assert_eq!(study.parameter_count(), 906);
//! let report = study.update()?;
//! assert!(report.loss.is_finite());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod counters;
pub mod data;
mod error;
mod layer;
mod networks;
mod order;
mod recipe;
mod rows;
mod score;
mod shard;
mod state;
mod study;
mod task;

pub use config::{Inputs, Loss, RateSchedule, StudyConfig};
pub use counters::Counters;
pub use data::{Centre, Split, SplitIndices};
pub use error::StudyError;
pub use layer::{
    BuildLayer, Layer, LayerKind, LayerShape, LayerStart, StudyLayer, find_layer, layers,
};
pub use score::{Evaluation, Measures, Score};
pub use state::StudyState;
pub use study::{Study, StudySetup, UpdateReport};
pub use task::Task;
