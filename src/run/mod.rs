//! A training run, from its first update to its last checkpoint, whatever it trains.
//!
//! - [`trainable`]: the interface to what is trained: an agent on a game, or a study.
//! - [`train_loop`]: update, evaluate, log, checkpoint.
//! - [`launch`]: creates the folder of a run, or resumes in it.
//! - [`run_dir`]: the run folder, its lock, and the only code that knows its file names.
//! - [`checkpoint`]: everything needed to resume exactly; [`weights_file`]: named tensors as
//!   safetensors.
//! - [`threads`]: worker threads.

pub mod checkpoint;
pub mod launch;
pub mod run_dir;
pub mod threads;
pub mod train_loop;
pub mod trainable;
pub mod weights_file;
