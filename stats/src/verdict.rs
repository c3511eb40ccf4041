//! The verdict on an arm against a baseline in one game, by a fixed rule, and its strength.

use serde::Serialize;

use crate::{
    Bootstrap, Interval, Scores, StatsError, least_p_value, mean, mean_difference,
    permutation_p_value, sampled_permutation_p_value, without_rounding,
};

/// Significance level.
pub const ALPHA: f64 = 0.05;
/// Maximum number of permutations, mirror images not counted, for which p is computed exactly.
pub const MOST_WAYS: f64 = 2e7;
/// Random permutations for an estimate of p: the standard error at 0.05 is 0.0007.
pub const RANDOM_DEALS: u32 = 100_000;

/// Verdict on an arm against its baseline in one game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The interval of the difference lies above 0.
    Better,
    /// The interval contains 0.
    Similar,
    /// The interval lies below 0.
    Worse,
    /// No interval, because an arm has a single seed.
    Unknown,
}

impl Verdict {
    /// Returns the word for the verdict.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Similar => "similar",
            Self::Worse => "worse",
            Self::Unknown => "unknown",
        }
    }
}

/// Strength of evidence for a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// The permutation test agrees.
    Supported,
    /// The test does not agree, or cannot with so few seeds.
    Suggestive,
}

impl Strength {
    /// Returns the word for the strength.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Suggestive => "suggestive",
        }
    }
}

/// Difference of one measure between an arm and its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of the arm minus mean of the baseline.
    pub difference: f64,
    /// Bootstrap interval of the difference; absent if either arm has a single seed.
    pub interval: Option<Interval>,
    /// P-value of the two-sided permutation test; absent with the interval.
    pub p: Option<f64>,
    /// Number of random permutations used to estimate p; absent if p is exact.
    pub random_deals: Option<u32>,
}

impl Difference {
    /// Compares the scores of both arms, one per seed.
    ///
    /// # Errors
    /// If the bootstrap rejects its input.
    pub fn of(arm: &[f64], baseline: &[f64], bootstrap: Bootstrap) -> Result<Self, StatsError> {
        let all: Vec<f64> = arm.iter().chain(baseline).copied().collect();
        // Equal means can differ in their last bits, and the verdict depends on the sign.
        let difference = mean(arm.iter().copied()) - mean(baseline.iter().copied());
        let difference = without_rounding(difference, &all);
        if arm.len() < 2 || baseline.len() < 2 {
            return Ok(Self { difference, interval: None, p: None, random_deals: None });
        }

        let [arm_scores, baseline_scores] =
            [arm, baseline].map(|values| Scores::try_new(vec![values.to_vec()]));
        let interval = bootstrap.of_pair(&arm_scores?, &baseline_scores?, |arm, baseline| {
            // Both have a single game, so the difference exists.
            mean_difference(arm, baseline).unwrap_or(f64::NAN)
        })?;

        let random_deals = (!can_count([arm.len(), baseline.len()])).then_some(RANDOM_DEALS);
        let p = match random_deals {
            None => permutation_p_value(arm, baseline),
            Some(deals) => sampled_permutation_p_value(arm, baseline, deals, bootstrap.seed),
        };

        let interval = Some(interval.without_rounding(&all));
        Ok(Self { difference, interval, p: Some(p), random_deals })
    }

    /// Returns the smallest p that [`Difference::of`] can find with these numbers of seeds.
    pub fn least_p(seeds: [usize; 2]) -> f64 {
        let exact = least_p_value(seeds[0], seeds[1]);
        // An estimate is (b + 1) / (m + 1), which is least where no deal matches: b = 0.
        if can_count(seeds) { exact } else { 1.0 / (f64::from(RANDOM_DEALS) + 1.0) }
    }

    /// Returns the verdict: *better* if the interval lies above 0, *worse* if below, else
    /// *similar*.
    pub fn verdict(&self) -> Verdict {
        match self.interval {
            None => Verdict::Unknown,
            Some(interval) if interval.low > 0.0 => Verdict::Better,
            Some(interval) if interval.high < 0.0 => Verdict::Worse,
            Some(_) => Verdict::Similar,
        }
    }

    /// Returns the strength of a difference, which is *supported* if p ≤ 0.05; `None` without a
    /// difference.
    pub fn strength(&self) -> Option<Strength> {
        let supported = self.p.is_some_and(|p| p <= ALPHA);
        let strength = if supported { Strength::Supported } else { Strength::Suggestive };
        matches!(self.verdict(), Verdict::Better | Verdict::Worse).then_some(strength)
    }

