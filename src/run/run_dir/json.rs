//! JSON files of a run folder.

use std::path::Path;
use std::{fs, io};

use serde::Serialize;

use super::RunDirError;
use crate::durable_file::replace_file;

/// Reads a file written by [`write_json`].
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let text = fs::read_to_string(path).map_err(|error| RunDirError::damaged(path, error))?;
    serde_json::from_str(&text).map_err(|error| RunDirError::damaged(path, error))
}

/// Writes a value as JSON, atomically.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunDirError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| RunDirError::cannot_write(path, io::Error::other(error)))?;
    text.push('\n');
    replace_file(path, text.as_bytes()).map_err(|cause| RunDirError::cannot_write(path, cause))
}
