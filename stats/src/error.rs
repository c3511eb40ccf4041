//! What makes scores unusable.

use thiserror::Error;

/// Why nothing could be computed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum StatsError {
    /// There is not a single game.
    #[error("no game: statistics need at least one, with at least one score")]
    NoGames,
    /// A game without scores.
    #[error("game {game} (counted from 0) has no score")]
    NoScores {
        /// Which one.
        game: usize,
    },
    /// Infinite or not a number.
    #[error("game {game}, run {run} (counted from 0): the score {score} is not finite")]
    NotFinite {
        /// Which game.
        game: usize,
        /// Which of its runs.
        run: usize,
        /// What was found.
        score: f64,
    },
    /// Two variants of different games.
    #[error("one variant has {left} games and the other {right}: they must have the same, in the same order")]
    OtherGames {
        /// Games of the first.
        left: usize,
        /// Games of the second.
        right: usize,
    },
    /// A level of confidence that is none.
    #[error("level of confidence {level}: it must be above 0 and below 1, as in 0.95")]
    Level {
        /// What was asked for.
        level: f64,
    },
    /// Nothing to take quantiles of.
    #[error("0 repetitions of the bootstrap: the least is 1, 2 000 is usual")]
    NoRepetitions,
}
