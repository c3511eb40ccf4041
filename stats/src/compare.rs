//! Comparisons of two variants.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::numbers::rounding_of;
use crate::{Scores, StatsError, mean};

/// Random deals per generator; fixed, so that results do not depend on the number of threads.
const CHUNK: u32 = 1000;

/// P(a run of `left` scores above one of `right`), ties counting half, averaged over games: Agarwal
/// et al. 2021, section 4.3. In each game this is the Mann–Whitney statistic over the number of
/// pairs.
///
/// # Errors
/// If the two differ in the number of games.
pub fn probability_of_improvement(left: &Scores, right: &Scores) -> Result<f64, StatsError> {
    same_games(left, right)?;
    let games = left.games().iter().zip(right.games());
    Ok(mean(games.map(|(left, right)| share_above(left, right))))
}

/// Mean over games of mean(`left`) − mean(`right`).
///
/// # Errors
/// If the two differ in the number of games.
pub fn mean_difference(left: &Scores, right: &Scores) -> Result<f64, StatsError> {
    same_games(left, right)?;
    let games = left.games().iter().zip(right.games());
    Ok(mean(games.map(|(left, right)| mean(left.iter().copied()) - mean(right.iter().copied()))))
}

pub(crate) fn same_games(left: &Scores, right: &Scores) -> Result<(), StatsError> {
    let left = left.games().len();
    let right = right.games().len();
    if left == right { Ok(()) } else { Err(StatsError::OtherGames { left, right }) }
}

fn share_above(left: &[f64], right: &[f64]) -> f64 {
    mean(left.iter().flat_map(|&a| right.iter().map(move |&b| beats(a, b))))
}

/// Returns 1 if `a` is above `b`, ½ if they tie, else 0.
fn beats(a: f64, b: f64) -> f64 {
    match a - b {
        // Scores that differ only by rounding are ties.
        difference if difference.abs() <= rounding_of(&[a, b]) => 0.5,
        difference if difference > 0.0 => 1.0,
        _ => 0.0,
    }
}

/// Two-sided exact permutation p-value of the difference of means in one game: the share of all
/// ways to deal the scores into two groups of these sizes whose difference is at least as large.
/// Makes no assumption about the distribution.
///
/// The number of ways grows fast (12 870 for 8 against 8), but they are counted without
/// enumeration. NaN if a group is empty or a score is not finite.
pub fn permutation_p_value(left: &[f64], right: &[f64]) -> f64 {
    // The two-sided difference does not depend on which group comes first, and subsets of the
    // smaller size are quicker to count.
    let (fewer, more) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let Some(seen) = Dealt::try_new(fewer, more) else { return f64::NAN };
    let (low, high) = seen.inner_sums();
    let (outside, ways) = count_sums_outside(&seen.scores, fewer.len(), low, high);
    outside as f64 / ways as f64
}

/// [`permutation_p_value`] estimated from `deals` random ways to deal the scores, for groups with
/// too many ways to count: p = (b + 1) / (m + 1), where b of m deals differ at least as much as the
/// observed scores. This is never 0 and no more optimistic than the exact test. Source: Phipson &
/// Smyth 2010 (Statistical Applications in Genetics and Molecular Biology 9(1), article 39).
///
/// The same seed yields the same p on any number of threads. NaN if the exact test returns NaN.
pub fn sampled_permutation_p_value(left: &[f64], right: &[f64], deals: u32, seed: u64) -> f64 {
    let Some(seen) = Dealt::try_new(left, right) else { return f64::NAN };
    let chunks = (0..deals.div_ceil(CHUNK)).into_par_iter().map(|chunk| {
        // One stream per chunk: which thread runs a chunk cannot change its deals.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(chunk.into());
        seen.count_matches(left.len(), CHUNK.min(deals - chunk * CHUNK), &mut rng)
    });
    let extreme: u64 = chunks.sum();
    (extreme + 1) as f64 / (f64::from(deals) + 1.0)
}

/// Moves `size` scores, drawn without replacement, to the front and returns their sum.
fn deal(scores: &mut [f64], size: usize, rng: &mut ChaCha8Rng) -> f64 {
    // The first steps of a Fisher–Yates shuffle: every subset is equally likely, whatever order the
    // previous deal left.
    for place in 0..size {
        scores.swap(place, rng.random_range(place..scores.len()));
    }
    scores[..size].iter().sum()
}

