//! Statistics reported by Ape-X.

use coordrl_envs::EpisodeStats;

use super::learner::LearnStats;
use crate::Timing;

/// Statistics since the last report.
#[derive(Clone, Debug, Default)]
pub struct ApexReport {
    /// Learner update; absent while it waits for experience.
    pub learned: Option<LearnReport>,
    /// Number of agent steps that reached the replay.
    pub agent_steps: u64,
    /// Mean reward of those, as the agent learns from it; absent if there were none.
    pub mean_clipped_reward: Option<f64>,
    /// Full games that ended, in the order in which they reached the replay.
    pub episodes: Vec<EpisodeStats>,
    /// Mean number of updates, over agent steps, by which the learner was ahead of the acting
    /// weights; absent if nothing arrived.
    pub policy_lag_updates: Option<f64>,
    /// Number of transitions in the replay.
    pub replay_len: u64,
    /// Samples per transition inserted after the warm-up; absent before.
    pub samples_per_insert: Option<f64>,
    /// Batches of experience of other processes.
    pub remote: RemoteBatches,
    /// Time spent, by activity.
    pub timing: Timing,
}

/// Batches of experience of other processes, since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteBatches {
    /// Number inserted into the replay.
    pub inserted: u64,
    /// Number missing, or of no use without a missing one.
    pub lost: u64,
    /// Number that came a second time.
    pub duplicates: u64,
    /// Number of processes whose streams go on.
    pub processes: u64,
}

/// Report of one learner update.
#[derive(Clone, Debug)]
pub struct LearnReport {
    /// Loss, gradient and values.
    pub learned: LearnStats,
    /// Learning rate used.
    pub learning_rate: f64,
    /// Mean number of transitions inserted after those of the batch.
    pub replay_age: f64,
    /// Share of the batch's transitions that had left the replay when their new priorities were
    /// written.
    pub stale_share: f64,
}

/// Statistics of the experience ingested since the last report.
#[derive(Debug, Default)]
pub(super) struct IngestStats {
    pub agent_steps: u64,
    pub reward_sum: f64,
    pub episodes: Vec<EpisodeStats>,
    /// Sum of policy lags over agent steps, and the number of those steps.
    pub lags: (u64, u64),
    pub timing: Timing,
}

impl IngestStats {
    /// Adds later statistics.
    pub fn add(&mut self, other: Self) {
        self.agent_steps += other.agent_steps;
        self.reward_sum += other.reward_sum;
        self.episodes.extend(other.episodes);
        self.lags = (self.lags.0 + other.lags.0, self.lags.1 + other.lags.1);
        self.timing.add(&other.timing);
    }

    /// Converts the statistics to a report.
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
