//! Report of an A2C update.

use coordrl_envs::EpisodeStats;

use crate::Timing;

/// Statistics of one update. All except `timing` are independent of the number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct A2cReport {
    /// Policy loss −mean of log π(action) · advantage.
    pub policy_loss: f64,
    /// Mean of (return − value)², without the coefficient.
    pub value_loss: f64,
    /// Mean entropy of the policy in nats.
    pub entropy: f64,
    /// Total loss: policy − entropy coefficient · entropy + value coefficient · value.
    pub total_loss: f64,
    /// Fraction of the returns' variance explained by the values; `None` if the returns are
    /// constant.
    pub explained_variance: Option<f64>,
    /// Euclidean norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Fraction of the torso's features that are 0 on every row of the update.
    pub dead_share: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Mean reward per agent step, as used for learning.
    pub mean_clipped_reward: f64,
    /// Games that ended, by agent step and then by environment.
    pub episodes: Vec<EpisodeStats>,
    /// Time by activity.
    pub timing: Timing,
}
