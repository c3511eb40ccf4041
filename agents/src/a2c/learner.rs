//! Loss and optimiser step.

use tch::Tensor;

use super::config::{A2cConfig, TABLE};
use crate::AgentError;
use crate::maths::a2c_loss_sums;
use crate::nn::{Optimizer, Output};
use crate::on_policy::{BatchGradient, BatchTargets, Loss};

/// Computes the loss of Mnih et al. 2016: policy gradient, entropy bonus and value error.
pub(crate) fn a2c_loss(config: &A2cConfig, output: &Output, targets: &BatchTargets) -> Loss {
    let BatchTargets { actions, advantages, returns, update_rows } = targets;
    let sums = a2c_loss_sums(&output.logits, &output.value, actions, advantages, returns);
    let total = sums.total(config.entropy_coef, config.value_coef, *update_rows);
    Loss { total, sums: vec![sums.policy, sums.value, sums.entropy] }
}

/// Means over the rows of an update.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub policy: f64,
    pub value: f64,
    pub entropy: f64,
}

impl Losses {
    /// Reads the sums of [`a2c_loss`].
    fn of(gradient: &BatchGradient) -> Self {
        match gradient.means[..] {
            [policy, value, entropy] => Self { policy, value, entropy },
            _ => unreachable!("the loss reports three sums"),
        }
    }

    fn total(&self, config: &A2cConfig) -> f64 {
        self.policy - config.entropy_coef * self.entropy + config.value_coef * self.value
    }
}

/// The only place where training changes weights, and with them those of every network: see
/// [`ParamStore::pack`](crate::nn::ParamStore::pack).
#[derive(Debug)]
pub(crate) struct A2cLearner {
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

impl A2cLearner {
    /// Clips the gradient's norm and makes one optimiser step.
    ///
    /// # Errors
    /// If the loss or the gradient is not finite; the weights are unchanged then.
    pub fn apply(
        &mut self,
        gradient: BatchGradient,
        config: &A2cConfig,
        rate: f64,
        update: u64,
    ) -> Result<Applied, AgentError> {
        let not_finite = |what| AgentError::NonFinite { what, update, table: TABLE };
        let losses = Losses::of(&gradient);
        // Recomputed, because shards pass on their gradients and reported sums, not their losses.
        let total_loss = losses.total(config);
        // The gradient would not be finite either, but the loss is the cause to report.
        if !total_loss.is_finite() {
            return Err(not_finite("loss"));
        }

        let dead_share = gradient.dead_share();
        let stepped =
            self.optimizer.clipped_step(&self.params, gradient.flat, config.max_grad_norm, rate);
        let grad_norm = stepped.ok_or_else(|| not_finite("gradient"))?;
        Ok(Applied { losses, total_loss, grad_norm, dead_share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerConfig;
    use crate::nn::LiveFeatures;

    fn learner() -> A2cLearner {
        let params = Tensor::from_slice(&[1f32, 2.0]);
        A2cLearner { optimizer: Optimizer::new(&OptimizerConfig::default(), &params), params }
    }

    fn gradient(numbers: [f32; 2], policy: f64) -> BatchGradient {
        let live = LiveFeatures::from_marks(&[0.0, if numbers[0] > 1.0 { 1.0 } else { 0.0 }]);
        BatchGradient { flat: Tensor::from_slice(&numbers), means: vec![policy, 2.0, 1.0], live }
    }

    fn sum(shards: Vec<BatchGradient>) -> BatchGradient {
        BatchGradient::sum(shards).unwrap()
    }

    #[test]
    fn gradients_and_losses_of_shards_add_up() {
        let config = A2cConfig { max_grad_norm: None, ..Default::default() };
        let parts = vec![gradient([1.0, 0.5], 0.25), gradient([2.0, 3.5], 0.5)];
        let applied = learner().apply(sum(parts), &config, 0.1, 0).unwrap();
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
            let error = learner
                .apply(sum(parts), &A2cConfig::default(), 0.1, 7)
                .err()
                .expect(what)
                .to_string();
            assert!(error.starts_with(&format!("{what} not finite in update 7: ")), "{error}");
            assert_eq!(learner.params, Tensor::from_slice(&[1f32, 2.0]));
            assert_eq!(learner.optimizer.steps(), 0);
        }
    }
}
