//! Which checkpoints a folder holds, by their names and manifests.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::CheckpointError;
use super::manifest::read_manifest;
use super::names::{folder_of, position_in_name, replaced_folder_of};
use crate::config::parse_count;

/// A whole checkpoint folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the run stood, from the name: emulator frames, or updates of a study.
    pub position: u64,
    /// The folder.
    pub path: PathBuf,
}

/// All checkpoints, oldest first: those under their final names, and one that gave up its name just
/// before a crash.
pub fn list(dir: &Path) -> Vec<Entry> {
    let mut entries: Vec<Entry> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|item| {
            Some(Entry { position: position_in_name(&item.path())?, path: item.path() })
        })
        .filter(|entry| !has_been_replaced(dir, entry))
        .collect();
    entries.sort_by_key(|entry| entry.position);
    entries
}

/// Whether what took its place is there, and only a crash has kept it from being removed.
fn has_been_replaced(dir: &Path, entry: &Entry) -> bool {
    entry.path == replaced_folder_of(dir, entry.position) && folder_of(dir, entry.position).exists()
}

/// Picks one by word: `last`, `best`, or its position.
pub fn choose(dir: &Path, wanted: &str) -> Result<Entry, CheckpointError> {
    let entries = list(dir);
    let last = entries.last().cloned().ok_or_else(|| CheckpointError::NoneFound(dir.to_owned()))?;
    let found = match wanted {
        "last" => Some(last),
        // Before 100 games have ended, or an evaluation fell on a checkpoint, none is best: the
        // last one stands in.
        "best" => Some(best(&entries).cloned().unwrap_or(last)),
        _ => parse_count(wanted)
            .ok()
            .and_then(|position| entries.iter().find(|entry| entry.position == position).cloned()),
    };

    found.ok_or_else(|| CheckpointError::NotFound {
        dir: dir.to_owned(),
        wanted: wanted.to_owned(),
        available: entries
            .iter()
            .map(|entry| entry.position.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The one with the highest score; the later of equals. Damaged ones do not count.
pub(super) fn best(entries: &[Entry]) -> Option<&Entry> {
    entries
        .iter()
        .filter_map(|entry| Some((read_manifest(&entry.path).ok()?.score?, entry)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, entry)| entry)
}
