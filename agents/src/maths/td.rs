//! Targets and losses for action values.

use tch::{Kind, Tensor};

/// Rescaling of values before a network learns them, so that rewards need not be clipped.
///
/// h(x) = sign(x) · (√(|x| + 1) − 1) + ε·x. Source: Pohlen et al. 2018 (arXiv:1805.11593), section
/// 3.2. ε bounds the slope of the inverse; without it, errors are amplified in proportion to large
/// values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRescaling {
    /// The network learns unscaled values.
    Off,
    /// The network learns h(value).
    On {
        /// ε, at least 0; 0.01 in the paper.
        epsilon: f64,
    },
}

impl ValueRescaling {
    /// Computes h(x) elementwise, for any shape.
    ///
    /// √(|x| + 1) − 1 is computed as |x| / (√(|x| + 1) + 1), which avoids cancellation near 0, so
    /// that `f32` is enough.
    pub fn squash(self, values: &Tensor) -> Tensor {
        match self {
            Self::Off => values.shallow_clone(),
            Self::On { epsilon } => values / ((values.abs() + 1.0).sqrt() + 1.0) + values * epsilon,
        }
    }

    /// Computes h⁻¹(y) elementwise, for any shape.
    ///
    /// With u = √(|x| + 1) − 1, |y| = ε·u² + (1 + 2ε)·u and |x| = u·(u + 2). The root is computed
    /// as u = 2·|y| / (1 + 2ε + √((1 + 2ε)² + 4·ε·|y|)): the published form loses half of its
    /// digits near 0 and divides by ε.
    pub fn unsquash(self, values: &Tensor) -> Tensor {
        match self {
            Self::Off => values.shallow_clone(),
            Self::On { epsilon } => {
                let slope = 1.0 + 2.0 * epsilon;
                let root = (values.abs() * (4.0 * epsilon) + slope * slope).sqrt();
                let u = values * 2.0 / (root + slope); // has the sign of y
                &u * (u.abs() + 2.0)
            }
        }
    }

    /// Computes [`ValueRescaling::squash`] of one number.
    pub fn squash_one(self, x: f64) -> f64 {
        match self {
            Self::Off => x,
            Self::On { epsilon } => x / ((x.abs() + 1.0).sqrt() + 1.0) + x * epsilon,
        }
    }

    /// Computes [`ValueRescaling::unsquash`] of one number.
    pub fn unsquash_one(self, y: f64) -> f64 {
        match self {
            Self::Off => y,
            Self::On { epsilon } => {
                let slope = 1.0 + 2.0 * epsilon;
                let u = y * 2.0 / ((y.abs() * (4.0 * epsilon) + slope * slope).sqrt() + slope);
                u * (u.abs() + 2.0)
            }
        }
    }
}

/// Computes double Q-learning targets: h(r + discount · h⁻¹(Q_target(s', argmax_a Q_online(s',
/// a)))).
///
/// Selecting with one network and evaluating with the other avoids the overestimation caused by the
/// maximum of noisy values. Source: van Hasselt et al. 2016 (arXiv:1509.06461), equation 4, with
/// n-step rewards and discounts as in Horgan et al. 2018 (arXiv:1803.00933), section 3. Ties
/// between actions are broken arbitrarily, which matters only if the target network values them
/// differently. No gradient flows into the result.
///
/// # Shapes
/// - `rewards`, `discounts`: `[B]`; `next_q_online`, `next_q_target`: `[B, A]`; result: `[B]`
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn double_q_targets(
    rewards: &Tensor,
    discounts: &Tensor,
    next_q_online: &Tensor,
    next_q_target: &Tensor,
    rescaling: ValueRescaling,
) -> Tensor {
    assert_eq!(next_q_online.size(), next_q_target.size(), "both networks' values are [B, A]");
    let best = next_q_online.argmax(1, true); // [B, 1]
    let next_values = next_q_target.gather(1, &best, false).squeeze_dim(1); // [B]
    targets(rewards, discounts, &next_values, rescaling)
}

/// Computes Q-learning targets: h(r + discount · h⁻¹(max_a Q_target(s', a))).
///
/// Source: Mnih et al. 2015 (Nature 518), algorithm 1. No gradient flows into the result.
///
/// # Shapes
/// - `rewards`, `discounts`: `[B]`; `next_q_target`: `[B, A]`; result: `[B]`
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn max_q_targets(
    rewards: &Tensor,
    discounts: &Tensor,
    next_q_target: &Tensor,
    rescaling: ValueRescaling,
) -> Tensor {
    targets(rewards, discounts, &next_q_target.amax(1, false), rescaling)
}

fn targets(
    rewards: &Tensor,
    discounts: &Tensor,
    next_values: &Tensor,
    rescaling: ValueRescaling,
) -> Tensor {
    assert_eq!(rewards.size(), discounts.size(), "rewards and discounts are both [B]");
    assert_eq!(rewards.size(), next_values.size(), "there is one row of values for each reward");
    // Unscaled first: rewards and discounts apply to returns, not to h of them.
    rescaling.squash(&(rewards + discounts * rescaling.unsquash(next_values))).detach()
}

