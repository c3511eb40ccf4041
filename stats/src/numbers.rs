//! Functions of plain lists of numbers.

/// Mean; NaN if empty.
pub fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = 0.0;
    let mut count = 0u32;
    for number in numbers {
        sum += number;
        count += 1;
    }
    sum / f64::from(count)
}

/// Returns the standard deviation of a sample, with n − 1; NaN for fewer than two numbers.
pub fn standard_deviation(numbers: &[f64]) -> f64 {
    let middle = mean(numbers.iter().copied());
    let squares: f64 = numbers.iter().map(|number| (number - middle).powi(2)).sum();
    if numbers.len() < 2 { f64::NAN } else { (squares / (numbers.len() as f64 - 1.0)).sqrt() }
}

/// Median, averaging the two middle numbers of an even count; NaN if empty.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    quantile(&numbers, 0.5)
}

/// The quantile `share` of sorted numbers, with linear interpolation (numpy's default); NaN if
/// empty.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let beyond = place - below as f64;
    // On a number of the list no neighbour counts: an infinite one would make the result NaN.
    if beyond == 0.0 {
        return sorted[below];
    }

    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * beyond
}

/// Mean height of a curve between its first and its last x: the area under it, by trapezoids, over
/// its length. For a single point, its height; NaN if empty.
///
/// `points` are (x, y) with x increasing.
pub fn area_under_curve(points: &[(f64, f64)]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return f64::NAN };
    let length = last.0 - first.0;
    if length <= 0.0 {
        return first.1;
    }

    let pairs = points.windows(2);
    let areas = pairs.map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0);
    areas.sum::<f64>() / length
}

/// The first x at which the curve reaches `threshold`, if ever. A shortfall within rounding counts
/// as reached: otherwise a threshold computed from the curve's own heights could be missed.
pub fn first_reaching(points: &[(f64, f64)], threshold: f64) -> Option<f64> {
    let highest = points.iter().map(|(_, y)| y.abs()).fold(0.0, f64::max);
    let slack = rounding_of(&[threshold, highest]);
    points.iter().find(|(_, y)| *y >= threshold - slack).map(|(x, _)| *x)
}

/// Rounding error allowed in a result, relative to the sum of its inputs: several thousand times
/// the error of one operation, and far below any meaningful difference of scores.
const ROUNDING: f64 = 1e-12;

/// Upper bound on the rounding error of means and differences of these numbers.
pub(crate) fn rounding_of(numbers: &[f64]) -> f64 {
    ROUNDING * numbers.iter().map(|number| number.abs()).sum::<f64>()
}

/// A difference computed from `numbers`, or 0 if it is within rounding. In floating point, three
/// times 0.1 over 3 differs from five times 0.1 over 5, and no conclusion may depend on that.
pub fn without_rounding(difference: f64, numbers: &[f64]) -> f64 {
    if difference.abs() <= rounding_of(numbers) { 0.0 } else { difference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_is_that_of_a_sample() {
        assert!((standard_deviation(&[1.0, 2.0, 3.0, 4.0]) - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(standard_deviation(&[1.0]).is_nan());
    }

    #[test]
    fn medians_and_quantiles_worked_by_hand() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![1.0, 3.0, f64::INFINITY]), 3.0);
        let sorted = [0.0, 10.0, 20.0];
        assert_eq!(
            [0.0, 0.25, 0.9, 1.0].map(|share| quantile(&sorted, share)),
            [0.0, 5.0, 18.0, 20.0]
        );
        assert!(quantile(&[], 0.5).is_nan() && mean([]).is_nan());
    }

    #[test]
    fn areas_and_thresholds_worked_by_hand() {
        let curve = [(0.0, 0.0), (1.0, 2.0), (4.0, 2.0)];
        assert_eq!(area_under_curve(&curve), (1.0 + 6.0) / 4.0);
        assert_eq!(area_under_curve(&curve[..1]), 0.0);
        assert_eq!(first_reaching(&curve, 1.5), Some(1.0));
        assert_eq!(first_reaching(&curve, 2.5), None);
    }

    #[test]
    fn rounding_neither_makes_a_difference_nor_misses_a_threshold() {
        let difference = mean([0.1; 3]) - mean([0.1; 5]);
        assert!(difference != 0.0);
        assert_eq!(without_rounding(difference, &[0.1; 8]), 0.0);
        assert_eq!(without_rounding(1e-9, &[0.1; 8]), 1e-9);
        let level = 0.1 + 0.2;
        assert!(level > 0.3);
        assert_eq!(first_reaching(&[(0.0, 0.0), (1.0, 0.3)], level), Some(1.0));
    }
}
