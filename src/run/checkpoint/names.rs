//! Names of checkpoint folders and of the files inside them.

use std::path::{Path, PathBuf};

pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
pub(super) const TARGET: &str = "target.safetensors";
pub(super) const TRAINER: &str = "trainer.bin";
pub(super) const PROGRESS: &str = "progress.json";
pub(super) const REPLAY: &str = "replay.bin";
pub(super) const MANIFEST: &str = "manifest.json";

/// Prefix of temporary folders. A crash may leave them; the next write removes them.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";
/// Prefix of a complete checkpoint that is being replaced; it remains usable until its successor
/// has its name.
pub(super) const REPLACED_PREFIX: &str = ".replaced-";

/// Returns the folder of the checkpoint at `position`.
pub fn folder_of(dir: &Path, position: u64) -> PathBuf {
    // Padded, so that ordinary listings sort by position.
    dir.join(format!("{position:012}"))
}

/// Returns its folder while it is being replaced.
pub(super) fn replaced_folder_of(dir: &Path, position: u64) -> PathBuf {
    dir.join(format!("{REPLACED_PREFIX}{position:012}"))
}

pub(super) fn position_in_name(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_prefix(REPLACED_PREFIX).unwrap_or(name);
    // `parse` alone would also accept a leading `+`.
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok())?
}
