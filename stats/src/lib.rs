//! Statistics of scores over games and seeds: aggregates, intervals, tests, verdicts. Pure
//! functions.
//!
//! A *score* is the final number of one run. [`Scores`] holds those of one variant: one per seed
//! for each game. The seed is the source of chance, so the bootstrap resamples seeds: games are
//! fixed, and episodes of the same run are not independent repetitions.
//!
//! Source of aggregates and intervals: Agarwal et al. 2021 (arXiv:2108.13264); the tests compare
//! with their Python library, rliable.
//!
//! ```
//! use coordrl_stats::{Aggregate, Bootstrap, Scores};
//!
//! # fn main() -> Result<(), coordrl_stats::StatsError> {
//! let scores = Scores::try_new(vec![vec![0.9, 1.1, 1.0], vec![0.2, 0.3, 0.1]])?;
//! let iqm = Aggregate::Iqm.of(&scores);
//! let interval = Bootstrap { repetitions: 2000, level: 0.95, seed: 1 }.of(&scores, |s| Aggregate::Iqm.of(s))?;
//! assert!(interval.low <= iqm && iqm <= interval.high);
//! # Ok(())
//! # }
//! ```

mod aggregate;
mod bootstrap;
mod compare;
mod error;
mod false_positives;
mod family;
mod numbers;
mod power;
mod profile;
mod scores;
mod verdict;

pub use aggregate::{Aggregate, OPTIMALITY_GOAL};
pub use bootstrap::{Bootstrap, Interval};
pub use compare::{
    least_p_value, mean_difference, permutation_p_value, probability_of_improvement,
    sampled_permutation_p_value,
};
pub use error::StatsError;
pub use false_positives::{FALSE_POSITIVES, false_positive_rate};
pub use family::{holm_adjusted, least_holm_adjusted};
pub use numbers::{
    area_under_curve, first_reaching, mean, median, quantile, standard_deviation, without_rounding,
};
pub use power::{POWER, least_visible_difference};
pub use profile::performance_profile;
pub use scores::Scores;
pub use verdict::{ALPHA, Difference, MOST_WAYS, RANDOM_DEALS, Strength, Verdict};
