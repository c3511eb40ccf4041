//! One variant against another.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{Scores, StatsError, mean};

/// Deals that share a generator, so that threads change no result.
const CHUNK: u32 = 1000;

/// P(a run of `left` scores above one of `right`), ties counting half, mean over games: Agarwal et
/// al. 2021, section 4.3; in each game the statistic of Mann and Whitney over the number of pairs.
///
/// # Errors
/// If the two have not as many games.
pub fn probability_of_improvement(left: &Scores, right: &Scores) -> Result<f64, StatsError> {
    same_games(left, right)?;
    let games = left.games().iter().zip(right.games());
    Ok(mean(games.map(|(left, right)| share_above(left, right))))
}

/// Mean over games of mean(`left`) − mean(`right`).
///
/// # Errors
/// If the two have not as many games.
pub fn mean_difference(left: &Scores, right: &Scores) -> Result<f64, StatsError> {
    same_games(left, right)?;
    let games = left.games().iter().zip(right.games());
    Ok(mean(games.map(|(left, right)| mean(left.iter().copied()) - mean(right.iter().copied()))))
}

pub(crate) fn same_games(left: &Scores, right: &Scores) -> Result<(), StatsError> {
    let (left, right) = (left.games().len(), right.games().len());
    if left == right { Ok(()) } else { Err(StatsError::OtherGames { left, right }) }
}

fn share_above(left: &[f64], right: &[f64]) -> f64 {
    let beats = |a: f64, b: f64| match a.total_cmp(&b) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    mean(left.iter().flat_map(|&a| right.iter().map(move |&b| beats(a, b))))
}

/// Two-sided p-value of the difference of means, from all ways to deal the scores into two groups of
/// these sizes: how large a share differs at least as much. Exact, without any assumption on the
/// distribution; in one game.
///
/// The number of ways grows fast (12 870 for 8 against 8): for a handful of seeds. NaN if a group is
/// empty or a score is not finite: there is nothing to compare then.
pub fn permutation_p_value(left: &[f64], right: &[f64]) -> f64 {
    let Some(seen) = Dealt::try_new(left, right) else { return f64::NAN };
    let (mut ways, mut extreme) = (0u64, 0u64);
    for_each_subset_sum(&seen.scores, left.len(), &mut |sum| {
        ways += 1;
        extreme += u64::from(seen.is_matched_by(sum));
    });
    extreme as f64 / ways as f64
}

/// [`permutation_p_value`] estimated from `deals` random ways to deal the scores, for groups whose ways
/// are too many to count: p = (b + 1) / (m + 1), where b of m deals differ at least as much as the scores
/// seen. That is never 0 and promises no more than the exact test. Source: Phipson & Smyth 2010
/// (Statistical Applications in Genetics and Molecular Biology 9(1), article 39).
///
/// The same seed gives the same p, on any number of threads. NaN where the exact test gives NaN.
pub fn sampled_permutation_p_value(left: &[f64], right: &[f64], deals: u32, seed: u64) -> f64 {
    let Some(seen) = Dealt::try_new(left, right) else { return f64::NAN };
    let extreme_in = |chunk: u32| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(chunk.into());
        let mut scores = seen.scores.clone();
        let count = CHUNK.min(deals - chunk * CHUNK);
        (0..count).filter(|_| seen.is_matched_by(deal(&mut scores, left.len(), &mut rng))).count() as u64
    };
    let extreme: u64 = (0..deals.div_ceil(CHUNK)).into_par_iter().map(extreme_in).sum();
    (extreme + 1) as f64 / (f64::from(deals) + 1.0)
}

/// Brings `size` of the scores, drawn without replacement, to the front; gives their sum.
fn deal(scores: &mut [f64], size: usize, rng: &mut ChaCha8Rng) -> f64 {
    for place in 0..size {
        scores.swap(place, rng.random_range(place..scores.len()));
    }
    scores[..size].iter().sum()
}

/// The scores of two groups, and how far apart the means of these groups lie.
struct Dealt {
    scores: Vec<f64>,
    total: f64,
    /// Sizes of the groups.
    sizes: [f64; 2],
    /// The least difference of means that counts as no less than the one seen.
    enough: f64,
}

impl Dealt {
    /// Nothing if a group is empty or a score is not finite.
    fn try_new(left: &[f64], right: &[f64]) -> Option<Self> {
        let scores: Vec<f64> = left.iter().chain(right).copied().collect();
        if left.is_empty() || right.is_empty() || scores.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let sizes = [left.len() as f64, right.len() as f64];
        let mut dealt = Self { total: scores.iter().sum(), scores, sizes, enough: 0.0 };
        let slack = 1e-12 * dealt.scores.iter().map(|x| x.abs()).sum::<f64>(); // equal but for rounding is equal
        dealt.enough = dealt.difference(left.iter().sum()) - slack;
        Some(dealt)
    }

