//! Finds checkpoints by folder name and manifest.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::CheckpointError;
use super::manifest::read_manifest;
use super::names::{folder_of, position_in_name, replaced_folder_of};
use crate::config::parse_count;

/// A complete checkpoint folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the run, parsed from the name: emulator frames, or updates of a study.
    pub position: u64,
    /// The folder.
    pub path: PathBuf,
}

/// Lists all checkpoints, oldest first: those under their final names, and any that was renamed for
/// replacement just before a crash.
pub fn list(dir: &Path) -> Vec<Entry> {
    // A folder that cannot be read counts as empty, which `choose` reports as having no checkpoint.
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

/// Returns `true` if the replacement is in place and only a crash prevented this entry's removal.
fn has_been_replaced(dir: &Path, entry: &Entry) -> bool {
    entry.path == replaced_folder_of(dir, entry.position) && folder_of(dir, entry.position).exists()
}

/// Selects a checkpoint: `last`, `best`, or a position.
pub fn choose(dir: &Path, wanted: &str) -> Result<Entry, CheckpointError> {
    let entries = list(dir);
    let last = entries.last().cloned().ok_or_else(|| CheckpointError::NoneFound(dir.to_owned()))?;
    let found = match wanted {
        "last" => Some(last),
        // There is no best one before 100 games have ended or a checkpoint was evaluated; fall back
        // to the last.
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

/// Returns the checkpoint with the highest score, the later of equals. Damaged ones are skipped.
pub(super) fn best(entries: &[Entry]) -> Option<&Entry> {
    entries
        .iter()
        // `max_by` returns the last of equals, hence the later one.
        .filter_map(|entry| Some((read_manifest(&entry.path).ok()?.score?, entry)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, entry)| entry)
}