/// The scores of two groups and the observed distance between their means.
struct Dealt {
    scores: Vec<f64>,
    total: f64,
    /// Sizes of the groups.
    sizes: [f64; 2],
    /// Smallest difference of means that counts as no less than the observed one.
    enough: f64,
}

impl Dealt {
    /// Returns `None` if a group is empty or a score is not finite.
    fn try_new(left: &[f64], right: &[f64]) -> Option<Self> {
        let scores: Vec<f64> = left.iter().chain(right).copied().collect();
        if left.is_empty() || right.is_empty() || scores.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let sizes = [left.len() as f64, right.len() as f64];
        let mut dealt = Self { total: scores.iter().sum(), scores, sizes, enough: 0.0 };
        let slack = rounding_of(&dealt.scores); // absorbs rounding, so that ties count as ties
        dealt.enough = dealt.difference(left.iter().sum()) - slack;
        Some(dealt)
    }

    /// Absolute difference of means of a deal whose left group has this sum.
    fn difference(&self, sum: f64) -> f64 {
        (sum / self.sizes[0] - (self.total - sum) / self.sizes[1]).abs()
    }

    /// Bounds on the left group's sum between which a deal differs less than the observed one; in
    /// descending order if all deals differ as much.
    fn inner_sums(&self) -> (f64, f64) {
        let [left, right] = self.sizes;
        // Solves sum / left − (total − sum) / right = ±enough for the sum.
        let per_unit = 1.0 / left + 1.0 / right;
        let [low, high] = [-self.enough, self.enough]
            .map(|difference| (difference + self.total / right) / per_unit);
        (low, high)
    }

    /// Counts those of `deals` random deals that differ at least as much as the observed one.
    fn count_matches(&self, left: usize, deals: u32, rng: &mut ChaCha8Rng) -> u64 {
        let mut scores = self.scores.clone();
        (0..deals).filter(|_| self.is_matched_by(deal(&mut scores, left, rng))).count() as u64
    }

    /// Returns `true` if such a deal differs at least as much as the observed one.
    fn is_matched_by(&self, sum: f64) -> bool {
        self.difference(sum) >= self.enough
    }
}

/// Smallest p-value that [`permutation_p_value`] can return for groups of these sizes, whatever the
/// scores: two of all ways to deal them if the groups have equal sizes, else one.
///
/// With 3 against 3 it is 0.1: no result can be significant at 0.05.
pub fn least_p_value(left: usize, right: usize) -> f64 {
    // In floating point: from 34 against 34 on, the ways no longer fit in 64 bits.
    // C(left + right, left) = Π (right + i) / i over i = 1 … left.
    let ways = (1..=left).fold(1.0, |ways, i| ways * (right + i) as f64 / i as f64);
    // With equal sizes, the mirror image of the most extreme deal is a second deal as extreme.
    let extreme = if left == right { 2.0 } else { 1.0 };
    (extreme / ways).min(1.0)
}

/// Counts subsets of `size` numbers whose sum is at most `low` or at least `high`, and all such
/// subsets.
///
/// The numbers are split in two halves, the sums of each half are sorted, and pairs of sums are
/// counted by walking through both lists: Horowitz & Sahni 1974 (Journal of the ACM 21(2)). 10
/// against 10 have 184 756 subsets, and 1 024 sums in each half.
fn count_sums_outside(numbers: &[f64], size: usize, low: f64, high: f64) -> (u64, u64) {
    let (first, second) = numbers.split_at(numbers.len() / 2);
    let [first, second] = [first, second].map(|half| sorted_subset_sums(half, size));

    let mut outside = 0;
    let mut ways = 0;
    for (of_first, sums) in first.iter().enumerate() {
        let others = &second[size - of_first];
        let pairs = sums.len() as u64 * others.len() as u64;
        ways += pairs;
        outside += match low < high {
            true => {
                // At most `low` is whatever is not above it.
                let above_low = pairs_where(sums, others, |sum| sum > low);
                let at_high = pairs_where(sums, others, |sum| sum >= high);
                pairs - above_low + at_high
            }
            // The two tails overlap: adding them would count deals twice.
            false => pairs,
        };
    }

    (outside, ways)
}

/// Sums of all subsets, grouped by size from 0 to `most`, each list ascending.
fn sorted_subset_sums(numbers: &[f64], most: usize) -> Vec<Vec<f64>> {
    let mut sums = vec![Vec::new(); most + 1];
    sums[0].push(0.0);
    for &number in numbers {
        for size in (1..=most).rev() {
            let with_it: Vec<f64> = sums[size - 1].iter().map(|sum| sum + number).collect();
            // Descending sizes, so that `sums[size - 1]` does not contain `number` yet.
            sums[size].extend(with_it);
        }
    }
    sums.iter_mut().for_each(|sums| sums.sort_unstable_by(f64::total_cmp));
    sums
}

