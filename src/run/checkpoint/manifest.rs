//! Manifest of a checkpoint: its files with sizes and checksums.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::CheckpointError;
use super::names::MANIFEST;

/// Format version; incremented when older programs can no longer read the files.
pub(super) const FORMAT_VERSION: u32 = 4;

/// Description of a checkpoint. `manifest_crc32` protects the manifest itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the folder layout.
    pub format_version: u32,
    /// Kind of run it belongs to.
    pub identity: Identity,
    /// Position on the run's x axis: emulator frames trained, or updates of a study.
    pub position: u64,
    /// Number of optimiser steps so far.
    pub updates: u64,
    /// Score that selects the best checkpoint, highest wins. For a training run the mean return of
    /// the last 100 full games, absent before there are that many; if the run is evaluated, that of
    /// an evaluation with these weights, absent if they were not evaluated.
    pub score: Option<f64>,
    /// All other files of the folder except the replay.
    pub files: Vec<FileSum>,
    /// The replay, if the run saves one. It is large and only the newest checkpoint keeps its own,
    /// so the file may be missing.
    pub replay: Option<FileSum>,
    /// CRC-32 of this manifest, computed with this field set to 0.
    pub manifest_crc32: u32,
}

/// Names that decide whether a checkpoint fits a run, such as `pong a2c conv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity(String);

impl Identity {
    /// Builds the identity of a kind of run: game, algorithm and torso, or task, split and layer.
    pub fn of(names: [&str; 3]) -> Self {
        Self(names.join(" "))
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Size and checksum of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// File name.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-32 (IEEE) of the bytes.
    pub crc32: u32,
}

impl FileSum {
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes) }
    }

    /// Checks length and checksum; the error describes the mismatch.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.bytes {
            return Err(format!("{} has {} bytes, not {}", self.name, bytes.len(), self.bytes));
        }
        if crc32fast::hash(bytes) != self.crc32 {
            return Err(format!("{} is not what was written (checksum differs)", self.name));
        }
        Ok(())
    }
}

impl Manifest {
    /// Fills in the manifest's own checksum and serialises it.
    pub(super) fn encode(mut self) -> serde_json::Result<Vec<u8>> {
        self.manifest_crc32 = self.own_crc32()?;
        let mut bytes = serde_json::to_vec_pretty(&self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses a manifest and verifies its checksum.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("manifest.json does not parse: {error}"))?;
        match manifest.own_crc32() {
            Ok(crc32) if crc32 == manifest.manifest_crc32 => Ok(manifest),
            _ => Err("manifest.json is not what was written (checksum differs)".to_owned()),
        }
    }

    /// Returns the format version of a manifest that is valid JSON but has other fields than this
    /// program knows. One with the expected fields but a wrong checksum is damaged, whatever
    /// version it states.
    fn foreign_format(bytes: &[u8]) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let format = value.get("format_version")?.as_u64()?;
        let has_other_fields = serde_json::from_value::<Self>(value).is_err();
        (has_other_fields && format != u64::from(FORMAT_VERSION)).then_some(format)
    }

    fn own_crc32(&self) -> serde_json::Result<u32> {
        // Over the values, not the bytes of the file, since those contain the checksum itself.
        let blank = Self { manifest_crc32: 0, ..self.clone() };
        Ok(crc32fast::hash(&serde_json::to_vec(&blank)?))
    }
}

/// Reads the manifest of a checkpoint folder.
pub(super) fn read_manifest(path: &Path) -> Result<Manifest, CheckpointError> {
    let bytes = read_file(path, MANIFEST)?;
    let other_format = |format: u64| {
        let cause = format!("it has format {format}, this program reads format {FORMAT_VERSION}");
        CheckpointError::Unusable { path: path.to_owned(), cause }
    };

    match Manifest::parse(&bytes) {
        Ok(manifest) if manifest.format_version != FORMAT_VERSION => {
            Err(other_format(manifest.format_version.into()))
        }
        Ok(manifest) => Ok(manifest),
        Err(cause) => Err(match Manifest::foreign_format(&bytes) {
            Some(format) => other_format(format),
            None => CheckpointError::damaged(path, cause),
        }),
    }
}

/// Reads a file of a checkpoint folder.
pub(super) fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path.join(name))
        .map_err(|error| CheckpointError::damaged(path, format!("{name}: {error}")))
}
