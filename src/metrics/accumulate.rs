//! Metrics between two log points, and the window of recent games. Both are saved in every
//! checkpoint, so that a resumed run reports what an uninterrupted one would.

use std::collections::{BTreeMap, VecDeque};

use coordrl_agents::Metrics;
use coordrl_envs::EpisodeStats;
use serde::{Deserialize, Serialize};

use super::tags::Tag;

/// Number of full games in the mean `train/episode_return`.
pub const WINDOW_GAMES: usize = 100;

/// Running mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Adds one value.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// Adds the mean of `count` values.
    #[expect(clippy::cast_precision_loss, reason = "counts of steps stay far below 2^53")]
    pub fn add_weighted(&mut self, value: f64, count: u64) {
        self.sum += value * count as f64;
        self.count += count;
    }

    /// Returns the mean so far; `None` if nothing was added.
    #[expect(clippy::cast_precision_loss, reason = "counts of updates stay far below 2^53")]
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Metrics since the last log point: means for some tags, the latest value for others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricAccumulator {
    means: BTreeMap<String, Mean>,
    last: BTreeMap<String, f64>,
}

impl MetricAccumulator {
    /// Adds a value to the mean of its tag.
    pub fn add(&mut self, tag: &Tag, value: f64) {
        self.means.entry(tag.name.to_owned()).or_default().add(value);
    }

    /// Adds a value that is itself the mean of `count` values.
    pub fn add_weighted(&mut self, tag: &Tag, value: f64, count: u64) {
        self.means.entry(tag.name.to_owned()).or_default().add_weighted(value, count);
    }

    /// Sets the latest value of a tag.
    pub fn set(&mut self, tag: &Tag, value: f64) {
        self.last.insert(tag.name.to_owned(), value);
    }

    /// Returns `true` if nothing was recorded since the last log point.
    pub fn is_empty(&self) -> bool {
        self.means.is_empty() && self.last.is_empty()
    }

    /// Returns the values of `tags` for a log point, in the same order.
    pub fn values(&self, tags: &[&'static Tag]) -> Vec<(&'static Tag, Option<f64>)> {
        tags.iter()
            .map(|tag| {
                let mean = self.means.get(tag.name).and_then(|mean| mean.value());
                (*tag, mean.or_else(|| self.last.get(tag.name).copied()))
            })
            .collect()
    }
}

impl Metrics for MetricAccumulator {
    fn add(&mut self, tag: &'static Tag, value: f64) {
        MetricAccumulator::add(self, tag, value);
    }

    fn add_weighted(&mut self, tag: &'static Tag, value: f64, count: u64) {
        MetricAccumulator::add_weighted(self, tag, value, count);
    }

    fn set(&mut self, tag: &'static Tag, value: f64) {
        MetricAccumulator::set(self, tag, value);
    }
}

/// Window of the latest full games, oldest first, and the total number of games.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecentGames {
    window: VecDeque<EpisodeStats>,
    total: u64,
}

impl RecentGames {
    /// Adds a finished game.
    pub fn add(&mut self, game: EpisodeStats) {
        if self.window.len() == WINDOW_GAMES {
            self.window.pop_front();
        }
        self.window.push_back(game);
        self.total += 1;
    }

    /// Returns the number of games finished since the run began.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the number of games in the window.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Returns `true` if no game has finished yet.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Returns the mean return of the games in the window; `None` before the first game has ended.
    pub fn mean_return(&self) -> Option<f64> {
        self.mean(|game| game.episode_return)
    }

    /// Returns the mean return once the window is full; the criterion for the best checkpoint.
    pub fn mean_return_of_full_window(&self) -> Option<f64> {
        // A mean of fewer games could be the best of the run by luck alone.
        (self.window.len() == WINDOW_GAMES).then(|| self.mean_return())?
    }

    /// Returns the mean length in emulator frames.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a game is at most a few hundred thousand frames"
    )]
    pub fn mean_length_frames(&self) -> Option<f64> {
        self.mean(|game| game.episode_length_frames as f64)
    }

    fn mean(&self, value: impl Fn(&EpisodeStats) -> f64) -> Option<f64> {
        let mut mean = Mean::default();
        self.window.iter().for_each(|game| mean.add(value(game)));
        mean.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game(episode_return: f64) -> EpisodeStats {
        EpisodeStats { episode_return, episode_length_frames: 4 }
    }

    #[test]
    fn the_window_holds_the_last_hundred_and_counts_all() {
        let mut games = RecentGames::default();
        assert_eq!(games.mean_return(), None, "no game is not a return of 0");
        (0..WINDOW_GAMES - 1).for_each(|_| games.add(game(1.0)));
        assert_eq!(games.mean_return_of_full_window(), None);
        games.add(game(1.0));
        assert_eq!(games.mean_return_of_full_window(), Some(1.0));
        (0..50).for_each(|_| games.add(game(3.0)));
        assert_eq!(games.mean_return(), Some(2.0));
        assert_eq!((games.len(), games.total()), (100, 150));
    }

    #[test]
    fn a_mean_of_nothing_is_absent() {
        let mut mean = Mean::default();
        assert_eq!(mean.value(), None);
        mean.add(2.0);
        mean.add(4.0);
        assert_eq!(mean.value(), Some(3.0));
    }

    #[test]
    fn sums_survive_a_checkpoint_to_the_last_bit() {
        let mut mean = Mean::default();
        (0..1000).for_each(|k| mean.add(0.1 * f64::from(k)));
        let back: Mean = serde_json::from_str(&serde_json::to_string(&mean).unwrap()).unwrap();
        assert_eq!(back, mean);
    }
}
