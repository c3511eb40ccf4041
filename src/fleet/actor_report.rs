//! Description of an actor process at the broker.

use std::time::Instant;

use coordrl_agents::apex::ActorProgress;
use serde::{Deserialize, Serialize};

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
    /// The learner's update count in the weights it acts with; absent before the first.
    pub weights_of_update: Option<u64>,
    /// Reason for waiting; absent while it acts.
    pub waits_for: Option<String>,
}

/// Measures frames per second over intervals of at least some seconds.
#[derive(Debug)]
pub struct SpeedMeter {
    frame_skip: u64,
    since: Instant,
    agent_steps: u64,
    frames_per_sec: f64,
}

impl SpeedMeter {
    /// Seconds of an interval.
    const INTERVAL: f64 = 3.0;

    /// Starts the first interval.
    pub fn start(frame_skip: u32) -> Self {
        Self {
            frame_skip: frame_skip.into(),
            since: Instant::now(),
            agent_steps: 0,
            frames_per_sec: 0.0,
        }
    }

    /// Returns the frames of a process so far.
    pub fn frames(&self, progress: &ActorProgress) -> u64 {
        progress.agent_steps * self.frame_skip
    }

    /// Returns the speed over the last complete interval.
    pub fn frames_per_sec(&mut self, progress: &ActorProgress) -> f64 {
        let secs = self.since.elapsed().as_secs_f64();
        if secs >= Self::INTERVAL {
            #[expect(clippy::cast_precision_loss, reason = "frames stay far below 2^53")]
            let frames = ((progress.agent_steps - self.agent_steps) * self.frame_skip) as f64;
            self.frames_per_sec = frames / secs;
            (self.since, self.agent_steps) = (Instant::now(), progress.agent_steps);
        }
        self.frames_per_sec
    }
}
