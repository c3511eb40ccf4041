//! Comparison of an arm with its baseline: a verdict in each game, and the tests of all games.

use coordrl_stats::{
    ALPHA, Bootstrap, Difference, StatsError, Strength, Verdict, false_positive_rate, holm_adjusted,
};
use serde::Serialize;

use super::failed_runs::{ArmScores, GameScores};
use super::grid::ComparisonGroup;
use crate::report::runs::ArmId;
use crate::sweep::record::Primary;

/// Comparison of an arm with its baseline in all games that both have.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The arm.
    pub arm: ArmId,
    /// Baseline arm.
    pub baseline: ArmId,
    /// Verdict in each game.
    pub games: Vec<GameVerdict>,
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
    /// Verdict, by the primary measure alone: two measures that could both decide would raise the
    /// false-positive rate above 5 %.
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

/// Number of games per verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerdictCount {
    /// Games in which the arm is better.
    pub better: usize,
    /// Games without a detected difference.
    pub similar: usize,
    /// Games in which the arm is worse.
    pub worse: usize,
    /// Games without a verdict.
    pub unknown: usize,
}

/// Permutation tests of the primary measure, over all games and pairs of arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tests {
    /// Number of tests.
    pub made: usize,
    /// Number of tests estimated from random permutations.
    pub estimated: usize,
    /// Upper bound on the number of tests expected at or below 0.05 by chance.
    pub expected_by_chance: f64,
    /// Number of games the rule would call better or worse if no arms differed.
    pub verdicts_by_chance: f64,
    /// Number of tests at or below 0.05.
    pub significant: usize,
    /// Number of tests still at or below 0.05 after Holm's correction.
    pub after_holm: usize,
}

/// Compares the arms of all groups with their baselines.
///
/// # Errors
/// If the bootstrap rejects its input.
pub fn compare(
    groups: &[ComparisonGroup],
    games: &[GameScores],
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<Vec<Comparison>, StatsError> {
    let mut comparisons = Vec::new();
    for group in groups {
        for arm in &group.others {
            let verdicts = games.iter().filter_map(|game| {
                let arms = [game.arms.get(arm)?, game.arms.get(&group.baseline)?];
                Some(judge(&game.game, arms, primary, bootstrap))
            });
            comparisons.push(Comparison {
                arm: arm.clone(),
                baseline: group.baseline.clone(),
                games: verdicts.collect::<Result<Vec<_>, _>>()?,
            });
        }
    }

    correct_for_number(&mut comparisons);
    Ok(comparisons)
}

/// Judges an arm by its seeds and those of its baseline.
fn judge(
    game: &str,
    [arm, baseline]: [&ArmScores; 2],
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<GameVerdict, StatsError> {
    let final_score = Difference::of(&arm.finals, &baseline.finals, bootstrap)?;
    let area = Difference::of(&arm.areas, &baseline.areas, bootstrap)?;
    let seeds = [arm.finals.len(), baseline.finals.len()];
    Ok(GameVerdict::of(game, seeds, primary, final_score, area))
}

/// Applies Holm's correction to the p-values of the primary measure over all games and pairs of
/// arms. A game without a test counts towards the number of tests, as if it had found nothing.
fn correct_for_number(comparisons: &mut [Comparison]) {
    let family = comparisons.iter().map(|comparison| comparison.games.len()).sum();
    let p_values: Vec<f64> = games_of(comparisons).filter_map(|game| game.deciding().p).collect();
    let adjusted = holm_adjusted(&p_values, family);

    // In the order of the p-values above, and like them without untested games.
    let games = comparisons.iter_mut().flat_map(|comparison| &mut comparison.games);
    let tested = games.filter(|game| game.deciding().p.is_some());
    tested.zip(adjusted).for_each(|(game, p)| game.p_after_holm = Some(p));
}

/// Iterates over the verdicts of all comparisons.
pub fn games_of(comparisons: &[Comparison]) -> impl Iterator<Item = &GameVerdict> + Clone {
    comparisons.iter().flat_map(|comparison| &comparison.games)
}

/// Returns the expected number of these games called better or worse if no arms differed.
pub fn expected_by_chance<'a>(games: impl IntoIterator<Item = &'a GameVerdict>) -> f64 {
    let judged = games.into_iter().filter(|game| game.verdict != Verdict::Unknown);
    let rates = judged.filter_map(|game| false_positive_rate(game.seeds[0].min(game.seeds[1])));
    // Not `sum`, which makes −0 of nothing.
    rates.fold(0.0, |sum, rate| sum + rate)
}

impl GameVerdict {
    /// Applies the rule to the differences of both measures.
    pub fn of(
        game: &str,
        seeds: [usize; 2],
        primary: Primary,
        final_score: Difference,
        area: Difference,
    ) -> Self {
        let deciding = match primary {
            Primary::Area => area,
            Primary::Final => final_score,
        };

        Self {
            game: game.to_owned(),
            seeds,
            final_score,
            area,
            verdict: deciding.verdict(),
            strength: deciding.strength(),
            primary,
            p_after_holm: None,
            contradiction: area.contradicts(&final_score),
            least_p: Difference::least_p(seeds),
        }
    }

    /// Returns the difference in the primary measure.
    pub fn deciding(&self) -> &Difference {
        self.difference(self.primary)
    }

    /// Returns the difference in a measure.
    pub fn difference(&self, measure: Primary) -> &Difference {
        match measure {
            Primary::Area => &self.area,
            Primary::Final => &self.final_score,
        }
    }

    /// Returns `true` if the arms differ and the test remains significant after Holm's correction.
    pub fn is_left_by_holm(&self) -> bool {
        self.strength.is_some() && self.p_after_holm.is_some_and(|p| p <= ALPHA)
    }
}

impl VerdictCount {
    /// Counts the verdicts on these games.
    pub fn of<'a>(games: impl IntoIterator<Item = &'a GameVerdict>) -> Self {
        let mut count = Self::default();
        for game in games {
            match game.verdict {
                Verdict::Better => count.better += 1,
                Verdict::Similar => count.similar += 1,
                Verdict::Worse => count.worse += 1,
                Verdict::Unknown => count.unknown += 1,
            }
        }
        count
    }
}

