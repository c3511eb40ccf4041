//! Alternative comparison in which a failed run scores as the worst of its game.

use std::collections::BTreeMap;

use super::measures::GameRow;
use crate::report::runs::{ArmId, ExcludedRun, Why};

/// Scores of a game to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct GameScores {
    /// Game.
    pub game: String,
    /// Scores of each arm that has any.
    pub arms: BTreeMap<ArmId, ArmScores>,
}

/// Scores of an arm in a game, one per seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmScores {
    /// Final scores.
    pub finals: Vec<f64>,
    /// Areas under the curve.
    pub areas: Vec<f64>,
}

impl GameScores {
    /// Collects the scores of the complete runs.
    pub fn of(row: &GameRow) -> Self {
        let arms = row
            .arms
            .iter()
            .map(|arm| (arm.arm.clone(), ArmScores { finals: arm.finals(), areas: arm.areas() }));
        Self { game: row.game.clone(), arms: arms.collect() }
    }

    /// Returns the lowest final score and the lowest area of any run of the game.
    fn worst(&self) -> (f64, f64) {
        let finals = self.arms.values().flat_map(|arm| &arm.finals);
        let areas = self.arms.values().flat_map(|arm| &arm.areas);
        (least(finals), least(areas))
    }
}

fn least<'a>(numbers: impl Iterator<Item = &'a f64>) -> f64 {
    numbers.copied().fold(f64::INFINITY, f64::min)
}

/// Adds the lowest score of its game for each failed or diverged run. Returns `None` if there is no
/// such run in these games. Missing and unfinished runs are not added: their outcome is unknown.
pub fn with_failed_as_worst(
    games: &[GameScores],
    excluded: &[ExcludedRun],
) -> Option<Vec<GameScores>> {
    let mut filled = games.to_vec();
    let failed =
        excluded.iter().filter(|run| matches!(run.why, Why::Failed { .. } | Why::Diverged { .. }));
    for cell in failed.filter_map(|run| run.cell.as_ref()) {
        // A game in which no run is complete has no worst score to give.
        let Some(place) = games.iter().position(|game| game.game == cell.game) else { continue };
        let (final_score, area) = games[place].worst();

        // An arm whose runs all failed has no entry yet.
        let arm = filled[place].arms.entry(cell.arm()).or_default();
        arm.finals.push(final_score);
        arm.areas.push(area);
    }

    (filled != games).then_some(filled)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Algo;
    use crate::report::runs::RunKey;

    fn scores(values: &[f64]) -> ArmScores {
        ArmScores {
            finals: values.to_vec(),
            areas: values.iter().map(|value| value / 2.0).collect(),
        }
    }

    fn arm(torso: &str) -> ArmId {
        ArmId { algo: Algo::A2c, torso: torso.to_owned() }
    }

    fn excluded(game: &str, torso: &str, why: Why) -> ExcludedRun {
        let cell =
            RunKey { game: game.to_owned(), algo: Algo::A2c, torso: torso.to_owned(), seed: 9 };
        ExcludedRun { cell: Some(cell), run: PathBuf::new(), why }
    }

    fn failed() -> Why {
        Why::Failed { ended_with: "exit code 4".to_owned(), message: String::new() }
    }

    #[test]
    fn a_failed_run_counts_as_the_worst_of_its_game_in_its_own_arm() {
        let [conv, coordconv] = [arm("conv"), arm("coordconv")];
        let arms = [(conv.clone(), scores(&[3.0, 4.0])), (coordconv.clone(), scores(&[2.0, 8.0]))];
        let game = GameScores { game: "pong".to_owned(), arms: arms.into() };
        let games = std::slice::from_ref(&game);

        let gone = [
            excluded("pong", "conv", failed()),
            excluded("pong", "conv", Why::Diverged { frames: 7 }),
        ];
        let filled = with_failed_as_worst(games, &gone).unwrap();
        assert_eq!(filled[0].arms[&conv].finals, [3.0, 4.0, 2.0, 2.0]);
        assert_eq!(filled[0].arms[&conv].areas, [1.5, 2.0, 1.0, 1.0]);
        assert_eq!(filled[0].arms[&coordconv], game.arms[&coordconv]);

        let not_failed = [
            excluded("pong", "conv", Why::Missing),
            excluded("pong", "conv", Why::Unfinished { frames: 1, of: 2 }),
            excluded("breakout", "conv", failed()),
        ];
        assert_eq!(with_failed_as_worst(games, &not_failed), None);
    }

    #[test]
    fn an_arm_whose_runs_all_failed_is_compared_too() {
        let arms = [(arm("conv"), scores(&[3.0, 4.0]))].into();
        let games = [GameScores { game: "pong".to_owned(), arms }];
        let filled =
            with_failed_as_worst(&games, &[excluded("pong", "coordconv", failed())]).unwrap();
        assert_eq!(filled[0].arms[&arm("coordconv")].finals, [3.0]);
    }
}
