//! Loss, gradient and optimiser step.

use tch::{Device, Tensor};

use super::config::{A2cConfig, TABLE};
use crate::AgentError;
use crate::maths::a2c_loss_sums;
use crate::nn::{LiveFeatures, Network, NetworkError, Optimizer, clip_to_norm, live_features, norm_of};
use crate::rollout::{Rollout, Targets};

/// Loss coefficients and the number of rows in the whole batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossPlan {
    pub entropy_coef: f64,
    pub value_coef: f64,
    /// Rows of the whole batch rather than of a shard, so that shard gradients add up to the
    /// gradient of the mean.
    pub rows: f64,
}

/// Means over the whole batch, or a shard's contribution to them: contributions add up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub policy: f64,
    pub value: f64,
    pub entropy: f64,
}

/// Gradient of a batch or shard, flat `[P]`, with its losses and live features.
pub(crate) struct Gradient {
    pub flat: Tensor,
    pub losses: Losses,
    pub live: LiveFeatures,
}

/// Training batch: the rows of a rollout as tensors on the learner's device.
pub(crate) struct ActorCriticBatch {
    /// Observations `u8 [B, C, H, W]`.
    pub obs: Tensor,
    /// Actions `i64 [B]`.
    pub actions: Tensor,
    /// Advantages `[B]`.
    pub advantages: Tensor,
    /// Returns `[B]`.
    pub returns: Tensor,
}

impl ActorCriticBatch {
    /// Concatenates the rows of several actors; `obs` already holds all of them.
    pub fn new<'a>(
        obs: Tensor,
        parts: impl Iterator<Item = (&'a Rollout, &'a Targets)>,
        device: Device,
    ) -> Self {
        let (mut actions, mut advantages, mut returns) = (Vec::new(), Vec::new(), Vec::new());
        for (rollout, targets) in parts {
            actions.extend_from_slice(rollout.actions());
            advantages.extend_from_slice(&targets.advantages);
            returns.extend_from_slice(&targets.returns);
        }
        Self {
            obs: obs.to_device(device),
            actions: Tensor::from_slice(&actions).to_device(device),
            advantages: Tensor::from_slice(&advantages).to_device(device),
            returns: Tensor::from_slice(&returns).to_device(device),
        }
    }
}

/// Runs forward and backward over `rows`.
pub(crate) fn gradient_of(
    network: &Network,
    rows: &ActorCriticBatch,
    plan: &LossPlan,
) -> Result<Gradient, NetworkError> {
    let output = network.forward(&rows.obs);
    let ActorCriticBatch { actions, advantages, returns, .. } = rows;
    let sums = a2c_loss_sums(&output.logits, &output.value, actions, advantages, returns);
    let loss = sums.total(plan.entropy_coef, plan.value_coef, plan.rows);
    let flat = network.gradient(&loss)?; // [P]

    // One copy to the host: on a GPU each copy waits for all work queued before it.
    let parts = Tensor::stack(&[&sums.policy, &sums.value, &sums.entropy], 0).detach(); // [3]
    let live = live_features(&output.features); // [F]
    let mut numbers = Vec::<f32>::try_from(Tensor::f_cat(&[parts, live], 0)?)?;

    let live = LiveFeatures::from_marks(&numbers.split_off(3));
    let [policy, value, entropy] = [0, 1, 2].map(|part| f64::from(numbers[part]) / plan.rows);
    Ok(Gradient { flat, losses: Losses { policy, value, entropy }, live })
}

impl Losses {
    fn total(&self, config: &A2cConfig) -> f64 {
        self.policy - config.entropy_coef * self.entropy + config.value_coef * self.value
    }
}

/// Sums the contributions in the given order.
fn sum(gradients: Vec<Gradient>) -> Option<Gradient> {
    gradients.into_iter().reduce(|mut sum, part| {
        sum.flat = sum.flat.g_add_(&part.flat);
        sum.losses.policy += part.losses.policy;
        sum.losses.value += part.losses.value;
        sum.losses.entropy += part.losses.entropy;
        sum.live.merge(&part.live);
        sum
    })
}