impl Tests {
    /// Summarises the tests of all comparisons.
    pub fn of(comparisons: &[Comparison]) -> Self {
        let games = games_of(comparisons);
        let measures = games.clone().map(GameVerdict::deciding);
        let p_values: Vec<f64> = measures.clone().filter_map(|measure| measure.p).collect();
        Self {
            made: p_values.len(),
            estimated: measures.filter(|measure| measure.random_deals.is_some()).count(),
            expected_by_chance: ALPHA * p_values.len() as f64,
            verdicts_by_chance: expected_by_chance(games.clone()),
            significant: p_values.iter().filter(|p| **p <= ALPHA).count(),
            after_holm: games.filter(|game| game.p_after_holm.is_some_and(|p| p <= ALPHA)).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use coordrl_stats::Interval;

    use super::*;

    fn difference(low: f64, high: f64, p: f64) -> Difference {
        let interval = Some(Interval { low, high });
        Difference { difference: (low + high) / 2.0, interval, p: Some(p), random_deals: None }
    }

    #[test]
    fn the_primary_measure_alone_decides() {
        let [up, flat] = [difference(0.1, 2.0, 0.03), difference(-1.0, 2.0, 0.5)];
        let by = |primary| {
            let verdict = GameVerdict::of("pong", [5, 5], primary, up, flat);
            (verdict.verdict, verdict.strength)
        };
        assert_eq!(by(Primary::Area), (Verdict::Similar, None));
        assert_eq!(by(Primary::Final), (Verdict::Better, Some(Strength::Supported)));
    }

    #[test]
    fn a_contradiction_is_said_and_changes_nothing() {
        let [up, down] = [difference(0.1, 2.0, 0.03), difference(-2.0, -0.1, 0.03)];
        let both = GameVerdict::of("pong", [5, 5], Primary::Area, up, down);
        assert_eq!((both.verdict, both.contradiction), (Verdict::Worse, true));
    }
}
