//! Writes, prunes and removes checkpoint folders.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use coordrl_agents::AgentState;
use coordrl_agents::nn::NamedTensors;

use super::error::CheckpointError;
use super::index::{Entry, best, list};
use super::manifest::{FORMAT_VERSION, FileSum, Identity, Manifest, read_manifest};
use super::names::{
    MANIFEST, OPTIMIZER, PROGRESS, REPLACED_PREFIX, REPLAY, TARGET, TEMPORARY_PREFIX, TRAINER,
    WEIGHTS, folder_of, replaced_folder_of,
};
use super::progress::RunProgress;
use crate::durable_file::{sync_dir, write_durably};
use crate::run::weights_file;

/// Streams a replay to a writer, since it may exceed the free memory.
pub type WriteReplay<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

/// Writes a checkpoint atomically and returns its folder.
///
/// An existing checkpoint at this position is kept if it holds this exact state, else replaced:
/// evaluation (and serial Ape-X) can change state without advancing `position`.
pub fn write(
    dir: &Path,
    state: &AgentState,
    progress: &impl RunProgress,
    identity: Identity,
    replay: Option<&WriteReplay<'_>>,
) -> Result<PathBuf, CheckpointError> {
    let path = folder_of(dir, progress.position());
    if holds(&path, progress) {
        return Ok(path);
    }

    let cannot = |cause: io::Error| CheckpointError::CannotWrite { path: path.clone(), cause };
    // Encoded first: if that fails, nothing on disk has been touched.
    let files = encode(state, progress).map_err(|error| cannot(io::Error::other(error)))?;
    // Leftovers of a crash go first: they may hold the names, and the space, needed now.
    tidy(dir).map_err(cannot)?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        identity,
        position: progress.position(),
        updates: progress.updates(),
        score: progress.score(),
        files: files.iter().map(|(name, bytes)| FileSum::of(name, bytes)).collect(),
        replay: None,
        manifest_crc32: 0,
    };

    let temporary = dir.join(format!("{TEMPORARY_PREFIX}{}", progress.position()));
    // Not `create_dir_all`: leftovers of a crash were removed, so whatever is there is not ours,
    // and stays if this fails.
    fs::create_dir(&temporary).map_err(cannot)?;
    write_folder(&temporary, &files, manifest, replay)
        .and_then(|()| put_in_place(dir, &temporary, progress.position()))
        // A partial folder would only keep a full disk full.
        .inspect_err(|_| drop(fs::remove_dir_all(&temporary)))
        .map_err(cannot)?;
    Ok(path)
}

/// Writes a checkpoint of weights alone, at the place of the one of this manifest, into a folder that
/// has none: it plays and cannot be resumed.
pub fn write_weights(
    dir: &Path,
    of: &Manifest,
    weights: &NamedTensors,
) -> Result<(), CheckpointError> {
    let path = folder_of(dir, of.position);
    let cannot = |cause: io::Error| CheckpointError::CannotWrite { path: path.clone(), cause };
    let bytes = weights_file::to_bytes(weights).map_err(|error| cannot(io::Error::other(error)))?;
    let files = [(WEIGHTS, bytes)];
    let sums = files.iter().map(|(name, bytes)| FileSum::of(name, bytes)).collect();
    let manifest = Manifest { files: sums, replay: None, ..of.clone() };
    fs::create_dir_all(&path).map_err(cannot)?;
    write_folder(&path, &files, manifest, None).map_err(cannot)
}

/// Returns `true` if the checkpoint at `path` already holds this exact state; `false` if it is
/// unreadable.
fn holds(path: &Path, progress: &impl RunProgress) -> bool {
    let now = (progress.updates(), progress.score());
    read_manifest(path).is_ok_and(|there| (there.updates, there.score) == now)
}

/// Moves a complete folder to its final name. Any checkpoint already there is renamed first and
/// stays listed until then, so a crash at any moment leaves one of the two.
fn put_in_place(dir: &Path, written: &Path, position: u64) -> io::Result<()> {
    let path = folder_of(dir, position);
    if path.exists() {
        fs::rename(&path, replaced_folder_of(dir, position))?;
    }
    fs::rename(written, &path)?;
    sync_dir(dir)?;
    // Only now, with the new name on disk, may the checkpoint it replaces be removed.
    tidy(dir)
}

fn write_folder(
    folder: &Path,
    files: &[(&str, Vec<u8>)],
    mut manifest: Manifest,
    replay: Option<&WriteReplay<'_>>,
) -> io::Result<()> {
    for (name, bytes) in files {
        write_durably(&folder.join(name), bytes)?;
    }
    // The manifest comes last, since the replay's checksum is known only once it is written.
    manifest.replay = replay.map(|write| write_replay(folder, write)).transpose()?;
    write_durably(&folder.join(MANIFEST), &manifest.encode()?)?;
    // The files are on disk, but after a crash the folder might not list them yet.
    sync_dir(folder)
}

