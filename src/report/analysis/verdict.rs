//! Verdict of one game: better, similar or worse, by a fixed rule, and its strength.

use coordrl_stats::{
    Bootstrap, Interval, Scores, StatsError, least_p_value, mean, mean_difference,
    permutation_p_value, sampled_permutation_p_value, without_rounding,
};
use serde::Serialize;

use super::failed_runs::ArmScores;
use crate::sweep::record::Primary;

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
    /// The interval of the primary measure lies above 0.
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
    /// The permutation test of the primary measure agrees.
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

/// Verdict on an arm against its baseline in one game, with the numbers behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GameVerdict {
    /// Game.
    pub game: String,
    /// Number of seeds of the arm and of the baseline.
    pub seeds: [usize; 2],
    /// Difference in final score.
    pub final_score: Difference,
    /// Difference in area under the curve.
    pub area: Difference,
    /// Verdict.
    pub verdict: Verdict,
    /// Strength of evidence for a difference.
    pub strength: Option<Strength>,
    /// Primary measure, which decided the verdict; the other is shown beside it.
    pub primary: Primary,
    /// P-value of the primary measure after Holm's correction over all games and pairs of arms in
    /// the report; absent with the p-value.
    pub p_after_holm: Option<f64>,
    /// `true` if the intervals of the two measures lie on opposite sides of 0.
    pub contradiction: bool,
    /// Smallest p-value that the test can give with these numbers of seeds.
    pub least_p: f64,
}

/// Judges an arm by its seeds and those of its baseline.
///
/// # Errors
/// If the bootstrap rejects its input.
pub fn judge(
    game: &str,
    arm: &ArmScores,
    baseline: &ArmScores,
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<GameVerdict, StatsError> {
    let final_score = Difference::of(&arm.finals, &baseline.finals, bootstrap)?;
    let area = Difference::of(&arm.areas, &baseline.areas, bootstrap)?;
    let seeds = [arm.finals.len(), baseline.finals.len()];
    Ok(conclude(game, seeds, primary, final_score, area))
}

/// Applies the rule. *Better*: the interval of the primary measure lies above 0; *worse*: below 0;
/// otherwise
/// *similar*. A difference is *supported* if the permutation test of the primary measure has p ≤ 0.05. The
/// other measure is not used: testing both would raise the false-positive rate above 5 %.
pub(super) fn conclude(
    game: &str,
    seeds: [usize; 2],
    primary: Primary,
    final_score: Difference,
    area: Difference,
) -> GameVerdict {
    let (deciding, other) = match primary {
        Primary::Area => (area, final_score),
        Primary::Final => (final_score, area),
    };

    let verdict = match deciding.interval {
        None => Verdict::Unknown,
        Some(_) if deciding.is_above() => Verdict::Better,
        Some(_) if deciding.is_below() => Verdict::Worse,
        Some(_) => Verdict::Similar,
    };

    let supported = deciding.p.is_some_and(|p| p <= ALPHA);
    let strength = if supported { Strength::Supported } else { Strength::Suggestive };
    let contradiction =
        deciding.is_above() && other.is_below() || deciding.is_below() && other.is_above();
    GameVerdict {
        game: game.to_owned(),
        seeds,
        final_score,
        area,
        verdict,
        strength: matches!(verdict, Verdict::Better | Verdict::Worse).then_some(strength),
        primary,
        p_after_holm: None,
        contradiction,
        least_p: least_p(seeds),
    }
}

fn can_count(seeds: [usize; 2]) -> bool {
    // The least p is one over the number of ways, mirror images counted once.
    1.0 / least_p_value(seeds[0], seeds[1]) <= MOST_WAYS
}

fn least_p(seeds: [usize; 2]) -> f64 {
    let exact = least_p_value(seeds[0], seeds[1]);
    // An estimate is (b + 1) / (m + 1), which is least where no deal matches: b = 0.
    if can_count(seeds) { exact } else { 1.0 / (f64::from(RANDOM_DEALS) + 1.0) }
}

impl GameVerdict {
    /// Returns the difference in the primary measure.
    pub fn deciding(&self) -> &Difference {
        match self.primary {
            Primary::Area => &self.area,
            Primary::Final => &self.final_score,
        }
    }

    /// Returns `true` if the arms differ and the test remains significant after Holm's correction.
    pub fn is_left_by_holm(&self) -> bool {
        self.strength.is_some() && self.p_after_holm.is_some_and(|p| p <= ALPHA)
    }

    /// Returns whether its tests are exact or estimated; `None` if there is no test.
    pub fn kind_of_test(&self) -> Option<KindOfTest> {
        // Both measures are of the same seeds, so their tests are of one kind.
        self.final_score.p.map(|_| match self.final_score.random_deals {
            None => KindOfTest::Exact,
            Some(_) => KindOfTest::Estimated,
        })
    }
}

/// Kind of the p-values of a set of games.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindOfTest {
    /// From all permutations.
    Exact,
    /// From random permutations.
    Estimated,
    /// Exact for some games, estimated for others.
    Mixed,
}

