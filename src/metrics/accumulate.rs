//! Sums between two log points, and the window of recent games. Both live in every checkpoint, so
//! that a resumed run reports what an uninterrupted one would have.

use std::collections::VecDeque;

use coordrl_agents::UpdateReport;
use coordrl_envs::EpisodeStats;
use serde::{Deserialize, Serialize};

use super::tags::{self, Tag};

/// Full games that `train/episode_return` averages over.
pub const WINDOW_GAMES: usize = 100;

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Takes one value.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// The mean so far; absent if nothing was taken.
    #[expect(clippy::cast_precision_loss, reason = "counts of updates stay far below 2^53")]
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// What the updates since the last log point told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    reward_clipped: Mean,
    policy_loss: Mean,
    value_loss: Mean,
    total_loss: Mean,
    entropy: Mean,
    explained_variance: Mean,
    grad_norm: Mean,
    learning_rate: Option<f64>,
}

impl Sums {
    /// Takes the report of one update.
    pub fn add(&mut self, report: &UpdateReport) {
        self.reward_clipped.add(report.mean_clipped_reward);
        self.policy_loss.add(report.policy_loss);
        self.value_loss.add(report.value_loss);
        self.total_loss.add(report.total_loss);
        self.entropy.add(report.entropy);
        report.explained_variance.into_iter().for_each(|share| self.explained_variance.add(share));
        self.grad_norm.add(report.grad_norm);
        self.learning_rate = Some(report.learning_rate);
    }

    /// Whether no update came since the last log point.
    pub fn is_empty(&self) -> bool {
        self.learning_rate.is_none()
    }

    /// The values for a log point.
    pub fn values(&self) -> [(&'static Tag, Option<f64>); 8] {
        [
            (&tags::REWARD_CLIPPED, self.reward_clipped.value()),
            (&tags::LOSS_POLICY, self.policy_loss.value()),
            (&tags::LOSS_VALUE, self.value_loss.value()),
            (&tags::LOSS_TOTAL, self.total_loss.value()),
            (&tags::ENTROPY, self.entropy.value()),
            (&tags::EXPLAINED_VARIANCE, self.explained_variance.value()),
            (&tags::GRAD_NORM, self.grad_norm.value()),
            (&tags::LEARNING_RATE, self.learning_rate),
        ]
    }
}

/// The last full games, oldest first, and how many there ever were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecentGames {
    window: VecDeque<EpisodeStats>,
    total: u64,
}

impl RecentGames {
    /// Takes a finished game.
    pub fn add(&mut self, game: EpisodeStats) {
        if self.window.len() == WINDOW_GAMES {
            self.window.pop_front();
        }
        self.window.push_back(game);
        self.total += 1;
    }

    /// Games finished since the run began.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Games in the window.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether no game has finished yet.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Mean return of the games in the window; absent before the first game has ended.
    pub fn mean_return(&self) -> Option<f64> {
        self.mean(|game| game.episode_return)
    }

    /// Mean return once the window is full: what "best checkpoint" goes by.
    pub fn mean_return_of_full_window(&self) -> Option<f64> {
        (self.window.len() == WINDOW_GAMES).then(|| self.mean_return())?
    }

    /// Mean length in emulator frames.
    #[expect(clippy::cast_precision_loss, reason = "a game is at most a few hundred thousand frames")]
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
