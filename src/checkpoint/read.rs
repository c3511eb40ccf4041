//! Reading checkpoints back, trusting nothing.

use std::fs;
use std::path::Path;

use coordrl_agents::AgentState;
use tch::Tensor;

use super::manifest::FORMAT_VERSION;
use super::{CheckpointError, MANIFEST, Manifest, OPTIMIZER, PROGRESS, TRAINER, WEIGHTS, store};
use crate::progress::Progress;
use crate::weights_file;

/// A checkpoint in memory, every byte of it checked.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says of itself.
    pub manifest: Manifest,
    /// For the agent.
    pub state: AgentState,
    /// For the training loop.
    pub progress: Progress,
}

/// Reads the newest checkpoint. If it is damaged the error names the newest whole one before it.
pub fn read_newest(dir: &Path) -> Result<Checkpoint, CheckpointError> {
    let entries = store::list(dir);
    let (newest, earlier) =
        entries.split_last().ok_or_else(|| CheckpointError::NoneFound(dir.to_owned()))?;
    read(&newest.path).map_err(|error| match error {
        CheckpointError::Damaged { path, cause, .. } => {
            let whole = earlier.iter().rev().find(|entry| read(&entry.path).is_ok());
            CheckpointError::Damaged { path, cause, previous: whole.map(|entry| entry.path.clone()) }
        }
        other => other,
    })
}

/// Reads one checkpoint folder.
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let manifest = manifest(path)?;
    let file = |name| checked_bytes(path, &manifest, name);
    let state = AgentState {
        weights: tensors(path, WEIGHTS, &file(WEIGHTS)?)?,
        optimizer: tensors(path, OPTIMIZER, &file(OPTIMIZER)?)?,
        trainer: file(TRAINER)?,
    };
    let progress = serde_json::from_slice(&file(PROGRESS)?)
        .map_err(|error| CheckpointError::damaged(path, format!("{PROGRESS} does not parse: {error}")))?;
    Ok(Checkpoint { manifest, state, progress })
}

/// Reads only the weights of one checkpoint folder.
pub fn read_weights(path: &Path) -> Result<(Manifest, Vec<(String, Tensor)>), CheckpointError> {
    let manifest = manifest(path)?;
    let weights = tensors(path, WEIGHTS, &checked_bytes(path, &manifest, WEIGHTS)?)?;
    Ok((manifest, weights))
}

pub(super) fn manifest(path: &Path) -> Result<Manifest, CheckpointError> {
    let bytes = read_file(path, MANIFEST)?;
    let manifest = Manifest::open(&bytes).map_err(|cause| CheckpointError::damaged(path, cause))?;
    if manifest.format_version != FORMAT_VERSION {
        let cause = format!(
            "it has format {}, this program reads format {FORMAT_VERSION}",
            manifest.format_version
        );
        return Err(CheckpointError::Unusable { path: path.to_owned(), cause });
    }
    Ok(manifest)
}

fn checked_bytes(path: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>, CheckpointError> {
    let sum = manifest
        .files
        .iter()
        .find(|sum| sum.name == name)
        .ok_or_else(|| CheckpointError::damaged(path, format!("manifest.json does not list {name}")))?;
    let bytes = read_file(path, name)?;
    sum.check(&bytes).map_err(|cause| CheckpointError::damaged(path, cause))?;
    Ok(bytes)
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path.join(name)).map_err(|error| CheckpointError::damaged(path, format!("{name}: {error}")))
}

fn tensors(path: &Path, name: &str, bytes: &[u8]) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    weights_file::from_bytes(bytes).map_err(|error| CheckpointError::damaged(path, format!("{name}: {error}")))
}