/// The only place where weights change.
#[derive(Debug)]
pub(crate) struct Learner {
    /// All parameters, flat `[P]`, in memory shared with every network.
    pub params: Tensor,
    pub optimizer: Optimizer,
}

/// Results of an optimiser step.
pub(crate) struct Applied {
    pub losses: Losses,
    pub total_loss: f64,
    pub grad_norm: f64,
    pub dead_share: f64,
}

impl Learner {
    /// Sums gradients in the given order, clips the norm of the sum and makes one optimiser step.
    ///
    /// # Errors
    /// If the loss or the gradient is not finite; the weights are unchanged then.
    pub fn apply(
        &mut self,
        gradients: Vec<Gradient>,
        config: &A2cConfig,
        rate: f64,
        update: u64,
    ) -> Result<Applied, AgentError> {
        let Some(Gradient { flat: mut gradient, losses, live }) = sum(gradients) else {
            unreachable!("an agent has at least one actor, as its settings were checked")
        };
        let total_loss = losses.total(config);
        let grad_norm = norm_of(&gradient);
        for (number, what) in [(total_loss, "loss"), (grad_norm, "gradient")] {
            if !number.is_finite() {
                return Err(AgentError::NonFinite { what, update, table: TABLE });
            }
        }
        if let Some(max_norm) = config.max_grad_norm {
            clip_to_norm(&mut gradient, grad_norm, max_norm);
        }
        self.optimizer.step(&self.params, &gradient, rate);
        Ok(Applied { losses, total_loss, grad_norm, dead_share: live.dead_share() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerConfig;

    fn learner() -> Learner {
        let params = Tensor::from_slice(&[1f32, 2.0]);
        Learner { optimizer: Optimizer::new(&OptimizerConfig::default(), &params), params }
    }

    fn gradient(numbers: [f32; 2], policy: f64) -> Gradient {
        let losses = Losses { policy, value: 2.0, entropy: 1.0 };
        let live = LiveFeatures::from_marks(&[0.0, if numbers[0] > 1.0 { 1.0 } else { 0.0 }]);
        Gradient { flat: Tensor::from_slice(&numbers), losses, live }
    }

    #[test]
    fn gradients_and_losses_of_shards_add_up() {
        let config = A2cConfig { max_grad_norm: None, ..Default::default() };
        let parts = vec![gradient([1.0, 0.5], 0.25), gradient([2.0, 3.5], 0.5)];
        let applied = learner().apply(parts, &config, 0.1, 0).unwrap();
        assert_eq!(applied.grad_norm, 5.0); // norm of [3, 4]
        assert_eq!(applied.losses.policy, 0.75);
        assert_eq!(applied.total_loss, 0.75 - 0.01 * 2.0 + 0.25 * 4.0);
        assert_eq!(applied.dead_share, 0.5, "the second feature lives in the second shard");
    }

    #[test]
    fn a_gradient_or_loss_that_is_not_finite_changes_nothing() {
        for (bad, what) in [
            (gradient([1.0, f32::NAN], 0.0), "gradient"),
            (gradient([f32::INFINITY, 0.0], 0.0), "gradient"),
            (gradient([1.0, 1.0], f64::NAN), "loss"),
        ] {
            let mut learner = learner();
            let parts = vec![gradient([1.0, 1.0], 0.0), bad];
            let error = learner.apply(parts, &A2cConfig::default(), 0.1, 7).err().expect(what).to_string();
            assert!(error.starts_with(&format!("{what} not finite in update 7: ")), "{error}");
            assert_eq!(learner.params, Tensor::from_slice(&[1f32, 2.0]));
            assert_eq!(learner.optimizer.steps(), 0);
        }
    }
}
