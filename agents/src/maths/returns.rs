//! Value targets and advantage estimates.

use tch::Tensor;

/// Bootstrapped n-step returns, computed backwards: R_t = r_t + discount_t · R_{t+1}, R_T = V(s_T).
///
/// A discount of 0 ends an episode and blocks everything after it, although the next row already
/// belongs to another game. Source: Mnih et al. 2016, Algorithm S3 (arXiv:1602.01783). The caller
/// clips rewards and adds γ·V(`final_obs`) where an episode was truncated.
///
/// # Shapes
/// - `rewards`, `discounts`: `[T, N]`; `bootstrap_value`: `[N]`; result: `[T, N]`
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn n_step_returns(rewards: &Tensor, discounts: &Tensor, bootstrap_value: &Tensor) -> Tensor {
    assert_eq!(rewards.size(), discounts.size(), "rewards and discounts are both [T, N]");
    assert_eq!(rewards.size()[1..], bootstrap_value.size(), "bootstrap_value is [N]");
    let mut next = bootstrap_value.shallow_clone(); // [N]
    let mut backwards = Vec::new();
    for t in (0..rewards.size()[0]).rev() {
        next = rewards.get(t) + discounts.get(t) * next; // [N]
        // A handle to the same memory, which is safe because the next step makes a new tensor
        // instead of changing this one in place.
        backwards.push(next.shallow_clone());
    }
    backwards.reverse();
    Tensor::stack(&backwards, 0) // [T, N]
}

