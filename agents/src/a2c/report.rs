//! What an update tells of itself.

use coordrl_envs::EpisodeStats;

use crate::Timing;

/// Figures of one update. Apart from `timing` they do not depend on the number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct A2cReport {
    /// −mean of log π(action) · advantage.
    pub policy_loss: f64,
    /// Mean of (return − value)², without the coefficient.
    pub value_loss: f64,
    /// Mean entropy of the policy in nats.
    pub entropy: f64,
    /// policy − entropy coefficient · entropy + value coefficient · value.
    pub total_loss: f64,
    /// Share of the returns' variance that the values explain; `None` if the returns do not vary.
    pub explained_variance: Option<f64>,
    /// Euclidean norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Share of the torso's features that are 0 on every row of the update.
    pub dead_share: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Mean reward of an agent step, as the agent learns from it.
    pub mean_clipped_reward: f64,
    /// Whole games that ended, by agent step and then by environment.
    pub episodes: Vec<EpisodeStats>,
    /// Where the time went.
    pub timing: Timing,
}
