//! Numbers on their way out: what is measured, summed between log points, and written where.

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

/// What the x axis of a kind of run counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Emulator frames trained.
    Frames,
    /// Optimiser steps of a study.
    Updates,
}

impl Axis {
    /// The word for it in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Updates => "updates",
        }
    }
}

/// The numbers of one log point. A value is absent where there is nothing to tell yet.
#[derive(Clone, Debug)]
pub struct LogPoint {
    /// What the position counts.
    pub axis: Axis,
    /// Where the run stands on the x axis.
    pub position: u64,
    /// Values in the order of [`tags::TRAINING`], or as a study has them.
    pub values: Vec<(&'static Tag, Option<f64>)>,
}

/// Somewhere log points go.
pub trait MetricSink {
    /// Takes one log point; it can be seen by readers when this returns.
    fn log(&mut self, point: &LogPoint) -> io::Result<()>;

    /// Waits until everything taken so far is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}