fn write_replay(folder: &Path, write: &WriteReplay<'_>) -> io::Result<FileSum> {
    let mut file = Summing::new(BufWriter::new(File::create(folder.join(REPLAY))?));
    write(&mut file)?;
    file.flush()?;
    let Summing { to, bytes, crc32 } = file;
    // Unwrapped to reach the file: a flush only hands the bytes to the system, a sync to the disk.
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(FileSum { name: REPLAY.to_owned(), bytes, crc32: crc32.finalize() })
}

/// Writer that counts and checksums the bytes passing through.
struct Summing<W> {
    to: W,
    bytes: u64,
    crc32: crc32fast::Hasher,
}

impl<W: Write> Summing<W> {
    fn new(to: W) -> Self {
        Self { to, bytes: 0, crc32: crc32fast::Hasher::new() }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A writer may take only part of the bytes; the caller then passes the rest again.
        let taken = self.to.write(bytes)?;
        self.crc32.update(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn encode(
    state: &AgentState,
    progress: &impl RunProgress,
) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = vec![
        (WEIGHTS, weights_file::to_bytes(&state.weights)?),
        (OPTIMIZER, weights_file::to_bytes(&state.optimizer)?),
        (TRAINER, state.trainer.clone()),
        (PROGRESS, serde_json::to_vec(progress)?),
    ];
    if !state.target.is_empty() {
        files.push((TARGET, weights_file::to_bytes(&state.target)?));
    }
    Ok(files)
}

/// Removes all but the best and the `keep` newest checkpoints, and all replays but the newest.
pub fn prune(dir: &Path, keep: u32) -> Result<(), CheckpointError> {
    let entries = list(dir);
    let old = entries.len().saturating_sub(keep as usize);
    let best = best(&entries).cloned();
    // The best one is chosen among all, before anything is removed, and kept however old it is.
    for entry in &entries[..old] {
        if best.as_ref() != Some(entry) {
            tracing::debug!(path = %entry.path.display(), "pruning a checkpoint");
            remove(dir, entry)?;
        }
    }
    entries.split_last().map_or(Ok(()), |(_, older)| older.iter().try_for_each(remove_replay))
}

/// Returns the size of a checkpoint's replay in bytes; 0 if it has none.
pub fn replay_bytes(checkpoint: &Path) -> u64 {
    fs::metadata(checkpoint.join(REPLAY)).map_or(0, |about| about.len())
}

fn remove_replay(entry: &Entry) -> Result<(), CheckpointError> {
    match fs::remove_file(entry.path.join(REPLAY)) {
        // Most checkpoints have none, or lost it when the next one was written.
        Err(cause) if !matches!(cause.kind(), io::ErrorKind::NotFound) => {
            Err(CheckpointError::CannotWrite { path: entry.path.clone(), cause })
        }
        _ => Ok(()),
    }
}

/// Removes the checkpoints past `position`, because the run is about to diverge from them.
///
/// Also cleans up after crashes: once a checkpoint is removed, a leftover one it had replaced would
/// be listed again.
pub fn remove_later_than(dir: &Path, position: u64) -> Result<(), CheckpointError> {
    tidy(dir).map_err(|cause| CheckpointError::CannotWrite { path: dir.to_owned(), cause })?;
    list(dir)
        .iter()
        .filter(|entry| entry.position > position)
        .try_for_each(|entry| remove(dir, entry))?;
    // Before the caller cuts the metrics: a checkpoint that a power cut brought back would know
    // more of them than there are.
    sync_dir(dir).map_err(|cause| CheckpointError::CannotWrite { path: dir.to_owned(), cause })
}

/// Removes a checkpoint, renaming it first so that a crash cannot leave a partial folder under a
/// final name.
fn remove(dir: &Path, entry: &Entry) -> Result<(), CheckpointError> {
    let temporary = dir.join(format!("{TEMPORARY_PREFIX}old-{}", entry.position));
    fs::rename(&entry.path, &temporary)
        .and_then(|()| fs::remove_dir_all(&temporary))
        .map_err(|cause| CheckpointError::CannotWrite { path: entry.path.clone(), cause })
}

/// Cleans up after a crash. A replaced checkpoint whose successor is missing gets its name back.
fn tidy(dir: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let item = item?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        match name.strip_prefix(REPLACED_PREFIX).map(|name| dir.join(name)) {
            Some(path) if !path.exists() => fs::rename(item.path(), path)?,
            Some(_) => fs::remove_dir_all(item.path())?,
            None if name.starts_with(TEMPORARY_PREFIX) => fs::remove_dir_all(item.path())?,
            None => {}
        }
    }

    Ok(())
}
