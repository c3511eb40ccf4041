//! Targets, loss and gradient of some rows of a batch: the work of one learner core.

use tch::Tensor;

use super::batch::TransitionTensors;
use super::learner_config::LearnerConfig;
use crate::AgentError;
use crate::maths::{double_q_targets, max_q_targets, q_of_actions, weighted_td_loss};
use crate::nn::{LiveFeatures, NetworkError, QNetwork, live_features};

/// Results from some rows of a batch.
pub(super) struct LearnerShard {
    /// Contribution to the batch's gradient, flat `[P]`.
    pub gradient: Tensor,
    /// Contribution to the batch's loss.
    pub loss: f64,
    /// Target − Q, `[rows]`.
    pub td_errors: Vec<f32>,
    /// Q of the actions taken, `[rows]`.
    pub q: Vec<f32>,
    /// Marks of the torso's live features.
    pub live: LiveFeatures,
}

/// Runs forward and backward passes over the rows of a shard; the whole batch has `batch_size`
/// rows.
pub(super) fn differentiate(
    config: &LearnerConfig,
    online: &QNetwork,
    target: &QNetwork,
    rows: &TransitionTensors,
    batch_size: f64,
) -> Result<LearnerShard, AgentError> {
    let targets = targets(config, online, target, rows); // [rows]
    let mut pass = online.pass(&rows.obs);
    let (values, features) = &pass.output; // [rows, A], [rows, F]
    let live = live_features(features); // [F]
    let q = q_of_actions(values, &rows.actions); // [rows]
    // The targets carry no graph, so only Q is moved towards them.
    let td_errors = targets - &q; // [rows]
    // The loss is a mean over these rows; scaled by their share, the shards sum to the batch mean.
    let share = rows.actions.size()[0] as f64 / batch_size;
    let loss = weighted_td_loss(&td_errors, &rows.importance_weights, config.loss()) * share;
    let gradient = pass.gradient(online.parameters(), &loss)?;
    // One copy to the host: on a GPU each copy waits for all work queued before it.
    let parts = [&loss.reshape([1]), &td_errors, &q, &live];
    let numbers = Tensor::f_cat(&parts, 0).map_err(NetworkError::from)?;
    let mut numbers = Vec::<f32>::try_from(numbers.detach()).map_err(NetworkError::from)?;

    let row_count = rows.actions.size()[0] as usize;
    let live = LiveFeatures::from_marks(&numbers.split_off(1 + 2 * row_count));
    let q = numbers.split_off(1 + row_count);
    let td_errors = numbers.split_off(1);
    Ok(LearnerShard { gradient, loss: numbers[0].into(), td_errors, q, live })
}

/// Computes the targets, `[rows]`, without an autograd graph.
fn targets(
    config: &LearnerConfig,
    online: &QNetwork,
    target: &QNetwork,
    rows: &TransitionTensors,
) -> Tensor {
    let _no_graph = tch::no_grad_guard();
    let TransitionTensors { rewards, discounts, next_obs, .. } = rows;
    let rescaling = config.value_rescaling();
    let valued = target.forward(next_obs); // [rows, A]
    if !config.double_q {
        return max_q_targets(rewards, discounts, &valued, rescaling);
    }
    let chosen = online.forward(next_obs); // [rows, A]
    double_q_targets(rewards, discounts, &chosen, &valued, rescaling)
}

/// Sums the shards' gradients in row order, so that rounding does not depend on scheduling.
pub(super) fn sum(shards: Vec<LearnerShard>) -> Tensor {
    let gradients = shards.into_iter().map(|shard| shard.gradient);
    gradients.reduce(|mut sum, next| sum.g_add_(&next)).unwrap_or_default()
}