impl KindOfTest {
    /// Combines the kinds of these games; `Exact` if there is no test at all.
    pub fn of<'a>(games: impl IntoIterator<Item = &'a GameVerdict>) -> Self {
        let kinds = games.into_iter().filter_map(GameVerdict::kind_of_test);
        kinds.reduce(|all, one| if all == one { all } else { Self::Mixed }).unwrap_or(Self::Exact)
    }
}

impl Difference {
    /// Compares the scores of both arms, one per seed.
    ///
    /// # Errors
    /// If the bootstrap rejects its input.
    pub fn of(arm: &[f64], baseline: &[f64], bootstrap: Bootstrap) -> Result<Self, StatsError> {
        let all: Vec<f64> = arm.iter().chain(baseline).copied().collect();
        // Equal means can differ in their last bits, and the verdict depends on the sign.
        let exactly = |difference: f64| without_rounding(difference, &all);
        let difference = exactly(mean(arm.iter().copied()) - mean(baseline.iter().copied()));
        if arm.len() < 2 || baseline.len() < 2 {
            return Ok(Self { difference, interval: None, p: None, random_deals: None });
        }

        let [arm_scores, baseline_scores] =
            [arm, baseline].map(|values| Scores::try_new(vec![values.to_vec()]));
        let interval = bootstrap.of_pair(&arm_scores?, &baseline_scores?, |arm, baseline| {
            // Both have a single game, so the difference exists.
            mean_difference(arm, baseline).unwrap_or(f64::NAN)
        })?;

        let interval = Interval { low: exactly(interval.low), high: exactly(interval.high) };
        let random_deals = (!can_count([arm.len(), baseline.len()])).then_some(RANDOM_DEALS);
        let p = match random_deals {
            None => permutation_p_value(arm, baseline),
            Some(deals) => sampled_permutation_p_value(arm, baseline, deals, bootstrap.seed),
        };

        Ok(Self { difference, interval: Some(interval), p: Some(p), random_deals })
    }

    fn is_above(&self) -> bool {
        self.interval.is_some_and(|interval| interval.low > 0.0)
    }

