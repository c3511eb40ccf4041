//! Errors of unusable scores and settings.

use thiserror::Error;

/// Reasons why nothing could be computed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum StatsError {
    /// No games at all.
    #[error("no game: statistics need at least one, with at least one score")]
    NoGames,
    /// A game without scores.
    #[error("game {game} (counted from 0) has no score")]
    NoScores {
        /// Index of the game.
        game: usize,
    },
    /// A score that is infinite or NaN.
    #[error("game {game}, run {run} (counted from 0): the score {score} is not finite")]
    NotFinite {
        /// Index of the game.
        game: usize,
        /// Index of the run.
        run: usize,
        /// The score.
        score: f64,
    },
    /// Two variants with different numbers of games.
    #[error(
        "one variant has {left} games and the other {right}: they must have the same, in the same order"
    )]
    OtherGames {
        /// Games of the first.
        left: usize,
        /// Games of the second.
        right: usize,
    },
    /// An invalid confidence level.
    #[error("level of confidence {level}: it must be above 0 and below 1, as in 0.95")]
    Level {
        /// Level requested.
        level: f64,
    },
    /// A bootstrap without repetitions.
    #[error("0 repetitions of the bootstrap: the least is 1, 2 000 is usual")]
    NoRepetitions,
}
