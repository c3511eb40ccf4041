//! One number for all games and runs of a variant.

use crate::Scores;
use crate::numbers::{mean, median};

/// The normalised score that counts as reached: a human's.
pub const OPTIMALITY_GOAL: f64 = 1.0;
/// Share of the scores left out at either end by the interquartile mean.
const TRIMMED: f64 = 0.25;

/// Ways to sum up, as Agarwal et al. 2021 (arXiv:2108.13264) define them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Interquartile mean: of the middle half of all scores, games and runs together.
    Iqm,
    /// Median over games of the mean over runs.
    Median,
    /// Mean over games of the mean over runs.
    Mean,
    /// How much is missing, on average, to the score 1: what is beyond does not count. Less is better.
    OptimalityGap,
}

impl Aggregate {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Iqm, Self::Median, Self::Mean, Self::OptimalityGap];

    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iqm => "IQM",
            Self::Median => "median",
            Self::Mean => "mean",
            Self::OptimalityGap => "optimality gap",
        }
    }

    /// Its value for `scores`, which should be normalised unless there is a single game.
    pub fn of(self, scores: &Scores) -> f64 {
        let of_games = || scores.games().iter().map(|game| mean(game.iter().copied()));
        match self {
            Self::Iqm => trimmed_mean(scores.all().collect()),
            Self::Median => median(of_games().collect()),
            Self::Mean => mean(of_games()),
            Self::OptimalityGap => {
                let capped = |game: &Vec<f64>| mean(game.iter().map(|x| x.min(OPTIMALITY_GOAL)));
                OPTIMALITY_GOAL - mean(scores.games().iter().map(capped))
            }
        }
    }
}

/// Mean of what is left when a quarter of the numbers, rounded down, is dropped at either end.
fn trimmed_mean(mut numbers: Vec<f64>) -> f64 {
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
            Scores::try_new(vec![vec![0.0, 2.0, 4.0], vec![0.5, 0.5, 0.8], vec![9.0, 0.0, 0.0]]).unwrap();
        let of = |aggregate: Aggregate| aggregate.of(&scores);
        // Sorted: 0 0 | 0 0.5 0.5 0.8 2 | 4 9; two of nine go at either end.
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
