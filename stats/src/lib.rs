//! What scores over games and seeds allow to say: aggregates, intervals, tests. Pure functions.
//!
//! A *score* is one number a run ends with. [`Scores`] holds those of one variant: for each game,
//! one for each seed. The seed is what is drawn anew by chance, so it is what a bootstrap draws:
//! games are fixed, and episodes of one run are no repetitions of it.
//!
//! Source of aggregates and intervals: Agarwal et al. 2021 (arXiv:2108.13264), whose Python library
//! rliable the tests compare with.
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
mod family;
mod numbers;
mod power;
mod profile;
mod scores;

pub use aggregate::{Aggregate, OPTIMALITY_GOAL};
pub use bootstrap::{Bootstrap, Interval};
pub use compare::{
    least_p_value, mean_difference, permutation_p_value, probability_of_improvement,
    sampled_permutation_p_value,
};
pub use error::StatsError;
pub use family::{holm_adjusted, least_holm_adjusted};
pub use numbers::{area_under_curve, first_reaching, mean, median, quantile, without_rounding};
pub use power::{POWER, least_visible_difference};
pub use profile::performance_profile;
pub use scores::Scores;
