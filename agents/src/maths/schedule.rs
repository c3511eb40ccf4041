//! Learning-rate schedules.

use serde::{Deserialize, Serialize};

/// Learning-rate schedule over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Constant; such a run can be extended later.
    Constant,
    /// Linear decay to 0 at the run's total number of frames.
    Linear,
}

impl Schedule {
    /// Returns the factor on the initial rate after `frames` of `total_frames`; never below 0.
    pub fn factor(self, frames: u64, total_frames: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            // Also covers a total of 0, which the next line would divide by.
            Self::Linear if frames >= total_frames => 0.0,
            Self::Linear => 1.0 - frames as f64 / total_frames as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_starts_at_one_and_stays_at_zero_past_the_end() {
        let line = |frames| Schedule::Linear.factor(frames, 400);
        assert_eq!([line(0), line(100), line(400), line(500)], [1.0, 0.75, 0.0, 0.0]);
        assert_eq!(Schedule::Linear.factor(0, 0), 0.0);
        assert_eq!(Schedule::Constant.factor(500, 400), 1.0);
    }
}
