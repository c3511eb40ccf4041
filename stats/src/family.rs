//! Corrections for several tests at once.

use crate::least_p_value;

/// Holm-adjusted p-values, in the order given: rejecting those at or below a level keeps the
/// probability of any false rejection at or below that level. Holm 1979 (Scandinavian Journal of
/// Statistics 6): the k-th smallest of n is multiplied by n − k + 1 and raised to at least its
/// predecessors.
///
/// `family` is the number of planned tests: tests not run count as having found nothing. It is
/// raised to the number of tests run.
pub fn holm_adjusted(p_values: &[f64], family: usize) -> Vec<f64> {
    let tests = family.max(p_values.len());
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));

    let mut adjusted = vec![1.0; p_values.len()];
    let mut so_far = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        // The running maximum also makes the order of ties irrelevant: they all get the same value.
        so_far = f64::max(so_far, (tests - rank) as f64 * p_values[place]).min(1.0);
        adjusted[place] = so_far;
    }
    adjusted
}

/// Smallest Holm-adjusted p-value possible with exact tests of `seeds` against as many, in a
/// `family` of tests: above the significance level, no result at all can pass.
pub fn least_holm_adjusted(seeds: usize, family: usize) -> f64 {
    (least_p_value(seeds, seeds) * family.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_worked_by_hand() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            found
                .iter()
                .zip(expected)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?}"));
        };

        // 4 × 0.01, 3 × 0.02, 2 × 0.04, 1 × 0.9.
        close(holm_adjusted(&[0.04, 0.01, 0.9, 0.02], 4), &[0.08, 0.04, 0.9, 0.06]);
        // 2 × 0.03, then 1 × 0.04, which must not be less.
        close(holm_adjusted(&[0.03, 0.04], 2), &[0.06, 0.06]);
        close(holm_adjusted(&[0.01], 9), &[0.09]);
        close(holm_adjusted(&[0.3, 0.5], 1), &[0.6, 0.6]);
        close(holm_adjusted(&[0.7, 0.9], 2), &[1.0, 1.0]);
        close(holm_adjusted(&[], 3), &[]);
    }

    #[test]
    fn five_seeds_cannot_pass_in_nine_games_and_six_can() {
        assert!((least_holm_adjusted(5, 9) - 18.0 / 252.0).abs() < 1e-12);
        assert!(least_holm_adjusted(5, 9) > 0.05 && least_holm_adjusted(6, 9) < 0.05);
        assert_eq!(least_holm_adjusted(1, 9), 1.0);
    }
}
