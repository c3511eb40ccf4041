//! What the training loop itself must remember between two processes.

use coordrl_agents::Counters;
use serde::{Deserialize, Serialize};

use crate::metrics::accumulate::{MetricAccumulator, RecentGames};
use crate::metrics::recorder::Written;
use crate::run::checkpoint::RunProgress;

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
    pub sums: MetricAccumulator,
    /// Recent full games.
    pub games: RecentGames,
    /// Up to where it has been seen to whether to evaluate, film, log and checkpoint. Behind
    /// `frames` where a run was stopped in the middle of that: the rest is made up for.
    pub settled_frames: u64,
    /// What the best checkpoint goes by.
    pub best_by: BestBy,
    /// How much of the metric files is part of this.
    pub written: Written,
}

/// Which games decide what the best checkpoint is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// The last 100 of the training.
    #[default]
    Training,
    /// Those of an evaluation with the very weights of the checkpoint.
    Evaluation {
        /// Updates behind the weights that were evaluated last.
        updates: u64,
        /// Mean return; absent before the first evaluation.
        mean: Option<f64>,
    },
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
        match self.best_by {
            BestBy::Training => self.games.mean_return_of_full_window(),
            BestBy::Evaluation { updates, mean } => mean.filter(|_| updates == self.updates),
        }
    }
}
