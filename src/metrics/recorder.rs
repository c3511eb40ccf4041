//! Metric files of one run, kept in step: `metrics.jsonl` and TensorBoard event files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::jsonl::JsonlSink;
use super::tensorboard::{EventFile, TensorBoardSink};
use super::{LogPoint, MetricSink};
use crate::run::run_dir::{RunDir, RunDirError};

/// Lengths of the metric files at a checkpoint. Anything beyond them is truncated on resume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Length of `metrics.jsonl`.
    pub metrics_bytes: u64,
    /// TensorBoard event files and their lengths.
    pub event_files: Vec<EventFile>,
}

/// Writer of log points to all metric files of a run.
pub struct Recorder {
    jsonl: JsonlSink,
    tensorboard: TensorBoardSink,
    metrics_path: PathBuf,
    events_dir: PathBuf,
}

impl Recorder {
    /// Checks that the files reach the lengths stored in a checkpoint. Changes nothing.
    ///
    /// # Errors
    /// If `metrics.jsonl` is shorter; `way_on` is the advice in the error.
    pub fn check(run: &RunDir, written: &Written, way_on: &str) -> Result<(), RunDirError> {
        // Event files only duplicate this one, so they are not checked.
        let path = run.metrics_path();
        let length = std::fs::metadata(&path).map_or(0, |about| about.len());
        if length >= written.metrics_bytes {
            return Ok(());
        }
        let known = written.metrics_bytes;
        let cause = format!("it has {length} bytes, the checkpoint knows {known}; {way_on}");
        Err(RunDirError::Damaged { path, cause })
    }

    /// Opens the files, truncated to the lengths in the checkpoint. `position` is the position of
    /// the run.
    pub fn open(run: &RunDir, written: &Written, position: u64) -> Result<Self, RunDirError> {
        let metrics_path = run.metrics_path();
        let events_dir = run.events_dir();
        let jsonl = JsonlSink::open(&metrics_path, written.metrics_bytes)
            .map_err(|cause| RunDirError::cannot_write(&metrics_path, cause))?;
        let tensorboard = TensorBoardSink::open(&events_dir, &written.event_files, position)
            .map_err(|cause| RunDirError::cannot_write(&events_dir, cause))?;
        Ok(Self { jsonl, tensorboard, metrics_path, events_dir })
    }

    /// Writes one log point, visible to readers when this returns.
    pub fn log(&mut self, point: &LogPoint) -> Result<(), RunDirError> {
        // The authority first: a crash in between costs the events, which only duplicate it.
        self.jsonl
            .log(point)
            .map_err(|cause| RunDirError::cannot_write(&self.metrics_path, cause))?;
        self.tensorboard
            .log(point)
            .map_err(|cause| RunDirError::cannot_write(&self.events_dir, cause))
    }

    /// Waits until everything is on disk and returns the lengths, so that a checkpoint never refers
    /// to bytes that a crash could lose.
    pub fn sync(&mut self) -> Result<Written, RunDirError> {
        self.jsonl.sync().map_err(|cause| RunDirError::cannot_write(&self.metrics_path, cause))?;
        let events = self.tensorboard.sync().and_then(|()| self.tensorboard.files());
        let event_files =
            events.map_err(|cause| RunDirError::cannot_write(&self.events_dir, cause))?;
        Ok(Written { metrics_bytes: self.jsonl.bytes(), event_files })
    }
}
