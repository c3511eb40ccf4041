//! JSON files of a run folder.

use std::path::Path;
use std::{fs, io};

use serde::Serialize;

use super::RunDirError;
use crate::durable_file::replace_file;

/// Reads a file written by [`write_json`].
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let damaged = |cause: String| RunDirError::Damaged { path: path.to_owned(), cause };
    let text = fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}

/// Writes a value as JSON, atomically.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunDirError> {
    let cannot = |cause| RunDirError::CannotWrite { path: path.to_owned(), cause };
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| cannot(io::Error::other(error)))?;
    text.push('\n');
    replace_file(path, text.as_bytes()).map_err(cannot)
}
