//! Aggregates: one number for all games and runs of a variant.

use crate::Scores;
use crate::numbers::{mean, median};

/// The normalised score to reach: that of a human.
pub const OPTIMALITY_GOAL: f64 = 1.0;
/// Share of the scores that the interquartile mean drops at either end.
const TRIMMED: f64 = 0.25;

/// Aggregates as defined by Agarwal et al. 2021 (arXiv:2108.13264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Interquartile mean: mean of the middle half of all scores, pooled over games and runs.
    Iqm,
    /// Median over games of the mean over runs.
    Median,
    /// Mean over games of the mean over runs.
    Mean,
    /// Mean shortfall from the score 1; scores above 1 count as 1. Lower is better.
    OptimalityGap,
}

impl Aggregate {
    /// All aggregates.
    pub const ALL: [Self; 4] = [Self::Iqm, Self::Median, Self::Mean, Self::OptimalityGap];

    /// Name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iqm => "IQM",
            Self::Median => "median",
            Self::Mean => "mean",
            Self::OptimalityGap => "optimality gap",
        }
    }

    /// Computes the aggregate of `scores`, which should be normalised unless there is a single
    /// game.
    pub fn of(self, scores: &Scores) -> f64 {
        match self {
            Self::Iqm => trimmed_mean(scores.all().collect()),
            Self::Median => median(means_of_games(scores).collect()),
            Self::Mean => mean(means_of_games(scores)),
            Self::OptimalityGap => {
                // Each run is capped by itself: one far above the goal cannot make up for another.
                let games = scores.games().iter();
                let capped = games.map(|game| mean(game.iter().map(|x| x.min(OPTIMALITY_GOAL))));
                OPTIMALITY_GOAL - mean(capped)
            }
        }
    }
}

fn means_of_games(scores: &Scores) -> impl Iterator<Item = f64> {
    scores.games().iter().map(|game| mean(game.iter().copied()))
}

/// Mean after dropping a quarter of the numbers, rounded down, at either end.
fn trimmed_mean(mut numbers: Vec<f64>) -> f64 {
    // Rounded down as in scipy's `trim_mean`, which rliable uses.
    let cut = (TRIMMED * numbers.len() as f64) as usize;
    numbers.sort_by(f64::total_cmp);
    mean(numbers[cut..numbers.len() - cut].iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let scores =
            Scores::try_new(vec![vec![0.0, 2.0, 4.0], vec![0.5, 0.5, 0.8], vec![9.0, 0.0, 0.0]])
                .unwrap();
        let of = |aggregate: Aggregate| aggregate.of(&scores);
        // Sorted: 0 0 | 0 0.5 0.5 0.8 2 | 4 9; two of nine are dropped at either end.
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} for {b}");
        close(of(Aggregate::Iqm), 3.8 / 5.0);
        close(of(Aggregate::Mean), (2.0 + 0.6 + 3.0) / 3.0);
        close(of(Aggregate::Median), 2.0);
        close(of(Aggregate::OptimalityGap), 1.0 - (2.0 / 3.0 + 0.6 + 1.0 / 3.0) / 3.0);
    }

    #[test]
    fn few_scores_are_not_trimmed_away() {
        let scores = Scores::try_new(vec![vec![1.0, 2.0, 6.0]]).unwrap();
        assert_eq!(Aggregate::Iqm.of(&scores), 3.0);
    }
}
