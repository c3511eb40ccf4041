//! Comparison of an arm with its baseline over all games: counts, headline and strength of
//! evidence.

use coordrl_stats::{Bootstrap, StatsError, holm_adjusted};
use serde::Serialize;

use super::failed_runs::GameScores;
use super::false_positives::expected_by_chance;
use super::grid::{Grid, Group};
use super::verdict::{ALPHA, GameVerdict, KindOfTest, RANDOM_DEALS, Strength, Verdict, judge};
use crate::sweep::record::Primary;
use crate::text::numbers::{count, grouped, list, probability};

/// Number of games per verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Games in which the arm is better.
    pub better: usize,
    /// Games without a detected difference.
    pub similar: usize,
    /// Games in which the arm is worse.
    pub worse: usize,
    /// Games without a verdict.
    pub unknown: usize,
}

/// Comparison of an arm with its baseline in all games that both have.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the arm.
    pub arm: String,
    /// Name of the baseline arm.
    pub baseline: String,
    /// "coordconv against conv: 1 better and 0 worse after Holm; uncorrected 6 better, 2 similar, 1
    /// worse".
    pub headline: String,
    /// Strength of the evidence, in one or two sentences.
    pub strength: String,
    /// Number of games per verdict.
    pub count: Count,
    /// Verdict in each game.
    pub games: Vec<GameVerdict>,
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
    grid: &Grid,
    groups: &[Group],
    games: &[GameScores],
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<Vec<Comparison>, StatsError> {
    let mut comparisons = Vec::new();
    for group in groups {
        for &arm in &group.others {
            comparisons.push(compare_pair(grid, [arm, group.baseline], games, primary, bootstrap)?);
        }
    }

    // Headlines come after the correction, which needs the p-values of all pairs.
    correct_for_number(&mut comparisons);
    for comparison in &mut comparisons {
        let [better, worse] = [Verdict::Better, Verdict::Worse].map(|verdict| {
            let left = comparison.games.iter().filter(|game| game.is_left_by_holm());
            number_of(left, verdict)
        });
        comparison.headline = format!(
            "{}: {better} better and {worse} worse after Holm; uncorrected {}",
            comparison.headline,
            comparison.count.text()
        );
    }

    Ok(comparisons)
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

fn number_of<'a>(games: impl Iterator<Item = &'a GameVerdict>, verdict: Verdict) -> usize {
    games.filter(|game| game.verdict == verdict).count()
}

fn compare_pair(
    grid: &Grid,
    [arm, baseline]: [usize; 2],
    games: &[GameScores],
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<Comparison, StatsError> {
    let names = [arm, baseline].map(|place| grid.arms[place].name());
    let mut verdicts = Vec::new();
    for game in games {
        if let (Some(arm), Some(baseline)) = (game.arms.get(&names[0]), game.arms.get(&names[1])) {
            verdicts.push(judge(&game.game, arm, baseline, primary, bootstrap)?);
        }
    }

    let count = Count::of(&verdicts);
    let left = grid.label(arm);
    let right = grid.label(baseline);
    let [arm, baseline] = names;
    Ok(Comparison {
        arm,
        baseline,
        headline: format!("{left} against {right}"),
        strength: format!("{}{}", strength_in_words(&verdicts), chance_in_words(&verdicts)),
        count,
        games: verdicts,
    })
}

impl Count {
    fn of(verdicts: &[GameVerdict]) -> Self {
        Self {
            better: number_of(verdicts.iter(), Verdict::Better),
            similar: number_of(verdicts.iter(), Verdict::Similar),
            worse: number_of(verdicts.iter(), Verdict::Worse),
            unknown: number_of(verdicts.iter(), Verdict::Unknown),
        }
    }

    /// Formats the counts as "6 better, 2 similar, 1 worse", plus the unknown ones if any.
    pub fn text(self) -> String {
        let Self { better, similar, worse, unknown } = self;
        let known = format!("{better} better, {similar} similar, {worse} worse");
        if unknown > 0 { format!("{known}, {unknown} unknown") } else { known }
    }
}

fn strength_in_words(verdicts: &[GameVerdict]) -> String {
    let known: Vec<&GameVerdict> =
        verdicts.iter().filter(|game| game.verdict != Verdict::Unknown).collect();
    let decided = known.iter().filter(|game| game.strength.is_some()).count();
    let supported = known.iter().filter(|game| game.strength == Some(Strength::Supported)).count();
    if verdicts.is_empty() {
        return "They have no game in common.".to_owned();
    }

    // The least of all games: one with more seeds may reach what the others cannot.
    let Some(least) = known.iter().map(|game| game.least_p).reduce(f64::min) else {
        return "One seed in an arm says nothing about the spread, so there is no verdict."
            .to_owned();
    };

    if decided == 0 {
        return "No game shows a difference, which is not to say that there is none.".to_owned();
    }

    if least > ALPHA {
        return format!(
            "With {} seeds no exact two-sided test can reach {ALPHA} (the least possible p is {}), so {} only suggestive.",
            seeds_in_words(&known),
            probability(least),
            if decided == 1 { "the difference is" } else { "every difference is" },
        );
    }

    let test = format!("supported by {}", test_in_words(known.iter().copied()));
    let differences = count(decided, "difference");
    match (supported, decided - supported) {
        (0, _) => format!("{differences}, none of them {test}: only suggestive."),
        (1, 0) => format!("{differences}, {test}."),
        (_, 0) => format!("{differences}, all {test}."),
        (supported, suggestive) => {
            format!("{differences}: {supported} {test}, {suggestive} only suggestive.")
        }
    }
}

fn test_in_words<'a>(games: impl Iterator<Item = &'a GameVerdict>) -> String {
    let deals = grouped(f64::from(RANDOM_DEALS));
    match KindOfTest::of(games.filter(|game| game.strength.is_some())) {
        KindOfTest::Exact => format!("an exact test (p ≤ {ALPHA})"),
        KindOfTest::Estimated => {
            format!("a permutation test (p ≤ {ALPHA}, estimated by {deals} random deals)")
        }
        KindOfTest::Mixed => {
            format!(
                "a permutation test (p ≤ {ALPHA}, exact or, with many seeds, estimated by {deals} random deals)"
            )
        }
    }
}