    /// Returns `true` if the intervals of two measures lie on opposite sides of 0.
    pub fn contradicts(&self, other: &Self) -> bool {
        matches!(
            (self.verdict(), other.verdict()),
            (Verdict::Better, Verdict::Worse) | (Verdict::Worse, Verdict::Better)
        )
    }
}

fn can_count(seeds: [usize; 2]) -> bool {
    // The least p is one over the number of ways, mirror images counted once.
    1.0 / least_p_value(seeds[0], seeds[1]) <= MOST_WAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bootstrap = Bootstrap { repetitions: 2000, level: 0.95, seed: 1 };

    fn difference(low: f64, high: f64, p: f64) -> Difference {
        let interval = Some(Interval { low, high });
        Difference { difference: (low + high) / 2.0, interval, p: Some(p), random_deals: None }
    }

    fn of(arm: &[f64], baseline: &[f64]) -> Difference {
        Difference::of(arm, baseline, FEW).unwrap()
    }

    #[test]
    fn the_interval_decides_and_an_end_at_zero_is_not_off_zero() {
        let verdict = |low: f64, high: f64| difference(low, high, 0.03).verdict();
        assert_eq!([verdict(0.1, 2.0), verdict(-2.0, -0.1)], [Verdict::Better, Verdict::Worse]);
        assert_eq!([verdict(0.0, 2.0), verdict(-2.0, 0.0)], [Verdict::Similar; 2]);
        assert_eq!(difference(-1.0, 2.0, 0.03).strength(), None);
    }

    #[test]
    fn the_test_supports() {
        assert_eq!(difference(0.1, 2.0, 0.08).strength(), Some(Strength::Suggestive));
        assert_eq!(difference(0.1, 2.0, 0.05).strength(), Some(Strength::Supported));
    }

    #[test]
    fn only_differences_of_opposite_signs_contradict_each_other() {
        let [up, flat, down] =
            [(0.1, 2.0), (-1.0, 1.0), (-2.0, -0.1)].map(|(low, high)| difference(low, high, 0.03));
        assert!(up.contradicts(&down) && down.contradicts(&up));
        assert!(!up.contradicts(&flat) && !up.contradicts(&up));
    }

    #[test]
    fn three_against_three_is_suggestive_and_five_against_five_can_be_supported() {
        let three = of(&[11.0, 12.0, 13.0], &[1.0, 2.0, 3.0]);
        assert_eq!(
            (three.verdict(), three.strength()),
            (Verdict::Better, Some(Strength::Suggestive))
        );
        assert_eq!((three.p, Difference::least_p([3, 3])), (Some(0.1), 0.1));
        let five = of(&[1.0, 2.0, 3.0, 1.5, 2.5], &[11.0, 12.0, 13.0, 11.5, 12.5]);
        assert_eq!((five.verdict(), five.strength()), (Verdict::Worse, Some(Strength::Supported)));
    }

    #[test]
    fn one_seed_says_nothing() {
        let one = of(&[5.0], &[1.0, 2.0, 3.0]);
        assert_eq!((one.verdict(), one.strength()), (Verdict::Unknown, None));
        assert_eq!((one.interval, one.p), (None, None));
    }

    #[test]
    fn equal_scores_are_similar() {
        let same = of(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]);
        assert_eq!((same.verdict(), same.p), (Verdict::Similar, Some(1.0)));
        // Three times 0.1 over 3 is not five times 0.1 over 5 in floating point.
        for (arm, baseline) in [([0.1; 3].as_slice(), [0.1; 5].as_slice()), (&[0.1; 5], &[0.1; 3])]
        {
            let same = of(arm, baseline);
            assert_eq!((same.verdict(), same.difference), (Verdict::Similar, 0.0));
            assert_eq!(same.interval, Some(Interval { low: 0.0, high: 0.0 }));
        }
    }

    #[test]
    fn too_many_seeds_are_tested_by_random_deals() {
        let [low, high]: [Vec<f64>; 2] =
            [0, 100].map(|from| (from..from + 14).map(f64::from).collect());
        let many = of(&high, &low);
        assert_eq!((many.verdict(), many.strength()), (Verdict::Better, Some(Strength::Supported)));
        assert_eq!((many.p, many.random_deals), (Some(1.0 / 100_001.0), Some(RANDOM_DEALS)));
        assert_eq!(Difference::least_p([14, 14]), 1.0 / 100_001.0);
        let few = of(&high[..4], &low[..4]);
        assert_eq!((few.p, few.random_deals), (Some(Difference::least_p([4, 4])), None));
    }
}
