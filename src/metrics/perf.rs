//! Speed and time shares. They belong to the process, not to the run, so they are never in a
//! checkpoint.

use std::time::{Duration, Instant};

use coordrl_agents::Timing;

use super::tags::{self, Tag};

/// Meter for the time between two log points.
#[derive(Clone, Debug)]
pub struct PerfMeter {
    started: Instant,
    start_frames: u64,
    timing: Timing,
}

impl PerfMeter {
    /// Starts measuring at `frames`.
    pub fn start(frames: u64) -> Self {
        Self { started: Instant::now(), start_frames: frames, timing: Timing::default() }
    }

    /// Excludes time that was not spent training.
    pub fn leave_out(&mut self, time: Duration) {
        // A later start shortens the interval by as much.
        self.started += time;
    }

    /// Adds the timings of one update.
    pub fn add(&mut self, timing: &Timing) {
        self.timing.emulate_nanos += timing.emulate_nanos;
        self.timing.preprocess_nanos += timing.preprocess_nanos;
        self.timing.infer_nanos += timing.infer_nanos;
        self.timing.learn_nanos += timing.learn_nanos;
        self.timing.wait_nanos += timing.wait_nanos;
    }

    /// Returns the values for a log point at `frames`.
    #[expect(clippy::cast_precision_loss, reason = "speeds need no 53 bits")]
    pub fn values(&self, frames: u64) -> [(&'static Tag, Option<f64>); 7] {
        let frames = frames.saturating_sub(self.start_frames) as f64;
        let secs = self.started.elapsed().as_secs_f64();
        [
            (&tags::FRAMES_PER_SEC, (secs > 0.0).then(|| frames / secs)),
            (&tags::EMULATE_SECS, secs_per_million(self.timing.emulate_nanos, frames)),
            (&tags::PREPROCESS_SECS, secs_per_million(self.timing.preprocess_nanos, frames)),
            (&tags::INFER_SECS, secs_per_million(self.timing.infer_nanos, frames)),
            (&tags::LEARN_SECS, secs_per_million(self.timing.learn_nanos, frames)),
            (&tags::WAIT_SECS, secs_per_million(self.timing.wait_nanos, frames)),
            (&tags::MEMORY_MIB, resident_mib()),
        ]
    }
}

/// Returns seconds per million frames; `None` if there were no frames.
#[expect(clippy::cast_precision_loss, reason = "times need no 53 bits")]
fn secs_per_million(nanos: u64, frames: f64) -> Option<f64> {
    (frames > 0.0).then(|| nanos as f64 / 1e9 / (frames / 1e6))
}

/// Reads the resident memory of the process from the line `VmRSS:   123456 kB`.
#[cfg(target_os = "linux")]
pub fn resident_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Returns `None`: the resident memory is unknown on this platform.
#[cfg(not(target_os = "linux"))]
pub fn resident_mib() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_per_million_frames() {
        let mut meter = PerfMeter::start(1_000);
        meter.add(&Timing { learn_nanos: 3_000_000_000, ..Timing::default() });
        let values = meter.values(501_000);
        let learn = values.iter().find(|(tag, _)| **tag == tags::LEARN_SECS).unwrap().1;
        assert_eq!(learn, Some(6.0));
        assert_eq!(meter.values(1_000)[1].1, None, "no frames, no rate");
    }
}
