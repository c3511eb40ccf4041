//! Reads checkpoints, verifying everything.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use coordrl_agents::AgentState;
use tch::Tensor;

use super::error::CheckpointError;
use super::index::{Entry, choose, list};
use super::manifest::{Identity, Manifest, read_file, read_manifest};
use super::names::{OPTIMIZER, PROGRESS, REPLAY, TARGET, TRAINER, WEIGHTS};
use super::progress::RunProgress;
use crate::run::weights_file;

/// A checkpoint in memory, with every byte verified.
#[derive(Debug)]
pub struct Checkpoint<P> {
    /// Its manifest.
    pub manifest: Manifest,
    /// State of the agent.
    pub state: AgentState,
    /// State of the run loop.
    pub progress: P,
    /// Path of the replay, if there is one; its content is verified as it is read.
    pub replay: Option<PathBuf>,
}

impl<P> Checkpoint<P> {
    /// Opens the replay at its start.
    pub fn open_replay(&self) -> io::Result<Option<BufReader<File>>> {
        self.replay.as_ref().map(|path| Ok(BufReader::new(File::open(path)?))).transpose()
    }
}

/// Reads the newest checkpoint. If it is damaged, the error names the newest intact one before it.
pub fn read_newest<P: RunProgress>(
    dir: &Path,
    whose: &Identity,
) -> Result<Checkpoint<P>, CheckpointError> {
    let newest = choose(dir, "last")?;
    read(&newest.path, whose).map_err(|error| name_previous(dir, error))
}

/// Adds the newest earlier intact checkpoint to a damage report.
fn name_previous(dir: &Path, error: CheckpointError) -> CheckpointError {
    match error {
        CheckpointError::Damaged { path, cause, .. } => {
            let earlier =
                list(dir).into_iter().rev().skip_while(|entry| entry.path != path).skip(1);
            let whole = earlier.map(|entry| entry.path).find(|path| all_files(path).is_ok());
            CheckpointError::Damaged { path, cause, previous: whole }
        }
        other => other,
    }
}

/// Lists the intact checkpoints past `position`.
pub fn valid_after(dir: &Path, position: u64) -> Vec<Entry> {
    let mut later = list(dir);
    later.retain(|entry| entry.position > position && all_files(&entry.path).is_ok());
    later
}

/// Verifies every file against the manifest.
fn all_files(path: &Path) -> Result<(), CheckpointError> {
    let manifest = read_manifest(path)?;
    manifest
        .files
        .iter()
        .try_for_each(|sum| checked_bytes(path, &manifest, &sum.name).map(drop))?;
    replay(path, &manifest).map(drop)
}

/// Returns the replay's path if it exists, after checking its length only: checksumming it here
/// would read gigabytes.
fn replay(path: &Path, manifest: &Manifest) -> Result<Option<PathBuf>, CheckpointError> {
    let file = path.join(REPLAY);
    // A missing file is no damage, since older checkpoints give theirs up to the newest.
    let (Some(sum), Ok(about)) = (&manifest.replay, fs::metadata(&file)) else { return Ok(None) };
    match about.len() == sum.bytes {
        true => Ok(Some(file)),
        false => {
            let cause = format!("{REPLAY} has {} bytes, not {}", about.len(), sum.bytes);
            Err(CheckpointError::damaged(path, cause))
        }
    }
}

/// Reads one checkpoint folder of a run with this identity.
pub fn read<P: RunProgress>(
    path: &Path,
    whose: &Identity,
) -> Result<Checkpoint<P>, CheckpointError> {
    let manifest = read_manifest(path)?;
    // A checkpoint of another kind of run is intact, so it must not end up being called damaged.
    check_identity(path, &manifest, whose)?;
    if manifest.files.iter().all(|sum| sum.name == WEIGHTS) {
        let cause = "it holds weights alone, as `coordrl zoo pack` writes them; train on from them with \
                     `--init-from`";
        return Err(CheckpointError::Unusable { path: path.to_owned(), cause: cause.to_owned() });
    }
    let file = |name| checked_bytes(path, &manifest, name);
    let state = AgentState {
        weights: tensors(path, WEIGHTS, &file(WEIGHTS)?)?,
        optimizer: tensors(path, OPTIMIZER, &file(OPTIMIZER)?)?,
        // Algorithms without a target network write no such file.
        target: match manifest.files.iter().any(|sum| sum.name == TARGET) {
            true => tensors(path, TARGET, &file(TARGET)?)?,
            false => Vec::new(),
        },
        trainer: file(TRAINER)?,
    };

    let progress = serde_json::from_slice(&file(PROGRESS)?).map_err(|error| {
        CheckpointError::damaged(path, format!("{PROGRESS} does not parse: {error}"))
    })?;

    let replay = replay(path, &manifest)?;
    Ok(Checkpoint { manifest, state, progress, replay })
}

/// Reads only the weights of a checkpoint; without an identity, of any run.
pub fn read_weights(
    entry: &Entry,
    whose: Option<&Identity>,
) -> Result<(Manifest, Vec<(String, Tensor)>), CheckpointError> {
    let path = &entry.path;
    read_weights_at(path, whose).map_err(|error| match path.parent() {
        Some(dir) => name_previous(dir, error),
        None => error,
    })
}

/// Reads the weights in one checkpoint folder, and names no other if they are damaged.
fn read_weights_at(
    path: &Path,
    whose: Option<&Identity>,
) -> Result<(Manifest, Vec<(String, Tensor)>), CheckpointError> {
    let manifest = read_manifest(path)?;
    if let Some(whose) = whose {
        check_identity(path, &manifest, whose)?;
    }

    let weights = tensors(path, WEIGHTS, &checked_bytes(path, &manifest, WEIGHTS)?)?;
    Ok((manifest, weights))
}

fn check_identity(
    path: &Path,
    manifest: &Manifest,
    whose: &Identity,
) -> Result<(), CheckpointError> {
    if manifest.identity == *whose {
        return Ok(());
    }
    let cause = format!("it is of a run of `{}`, this run is one of `{whose}`", manifest.identity);
    Err(CheckpointError::Unusable { path: path.to_owned(), cause })
}

fn checked_bytes(path: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>, CheckpointError> {
    let sum = manifest.files.iter().find(|sum| sum.name == name).ok_or_else(|| {
        CheckpointError::damaged(path, format!("manifest.json does not list {name}"))
    })?;
    let bytes = read_file(path, name)?;
    sum.check(&bytes).map_err(|cause| CheckpointError::damaged(path, cause))?;
    Ok(bytes)
}

fn tensors(
    path: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    weights_file::from_bytes(bytes)
        .map_err(|error| CheckpointError::damaged(path, format!("{name}: {error}")))
}