/// Generalised advantage estimates, computed backwards: A_t = δ_t + discount_t · λ · A_{t+1} with
/// δ_t = r_t + discount_t · V_{t+1} − V_t and A_T = 0.
///
/// λ = 1 equals [`n_step_returns`] minus the values, λ = 0 the one-step TD error. The value target
/// is A_t + V_t. Source: Schulman et al. 2016 (arXiv:1506.02438), equation 16 in recursive form.
///
/// # Shapes
/// - `rewards`, `discounts`: `[T, N]`; `values`: `[T + 1, N]`, the last row V(s_T); result: `[T,
///   N]`
///
/// # Panics
/// If shapes disagree: a bug in the caller, never user input.
pub fn gae_advantages(
    rewards: &Tensor,
    discounts: &Tensor,
    values: &Tensor,
    gae_lambda: f64,
) -> Tensor {
    let steps = rewards.size()[0];
    assert_eq!(rewards.size(), discounts.size(), "rewards and discounts are both [T, N]");
    assert_eq!(values.size(), [steps + 1, rewards.size()[1]], "values are [T + 1, N]");
    let mut next = values.get(steps).zeros_like(); // [N]
    let mut backwards = Vec::new();
    for t in (0..steps).rev() {
        let discount = discounts.get(t); // [N]
        // A discount of 0 cuts off both V_{t+1} and A_{t+1}, which belong to the next episode.
        let td_error = rewards.get(t) + &discount * values.get(t + 1) - values.get(t);
        next = td_error + discount * gae_lambda * next;
        backwards.push(next.shallow_clone());
    }

    backwards.reverse();
    Tensor::stack(&backwards, 0) // [T, N]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Computes the discounted sum from each t onwards in a scalar f64 loop.
    fn oracle_return(
        rewards: &[Vec<f64>],
        discounts: &[Vec<f64>],
        last: &[f64],
        t: usize,
        i: usize,
    ) -> f64 {
        let mut sum = 0.0;
        let mut weight = 1.0;
        for k in t..rewards.len() {
            sum += weight * rewards[k][i];
            weight *= discounts[k][i];
        }
        sum + weight * last[i]
    }

    fn tensor(rows: &[Vec<f64>]) -> Tensor {
        let flat: Vec<f64> = rows.concat();
        Tensor::from_slice(&flat).view([rows.len() as i64, -1])
    }

    fn assert_close(found: &Tensor, expected: &[Vec<f64>]) {
        let difference = (found - tensor(expected)).abs().max().double_value(&[]);
        assert!(difference < 1e-12, "off by {difference}:\n{found}\nfor {expected:?}");
    }

    fn check_returns(rewards: &[Vec<f64>], discounts: &[Vec<f64>], last: &[f64]) {
        let found = n_step_returns(&tensor(rewards), &tensor(discounts), &Tensor::from_slice(last));
        let expected: Vec<Vec<f64>> = (0..rewards.len())
            .map(|t| {
                (0..last.len()).map(|i| oracle_return(rewards, discounts, last, t, i)).collect()
            })
            .collect();
        assert_close(&found, &expected);
    }

    #[test]
    fn episode_ends_at_the_first_step_the_last_and_twice() {
        // One column each: no end, an end at t = 0, at t = T − 1, at both, and two in between.
        let g = 0.9;
        let discounts = [
            vec![g, 0.0, g, 0.0, g],
            vec![g, g, g, g, 0.0],
            vec![g, g, g, g, g],
            vec![g, g, g, g, 0.0],
            vec![g, g, 0.0, 0.0, g],
        ];
        let rewards: Vec<Vec<f64>> =
            (0..5).map(|t| (0..5).map(|i| f64::from(t * 5 + i) - 7.5).collect()).collect();
        check_returns(&rewards, &discounts, &[100.0, 200.0, 300.0, 400.0, 500.0]);
    }

    #[test]
    fn numbers_worked_by_hand() {
        // r = 1, 2, 3; the episode ends after the second; V(s_3) = 10; γ = 0.5.
        let column = |v: [f64; 3]| Tensor::from_slice(&v).view([3, 1]);
        let returns = n_step_returns(
            &column([1.0, 2.0, 3.0]),
            &column([0.5, 0.0, 0.5]),
            &Tensor::from_slice(&[10.0]),
        );
        assert_eq!(Vec::<f64>::try_from(returns.view(-1)).unwrap(), [2.0, 2.0, 8.0]);
    }

    #[test]
    fn a_cut_episode_adds_the_value_of_its_last_observation_to_its_reward() {
        // Reward 1, truncated at t = 1 with V(final_obs) = 4: the caller adds γ·4 and passes
        // discount 0.
        let column = |v: [f64; 2]| Tensor::from_slice(&v).view([2, 1]);
        let rewards = column([1.0, 1.0 + 0.5 * 4.0]);
        let returns = n_step_returns(&rewards, &column([0.5, 0.0]), &Tensor::from_slice(&[99.0]));
        assert_eq!(Vec::<f64>::try_from(returns.view(-1)).unwrap(), [2.5, 3.0]);
    }

    /// Computes A_t = Σ_k (Π discount·λ) δ_{t+k}, summed forwards instead of backwards.
    fn oracle_gae(
        r: &[Vec<f64>],
        d: &[Vec<f64>],
        v: &[Vec<f64>],
        lambda: f64,
        t: usize,
        i: usize,
    ) -> f64 {
        let mut sum = 0.0;
        let mut weight = 1.0;
        for k in t..r.len() {
            sum += weight * (r[k][i] + d[k][i] * v[k + 1][i] - v[k][i]);
            weight *= d[k][i] * lambda;
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
        #[test]
        fn any_rollout_agrees_with_the_loops_written_out(
            (steps, envs) in (1usize..8, 1usize..4),
            numbers in prop::collection::vec(-2.0f64..2.0, 8 * 4 * 2 + 4),
            ends in prop::collection::vec(prop::bool::weighted(0.3), 8 * 4),
            lambda in 0.0f64..=1.0,
        ) {
            let grid = |offset: usize, rows: usize| -> Vec<Vec<f64>> {
                (0..rows).map(|t| (0..envs).map(|i| numbers[offset + t * envs + i]).collect()).collect()
            };

            let rewards = grid(0, steps);
            let values = grid(32, steps + 1);
            let discounts: Vec<Vec<f64>> = (0..steps)
                .map(|t| (0..envs).map(|i| if ends[t * envs + i] { 0.0 } else { 0.97 }).collect())
                .collect();
            check_returns(&rewards, &discounts, &values[steps]);
            let found = gae_advantages(&tensor(&rewards), &tensor(&discounts), &tensor(&values), lambda);
            let expected: Vec<Vec<f64>> = (0..steps)
                .map(|t| (0..envs).map(|i| oracle_gae(&rewards, &discounts, &values, lambda, t, i)).collect())
                .collect();
            assert_close(&found, &expected);
            // λ = 1 is the n-step return minus the value.
            let one = gae_advantages(&tensor(&rewards), &tensor(&discounts), &tensor(&values), 1.0);
            let returns = n_step_returns(&tensor(&rewards), &tensor(&discounts), &Tensor::from_slice(&values[steps]));
            let difference = returns - tensor(&values[..steps]) - one;
            prop_assert!(difference.abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    #[should_panic(expected = "bootstrap_value is [N]")]
    fn shapes_that_disagree_are_a_bug() {
        let rewards = Tensor::from_slice(&[1.0, 2.0]).view([1, 2]);
        let _ = n_step_returns(&rewards, &rewards, &Tensor::from_slice(&[1.0]));
    }
}
