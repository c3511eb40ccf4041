//! One variant against another.

use crate::{Scores, StatsError, mean};

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
    let all: Vec<f64> = left.iter().chain(right).copied().collect();
    if left.is_empty() || right.is_empty() || all.iter().any(|score| !score.is_finite()) {
        return f64::NAN;
    }
    let total: f64 = all.iter().sum();
    let (n, m) = (left.len() as f64, right.len() as f64);
    let difference = |sum: f64| (sum / n - (total - sum) / m).abs();
    let seen = difference(left.iter().sum());
    let slack = 1e-12 * all.iter().map(|x| x.abs()).sum::<f64>(); // equal but for rounding is equal
    let (mut ways, mut extreme) = (0u64, 0u64);
    for_each_subset_sum(&all, left.len(), &mut |sum| {
        ways += 1;
        extreme += u64::from(difference(sum) >= seen - slack);
    });
    extreme as f64 / ways as f64
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
    fn three_against_three_can_never_be_significant() {
        assert_eq!(least_p_value(3, 3), 0.1);
        assert!(least_p_value(4, 4) < 0.05);
        assert_eq!(least_p_value(1, 1), 1.0);
        assert_eq!(least_p_value(5, 5), 2.0 / 252.0);
    }
}
