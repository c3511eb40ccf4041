//! Performance profiles.

use crate::Scores;

/// For each threshold, the share of runs scoring above it, averaged with equal weight per game:
/// Agarwal et al. 2021, section 4.2.
pub fn performance_profile(scores: &Scores, thresholds: &[f64]) -> Vec<f64> {
    thresholds.iter().map(|&threshold| share_above(scores, threshold)).collect()
}

/// Share of runs scoring above `threshold`, averaged over games.
fn share_above(scores: &Scores, threshold: f64) -> f64 {
    crate::mean(scores.games().iter().map(|game| {
        game.iter().filter(|score| **score > threshold).count() as f64 / game.len() as f64
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_above_each_threshold() {
        let scores = Scores::try_new(vec![vec![0.0, 1.0, 2.0, 3.0], vec![2.0]]).unwrap();
        assert_eq!(performance_profile(&scores, &[-1.0, 0.0, 1.5, 2.0]), [1.0, 0.875, 0.75, 0.125]);
    }
}
