//! One training run, from its settings to its last checkpoint.
//!
//! - [`launch`]: a new run, a resumed one, or a fork, with what may change between them.
//! - [`assemble`]: builds environments, worker threads and an agent from resolved settings.
//! - [`train_loop`]: update, log, evaluate, checkpoint; [`progress`]: its own part of a checkpoint.
//! - [`run_dir`]: the run folder, its lock, and the only code that knows its files.
//! - [`checkpoint`]: everything needed to resume exactly; [`weights_file`]: named tensors as
//!   safetensors.

pub mod assemble;
pub mod checkpoint;
pub mod launch;
pub mod progress;
pub mod run_dir;
pub mod train_loop;
pub mod weights_file;
