//! What the training loop itself must remember between two processes.

use coordrl_agents::Counters;
use serde::{Deserialize, Serialize};

use crate::metrics::accumulate::{RecentGames, Sums};
use crate::metrics::tensorboard::EventFile;

/// Counters, sums and file lengths of a run, as a checkpoint keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Emulator frames trained.
    pub frames: u64,
    /// Decisions taken, all environments together.
    pub agent_steps: u64,
    /// Optimiser steps.
    pub updates: u64,
    /// Seconds spent training, all sessions together.
    pub wall_secs: f64,
    /// Sums since the last log point.
    pub sums: Sums,
    /// Recent full games.
    pub games: RecentGames,
    /// Length of `metrics.jsonl`; what comes after is cut on resume.
    pub metrics_bytes: u64,
    /// TensorBoard files and their lengths; what comes after is cut on resume.
    pub event_files: Vec<EventFile>,
}

impl Progress {
    /// Takes over the agent's counters.
    pub fn set_counters(&mut self, counters: &Counters) {
        self.frames = counters.frames;
        self.agent_steps = counters.agent_steps;
        self.updates = counters.updates;
    }
}
