//! Sentences of a report: strength of the evidence, and what cannot be concluded.

use coordrl_stats::{ALPHA, Difference, Strength, Verdict};

use super::report::{ComparisonRow, label_of};
use crate::report::analysis::compare::{
    Comparison, GameVerdict, VerdictCount, expected_by_chance, games_of,
};
use crate::report::analysis::grid::ArmRow;
use crate::report::analysis::measures::GameRow;
use crate::report::runs::ScoredBy;
use crate::text::numbers::{frames, probability};

/// Fewer seeds than this count as few, whatever the test reports.
const FEW_SEEDS: usize = 5;
/// Training length of published Atari results, in frames: Machado et al. 2018.
const PUBLISHED_FRAMES: f64 = 200e6;

impl ComparisonRow {
    /// Adds headline and strength to a comparison.
    pub fn of(comparison: Comparison, arms: &[ArmRow]) -> Self {
        let Comparison { arm, baseline, games } = comparison;
        let count = VerdictCount::of(&games);
        let left = VerdictCount::of(games.iter().filter(|game| game.is_left_by_holm()));
        let headline = format!(
            "{} against {}: {} better and {} worse after Holm; \
             uncorrected {} better, {} similar, {} worse, {} unknown",
            label_of(arms, &arm),
            label_of(arms, &baseline),
            left.better,
            left.worse,
            count.better,
            count.similar,
            count.worse,
            count.unknown
        );

        Self { arm, baseline, headline, strength: strength(&games, count), count, games }
    }
}

fn strength(games: &[GameVerdict], count: VerdictCount) -> String {
    let differences = count.better + count.worse;
    if games.is_empty() {
        return "They have no game in common.".to_owned();
    }

    if count.unknown == games.len() {
        return "One seed in an arm says nothing about the spread, so there is no verdict."
            .to_owned();
    }

    if differences == 0 {
        return "No game shows a difference, which is not to say that there is none.".to_owned();
    }

    let supported = games.iter().filter(|game| game.strength == Some(Strength::Supported)).count();
    // The least of all games: one with more seeds may reach what the others cannot.
    let judged = games.iter().filter(|game| game.verdict != Verdict::Unknown);
    let least = judged.map(|game| game.least_p).fold(1.0, f64::min);
    format!(
        "Differences supported by the permutation test (p ≤ {ALPHA}): {supported}; \
         only suggestive: {}. With these seeds the least possible p is {}. \
         If nothing differed at all, the rule would still find about {:.1} differences.",
        differences - supported,
        probability(least),
        expected_by_chance(games)
    )
}

/// Lists what these runs cannot show, each in one or two sentences.
pub fn limits(comparisons: &[Comparison], games: &[GameRow]) -> Vec<String> {
    let mut texts = Vec::new();
    if comparisons.is_empty() {
        texts.push("Whether one arm is better than another: there is only one.".to_owned());
    } else {
        let names: Vec<&str> = games.iter().map(|game| game.game.as_str()).collect();
        texts.extend(limit_of_seeds(comparisons));
        texts.push(
            "That two arms are equal: `similar` means that no difference was shown, not that \
             there is none."
                .to_owned(),
        );
        texts.push(format!("Anything about games other than {}.", names.join(", ")));
        texts.push(
            "What other settings would give: one set was used, and another may order the arms \
             otherwise."
                .to_owned(),
        );
    }

    // Runs are cut at the end of their game's shortest run, so nothing later is compared.
    let least = games.iter().map(|game| game.budget_frames).fold(f64::INFINITY, f64::min);
    if least < PUBLISHED_FRAMES {
        texts.push(format!(
            "What happens after {} frames: an arm that is ahead here may be behind later. \
             Published results on Atari go to 200 million (Machado et al. 2018, arXiv:1709.06009).",
            frames(least)
        ));
    }

    let trained = games.iter().filter(|game| game.scored_by == ScoredBy::Training);
    let trained: Vec<&str> = trained.map(|game| game.game.as_str()).collect();
    if !trained.is_empty() {
        texts.push(format!(
            "How good the finished agents are in {}: scores are those of training games, played \
             while learning and with all the randomness that learning needs. `coordrl eval` plays \
             for the score.",
            trained.join(", ")
        ));
    }

    texts.push(
        "How fast the arms are elsewhere: hours and frames per second hold for the machines used \
         and whatever else ran there."
            .to_owned(),
    );
    texts
}

fn limit_of_seeds(comparisons: &[Comparison]) -> Option<String> {
    // The pair with the fewest seeds sets the limit for the page.
    let seeds = games_of(comparisons).map(|game| game.seeds);
    let seeds = seeds.min_by_key(|seeds| seeds[0].min(seeds[1]))?;
    let least = Difference::least_p(seeds);
    let [arm, baseline] = seeds;
    if arm.min(baseline) < 2 {
        return Some(
            "Whether a difference is more than chance: some arms have one seed, which says \
             nothing about the spread."
                .to_owned(),
        );
    }

    if least > ALPHA {
        return Some(format!(
            "That a difference is significant: with {arm} against {baseline} seeds no exact \
             two-sided test can reach {ALPHA} (the least possible p is {}). Bootstrap intervals of \
             so few seeds are too narrow.",
            probability(least)
        ));
    }

    (arm.min(baseline) < FEW_SEEDS).then(|| {
        format!(
            "Small differences: {arm} against {baseline} seeds show only large ones, and bootstrap \
             intervals of so few are too narrow."
        )
    })
}

#[cfg(test)]
mod tests {
    use coordrl_stats::Bootstrap;

    use super::*;
    use crate::sweep::record::Primary;

    const FEW: Bootstrap = Bootstrap { repetitions: 500, level: 0.95, seed: 1 };

    fn judged(arm: &[f64], baseline: &[f64]) -> GameVerdict {
        let measured = Difference::of(arm, baseline, FEW).unwrap();
        GameVerdict::of("pong", [arm.len(), baseline.len()], Primary::Area, measured, measured)
    }

    fn strength_of(games: &[GameVerdict]) -> String {
        strength(games, VerdictCount::of(games))
    }

    #[test]
    fn differences_are_counted_by_strength_with_those_to_be_expected() {
        let five = judged(&[1.0, 2.0, 3.0, 1.5, 2.5], &[11.0, 12.0, 13.0, 11.5, 12.5]);
        let three = judged(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]);
        let text = strength_of(&[five, three.clone()]);
        let parts = [
            "Differences supported",
            "(p ≤ 0.05): 1; only suggestive: 1.",
            "p is 0.0079.",
            "about 0.3",
        ];
        parts.iter().for_each(|part| assert!(text.contains(part), "{text}"));
        let text = strength_of(&[three]);
        assert!(text.contains("(p ≤ 0.05): 0; only suggestive: 1."), "{text}");
        assert!(text.contains("the least possible p is 0.10."), "{text}");
    }

    #[test]
    fn no_difference_and_no_verdict_are_said() {
        let same = judged(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]);
        assert!(strength_of(&[same]).starts_with("No game shows"));
        assert!(strength_of(&[judged(&[5.0], &[1.0, 2.0, 3.0])]).contains("One seed"));
        assert!(strength_of(&[]).contains("no game in common"));
    }
}
