//! What every agent tells of itself.

use serde::{Deserialize, Serialize};

/// How far training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Optimiser steps.
    pub updates: u64,
    /// Decisions, over all environments.
    pub agent_steps: u64,
    /// Emulator frames: agent steps × frame skip. Frames spent in resets are not counted.
    pub frames: u64,
}

/// Where the time of the pool's threads went, summed over them, in nanoseconds.
///
/// The sum of all five is the update's wall time × the number of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Inside the emulator.
    pub emulate_nanos: u64,
    /// Turning screens into observations.
    pub preprocess_nanos: u64,
    /// Choosing actions and estimating values.
    pub infer_nanos: u64,
    /// Gradients and the optimiser.
    pub learn_nanos: u64,
    /// Anything else: waiting for a slower actor, bookkeeping, environments that do not say.
    pub wait_nanos: u64,
}

impl Timing {
    /// Adds the times of another part.
    pub(crate) fn add(&mut self, other: &Self) {
        self.emulate_nanos += other.emulate_nanos;
        self.preprocess_nanos += other.preprocess_nanos;
        self.infer_nanos += other.infer_nanos;
        self.learn_nanos += other.learn_nanos;
        self.wait_nanos += other.wait_nanos;
    }

    /// What is left of `total_nanos` is waiting.
    pub(crate) fn fill_wait(&mut self, total_nanos: u64) {
        let busy = self.emulate_nanos + self.preprocess_nanos + self.infer_nanos + self.learn_nanos;
        self.wait_nanos = total_nanos.saturating_sub(busy);
    }
}

/// Nanoseconds since `start`.
pub(crate) fn nanos_since(start: std::time::Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}
