//! Speeds over the last seconds.

use std::time::{Duration, Instant};

/// Least time over which a speed is measured.
const INTERVAL: Duration = Duration::from_secs(3);

/// Measures how fast a count grows, over intervals of at least some seconds.
#[derive(Debug)]
pub struct Speed {
    /// Beginning of the interval, and the count then; absent before the first count.
    since: Option<(Instant, u64)>,
    per_sec: f64,
}

impl Speed {
    /// Starts with the first count.
    pub fn start() -> Self {
        Self { since: None, per_sec: 0.0 }
    }

    /// Takes the count of this moment, and returns its growth per second over the last complete
    /// interval.
    pub fn update(&mut self, count: u64, now: Instant) -> f64 {
        let (since, before) = *self.since.get_or_insert((now, count));
        let elapsed = now - since;
        if elapsed >= INTERVAL {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let growth = count.saturating_sub(before) as f64;
            self.per_sec = growth / elapsed.as_secs_f64();
            self.since = Some((now, count));
        }
        self.per_sec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_that_of_the_last_complete_interval() {
        let mut speed = Speed::start();
        let start = Instant::now();
        let mut at = |secs: u64, count| speed.update(count, start + Duration::from_secs(secs));
        assert_eq!([at(0, 1000), at(1, 1500), at(4, 1800), at(5, 5000)], [0.0, 0.0, 200.0, 200.0]);
        assert_eq!(at(8, 5800), 1000.0);
    }
}
