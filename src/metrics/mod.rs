//! Numbers on their way out: what is measured, summed between log points, and written where.

pub mod accumulate;
pub mod console;
pub mod jsonl;
pub mod perf;
pub mod tags;
pub mod tensorboard;

use std::io;

use tags::Tag;

/// The numbers of one log point. A value is absent where there is nothing to tell yet.
#[derive(Clone, Debug, Default)]
pub struct LogPoint {
    /// Emulator frames trained: the x axis of everything.
    pub frames: u64,
    /// Values in the order of [`tags::ALL`].
    pub values: Vec<(&'static Tag, Option<f64>)>,
}

/// Somewhere log points go.
pub trait MetricSink {
    /// Takes one log point; it can be seen by readers when this returns.
    fn log(&mut self, point: &LogPoint) -> io::Result<()>;

    /// Waits until everything taken so far is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}
