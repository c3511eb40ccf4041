//! Statistical power: differences detectable with a given number of seeds.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{least_p_value, permutation_p_value};

/// Probability of detection at which an effect counts as detectable.
pub const POWER: f64 = 0.8;
/// Simulated comparisons; the standard error of a power of 0.8 is 0.013.
const COMPARISONS: u64 = 1000;
/// Largest effect tried, in tenths of a standard deviation.
const MOST_TENTHS: u32 = 100;
/// Above this many seeds the exact test is too slow to simulate, and as powerful as Student's.
const MOST_SIMULATED: usize = 12;

/// Smallest difference of means, in standard deviations over seeds, that the exact two-sided
/// permutation test detects at level `alpha` with probability [`POWER`], given `seeds` normal
/// scores in each group: simulated in steps of 0.1, above 12 seeds by the normal approximation.
///
/// `None` if no scores of so few seeds can reach `alpha`, or if only differences above 10 are
/// detected.
pub fn least_visible_difference(seeds: usize, alpha: f64) -> Option<f64> {
    if seeds < 2 || least_p_value(seeds, seeds) > alpha {
        return None;
    }

    if seeds > MOST_SIMULATED {
        return Some(approximated(seeds, alpha));
    }

    // The same draws for every effect: sampling noise must not break the order that bisection
    // needs.
    let pairs: Vec<[Vec<f64>; 2]> =
        (0..COMPARISONS).map(|index| pair_of_groups(seeds, index)).collect();
    let finds = |tenths: u32| power(&pairs, f64::from(tenths) / 10.0, alpha) >= POWER;

    // Power rises with the effect, so the smallest detectable effect can be bisected.
    let mut missed = 0;
    let mut found = MOST_TENTHS;
    if !finds(found) {
        return None;
    }

    while found - missed > 1 {
        let middle = u32::midpoint(missed, found);
        if finds(middle) { found = middle } else { missed = middle }
    }

    Some(f64::from(found) / 10.0)
}

/// Power of Student's test, with Guenther's correction of the normal quantiles for few degrees of
/// freedom (Guenther 1981, The American Statistician 35(4)); rounded up to a tenth, as in the
/// simulation.
fn approximated(seeds: usize, alpha: f64) -> f64 {
    let two_sided = normal_quantile(1.0 - alpha / 2.0);
    // n = 2 · (z_{1 − α/2} + z_power)² / d² + z_{1 − α/2}² / 4, solved for d.
    let corrected = seeds as f64 - two_sided * two_sided / 4.0;
    let effect = (two_sided + normal_quantile(POWER)) * (2.0 / corrected).sqrt();
    (effect * 10.0).ceil() / 10.0
}

fn power(pairs: &[[Vec<f64>; 2]], effect: f64, alpha: f64) -> f64 {
    let found = pairs.par_iter().filter(|[left, right]| {
        // The scores have standard deviation 1, so a shift is an effect in those units.
        let shifted: Vec<f64> = left.iter().map(|score| score + effect).collect();
        permutation_p_value(&shifted, right) <= alpha
    });
    found.count() as f64 / pairs.len() as f64
}

fn pair_of_groups(seeds: usize, index: u64) -> [Vec<f64>; 2] {
    // A generator per pair, so that pair `index` is the same however many are simulated.
    let mut rng = ChaCha8Rng::seed_from_u64(index);
    [(); 2].map(|()| (0..seeds).map(|_| normal(&mut rng)).collect())
}

/// Draws a standard normal number (Box & Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // `1 - random` lies in (0, 1], which keeps the logarithm finite.
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (angle * std::f64::consts::TAU).cos()
}

/// Quantile of the standard normal distribution for a probability above one half, to within 0.0005:
/// Abramowitz & Stegun 1964, formula 26.2.23.
fn normal_quantile(probability: f64) -> f64 {
    let t = (-2.0 * (1.0 - probability).ln()).sqrt();
    let above = 2.515_517 + 0.802_853 * t + 0.010_328 * t * t;
    let below = 1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t;
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From an independent simulation in NumPy, 2000 comparisons per step of 0.1.
    #[test]
    fn the_least_visible_difference_agrees_with_an_independent_simulation() {
        let cases =
            [(4, 0.05, 2.9), (5, 0.05, 2.2), (8, 0.05, 1.6), (8, 0.05 / 9.0, 2.2), (10, 0.05, 1.4)];
        for (seeds, alpha, expected) in cases {
            let found = least_visible_difference(seeds, alpha).unwrap();
            assert!(
                (found - expected).abs() < 0.15,
                "{seeds} seeds at {alpha}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn too_few_seeds_see_nothing() {
        assert_eq!(least_visible_difference(3, 0.05), None); // the least p is 0.1
        assert_eq!(least_visible_difference(5, 0.05 / 9.0), None);
        assert_eq!(least_visible_difference(1, 0.5), None);
    }

    #[test]
    fn many_seeds_see_what_the_normal_approximation_gives() {
        assert_eq!(least_visible_difference(50, 0.05), Some(0.6)); // 2.802 × √(2 / 49.04) = 0.566
        let simulated = least_visible_difference(MOST_SIMULATED, 0.05).unwrap();
        let approximated = least_visible_difference(MOST_SIMULATED + 1, 0.05).unwrap();
        assert!((simulated - approximated).abs() < 0.2, "{simulated} and {approximated}");
    }
}
