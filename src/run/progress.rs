//! State of the training loop that a checkpoint stores.

use coordrl_agents::Counters;
use serde::{Deserialize, Serialize};

use crate::metrics::accumulate::{MetricAccumulator, RecentGames};
use crate::metrics::recorder::Written;
use crate::run::checkpoint::RunProgress;

/// Counters, metric sums and metric-file lengths of a run, as stored in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Emulator frames trained.
    pub frames: u64,
    /// Agent steps, summed over all environments.
    pub agent_steps: u64,
    /// Optimiser steps.
    pub updates: u64,
    /// Wall-clock training time in seconds, over all sessions.
    pub wall_secs: f64,
    /// Sums since the last log point.
    pub sums: MetricAccumulator,
    /// Recent full games.
    pub games: RecentGames,
    /// Frame count up to which all due evaluations, videos, log points and checkpoints are done.
    /// Lags behind `frames` if the run was stopped while doing them; they are then made up on
    /// resume.
    pub settled_frames: u64,
    /// Source of the score that selects the best checkpoint.
    pub best_by: BestBy,
    /// Lengths of the metric files at this point.
    pub written: Written,
}

/// Games whose mean return selects the best checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// The last 100 training games.
    #[default]
    Training,
    /// Games of an evaluation with exactly the checkpoint's weights.
    Evaluation {
        /// Update count of the weights evaluated last.
        updates: u64,
        /// Mean return; absent before the first evaluation.
        mean: Option<f64>,
    },
}

impl Progress {
    /// Copies the agent's counters.
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
