//! Scores of one variant.

use crate::StatsError;

/// Scores of each game's runs, one per seed. There is at least one game, and at least one score per
/// game.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    games: Vec<Vec<f64>>,
}

impl Scores {
    /// Wraps `games`, where `games[g][r]` is the score of run `r` in game `g`.
    ///
    /// # Errors
    /// If there is no game, a game has no score, or a score is not finite.
    pub fn try_new(games: Vec<Vec<f64>>) -> Result<Self, StatsError> {
        if games.is_empty() {
            return Err(StatsError::NoGames);
        }

        for (game, scores) in games.iter().enumerate() {
            if scores.is_empty() {
                return Err(StatsError::NoScores { game });
            }
            if let Some(run) = scores.iter().position(|score| !score.is_finite()) {
                return Err(StatsError::NotFinite { game, run, score: scores[run] });
            }
        }

        Ok(Self { games })
    }

    /// Returns the scores by game.
    pub fn games(&self) -> &[Vec<f64>] {
        &self.games
    }

    /// Iterates over all scores, game by game.
    pub fn all(&self) -> impl Iterator<Item = f64> + '_ {
        self.games.iter().flatten().copied()
    }

    /// Applies `change(game, score)` to each score, for normalisation.
    ///
    /// # Errors
    /// If a result is not finite.
    pub fn map(&self, change: impl Fn(usize, f64) -> f64) -> Result<Self, StatsError> {
        let games = self.games.iter().enumerate();
        Self::try_new(
            games.map(|(game, scores)| scores.iter().map(|&x| change(game, x)).collect()).collect(),
        )
    }

    /// Returns the scores of one game alone.
    pub fn game(&self, game: usize) -> Self {
        Self { games: vec![self.games[game].clone()] }
    }

    /// Returns the scores for overwriting with a resample of the same shape.
    pub(crate) fn games_mut(&mut self) -> &mut [Vec<f64>] {
        &mut self.games
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        assert_eq!(Scores::try_new(vec![]), Err(StatsError::NoGames));
        assert_eq!(Scores::try_new(vec![vec![1.0], vec![]]), Err(StatsError::NoScores { game: 1 }));
        let error = Scores::try_new(vec![vec![1.0, f64::NAN]]).unwrap_err().to_string();
        assert!(error.contains("game 0, run 1"), "{error}");
        let scores = Scores::try_new(vec![vec![1.0], vec![2.0, 3.0]]).unwrap();
        assert_eq!(
            scores.map(|game, x| x + game as f64).unwrap().games(),
            [vec![1.0], vec![3.0, 4.0]]
        );
        assert!(scores.map(|_, x| x / 0.0).is_err());
        assert_eq!(scores.all().collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        assert_eq!(scores.game(1).games(), [vec![2.0, 3.0]]);
    }
}
