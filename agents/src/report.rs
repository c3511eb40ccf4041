//! Counters and timings common to all agents.

use serde::{Deserialize, Serialize};

/// Training progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Optimiser steps.
    pub updates: u64,
    /// Decisions across all environments.
    pub agent_steps: u64,
    /// Emulator frames: agent steps × frame skip, excluding resets.
    pub frames: u64,
}

/// Time of the pool's threads by activity, summed over threads, in nanoseconds.
///
/// The five values add up to the update's wall time × the number of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Emulation.
    pub emulate_nanos: u64,
    /// Conversion of screens to observations.
    pub preprocess_nanos: u64,
    /// Action selection and value estimation.
    pub infer_nanos: u64,
    /// Gradients and the optimiser.
    pub learn_nanos: u64,
    /// Everything else: waiting for a slower actor, bookkeeping, environments that report no
    /// timing.
    pub wait_nanos: u64,
}

impl Timing {
    /// Adds the times of another part.
    pub fn add(&mut self, other: &Self) {
        self.emulate_nanos += other.emulate_nanos;
        self.preprocess_nanos += other.preprocess_nanos;
        self.infer_nanos += other.infer_nanos;
        self.learn_nanos += other.learn_nanos;
        self.wait_nanos += other.wait_nanos;
    }

    /// Assigns the remainder of `total_nanos` to waiting.
    pub(crate) fn fill_wait(&mut self, total_nanos: u64) {
        let busy = self.emulate_nanos + self.preprocess_nanos + self.infer_nanos + self.learn_nanos;
        self.wait_nanos = total_nanos.saturating_sub(busy);
    }
}

/// Returns the nanoseconds since `start`.
pub(crate) fn nanos_since(start: std::time::Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}
