//! Speeds of parts of a training run, measured in turns of a few seconds.
//!
//! A turn that a busy machine slowed shows in the spread; the median is the number to quote.

mod agent;
mod env;
mod replay;

use std::time::{Duration, Instant};

use coordrl_agents::{Counters, Timing};
use serde::Serialize;

pub use agent::AgentBench;
pub use env::EnvBench;
pub use replay::{ReplayBench, ReplaySpeeds};

use crate::stop_flag::StopFlag;

/// Number and length of the turns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Turns {
    /// Number of turns that count.
    pub count: u32,
    /// Least length of a turn in seconds.
    pub secs: f64,
}

/// Something whose speed is measured.
pub trait Benched {
    /// Does some work, at most a fraction of a second of it.
    ///
    /// # Errors
    /// If it fails.
    fn step(&mut self) -> anyhow::Result<()>;

    /// Returns the work since the last call, and the time it took by activity.
    fn take_work(&mut self) -> WorkDone;
}

/// Work done, and the threads' time.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkDone {
    /// Frames, agent steps and updates.
    pub counters: Counters,
    /// Time by activity.
    pub timing: Timing,
}

/// Speeds over some turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speeds {
    /// Decisions per second, over all environments.
    pub agent_steps_per_sec: TurnSpread,
    /// Emulator frames per second, over all environments.
    pub frames_per_sec: TurnSpread,
    /// Optimiser steps per second; 0 where nothing learns.
    pub updates_per_sec: TurnSpread,
    /// Where the time goes.
    pub micros_per_agent_step: Activities,
}

/// Median and range of a number over all turns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TurnSpread {
    /// Median.
    pub median: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
}

/// Threads' time by activity per agent step, summed over threads: medians, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Activities {
    /// Emulation.
    pub emulate: f64,
    /// Conversion of screens to observations.
    pub preprocess: f64,
    /// Action selection and value estimation.
    pub infer: f64,
    /// Gradients and the optimiser.
    pub learn: f64,
    /// Everything else.
    pub wait: f64,
}

/// Work of one turn.
struct BenchTurn {
    work: WorkDone,
    secs: f64,
}

impl Turns {
    /// Measures `subject`, which has been warmed up. Returns `None` if stopped before the first
    /// turn was over.
    ///
    /// # Errors
    /// If the subject fails.
    pub fn measure(
        self,
        subject: &mut impl Benched,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<Speeds>> {
        let mut turns = Vec::new();
        // Drops the warm-up, whose first update builds caches and may fill a replay.
        subject.take_work();
        for _ in 0..self.count {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs_f64(self.secs) {
                // The turn under way is dropped: it may be too short to say anything.
                if stop.is_raised() {
                    return Ok(Speeds::of(&turns));
                }
                subject.step()?;
            }
            let secs = start.elapsed().as_secs_f64();
            turns.push(BenchTurn { work: subject.take_work(), secs });
        }

        Ok(Speeds::of(&turns))
    }

    /// Measures calls of `work` per second. Returns `None` if stopped before the first turn was over.
    ///
    /// # Errors
    /// If `work` fails.
    pub fn rate(
        self,
        stop: &StopFlag,
        mut work: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<TurnSpread>> {
        let mut rates = Vec::new();
        for _ in 0..self.count {
            let start = Instant::now();
            let mut done = 0.0;
            while start.elapsed() < Duration::from_secs_f64(self.secs) {
                if stop.is_raised() {
                    return Ok(TurnSpread::of(rates.into_iter()));
                }
                work()?;
                done += 1.0;
            }
            rates.push(done / start.elapsed().as_secs_f64());
        }
        Ok(TurnSpread::of(rates.into_iter()))
    }
}

impl Speeds {
    fn of(turns: &[BenchTurn]) -> Option<Self> {
        Some(Self {
            agent_steps_per_sec: per_sec(turns, |counters| counters.agent_steps)?,
            frames_per_sec: per_sec(turns, |counters| counters.frames)?,
            updates_per_sec: per_sec(turns, |counters| counters.updates)?,
            micros_per_agent_step: Activities {
                emulate: micros(turns, |timing| timing.emulate_nanos)?,
                preprocess: micros(turns, |timing| timing.preprocess_nanos)?,
                infer: micros(turns, |timing| timing.infer_nanos)?,
                learn: micros(turns, |timing| timing.learn_nanos)?,
                wait: micros(turns, |timing| timing.wait_nanos)?,
            },
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn per_sec(turns: &[BenchTurn], count: fn(&Counters) -> u64) -> Option<TurnSpread> {
    TurnSpread::of(turns.iter().map(|turn| count(&turn.work.counters) as f64 / turn.secs))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn micros(turns: &[BenchTurn], nanos: fn(&Timing) -> u64) -> Option<f64> {
    let per_step = turns.iter().map(|turn| {
        // Experience of threaded actors arrives in messages, so a short turn may count no step.
        let steps = turn.work.counters.agent_steps.max(1);
        nanos(&turn.work.timing) as f64 / 1000.0 / steps as f64
    });
    Some(TurnSpread::of(per_step)?.median)
}

impl TurnSpread {
    /// Multiplies by a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let [median, min, max] = [self.median, self.min, self.max].map(|value| value * factor);
        Self { median, min, max }
    }

    /// Summarises one number per turn; `None` without any.
    fn of(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let numbers: Vec<f64> = numbers.collect();
        let min = numbers.iter().copied().reduce(f64::min)?;
        let max = numbers.iter().copied().reduce(f64::max)?;
        Some(Self { median: coordrl_stats::median(numbers), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_that_of_the_numbers() {
        let spread = TurnSpread::of([3.0, 1.0, 2.0].into_iter());
        assert_eq!(spread, Some(TurnSpread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(TurnSpread::of(std::iter::empty()), None);
    }

    #[test]
    fn speeds_are_work_by_time() {
        let turn = |agent_steps, secs| BenchTurn {
            work: WorkDone {
                counters: Counters { agent_steps, frames: 4 * agent_steps, updates: 1 },
                timing: Timing { learn_nanos: 3_000_000, ..Timing::default() },
            },
            secs,
        };
        let speeds = Speeds::of(&[turn(100, 2.0), turn(300, 2.0), turn(200, 2.0)]).unwrap();
        let spread = |median, min, max| TurnSpread { median, min, max };
        assert_eq!(speeds.agent_steps_per_sec, spread(100.0, 50.0, 150.0));
        assert_eq!(speeds.frames_per_sec, spread(400.0, 200.0, 600.0));
        assert_eq!(speeds.updates_per_sec, spread(0.5, 0.5, 0.5));
        assert_eq!(speeds.micros_per_agent_step.learn, 15.0);
        assert_eq!(speeds.micros_per_agent_step.wait, 0.0);
        assert_eq!(Speeds::of(&[]), None);
    }

    /// Counts its steps, and stops the measurement at the tenth.
    struct Counted(u64, StopFlag);

    impl Benched for Counted {
        fn step(&mut self) -> anyhow::Result<()> {
            self.0 += 1;
            if self.0 == 10 {
                self.1.raise();
            }
            Ok(())
        }

        fn take_work(&mut self) -> WorkDone {
            WorkDone::default()
        }
    }

    #[test]
    fn a_stop_ends_the_measurement_with_the_turns_that_are_over() {
        let stop = StopFlag::default();
        let mut subject = Counted(0, stop.clone());
        let endless = Turns { count: 1, secs: 3600.0 };
        assert_eq!(endless.measure(&mut subject, &stop).unwrap(), None);
        assert_eq!(subject.0, 10);
    }
}
