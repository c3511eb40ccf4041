//! A training run, from its settings to its last checkpoint.
//!
//! - [`launch`]: starts, resumes or forks a run, and decides which settings may change.
//! - [`assemble`]: builds environments, worker threads and an agent from resolved settings.
//! - [`train_loop`]: update, log, evaluate, checkpoint; [`progress`]: its state in a checkpoint.
//! - [`run_dir`]: the run folder, its lock, and the only code that knows its file names.
//! - [`checkpoint`]: everything needed to resume exactly; [`weights_file`]: named tensors as
//!   safetensors.

pub mod assemble;
pub mod checkpoint;
pub mod launch;
pub mod progress;
pub mod run_dir;
pub mod train_loop;
pub mod weights_file;