    /// Difference of means, without its sign, of a deal whose left group has this sum.
    fn difference(&self, sum: f64) -> f64 {
        (sum / self.sizes[0] - (self.total - sum) / self.sizes[1]).abs()
    }

    /// Whether such a deal differs at least as much as the one seen.
    fn is_matched_by(&self, sum: f64) -> bool {
        self.difference(sum) >= self.enough
    }
}

/// The least p-value that [`permutation_p_value`] can give for groups of these sizes, whatever the
/// scores: two of all ways to deal them if both groups are alike in size, else one.
///
/// With 3 against 3 it is 0.1: no result can be significant at 0.05.
pub fn least_p_value(left: usize, right: usize) -> f64 {
    let ways = (1..=left).fold(1.0, |ways, i| ways * (right + i) as f64 / i as f64);
    // With equal sizes the mirror image of the most extreme deal is as extreme, and is another deal.
    let extreme = if left == right { 2.0 } else { 1.0 };
    (extreme / ways).min(1.0)
}

fn for_each_subset_sum(numbers: &[f64], size: usize, visit: &mut impl FnMut(f64)) {
    fn go(numbers: &[f64], size: usize, sum: f64, visit: &mut impl FnMut(f64)) {
        if size == 0 {
            return visit(sum);
        }
        for first in 0..=numbers.len() - size {
            go(&numbers[first + 1..], size - 1, sum + numbers[first], visit);
        }
    }
    if size <= numbers.len() {
        go(numbers, size, 0.0, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(games: &[&[f64]]) -> Scores {
        Scores::try_new(games.iter().map(|game| game.to_vec()).collect()).unwrap()
    }

    #[test]
    fn improvement_worked_by_hand() {
        let (left, right) = (scores(&[&[1.0, 3.0], &[5.0]]), scores(&[&[1.0, 2.0], &[6.0]]));
        // Game 0: 1 ties 1, 1 < 2, 3 > both: 2.5 of 4. Game 1: 0.
        assert_eq!(probability_of_improvement(&left, &right).unwrap(), 0.625 / 2.0);
        assert_eq!(probability_of_improvement(&left, &left).unwrap(), 0.5);
        assert_eq!(mean_difference(&left, &right).unwrap(), (0.5 - 1.0) / 2.0);
        let other = scores(&[&[1.0]]);
        let error = probability_of_improvement(&left, &other).unwrap_err();
        assert_eq!(error, StatsError::OtherGames { left: 2, right: 1 });
    }

    #[test]
    fn p_values_worked_by_hand() {
        // All six deals of two pairs: only the one seen and its mirror image differ by 2.
        assert_eq!(permutation_p_value(&[3.0, 4.0], &[1.0, 2.0]), 2.0 / 6.0);
        assert_eq!(permutation_p_value(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
        assert_eq!(permutation_p_value(&[9.0, 8.0, 7.0], &[1.0, 2.0, 3.0]), least_p_value(3, 3));
        assert_eq!(permutation_p_value(&[9.0, 8.0, 7.0], &[1.0]), least_p_value(3, 1));
        assert!(permutation_p_value(&[], &[1.0]).is_nan() && permutation_p_value(&[1.0], &[]).is_nan());
        assert!(permutation_p_value(&[1.0, f64::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn random_deals_come_close_to_all_deals_and_never_to_nothing() {
        let (left, right) = ([1.0, 5.0, 3.5, 4.0, 6.0], [2.0, 0.5, 3.0, 1.5]);
        let exact = permutation_p_value(&left, &right);
        let sampled = sampled_permutation_p_value(&left, &right, 100_000, 1);
        assert!((sampled - exact).abs() < 0.005 && sampled != exact, "{sampled} for {exact}");
        let [low, high]: [Vec<f64>; 2] = [0, 100].map(|from| (from..from + 16).map(f64::from).collect());
        assert_eq!(sampled_permutation_p_value(&low, &high, 999, 1), 1.0 / 1000.0);
        assert_eq!(sampled_permutation_p_value(&low, &low, 999, 1), 1.0);
        assert_eq!(sampled_permutation_p_value(&low, &high, 0, 1), 1.0);
        assert!(sampled_permutation_p_value(&[], &high, 9, 1).is_nan());
        assert!(sampled_permutation_p_value(&[f64::INFINITY], &high, 9, 1).is_nan());
    }

    #[test]
    fn threads_change_no_random_deal_and_seeds_do() {
        let [left, right]: [Vec<f64>; 2] =
            [3, 5].map(|step| (0..15).map(|place| f64::from(place * step % 17)).collect());
        let of = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sampled_permutation_p_value(&left, &right, 4500, seed))
        };
        assert_eq!(of(1, 1), of(3, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }

    #[test]
    fn three_against_three_can_never_be_significant() {
        assert_eq!(least_p_value(3, 3), 0.1);
        assert!(least_p_value(4, 4) < 0.05);
        assert_eq!(least_p_value(1, 1), 1.0);
        assert_eq!(least_p_value(5, 5), 2.0 / 252.0);
    }
}
