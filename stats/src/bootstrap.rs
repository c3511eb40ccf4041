//! Bootstrap confidence intervals, resampling runs within each game.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::compare::same_games;
use crate::{Scores, StatsError, quantile, without_rounding};

/// Repetitions per generator; fixed, so that results do not depend on the number of threads.
const CHUNK: u32 = 500;

/// Stratified percentile bootstrap: each repetition resamples every game's runs with replacement
/// within that game; the interval spans the quantiles of the resulting statistics. Source:
/// Agarwal et al. 2021 (arXiv:2108.13264), section 4.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples: 2 000 for a quick look, 50 000 for a paper.
    pub repetitions: u32,
    /// Confidence level, such as 0.95.
    pub level: f64,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { repetitions: 50_000, level: 0.95, seed: 1 }
    }
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Returns `true` if `number` lies in the interval, ends included.
    pub fn contains(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }

    /// Sets an end to 0 if it is within rounding of it, for an interval computed from `numbers`.
    pub fn without_rounding(self, numbers: &[f64]) -> Self {
        let [low, high] = [self.low, self.high].map(|end| without_rounding(end, numbers));
        Self { low, high }
    }
}

impl Bootstrap {
    /// Computes the interval of a statistic of one variant.
    ///
    /// # Errors
    /// If the settings are invalid.
    pub fn of(
        &self,
        scores: &Scores,
        statistic: impl Fn(&Scores) -> f64 + Sync,
    ) -> Result<Interval, StatsError> {
        let all = self.of_many(scores, |scores| vec![statistic(scores)])?;
        all.into_iter().next().ok_or(StatsError::NoRepetitions)
    }

    /// Computes intervals of several statistics from the same resamples, such as the points of a
    /// curve.
    ///
    /// # Errors
    /// If the settings are invalid.
    pub fn of_many(
        &self,
        scores: &Scores,
        statistics: impl Fn(&Scores) -> Vec<f64> + Sync,
    ) -> Result<Vec<Interval>, StatsError> {
        self.intervals(|rng| {
            // Cloned for its shape only: `redraw` overwrites every score.
            let mut drawn = scores.clone();
            redraw(scores, &mut drawn, rng);
            statistics(&drawn)
        })
    }

    /// Computes the interval of a statistic of two variants, whose runs are resampled
    /// independently.
    ///
    /// # Errors
    /// If the settings are invalid, or the two differ in the number of games.
    pub fn of_pair(
        &self,
        left: &Scores,
        right: &Scores,
        statistic: impl Fn(&Scores, &Scores) -> f64 + Sync,
    ) -> Result<Interval, StatsError> {
        same_games(left, right)?;
        let all = self.intervals(|rng| {
            let mut drawn_left = left.clone();
            let mut drawn_right = right.clone();
            redraw(left, &mut drawn_left, rng);
            redraw(right, &mut drawn_right, rng);
            vec![statistic(&drawn_left, &drawn_right)]
        })?;
        all.into_iter().next().ok_or(StatsError::NoRepetitions)
    }

    /// Computes an interval for each number that `repeat` returns.
    fn intervals(
        &self,
        repeat: impl Fn(&mut ChaCha8Rng) -> Vec<f64> + Sync,
    ) -> Result<Vec<Interval>, StatsError> {
        // Written so that NaN is refused as well.
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(StatsError::Level { level: self.level });
        }

        if self.repetitions == 0 {
            return Err(StatsError::NoRepetitions);
        }

        let chunks = self.repetitions.div_ceil(CHUNK);
        let drawn: Vec<Vec<f64>> = (0..chunks)
            .into_par_iter()
            .flat_map_iter(|chunk| {
                // One stream per chunk: which thread runs a chunk cannot change its draws.
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(chunk.into());
                let count = CHUNK.min(self.repetitions - chunk * CHUNK);
                (0..count).map(|_| repeat(&mut rng)).collect::<Vec<_>>()
            })
            .collect();

        // There is a first resample, since at least one repetition was required above.
        Ok((0..drawn[0].len()).map(|place| self.between_quantiles(&drawn, place)).collect())
    }

    fn between_quantiles(&self, drawn: &[Vec<f64>], place: usize) -> Interval {
        let mut sorted: Vec<f64> = drawn.iter().map(|numbers| numbers[place]).collect();
        sorted.sort_by(f64::total_cmp);
        let outside = (1.0 - self.level) / 2.0;
        Interval { low: quantile(&sorted, outside), high: quantile(&sorted, 1.0 - outside) }
    }
}

/// Fills `drawn` with a resample: as many scores of each game as there are, with replacement.
fn redraw(scores: &Scores, drawn: &mut Scores, rng: &mut ChaCha8Rng) {
    // Runs never change games: chance lies in the seeds, while the games are fixed.
    for (game, drawn) in scores.games().iter().zip(drawn.games_mut()) {
        drawn.iter_mut().for_each(|score| *score = game[rng.random_range(0..game.len())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aggregate;

    const FEW: Bootstrap = Bootstrap { repetitions: 1200, level: 0.9, seed: 1 };

    fn scores(games: &[&[f64]]) -> Scores {
        Scores::try_new(games.iter().map(|game| game.to_vec()).collect()).unwrap()
    }

    #[test]
    fn runs_are_drawn_within_their_game() {
        // Every mean of game 0 is 1 and every mean of game 1 is 5, however runs are drawn.
        let same = scores(&[&[1.0, 1.0, 1.0], &[5.0, 5.0]]);
        let interval = FEW.of(&same, |scores| Aggregate::Mean.of(scores)).unwrap();
        assert_eq!(interval, Interval { low: 3.0, high: 3.0 });
    }

    #[test]
    fn an_end_within_rounding_of_zero_is_zero() {
        let interval = Interval { low: -1e-17, high: 2e-3 }.without_rounding(&[0.1, -0.1]);
        assert_eq!(interval, Interval { low: 0.0, high: 2e-3 });
    }

    #[test]
    fn a_mean_of_two_has_the_binomial_distribution() {
        // 0, ½, 1 with probabilities ¼, ½, ¼: the quantiles 0.05 and 0.95 enclose everything.
        let two = scores(&[&[0.0, 1.0]]);
        let mean = |scores: &Scores| Aggregate::Mean.of(scores);
        assert_eq!(FEW.of(&two, mean).unwrap(), Interval { low: 0.0, high: 1.0 });
        let narrow = Bootstrap { level: 0.4, ..FEW };
        assert_eq!(narrow.of(&two, mean).unwrap(), Interval { low: 0.5, high: 0.5 });
    }

    #[test]
    fn threads_change_nothing_and_seeds_something() {
        let some = scores(&[&[0.1, 0.9, 0.4, 0.7], &[2.0, 1.0, 3.5]]);
        let iqm = |scores: &Scores| Aggregate::Iqm.of(scores);
        let of = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bootstrap { seed, ..FEW }.of(&some, iqm)).unwrap()
        };
        assert_eq!(of(1, 1), of(3, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let some = scores(&[&[1.0]]);
        let mean = |scores: &Scores| Aggregate::Mean.of(scores);
        assert_eq!(
            Bootstrap { level: 1.0, ..FEW }.of(&some, mean),
            Err(StatsError::Level { level: 1.0 })
        );
        assert_eq!(
            Bootstrap { repetitions: 0, ..FEW }.of(&some, mean),
            Err(StatsError::NoRepetitions)
        );
        let two = scores(&[&[1.0], &[2.0]]);
        assert!(FEW.of_pair(&some, &two, |_, _| 0.0).is_err());
    }
}
