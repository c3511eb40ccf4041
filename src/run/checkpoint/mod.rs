//! Checkpoints: everything a run needs to go on as if it had never stopped.
//!
//! `checkpoints/<frames>/` holds `weights.safetensors`, `optimizer.safetensors`, `trainer.bin`
//! (counters, generators, environments), `progress.json` (sums of the metrics so far and where
//! their files end) and `manifest.json` (sizes and checksums of the others); of agents that have
//! them also `target.safetensors` (the target network) and `replay.bin`. A folder under its final
//! name is whole: it was written under a temporary name, flushed to disk, then renamed. If one of
//! that position is there, it is renamed first and counts until the new one has its name; only then
//! it is removed.

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
pub use store::{WriteReplay, prune, remove_later_than, replay_bytes, write};
