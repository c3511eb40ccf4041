//! How often the rule of [`super::verdict`] speaks although there is nothing to say.

use super::verdict::{GameVerdict, Verdict};

/// Seeds of an arm; share of games in which one interval lies off 0, and in which the rule says *better*
/// or *worse*, although the scores of both arms come from one distribution. Simulated: 8 000 games each,
/// normal scores, final score and area correlated at 0.8, 1 000 draws a bootstrap; a test repeats some.
const BY_SEEDS: [(usize, f64, f64); 9] = [
    (2, 0.33, 0.46),
    (3, 0.20, 0.29),
    (4, 0.15, 0.22),
    (5, 0.12, 0.18),
    (6, 0.11, 0.16),
    (7, 0.10, 0.15),
    (8, 0.10, 0.14),
    (9, 0.09, 0.13),
    (10, 0.09, 0.13),
];

/// What comes out by chance alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByChance {
    /// Share of games in which one interval lies off 0.
    pub interval: f64,
    /// Share of games that the rule calls better or worse.
    pub verdict: f64,
}

/// What comes out by chance alone with so many seeds in the smaller arm; nothing with one. More than the
/// most that was simulated count as that.
pub fn by_chance(seeds: usize) -> Option<ByChance> {
    let row = BY_SEEDS.iter().rev().find(|(simulated, _, _)| *simulated <= seeds)?;
    Some(ByChance { interval: row.1, verdict: row.2 })
}

/// How many of these games the rule would call better or worse by chance alone.
pub fn expected_by_chance<'a>(games: impl Iterator<Item = &'a GameVerdict>) -> f64 {
    let judged = games.filter(|game| game.verdict != Verdict::Unknown);
    judged.filter_map(|game| by_chance(game.seeds[0].min(game.seeds[1]))).map(|chance| chance.verdict).sum()
}

#[cfg(test)]
mod tests {
    use coordrl_stats::Bootstrap;
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::report::verdict::{Difference, conclude};

    const GAMES: u32 = 400;
    const FEW: Bootstrap = Bootstrap { repetitions: 300, level: 0.95, seed: 1 };
    const CORRELATION: f64 = 0.8;

    /// Nearly normal: a sum of twelve.
    fn normal(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Scores of two measures of one arm.
    fn arm(seeds: usize, rng: &mut StdRng) -> [Vec<f64>; 2] {
        let first: Vec<f64> = (0..seeds).map(|_| normal(rng)).collect();
        let own = (1.0 - CORRELATION * CORRELATION).sqrt();
        let second = first.iter().map(|score| CORRELATION * score + own * normal(rng)).collect();
        [first, second]
    }

    #[test]
    fn simulated_again_it_comes_out_alike() {
        for seeds in [3, 5] {
            let mut rng = StdRng::seed_from_u64(seeds as u64);
            let (mut intervals, mut verdicts) = (0, 0);
            for _ in 0..GAMES {
                let (left, right) = (arm(seeds, &mut rng), arm(seeds, &mut rng));
                let measure = |place: usize| Difference::of(&left[place], &right[place], FEW).unwrap();
                let (one, other) = (measure(0), measure(1));
                let is_off_zero = one.interval.is_some_and(|span| span.low > 0.0 || span.high < 0.0);
                intervals += u32::from(is_off_zero);
                verdicts += u32::from(conclude("", [seeds; 2], one, other).strength.is_some());
            }
            let expected = by_chance(seeds).unwrap();
            let near = |count: u32, share: f64| (f64::from(count) / f64::from(GAMES) - share).abs() < 0.06;
            assert!(near(intervals, expected.interval), "{seeds} seeds: {intervals} of {GAMES}");
            assert!(near(verdicts, expected.verdict), "{seeds} seeds: {verdicts} of {GAMES}");
        }
    }

    #[test]
    fn one_seed_has_no_chance_and_many_have_the_least() {
        assert_eq!(by_chance(1), None);
        assert_eq!(by_chance(99), by_chance(10));
        assert_eq!(by_chance(3).unwrap().verdict, 0.29);
    }
}
