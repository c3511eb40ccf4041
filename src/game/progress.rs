//! State of a game's run that a checkpoint stores.

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
    /// Frame count of an evaluation that is done although `settled_frames` lags behind it, so that
    /// a run stopped during the video that follows does not repeat it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_frames: Option<u64>,
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

impl BestBy {
    /// Returns the source of scores for a run that is evaluated or not, given that of its
    /// checkpoint.
    pub fn suiting(self, is_evaluated: bool) -> Self {
        match (is_evaluated, self) {
            (false, _) => Self::Training,
            (true, Self::Training) => Self::Evaluation { updates: 0, mean: None },
            (true, evaluation) => evaluation,
        }
    }

    /// Returns `true` before the first evaluation of a run that is evaluated.
    pub fn awaits_first_evaluation(self) -> bool {
        matches!(self, Self::Evaluation { mean: None, .. })
    }
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
            // An evaluation counts for the weights that played it and for no others.
            BestBy::Evaluation { updates, mean } => mean.filter(|_| updates == self.updates),
        }
    }

    fn written(&self) -> &Written {
        &self.written
    }

    fn set_written(&mut self, written: Written) {
        self.written = written;
    }

    fn settle(&mut self, frames: u64) {
        self.settled_frames = frames;
        self.evaluated_frames = None;
    }
}
