//! Checkpoints: everything a run needs to resume as if it had never stopped.
//!
//! `checkpoints/<frames>/` holds `weights.safetensors`, `optimizer.safetensors`, `trainer.bin`
//! (counters, generators, environments), `progress.json` (metric sums so far and the lengths of the
//! metric files) and `manifest.json` (sizes and checksums of the others); for agents that have them
//! also `target.safetensors` (the target network) and `replay.bin`.
//!
//! A folder under its final name is complete: it is written under a temporary name, flushed to
//! disk, then renamed. An existing checkpoint at that position is renamed first and stays valid
//! until the new one has its name; only then is it removed.

mod error;
mod index;
mod manifest;
mod names;
mod progress;
mod read;
mod store;
#[cfg(test)]
mod tests;

pub use error::CheckpointError;
pub use index::{Entry, choose, list};
pub use manifest::{Identity, Manifest};
pub use names::folder_of;
pub use progress::RunProgress;
pub use read::{Checkpoint, read, read_newest, read_weights, valid_after};
pub use store::{WriteReplay, prune, remove_later_than, replay_bytes, write, write_weights};