    fn is_below(&self) -> bool {
        self.interval.is_some_and(|interval| interval.high < 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bootstrap = Bootstrap { repetitions: 2000, level: 0.95, seed: 1 };

    fn difference(low: f64, high: f64, p: f64) -> Difference {
        let interval = Some(Interval { low, high });
        Difference { difference: (low + high) / 2.0, interval, p: Some(p), random_deals: None }
    }

    fn of(final_score: Difference, area: Difference) -> GameVerdict {
        conclude("pong", [5, 5], Primary::Area, final_score, area)
    }

    fn judged(arm: &[f64], baseline: &[f64]) -> GameVerdict {
        let seeds = [arm.len(), baseline.len()];
        let measured = Difference::of(arm, baseline, FEW).unwrap();
        conclude("pong", seeds, Primary::Area, measured, measured)
    }

    #[test]
    fn the_interval_of_the_primary_measure_decides() {
        let (up, flat, down) =
            (difference(0.1, 2.0, 0.03), difference(-1.0, 2.0, 0.5), difference(-2.0, -0.1, 0.03));
        assert_eq!(of(flat, up).verdict, Verdict::Better);
        assert_eq!(of(flat, down).verdict, Verdict::Worse);
        assert_eq!((of(up, flat).verdict, of(up, flat).strength), (Verdict::Similar, None));
        let by_final = conclude("pong", [5, 5], Primary::Final, up, flat);
        assert_eq!(
            (by_final.verdict, by_final.strength),
            (Verdict::Better, Some(Strength::Supported))
        );
    }

    #[test]
    fn an_end_at_zero_is_not_off_zero() {
        let flat = difference(-1.0, 1.0, 1.0);
        assert_eq!(of(flat, difference(0.0, 2.0, 0.03)).verdict, Verdict::Similar);
        assert_eq!(of(flat, difference(-2.0, 0.0, 0.03)).verdict, Verdict::Similar);
    }

    #[test]
    fn a_contradiction_is_said_and_changes_nothing() {
        let both = of(difference(0.1, 2.0, 0.03), difference(-2.0, -0.1, 0.03));
        assert_eq!((both.verdict, both.contradiction), (Verdict::Worse, true));
    }

    #[test]
    fn the_test_of_the_primary_measure_alone_supports() {
        let weak = difference(0.1, 2.0, 0.08);
        let strong = difference(0.1, 2.0, 0.05);
        assert_eq!(of(strong, weak).strength, Some(Strength::Suggestive));
        assert_eq!(of(weak, strong).strength, Some(Strength::Supported));
    }

    #[test]
    fn three_against_three_is_suggestive_and_five_against_five_can_be_supported() {
        let three = judged(&[11.0, 12.0, 13.0], &[1.0, 2.0, 3.0]);
        assert_eq!((three.verdict, three.strength), (Verdict::Better, Some(Strength::Suggestive)));
        assert_eq!((three.final_score.p, three.least_p), (Some(0.1), 0.1));
        let five = judged(&[1.0, 2.0, 3.0, 1.5, 2.5], &[11.0, 12.0, 13.0, 11.5, 12.5]);
        assert_eq!((five.verdict, five.strength), (Verdict::Worse, Some(Strength::Supported)));
    }

    #[test]
    fn one_seed_says_nothing() {
        let one = judged(&[5.0], &[1.0, 2.0, 3.0]);
        assert_eq!((one.verdict, one.strength), (Verdict::Unknown, None));
        assert_eq!((one.final_score.interval, one.final_score.p), (None, None));
    }

    #[test]
    fn equal_scores_are_similar() {
        let same = judged(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]);
        assert_eq!((same.verdict, same.final_score.p), (Verdict::Similar, Some(1.0)));
        // Three times 0.1 over 3 is not five times 0.1 over 5 in floating point.
        for (arm, baseline) in [([0.1; 3].as_slice(), [0.1; 5].as_slice()), (&[0.1; 5], &[0.1; 3])]
        {
            let same = judged(arm, baseline);
            assert_eq!((same.verdict, same.final_score.difference), (Verdict::Similar, 0.0));
            assert_eq!(same.final_score.interval, Some(Interval { low: 0.0, high: 0.0 }));
        }
    }

    #[test]
    fn too_many_seeds_are_tested_by_random_deals() {
        let [low, high]: [Vec<f64>; 2] =
            [0, 100].map(|from| (from..from + 14).map(f64::from).collect());
        let many = judged(&high, &low);
        assert_eq!((many.verdict, many.strength), (Verdict::Better, Some(Strength::Supported)));
        assert_eq!(
            (many.final_score.p, many.final_score.random_deals),
            (Some(many.least_p), Some(RANDOM_DEALS))
        );
        assert_eq!(many.least_p, 1.0 / 100_001.0);
        let few = judged(&high[..4], &low[..4]);
        assert_eq!((few.final_score.p, few.final_score.random_deals), (Some(few.least_p), None));
        assert_eq!(KindOfTest::of([&few]), KindOfTest::Exact);
        assert_eq!(KindOfTest::of([&many]), KindOfTest::Estimated);
        assert_eq!(KindOfTest::of([&many, &few]), KindOfTest::Mixed);
    }
}
