//! Batch statistics on the host, in `f64`, summed in the given order.

/// Computes the fraction of the returns' variance explained by the values: 1 − Var(return − value)
/// / Var(return).
///
/// 1 is a perfect critic, 0 no better than a constant, below 0 worse. `None` if the returns are
/// constant or any input is not finite.
///
/// # Panics
/// If the lengths differ: a bug in the caller.
pub fn explained_variance(values: &[f32], returns: &[f32]) -> Option<f64> {
    assert_eq!(values.len(), returns.len(), "one value for each return");
    let errors = values.iter().zip(returns).map(|(&v, &r)| f64::from(r) - f64::from(v));
    let (_, spread) = mean_and_std(returns.iter().map(|&r| f64::from(r)))?;
    let (_, error) = mean_and_std(errors)?;
    // Infinite or NaN if the returns are constant.
    let share = 1.0 - (error / spread).powi(2);
    share.is_finite().then_some(share)
}

/// Computes mean and standard deviation (n − 1 in the denominator); `None` for fewer than two
/// numbers.
pub fn mean_and_std(numbers: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let count = numbers.clone().count();
    if count < 2 {
        return None;
    }
    // Two passes, because E[x²] − E[x]² cancels where the mean is large against the deviation.
    let mean = numbers.clone().sum::<f64>() / count as f64;
    let squares: f64 = numbers.map(|x| (x - mean).powi(2)).sum();
    Some((mean, (squares / (count - 1) as f64).sqrt()))
}

/// Normalises to (x − mean) / (std + 1e-8), as Stable-Baselines3 does for advantages.
pub fn normalize(x: f32, (mean, std): (f64, f64)) -> f32 {
    ((f64::from(x) - mean) / (std + 1e-8)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explained_variance_of_perfect_constant_and_opposite_critics() {
        let returns = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(explained_variance(&returns, &returns), Some(1.0));
        assert_eq!(explained_variance(&[3.0; 4], &returns), Some(0.0));
        let shifted = returns.map(|r| r - 10.0); // a constant offset does not matter
        assert_eq!(explained_variance(&shifted, &returns), Some(1.0));
        let opposite = returns.map(|r| -r);
        assert_eq!(explained_variance(&opposite, &returns), Some(-3.0));
    }

    #[test]
    fn explained_variance_is_off_where_it_means_nothing() {
        assert_eq!(explained_variance(&[1.0, 2.0], &[5.0, 5.0]), None);
        assert_eq!(explained_variance(&[1.0], &[5.0]), None);
        assert_eq!(explained_variance(&[], &[]), None);
        assert_eq!(explained_variance(&[f32::NAN, 0.0], &[5.0, 6.0]), None);
    }

    #[test]
    fn normalised_numbers_have_mean_zero_and_deviation_one() {
        let numbers = [3.0f32, -1.0, 0.5, 8.0];
        let stats = mean_and_std(numbers.iter().map(|&x| f64::from(x))).unwrap();
        let scaled = numbers.map(|x| f64::from(normalize(x, stats)));
        let (mean, std) = mean_and_std(scaled.iter().copied()).unwrap();
        assert!(mean.abs() < 1e-7 && (std - 1.0).abs() < 1e-7, "{mean} {std}");
        // The mean of 1 and 3 is 2, the standard deviation √2.
        assert_eq!(mean_and_std([1.0, 3.0].into_iter()), Some((2.0, 2f64.sqrt())));
    }
}