/// Counts pairs, one from each sorted list, whose sum passes `passes`, which must be monotone.
fn pairs_where(first: &[f64], second: &[f64], passes: impl Fn(f64) -> bool) -> u64 {
    let mut from = second.len();
    let mut count = 0;
    for one in first {
        // `from` never moves back: sums grow along `first`, so what has passed keeps passing.
        while from > 0 && passes(one + second[from - 1]) {
            from -= 1;
        }
        count += (second.len() - from) as u64;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(games: &[&[f64]]) -> Scores {
        Scores::try_new(games.iter().map(|game| game.to_vec()).collect()).unwrap()
    }

    #[test]
    fn improvement_worked_by_hand() {
        let left = scores(&[&[1.0, 3.0], &[5.0]]);
        let right = scores(&[&[1.0, 2.0], &[6.0]]);
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
        // Of all six deals of two pairs, only the observed one and its mirror image differ by 2.
        assert_eq!(permutation_p_value(&[3.0, 4.0], &[1.0, 2.0]), 2.0 / 6.0);
        assert_eq!(permutation_p_value(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
        assert_eq!(permutation_p_value(&[9.0, 8.0, 7.0], &[1.0, 2.0, 3.0]), least_p_value(3, 3));
        assert_eq!(permutation_p_value(&[9.0, 8.0, 7.0], &[1.0]), least_p_value(3, 1));
        assert!(
            permutation_p_value(&[], &[1.0]).is_nan() && permutation_p_value(&[1.0], &[]).is_nan()
        );
        assert!(permutation_p_value(&[1.0, f64::NAN], &[1.0]).is_nan());
    }

    /// Visits every subset, as an oracle for the count that does not.
    fn p_value_by_visiting_all(left: &[f64], right: &[f64]) -> f64 {
        let seen = Dealt::try_new(left, right).unwrap();
        let all = left.len() + right.len();
        let subsets = (0u32..1 << all).filter(|subset| subset.count_ones() as usize == left.len());
        let sum_of = |subset: u32| -> f64 {
            (0..all).filter(|place| subset >> place & 1 == 1).map(|place| seen.scores[place]).sum()
        };

        let mut ways = 0u32;
        let mut extreme = 0u32;
        for subset in subsets {
            ways += 1;
            extreme += u32::from(seen.is_matched_by(sum_of(subset)));
        }

        f64::from(extreme) / f64::from(ways)
    }

    #[test]
    fn the_count_of_deals_is_that_of_visiting_each() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (left, right) in [(1, 1), (1, 6), (2, 5), (3, 3), (4, 7), (7, 4), (6, 6)] {
            for coarse in [true, false] {
                let mut draw = |size: usize| -> Vec<f64> {
                    // Coarse scores tie often.
                    let score = |x: f64| if coarse { (x * 4.0).floor() / 10.0 } else { x };
                    (0..size).map(|_| score(rng.random::<f64>())).collect()
                };
                let left = draw(left);
                let right = draw(right);
                let expected = p_value_by_visiting_all(&left, &right);
                assert_eq!(permutation_p_value(&left, &right), expected, "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn scores_that_are_equal_but_for_rounding_are_equal() {
        let sum = 0.1 + 0.2;
        assert!(sum > 0.3);
        assert_eq!(
            probability_of_improvement(&scores(&[&[sum]]), &scores(&[&[0.3]])).unwrap(),
            0.5
        );
        assert_eq!(permutation_p_value(&[0.1; 3], &[0.1; 5]), 1.0);
    }

    #[test]
    fn random_deals_come_close_to_all_deals_and_never_to_nothing() {
        let left = [1.0, 5.0, 3.5, 4.0, 6.0];
        let right = [2.0, 0.5, 3.0, 1.5];
        let exact = permutation_p_value(&left, &right);
        let sampled = sampled_permutation_p_value(&left, &right, 100_000, 1);
        assert!((sampled - exact).abs() < 0.005 && sampled != exact, "{sampled} for {exact}");
        let [low, high]: [Vec<f64>; 2] =
            [0, 100].map(|from| (from..from + 16).map(f64::from).collect());
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
