//! What Ape-X tells of itself.

use coordrl_envs::EpisodeStats;

use super::learner::LearnStats;
use crate::Timing;

/// Figures since the last report.
#[derive(Clone, Debug, Default)]
pub struct ApexReport {
    /// What the learner did; absent while it waits for experience.
    pub learned: Option<LearnReport>,
    /// Agent steps that reached the replay.
    pub agent_steps: u64,
    /// Mean reward of those, as the agent learns from it; absent if there were none.
    pub mean_clipped_reward: Option<f64>,
    /// Whole games that ended, in the order in which they reached the replay.
    pub episodes: Vec<EpisodeStats>,
    /// Mean number of updates, over agent steps, that the learner was ahead of the weights that
    /// acted; absent if nothing arrived.
    pub policy_lag_updates: Option<f64>,
    /// Transitions in the replay.
    pub replay_len: u64,
    /// Samples learnt from for each transition inserted after the warm-up; absent before.
    pub samples_per_insert: Option<f64>,
    /// Where the time went.
    pub timing: Timing,
}

/// One update of the learner.
#[derive(Clone, Debug)]
pub struct LearnReport {
    /// Loss, gradient, values.
    pub learned: LearnStats,
    /// Learning rate used.
    pub learning_rate: f64,
    /// Mean number of transitions that came after those of the batch.
    pub replay_age: f64,
    /// Share of the batch whose transitions were gone when their new priorities came.
    pub stale_share: f64,
}

/// What arrived since the last report.
#[derive(Debug, Default)]
pub(super) struct IngestStats {
    pub agent_steps: u64,
    pub reward_sum: f64,
    pub episodes: Vec<EpisodeStats>,
    /// Policy lags added up over agent steps, and how many those are.
    pub lags: (u64, u64),
    pub timing: Timing,
}

impl IngestStats {
    /// Adds what came after.
    pub fn add(&mut self, other: Self) {
        self.agent_steps += other.agent_steps;
        self.reward_sum += other.reward_sum;
        self.episodes.extend(other.episodes);
        self.lags = (self.lags.0 + other.lags.0, self.lags.1 + other.lags.1);
        self.timing.add(&other.timing);
    }

    /// The report they make.
    pub fn into_report(self) -> ApexReport {
        let (sum, count) = self.lags;
        ApexReport {
            agent_steps: self.agent_steps,
            mean_clipped_reward: (self.agent_steps > 0)
                .then(|| self.reward_sum / self.agent_steps as f64),
            episodes: self.episodes,
            policy_lag_updates: (count > 0).then(|| sum as f64 / count as f64),
            timing: self.timing,
            ..Default::default()
        }
    }
}
