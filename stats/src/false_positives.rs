//! False-positive rate of the rule in [`crate::Difference::verdict`].

/// Seeds per arm, and the share of games that the rule calls better or worse (the interval of the
/// difference excludes 0) although both arms' scores come from one distribution. Simulated with
/// 8 000 games each, normal scores and 1 000 bootstrap draws; a test repeats some.
pub const FALSE_POSITIVES: [(usize, f64); 9] = [
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
pub fn false_positive_rate(seeds: usize) -> Option<f64> {
    FALSE_POSITIVES.iter().rev().find(|(simulated, _)| *simulated <= seeds).map(|(_, share)| *share)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
    use rayon::prelude::*;

    use super::*;
    use crate::{ALPHA, Bootstrap, Difference, Strength, holm_adjusted};

    const GAMES_OF_A_PLAN: usize = 9;
    const PLANS: u64 = 800;
    const FEW: Bootstrap = Bootstrap { repetitions: 200, level: 0.95, seed: 1 };

    /// Draws an approximately normal number: a sum of twelve uniforms.
    fn normal(rng: &mut StdRng) -> f64 {
        // Each has the mean 1/2 and the variance 1/12.
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Compares two arms of the same distribution in nine games.
    fn plan_of_equal_arms(seeds: usize, plan: u64) -> Vec<Difference> {
        let mut rng = StdRng::seed_from_u64(1_000 * plan + seeds as u64);
        let mut game = || {
            let mut arm = || -> Vec<f64> { (0..seeds).map(|_| normal(&mut rng)).collect() };
            Difference::of(&arm(), &arm(), FEW).unwrap()
        };
        (0..GAMES_OF_A_PLAN).map(|_| game()).collect()
    }

    fn plans_of(seeds: usize) -> Vec<Vec<Difference>> {
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
            let games: Vec<&Difference> = plans.iter().flatten().collect();
            assert!(games.len() >= 5000);
            let significant = games.iter().filter(|game| game.p.unwrap() <= ALPHA).count();
            assert!(
                significant > games.len() / 100,
                "{seeds} seeds: the simulation finds nothing at all"
            );
            share_at_most_alpha(significant, games.len(), &format!("{seeds} seeds, p"));
            let supported =
                games.iter().filter(|game| game.strength() == Some(Strength::Supported)).count();
            share_at_most_alpha(supported, games.len(), &format!("{seeds} seeds, supported"));

            let any_is_left = |plan: &&Vec<Difference>| {
                let p_values: Vec<f64> = plan.iter().map(|game| game.p.unwrap()).collect();
                holm_adjusted(&p_values, GAMES_OF_A_PLAN).into_iter().any(|p| p <= ALPHA)
            };
            let families = plans.iter().filter(any_is_left).count();
            share_at_most_alpha(families, plans.len(), &format!("{seeds} seeds, plans after Holm"));

            let verdicts = games.iter().filter(|game| game.strength().is_some()).count();
            let share = verdicts as f64 / games.len() as f64;
            let expected = false_positive_rate(seeds).unwrap();
            assert!(
                (share - expected).abs() < 0.02,
                "{seeds} seeds: {share} called different, not {expected}"
            );
        }
    }

    #[test]
    fn one_seed_has_no_chance_and_many_have_the_least() {
        assert_eq!(false_positive_rate(1), None);
        assert_eq!(false_positive_rate(99), false_positive_rate(10));
        assert_eq!(false_positive_rate(3), Some(0.20));
    }
}
