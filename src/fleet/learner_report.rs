//! Description of a learner at the broker.

use std::collections::BTreeMap;
use std::time::Instant;

use coordrl_agents::apex::LearnerProgress;
use serde::{Deserialize, Serialize};

use super::speed::Speed;
use crate::run::run_dir::host_name;

/// A run's learner, as `coordrl fleet` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnerReport {
    /// Host name.
    pub host: String,
    /// Process number on that host.
    pub pid: u32,
    /// Frames in the replay, or that have been.
    pub frames: u64,
    /// Frames per second over the last seconds, from all actors.
    pub frames_per_sec: f64,
    /// Updates so far.
    pub updates: u64,
    /// Batches by actor process.
    pub batches: BTreeMap<String, Batches>,
}

/// Batches of one actor process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    /// Number inserted into the replay.
    pub inserted: u64,
    /// Number missing, or of no use without a missing one.
    pub lost: u64,
}

/// Returns a function that describes this process, for the link to its actors.
pub fn describe_learner() -> impl FnMut(&LearnerProgress) -> String + Send {
    let mut speed = Speed::start();
    move |progress| {
        let frames = progress.counters.frames;
        let batches = progress.accounts.iter().map(|(actor, account)| {
            let batches = Batches { inserted: account.inserted, lost: account.lost };
            (actor.to_string(), batches)
        });
        let report = LearnerReport {
            host: host_name(),
            pid: std::process::id(),
            frames,
            frames_per_sec: speed.update(frames, Instant::now()),
            updates: progress.counters.updates,
            batches: batches.collect(),
        };
        serde_json::to_string(&report).unwrap_or_default()
    }
}
