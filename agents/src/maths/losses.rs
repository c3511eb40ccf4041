//! The three terms of the A2C loss.

use tch::{Kind, Tensor};

/// Loss terms summed over the rows of a batch, each a differentiable scalar.
///
/// Sums rather than means, so that the shards of a batch add up to the whole.
#[derive(Debug)]
pub struct LossSums {
    /// Policy term −Σ log π(action) · advantage.
    pub policy: Tensor,
    /// Value term Σ (return − value)², without a factor ½.
    pub value: Tensor,
    /// Entropy Σ H(π).
    pub entropy: Tensor,
}

impl LossSums {
    /// Computes these rows' contribution to the A2C loss of a batch of `rows`: (policy −
    /// `entropy_coef` · entropy + `value_coef` · value) / rows.
    pub fn total(&self, entropy_coef: f64, value_coef: f64, rows: f64) -> Tensor {
        (&self.policy - &self.entropy * entropy_coef + &self.value * value_coef) / rows
    }
}

/// Computes the policy, value and entropy terms. Source: Mnih et al. 2016, Algorithm S3.
///
/// `advantages` and `returns` are treated as constants: no gradient flows into them, and so none
/// through the value in the policy term.
///
/// # Shapes
/// - `logits`: `[B, A]`; `values`, `advantages`, `returns`: `[B]`; `actions`: `i64 [B]`
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn a2c_loss_sums(
    logits: &Tensor,
    values: &Tensor,
    actions: &Tensor,
    advantages: &Tensor,
    returns: &Tensor,
) -> LossSums {
    assert_eq!(values.size(), returns.size(), "values and returns are both [B]");
    assert_eq!(actions.size(), advantages.size(), "actions and advantages are both [B]");
    // Not the logarithm of a softmax, which is −∞ where the softmax rounds to 0.
    let log_probs = logits.log_softmax(-1, Kind::Float); // [B, A]
    let chosen = log_probs.gather(1, &actions.unsqueeze(1), false).squeeze_dim(1); // [B]
    let error = returns.detach() - values; // [B]
    LossSums {
        policy: -(chosen * advantages.detach()).sum(Kind::Float),
        value: error.square().sum(Kind::Float),
        entropy: entropy_of(&log_probs).sum(Kind::Float),
    }
}

/// Computes the entropy of the policy in nats, −Σ_a π(a) log π(a). `logits`: `[B, A]`; result:
/// `[B]`.
pub fn entropy(logits: &Tensor) -> Tensor {
    entropy_of(&logits.log_softmax(-1, Kind::Float))
}

fn entropy_of(log_probs: &Tensor) -> Tensor {
    // For an action whose probability rounds to 0 this is 0 × a finite number, not 0 · log 0 = NaN.
    -(log_probs.exp() * log_probs).sum_dim_intlist(-1, false, Kind::Float) // [B]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 3]; 2] = [[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]];

    fn logits() -> Tensor {
        Tensor::from_slice2(&LOGITS)
    }

    fn probs(row: &[f32; 3]) -> Vec<f64> {
        let weights: Vec<f64> = row.iter().map(|&x| f64::from(x).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    #[test]
    fn sums_agree_with_loops_written_out() {
        let actions = [2i64, 1];
        let advantages = [1.5f32, -0.5];
        let values = [0.25f32, 3.0];
        let returns = [1.25f32, 1.0];
        let sums = a2c_loss_sums(
            &logits(),
            &Tensor::from_slice(&values),
            &Tensor::from_slice(&actions),
            &Tensor::from_slice(&advantages),
            &Tensor::from_slice(&returns),
        );
        let mut policy = 0.0;
        let mut value = 0.0;
        let mut entropy = 0.0;
        for row in 0..2 {
            let p = probs(&LOGITS[row]);
            policy -= p[actions[row] as usize].ln() * f64::from(advantages[row]);
            value += f64::from(returns[row] - values[row]).powi(2);
            entropy -= p.iter().map(|p| p * p.ln()).sum::<f64>();
        }

        let close = |found: &Tensor, expected: f64| {
            assert!((found.double_value(&[]) - expected).abs() < 1e-6, "{found} for {expected}");
        };

        close(&sums.policy, policy);
        close(&sums.value, value);
        close(&sums.entropy, entropy);
        close(&sums.total(0.01, 0.25, 2.0), (policy - 0.01 * entropy + 0.25 * value) / 2.0);
    }

    #[test]
    fn entropy_is_greatest_for_even_odds_and_safe_for_certain_ones() {
        let found = Vec::<f32>::try_from(entropy(&logits())).unwrap();
        assert!((found[1] - 3f32.ln()).abs() < 1e-6);
        assert!(found[0] < found[1]);
        let certain = entropy(&Tensor::from_slice2(&[[200.0f32, -200.0]]));
        assert_eq!(certain.double_value(&[0]), 0.0);
    }

    #[test]
    fn no_gradient_flows_into_advantages_or_returns() {
        let leaf = |values: [f32; 2]| Tensor::from_slice(&values).set_requires_grad(true);
        let values = leaf([0.0, 1.0]);
        let advantages = leaf([1.0, 2.0]);
        let returns = leaf([1.0, 1.0]);
        let logits = logits().set_requires_grad(true);
        let sums =
            a2c_loss_sums(&logits, &values, &Tensor::from_slice(&[0i64, 1]), &advantages, &returns);
        sums.total(0.01, 0.5, 2.0).backward();
        assert!(!advantages.grad().defined() && !returns.grad().defined());
        // d/dV of 0.5 · (R − V)² / 2 rows is −0.5 · (R − V).
        assert_eq!(Vec::<f32>::try_from(values.grad()).unwrap(), [-0.5, 0.0]);
    }
}
