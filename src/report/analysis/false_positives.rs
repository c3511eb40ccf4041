//! False-positive rate of the rule in [`super::verdict`].

use super::verdict::{GameVerdict, Verdict};

/// Seeds per arm, and the share of games that the rule calls better or worse (interval of the
/// primary measure excludes 0) although both arms' scores come from one distribution. Simulated
/// with 8 000 games each, normal scores and 1 000 bootstrap draws; a test repeats some.
const BY_SEEDS: [(usize, f64); 9] = [
    (2, 0.33),
    (3, 0.20),
    (4, 0.15),
    (5, 0.12),
    (6, 0.11),
    (7, 0.10),
    (8, 0.10),
    (9, 0.09),
    (10, 0.09),
];

/// Returns the share of games called better or worse by chance with this many seeds in the smaller
/// arm; `None` for a single seed. More seeds than were simulated use the last simulated value.
pub fn by_chance(seeds: usize) -> Option<f64> {
    BY_SEEDS.iter().rev().find(|(simulated, _)| *simulated <= seeds).map(|(_, share)| *share)
}

/// Returns the expected number of these games called better or worse by chance.
pub fn expected_by_chance<'a>(games: impl Iterator<Item = &'a GameVerdict>) -> f64 {
    let judged = games.filter(|game| game.verdict != Verdict::Unknown);
    judged.filter_map(|game| by_chance(game.seeds[0].min(game.seeds[1]))).sum()
}

#[cfg(test)]
mod tests {
    use coordrl_stats::{Bootstrap, holm_adjusted};
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
    use rayon::prelude::*;

    use super::*;
    use crate::report::analysis::verdict::{ALPHA, Difference, Strength, conclude};
    use crate::sweep::record::Primary;

    const GAMES_OF_A_PLAN: usize = 9;
    const PLANS: u64 = 800;
    const FEW: Bootstrap = Bootstrap { repetitions: 200, level: 0.95, seed: 1 };

    /// Draws an approximately normal number: a sum of twelve uniforms.
    fn normal(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Judges nine games in which both arms have the same distribution.
    fn plan_of_equal_arms(seeds: usize, plan: u64) -> Vec<GameVerdict> {
        let mut rng = StdRng::seed_from_u64(1_000 * plan + seeds as u64);
        let mut game = || {
            let mut arm = || -> Vec<f64> { (0..seeds).map(|_| normal(&mut rng)).collect() };
            let measured = Difference::of(&arm(), &arm(), FEW).unwrap();
            conclude("", [seeds; 2], Primary::Area, measured, measured)
        };
        (0..GAMES_OF_A_PLAN).map(|_| game()).collect()
    }

    fn plans_of(seeds: usize) -> Vec<Vec<GameVerdict>> {
        (0..PLANS).into_par_iter().map(|plan| plan_of_equal_arms(seeds, plan)).collect()
    }

    fn share_at_most_alpha(found: usize, of: usize, about: &str) {
        let standard_error = (ALPHA * (1.0 - ALPHA) / of as f64).sqrt();
        let share = found as f64 / of as f64;
        assert!(share <= ALPHA + 2.0 * standard_error, "{about}: {found} of {of}");
    }

    #[test]
    fn equal_arms_are_supported_in_no_more_than_five_per_cent_before_and_after_holm() {
        for seeds in [4, 5, 8, 10] {
            let plans = plans_of(seeds);
            let games: Vec<&GameVerdict> = plans.iter().flatten().collect();
            assert!(games.len() >= 5000);
            let significant =
                games.iter().filter(|game| game.deciding().p.unwrap() <= ALPHA).count();
            assert!(
                significant > games.len() / 100,
                "{seeds} seeds: the simulation finds nothing at all"
            );
            share_at_most_alpha(significant, games.len(), &format!("{seeds} seeds, p"));
            let supported =
                games.iter().filter(|game| game.strength == Some(Strength::Supported)).count();
            share_at_most_alpha(supported, games.len(), &format!("{seeds} seeds, supported"));

            let any_is_left = |plan: &&Vec<GameVerdict>| {
                let p_values: Vec<f64> =
                    plan.iter().map(|game| game.deciding().p.unwrap()).collect();
                holm_adjusted(&p_values, GAMES_OF_A_PLAN).into_iter().any(|p| p <= ALPHA)
            };
            let families = plans.iter().filter(any_is_left).count();
            share_at_most_alpha(families, plans.len(), &format!("{seeds} seeds, plans after Holm"));

            let verdicts = games.iter().filter(|game| game.strength.is_some()).count();
            let share = verdicts as f64 / games.len() as f64;
            let expected = by_chance(seeds).unwrap();
            assert!(
                (share - expected).abs() < 0.02,
                "{seeds} seeds: {share} called different, not {expected}"
            );
        }
    }

    #[test]
    fn one_seed_has_no_chance_and_many_have_the_least() {
        assert_eq!(by_chance(1), None);
        assert_eq!(by_chance(99), by_chance(10));
        assert_eq!(by_chance(3), Some(0.20));
    }
}
