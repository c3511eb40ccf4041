//! Replay settings.

use super::planes::check_obs_shape;
use super::{PlaneForm, ReplayError};

/// Settings of a [`Replay`](super::Replay).
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayConfig {
    /// Number of transitions kept by a trim.
    pub capacity: usize,
    /// Fraction of the capacity by which insertions may exceed it between trims.
    pub slack_share: f64,
    /// α: 0 samples uniformly, 1 in proportion to the TD error.
    pub priority_exponent: f64,
    /// β: degree to which importance weights correct the sampling bias; 1 corrects it fully.
    pub importance_exponent: f64,
    /// Constant added to |td_error|, so that every transition can still be sampled.
    pub priority_epsilon: f64,
    /// Observation shape `[C, H, W]`.
    pub obs_shape: [usize; 3],
    /// Form of planes restored from a snapshot. Inserted planes keep their form.
    pub plane_form: PlaneForm,
}

impl ReplayConfig {
    /// Returns the maximum number of transitions: capacity · (1 + slack), rounded down.
    pub fn max_len(&self) -> usize {
        self.capacity.saturating_add((self.capacity as f64 * self.slack_share) as usize)
    }

    /// Returns the bytes of one plane: H · W.
    pub fn plane_len(&self) -> usize {
        self.obs_shape[1] * self.obs_shape[2]
    }

    /// Computes (|td_error| + ε)^α.
    pub(super) fn priority(&self, td_error: f32) -> f64 {
        (f64::from(td_error).abs() + self.priority_epsilon).powf(self.priority_exponent)
    }

    pub(super) fn check(&self) -> Result<(), ReplayError> {
        check_obs_shape(self.obs_shape)?;
        if self.capacity == 0 {
            return wrong("capacity", "0".into(), "at least 1");
        }

        if !(0.0..=1.0).contains(&self.slack_share) {
            return wrong("slack_share", self.slack_share.to_string(), "from 0 to 1");
        }

        let not_negative = [
            ("priority_exponent", self.priority_exponent),
            ("importance_exponent", self.importance_exponent),
            ("priority_epsilon", self.priority_epsilon),
        ];
        match not_negative.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            Some((key, value)) => wrong(key, value.to_string(), "finite, and 0 or more"),
            None => Ok(()),
        }
    }
}

fn wrong(key: &'static str, value: String, allowed: &'static str) -> Result<(), ReplayError> {
    Err(ReplayError::Config { key, value, allowed })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns settings with two channels of two bytes and priorities equal to |td_error|.
    pub fn small(capacity: usize) -> ReplayConfig {
        ReplayConfig {
            capacity,
            slack_share: 0.5,
            priority_exponent: 1.0,
            importance_exponent: 0.5,
            priority_epsilon: 0.0,
            obs_shape: [2, 1, 2],
            plane_form: PlaneForm::Raw,
        }
    }

    #[test]
    fn limits_are_rounded_down() {
        assert_eq!(small(3).max_len(), 4);
        assert_eq!(ReplayConfig { slack_share: 0.05, ..small(2_000_000) }.max_len(), 2_100_000);
        assert_eq!(ReplayConfig { slack_share: 0.0, ..small(7) }.max_len(), 7);
        assert_eq!(small(usize::MAX).max_len(), usize::MAX);
    }

    #[test]
    fn each_setting_out_of_range_is_named() {
        let error = |config: ReplayConfig| config.check().unwrap_err().to_string();
        assert_eq!(error(small(0)), "the replay's `capacity` is 0: it must be at least 1");
        let wrong = ReplayConfig { slack_share: -0.1, ..small(1) };
        assert_eq!(error(wrong), "the replay's `slack_share` is -0.1: it must be from 0 to 1");
        let allowed = "it must be finite, and 0 or more";
        let wrong = ReplayConfig { priority_exponent: f64::NAN, ..small(1) };
        assert_eq!(error(wrong), format!("the replay's `priority_exponent` is NaN: {allowed}"));
        let wrong = ReplayConfig { importance_exponent: -1.0, ..small(1) };
        assert_eq!(error(wrong), format!("the replay's `importance_exponent` is -1: {allowed}"));
        let wrong = ReplayConfig { priority_epsilon: f64::INFINITY, ..small(1) };
        assert_eq!(error(wrong), format!("the replay's `priority_epsilon` is inf: {allowed}"));
        let allowed = "C from 1 to 16, H and W at least 1, H · W below 2^31";
        for shape in [[0, 1, 1], [17, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1 << 20, 1 << 20]] {
            let wrong = ReplayConfig { obs_shape: shape, ..small(1) };
            assert_eq!(
                error(wrong),
                format!("the replay's `obs_shape` is {shape:?}: it must be {allowed}")
            );
        }
    }

    #[test]
    fn priorities_by_hand() {
        let config = ReplayConfig { priority_exponent: 0.5, priority_epsilon: 1.0, ..small(1) };
        assert_eq!([-8.0, 0.0, 3.0].map(|td_error| config.priority(td_error)), [3.0, 1.0, 2.0]);
        let uniform = ReplayConfig { priority_exponent: 0.0, ..small(1) };
        assert_eq!(uniform.priority(0.0), 1.0);
    }
}