/// Selects Q(s, a) of the actions taken. `q`: `[B, A]`; `actions`: `i64 [B]`; result: `[B]`.
pub fn q_of_actions(q: &Tensor, actions: &Tensor) -> Tensor {
    q.gather(1, &actions.unsqueeze(1), false).squeeze_dim(1)
}

/// Loss of a TD error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TdLoss {
    /// ½·δ².
    HalfSquared,
    /// ½·δ² up to |δ| = `delta`, linear beyond: the gradient is clipped at ±`delta`.
    Huber {
        /// Threshold, above 0.
        delta: f64,
    },
}

impl TdLoss {
    /// Computes the loss of each error, `[B]` → `[B]`.
    fn of(self, td_errors: &Tensor) -> Tensor {
        match self {
            Self::HalfSquared => td_errors.square() * 0.5,
            Self::Huber { delta } => {
                let size = td_errors.abs();
                // Without a branch: ½δ² where held = |δ|, and delta · (|δ| − ½ · delta) where held
                // = delta.
                let held = size.clamp_max(delta);
                &held * (size - &held * 0.5)
            }
        }
    }
}

/// Computes the batch mean of w · loss(δ), a differentiable scalar.
///
/// The importance weight multiplies the loss once, from outside: Huber(w·δ) would be a different
/// loss, and so would a weight that is squared in the gradient. Source: Schaul et al. 2016
/// (arXiv:1511.05952), section 3.4. No gradient flows into the weights.
///
/// # Shapes
/// - `td_errors` (target − Q), `importance_weights`: `[B]`; result: scalar
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn weighted_td_loss(td_errors: &Tensor, importance_weights: &Tensor, loss: TdLoss) -> Tensor {
    assert_eq!(td_errors.size(), importance_weights.size(), "errors and weights are both [B]");
    (importance_weights.detach() * loss.of(td_errors)).mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: ValueRescaling = ValueRescaling::Off;
    const ON: ValueRescaling = ValueRescaling::On { epsilon: 0.01 };

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= tolerance * b.abs().max(1e-3), "{found:?} for {expected:?}");
        }
    }

    #[test]
    fn squashed_values_worked_by_hand() {
        // √(3 + 1) − 1 = 1, √(8 + 1) − 1 = 2, √(99 + 1) − 1 = 9; plus 0.01 · x each.
        let values = Tensor::from_slice(&[0.0, 3.0, -8.0, 99.0]);
        assert_close(&numbers(&ON.squash(&values)), &[0.0, 1.03, -2.08, 9.99], 1e-12);
        assert_close(
            &numbers(&ON.unsquash(&Tensor::from_slice(&[1.03, -2.08]))),
            &[3.0, -8.0],
            1e-12,
        );
        assert_close(&[ON.squash_one(3.0), ON.squash_one(-8.0)], &[1.03, -2.08], 1e-12);
        assert_eq!(OFF.unsquash(&OFF.squash(&values)), values);
        let root_only = ValueRescaling::On { epsilon: 0.0 };
        assert_close(&[root_only.unsquash_one(root_only.squash_one(1e4))], &[1e4], 1e-12);
    }

    #[test]
    fn the_inverse_undoes_it_from_a_millionth_to_a_million() {
        let sizes =
            (-6..=6).flat_map(|power| [1.0, 2.5, 7.3].map(|first| first * 10f64.powi(power)));
        let values: Vec<f64> =
            sizes.flat_map(|x| [x, -x]).filter(|x| x.abs() <= 1e6).chain([0.0]).collect();
        for epsilon in [1e-2, 1e-3] {
            let rescaling = ValueRescaling::On { epsilon };
            let exact = Tensor::from_slice(&values);
            for (kind, tolerance) in [(Kind::Double, 1e-13), (Kind::Float, 2e-6)] {
                let given = exact.to_kind(kind);
                let back = rescaling.unsquash(&rescaling.squash(&given));
                let off =
                    ((&back - &given).abs() / given.abs().clamp_min(1e-9)).max().double_value(&[]);
                assert!(off < tolerance, "{kind:?}: off by {off}");
            }
            let one: Vec<f64> =
                values.iter().map(|&x| rescaling.unsquash_one(rescaling.squash_one(x))).collect();
            for (found, expected) in one.iter().zip(&values) {
                assert!(
                    (found - expected).abs() <= 1e-13 * expected.abs(),
                    "{found} for {expected}"
                );
            }
        }
    }

    #[test]
    fn the_inverse_is_the_printed_one() {
        let e = 0.01;
        let y = 37.5f64;
        let printed = (((1.0 + 4.0 * e * (y + 1.0 + e)).sqrt() - 1.0) / (2.0 * e)).powi(2) - 1.0;
        assert_close(&[ON.unsquash_one(y)], &[printed], 1e-9);
    }

    fn targets_of(rescaling: ValueRescaling) -> [Vec<f64>; 2] {
        let rewards = Tensor::from_slice(&[1.0, -1.0, 0.5]);
        let discounts = Tensor::from_slice(&[0.5, 0.0, 0.25]);
        let online = Tensor::from_slice2(&[[2.0, 1.0], [0.0, 9.0], [1.0, 3.0]]);
        let target = Tensor::from_slice2(&[[3.0, 7.0], [5.0, 6.0], [4.0, -8.0]]);
        let double = double_q_targets(&rewards, &discounts, &online, &target, rescaling);
        [numbers(&double), numbers(&max_q_targets(&rewards, &discounts, &target, rescaling))]
    }

    #[test]
    fn targets_worked_by_hand() {
        // Row 2 ends an episode. The online network picks action 0 in row 1, action 1 in row 3.
        let [double, plain] = targets_of(OFF);
        assert_close(&double, &[2.5, -1.0, -1.5], 1e-12);
        assert_close(&plain, &[4.5, -1.0, 1.5], 1e-12);
        // Rescaled: h(1 + 0.5 · h⁻¹(3)), h(−1), h(0.5 + 0.25 · h⁻¹(−8)).
        let h = |x: f64| x.signum() * ((x.abs() + 1.0).sqrt() - 1.0) + 0.01 * x;
        let [double, _] = targets_of(ON);
        let three = ON.unsquash_one(3.0);
        let eight = ON.unsquash_one(8.0);
        assert_close(&double, &[h(1.0 + 0.5 * three), h(-1.0), h(0.5 - 0.25 * eight)], 1e-12);
    }

    #[test]
    fn losses_worked_by_hand() {
        let errors = Tensor::from_slice(&[0.5, -3.0, 1.0, 0.0]);
        assert_eq!(numbers(&TdLoss::HalfSquared.of(&errors)), [0.125, 4.5, 0.5, 0.0]);
        assert_eq!(numbers(&TdLoss::Huber { delta: 1.0 }.of(&errors)), [0.125, 2.5, 0.5, 0.0]);
        assert_eq!(numbers(&TdLoss::Huber { delta: 2.0 }.of(&errors)), [0.125, 4.0, 0.5, 0.0]);
        let weights = Tensor::from_slice(&[1.0, 0.5, 0.0, 1.0]);
        let loss = |kind| weighted_td_loss(&errors, &weights, kind).double_value(&[]);
        assert_eq!(loss(TdLoss::HalfSquared), (0.125 + 2.25) / 4.0);
        assert_eq!(loss(TdLoss::Huber { delta: 1.0 }), (0.125 + 1.25) / 4.0);
    }

    #[test]
    fn gradients_are_weight_times_error_over_rows_and_end_at_the_targets() {
        let leaf = |values: &[f64]| Tensor::from_slice(values).set_requires_grad(true);
        let rewards = leaf(&[1.0, 2.0]);
        let weights = leaf(&[0.5, 2.0]);
        let next = leaf(&[1.0, 5.0, 3.0, 2.0]);
        let next_q = next.view([2, 2]);
        let q = leaf(&[0.0, 1.0, 9.0, 0.0]);
        let discounts = Tensor::from_slice(&[1.0, 0.0]);
        for (kind, expected) in [
            // δ = (1 + 5) − 1 = 5 and 2 − 9 = −7; d/dQ of w·½δ²/2 is −w·δ/2.
            (TdLoss::HalfSquared, [0.0, -0.5 * 5.0 / 2.0, 2.0 * 7.0 / 2.0, 0.0]),
            (TdLoss::Huber { delta: 1.0 }, [0.0, -0.5 / 2.0, 2.0 / 2.0, 0.0]),
        ] {
            let targets = double_q_targets(&rewards, &discounts, &next_q, &next_q, ON);
            assert!(!targets.requires_grad());
            let targets = double_q_targets(&rewards, &discounts, &next_q, &next_q, OFF);
            let chosen = q_of_actions(&q.view([2, 2]), &Tensor::from_slice(&[1i64, 0]));
            let loss = weighted_td_loss(&(targets - chosen), &weights, kind);
            let found = Tensor::run_backward(&[&loss], &[&q], false, false);
            assert_close(&numbers(&found[0]), &expected, 1e-6);
        }

        for leaf in [rewards, weights, next] {
            assert!(!leaf.grad().defined());
        }
    }

    #[test]
    #[should_panic(expected = "one row of values for each reward")]
    fn shapes_that_disagree_are_a_bug() {
        let two = Tensor::from_slice(&[1.0, 2.0]);
        let _ = max_q_targets(&two, &two, &Tensor::from_slice2(&[[1.0, 2.0]]), OFF);
    }
}
