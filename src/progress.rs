//! What the training loop itself must remember between two processes.

use coordrl_agents::Counters;
use serde::{Deserialize, Serialize};

use crate::checkpoint::RunProgress;
use crate::metrics::accumulate::{RecentGames, Sums};
use crate::metrics::recorder::Written;

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
    /// Mean return of the last evaluation, if the run has any.
    #[serde(default)]
    pub evaluated: Option<f64>,
    /// How much of the metric files is part of this.
    pub written: Written,
}

impl Progress {
    /// Takes over the agent's counters.
    pub fn set_counters(&mut self, counters: &Counters) {
        self.frames = counters.frames;
        self.agent_steps = counters.agent_steps;
        self.updates = counters.updates;
    }
}

impl RunProgress for Progress {
    fn position(&self) -> u64 {
        self.frames
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn score(&self) -> Option<f64> {
        self.evaluated.or_else(|| self.games.mean_return_of_full_window())
    }
}
