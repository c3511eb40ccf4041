//! Description of an actor process at the broker.

use std::time::Instant;

use coordrl_agents::apex::ActorProgress;
use serde::{Deserialize, Serialize};

use super::speed::Speed;
use crate::run::run_dir::host_name;

/// One actor process, as `coordrl fleet` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorReport {
    /// Host name.
    pub host: String,
    /// Process number on that host.
    pub pid: u32,
    /// Number of environments.
    pub environments: usize,
    /// Frames whose experience is at the broker, or has been.
    pub frames: u64,
    /// Frames per second over the last seconds.
    pub frames_per_sec: f64,
    /// Share of the last seconds in which it waited.
    pub waiting_share: f64,
    /// The learner's update count in the weights it acts with; absent before the first.
    pub weights_of_update: Option<u64>,
    /// Reason for waiting; absent while it acts.
    pub waits_for: Option<String>,
}

/// Describes the actor process that runs.
#[derive(Debug)]
pub struct ActorReporter {
    environments: usize,
    frame_skip: u64,
    frames: Speed,
    /// Microseconds of waiting.
    waiting: Speed,
}

impl ActorReporter {
    /// Starts to measure speeds.
    pub fn start(environments: usize, frame_skip: u32) -> Self {
        let [frames, waiting] = [Speed::start(), Speed::start()];
        Self { environments, frame_skip: frame_skip.into(), frames, waiting }
    }

    /// Describes this process.
    pub fn report(&mut self, progress: &ActorProgress) -> ActorReport {
        let now = Instant::now();
        let frames = progress.agent_steps * self.frame_skip;
        let waited = u64::try_from(progress.waited.as_micros()).unwrap_or(u64::MAX);
        ActorReport {
            host: host_name(),
            pid: std::process::id(),
            environments: self.environments,
            frames,
            frames_per_sec: self.frames.update(frames, now),
            waiting_share: (self.waiting.update(waited, now) / 1e6).min(1.0),
            weights_of_update: progress.weights_version,
            waits_for: progress.waits_for.clone(),
        }
    }
}
