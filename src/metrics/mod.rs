//! Metrics: definition, accumulation between log points, and output.

pub mod accumulate;
pub mod console;
pub mod jsonl;
pub mod perf;
pub mod read;
pub mod recorder;
pub mod tags;
pub mod tensorboard;

use std::io;

use tags::Tag;

/// Unit of a run's x axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogAxis {
    /// Emulator frames trained.
    Frames,
    /// Optimiser steps of a study.
    Updates,
}

impl LogAxis {
    /// Returns the name of the axis in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Updates => "updates",
        }
    }
}

/// Values of one log point. A value is `None` if there is none yet.
#[derive(Clone, Debug)]
pub struct LogPoint {
    /// Axis of the position.
    pub axis: LogAxis,
    /// Position of the run on the x axis.
    pub position: u64,
    /// Values in the order of [`tags::TRAINING`], or of the study.
    pub values: Vec<(&'static Tag, Option<f64>)>,
}

/// Destination of log points.
pub trait MetricSink {
    /// Writes one log point, visible to readers when this returns.
    fn log(&mut self, point: &LogPoint) -> io::Result<()>;

    /// Waits until everything written so far is on disk.
    fn sync(&mut self) -> io::Result<()>;
}
