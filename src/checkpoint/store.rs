//! Writing, listing and clearing out checkpoint folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coordrl_agents::AgentState;

use super::manifest::{FORMAT_VERSION, FileSum};
use super::{
    CheckpointError, Identity, MANIFEST, Manifest, OPTIMIZER, PROGRESS, RunProgress, TRAINER, WEIGHTS, read,
};
use crate::run_dir::{sync_dir, write_durably};
use crate::weights_file;

/// Folders that a crash may leave; cleared by the next write.
const TEMPORARY_PREFIX: &str = ".tmp-";

/// A checkpoint folder under its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the run stood, from the name: emulator frames, or updates of a study.
    pub position: u64,
    /// The folder.
    pub path: PathBuf,
}

/// Writes a checkpoint whole or not at all, and gives its folder.
///
/// One that is there already under this position is kept: it holds the same.
pub fn write(
    dir: &Path,
    state: &AgentState,
    progress: &impl RunProgress,
    identity: Identity,
) -> Result<PathBuf, CheckpointError> {
    let path = folder_of(dir, progress.position());
    if path.exists() {
        return Ok(path);
    }
    let cannot = |cause: io::Error| CheckpointError::CannotWrite { path: path.clone(), cause };
    let files = encode(state, progress, identity).map_err(|error| cannot(io::Error::other(error)))?;
    remove_temporary(dir).map_err(cannot)?;
    let temporary = dir.join(format!("{TEMPORARY_PREFIX}{}", progress.position()));
    write_folder(&temporary, &files)
        .and_then(|()| fs::rename(&temporary, &path))
        // A half-written folder would only keep a full disk full.
        .inspect_err(|_| drop(fs::remove_dir_all(&temporary)))
        .and_then(|()| sync_dir(dir))
        .map_err(cannot)?;
    Ok(path)
}

fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir(folder)?;
    for (name, bytes) in files {
        write_durably(&folder.join(name), bytes)?;
    }
    sync_dir(folder)
}

fn encode(
    state: &AgentState,
    progress: &impl RunProgress,
    identity: Identity,
) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = vec![
        (WEIGHTS, weights_file::to_bytes(&state.weights)?),
        (OPTIMIZER, weights_file::to_bytes(&state.optimizer)?),
        (TRAINER, state.trainer.clone()),
        (PROGRESS, serde_json::to_vec(progress)?),
    ];
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        identity,
        position: progress.position(),
        updates: progress.updates(),
        score: progress.score(),
        files: files.iter().map(|(name, bytes)| FileSum::of(name, bytes)).collect(),
        manifest_crc32: 0,
    };
    files.push((MANIFEST, manifest.seal()?));
    Ok(files)
}

/// All checkpoints under their final names, oldest first.
pub fn list(dir: &Path) -> Vec<Entry> {
    let mut entries: Vec<Entry> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|item| Some(Entry { position: position_in_name(&item.path())?, path: item.path() }))
        .collect();
    entries.sort_by_key(|entry| entry.position);
    entries
}

/// Picks one by word: `last`, `best`, or its position.
pub fn choose(dir: &Path, wanted: &str) -> Result<Entry, CheckpointError> {
    let entries = list(dir);
    let last = entries.last().cloned().ok_or_else(|| CheckpointError::NoneFound(dir.to_owned()))?;
    let found = match wanted {
        "last" => Some(last),
        // Before 100 games have ended no checkpoint is called best; the last one stands in.
        "best" => Some(best(&entries).cloned().unwrap_or(last)),
        _ => wanted
            .parse()
            .ok()
            .and_then(|position: u64| entries.iter().find(|entry| entry.position == position).cloned()),
    };
    found.ok_or_else(|| CheckpointError::NotFound {
        dir: dir.to_owned(),
        wanted: wanted.to_owned(),
        available: entries.iter().map(|entry| entry.position.to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// Removes all but the `keep` newest and the best.
pub fn prune(dir: &Path, keep: u32) -> Result<(), CheckpointError> {
    let entries = list(dir);
    let old = entries.len().saturating_sub(keep as usize);
    let best = best(&entries).cloned();
    for entry in &entries[..old] {
        if best.as_ref() != Some(entry) {
            tracing::debug!(path = %entry.path.display(), "pruning a checkpoint");
            remove(dir, entry)?;
        }
    }
    Ok(())
}

/// Removes the checkpoints past `position`: the run is about to go another way from there.
pub fn remove_later_than(dir: &Path, position: u64) -> Result<(), CheckpointError> {
    list(dir).iter().filter(|entry| entry.position > position).try_for_each(|entry| remove(dir, entry))
}

/// Renames before removing, so that a crash cannot leave half a folder under a final name.
fn remove(dir: &Path, entry: &Entry) -> Result<(), CheckpointError> {
    let temporary = dir.join(format!("{TEMPORARY_PREFIX}old-{}", entry.position));
    fs::rename(&entry.path, &temporary)
        .and_then(|()| fs::remove_dir_all(&temporary))
        .map_err(|cause| CheckpointError::CannotWrite { path: entry.path.clone(), cause })
}

fn remove_temporary(dir: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let item = item?;
        if item.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            fs::remove_dir_all(item.path())?;
        }
    }
    Ok(())
}

/// The one with the highest score; the later of equals. Damaged ones do not count.
fn best(entries: &[Entry]) -> Option<&Entry> {
    entries
        .iter()
        .filter_map(|entry| Some((read::manifest(&entry.path).ok()?.score?, entry)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, entry)| entry)
}

/// The folder of the checkpoint at `position`.
pub fn folder_of(dir: &Path, position: u64) -> PathBuf {
    dir.join(format!("{position:012}"))
}

pub(super) fn position_in_name(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok())?
}