/// Describes how many false positives the rule is expected to give; empty if it found no
/// difference.
fn chance_in_words(verdicts: &[GameVerdict]) -> String {
    let judged = verdicts.iter().filter(|game| game.verdict != Verdict::Unknown).count();
    if verdicts.iter().all(|game| game.strength.is_none()) {
        return String::new();
    }
    let expected = expected_by_chance(verdicts.iter());
    format!(
        " If nothing differed at all, the rule would still call about {expected:.1} of {} better or worse.",
        count(judged, "game")
    )
}

/// Formats the seed counts as `3 against 3`; lists all pairs if games differ.
fn seeds_in_words(games: &[&GameVerdict]) -> String {
    let mut pairs: Vec<String> =
        games.iter().map(|game| format!("{} against {}", game.seeds[0], game.seeds[1])).collect();
    pairs.sort();
    pairs.dedup();
    list(&pairs)
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
    use super::*;
    use crate::report::analysis::verdict::{Difference, conclude};

    const FEW: Bootstrap = Bootstrap { repetitions: 500, level: 0.95, seed: 1 };

    fn judged(arm: &[f64], baseline: &[f64]) -> GameVerdict {
        let measured = Difference::of(arm, baseline, FEW).unwrap();
        conclude("pong", [arm.len(), baseline.len()], Primary::Area, measured, measured)
    }

    #[test]
    fn three_seeds_are_told_what_they_can_never_show() {
        let text = strength_in_words(&[judged(&[11.0, 12.0, 13.0], &[1.0, 2.0, 3.0])]);
        let parts = ["3 against 3", "is 0.10", "the difference is only suggestive"];
        parts.iter().for_each(|part| assert!(text.contains(part), "{text}"));
    }

    #[test]
    fn differences_are_counted_by_strength() {
        let five = judged(&[1.0, 2.0, 3.0, 1.5, 2.5], &[11.0, 12.0, 13.0, 11.5, 12.5]);
        let three = judged(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]);
        let text = strength_in_words(&[five, three]);
        assert!(
            text == "2 differences: 1 supported by an exact test (p ≤ 0.05), 1 only suggestive.",
            "{text}"
        );
    }

    #[test]
    fn a_test_that_is_estimated_is_called_so() {
        let scores = |from: i32| -> Vec<f64> { (from..from + 14).map(f64::from).collect() };
        let many = judged(&scores(100), &scores(0));
        let five = judged(&[1.0, 2.0, 3.0, 1.5, 2.5], &[11.0, 12.0, 13.0, 11.5, 12.5]);
        let text = strength_in_words(std::slice::from_ref(&many));
        let expected = "1 difference, supported by a permutation test (p ≤ 0.05, estimated by 100 000 random deals).";
        assert_eq!(text, expected);
        let text = strength_in_words(&[many, five]);
        assert!(
            text.contains("exact or, with many seeds, estimated by 100 000 random deals"),
            "{text}"
        );
    }

    #[test]
    fn differences_by_chance_are_said_where_there_are_differences() {
        let three = judged(&[11.0, 12.0, 13.0], &[1.0, 2.0, 3.0]);
        let same = judged(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]);
        assert_eq!(chance_in_words(std::slice::from_ref(&same)), "");
        assert!(chance_in_words(&[three, same]).contains("about 0.4 of 2 games better or worse"));
    }

    #[test]
    fn no_difference_and_no_verdict_are_said() {
        let same = judged(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]);
        assert!(strength_in_words(&[same]).starts_with("No game shows"));
        let one = judged(&[5.0], &[1.0, 2.0, 3.0]);
        assert!(strength_in_words(std::slice::from_ref(&one)).contains("One seed"));
        assert_eq!(Count::of(&[one]).text(), "0 better, 0 similar, 0 worse, 1 unknown");
        assert!(strength_in_words(&[]).contains("no game in common"));
    }
}
