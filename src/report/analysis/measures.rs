//! Measures of a run: final score, area under the curve, and frames to thresholds.

use std::path::PathBuf;

use coordrl_envs::ReferenceScores;
use coordrl_stats::{
    Bootstrap, Interval, Scores, StatsError, area_under_curve, first_reaching, mean,
};
use serde::Serialize;

use super::curves::{Common, Curve, at, curve};
use super::grid::{GameRuns, Grid};
use crate::eval::known_scores::known_scores;
use crate::report::ReportError;
use crate::report::runs::{ArmId, Run, ScoredBy, as_typed};
use crate::sweep::record::Primary;
use crate::text::numbers;

/// Positions of the thresholds between the start of the game and the best arm's final score.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];

/// Measures of a game in the report.
#[derive(Clone, Debug, Serialize)]
pub struct GameRow {
    /// Name of the game.
    pub game: String,
    /// Frame count at which final scores are taken and areas end: the last that every run reached.
    pub budget_frames: f64,
    /// Frame count at which areas begin: the first at which every run had finished a game.
    pub from_frames: f64,
    /// `true` if runs were given different numbers of frames.
    pub unequal_budgets: bool,
    /// Source of the scores.
    pub scored_by: ScoredBy,
    /// Score of a random policy, if known for the settings of all these runs.
    pub random: Option<f64>,
    /// Score of a human; absent with the random score.
    pub human: Option<f64>,
    /// Arms that have runs in the game.
    pub arms: Vec<GameArm>,
    /// Thresholds, with the frames at which they were reached.
    pub thresholds: Vec<Threshold>,
}

/// Measures of an arm in a game.
#[derive(Clone, Debug, Serialize)]
pub struct GameArm {
    /// The arm.
    pub arm: ArmId,
    /// Final score over its seeds.
    pub final_score: Summary,
    /// Area under the curve divided by its length: mean return over training.
    pub area: Summary,
    /// Measures of each run, one per seed.
    pub seeds: Vec<SeedRow>,
    /// Learning curve.
    pub curve: Curve,
    /// Learning curve of training games, where evaluations decide.
    pub training_curve: Option<Curve>,
}

/// Measures of one run.
#[derive(Clone, Debug, Serialize)]
pub struct SeedRow {
    /// Seed.
    pub seed: u64,
    /// Folder of the run.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub run: PathBuf,
    /// Score at the budget: the final evaluation, or the last 100 training games.
    pub final_score: f64,
    /// Area under the curve divided by its length: mean return over training.
    pub area: f64,
    /// Number of full games finished.
    pub episodes: u64,
    /// Frames trained.
    pub frames: u64,
    /// Hours spent training.
    pub hours: f64,
    /// Commits of the programs that trained it.
    pub commits: Vec<String>,
    /// Command lines that trained it.
    pub commands: Vec<Vec<String>>,
}

/// Mean over seeds, with an interval if there are at least two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Bootstrap interval of the mean.
    pub interval: Option<Interval>,
}

/// Score threshold, with the frames at which each arm reached it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Origin of the threshold.
    pub label: String,
    /// Score.
    pub score: f64,
    /// One entry per arm of the game, in the same order.
    pub arms: Vec<Reached>,
}

/// Frames at which the seeds of an arm reached a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// Median over seeds, where seeds that never reached the score count as last; absent if the
    /// median is such a seed.
    pub median_frames: Option<f64>,
    /// Frames at each seed's first log point at or above the score.
    pub frames: Vec<Option<f64>>,
}

impl Reached {
    /// Returns the number of seeds that reached the score.
    pub fn count(&self) -> usize {
        self.frames.iter().flatten().count()
    }
}

impl GameRow {
    /// Returns the reference scores that make this game comparable with others.
    pub fn reference(&self) -> Option<ReferenceScores> {
        Some(ReferenceScores { random: self.random?, human: self.human? })
    }

    /// Returns the measures of an arm.
    pub fn arm(&self, id: &ArmId) -> Option<&GameArm> {
        self.arms.iter().find(|arm| arm.arm == *id)
    }
}

impl GameArm {
    /// Returns the final scores, one per seed.
    pub fn finals(&self) -> Vec<f64> {
        self.seeds.iter().map(|seed| seed.final_score).collect()
    }

    /// Returns the summary of a measure.
    pub fn of(&self, primary: Primary) -> &Summary {
        match primary {
            Primary::Area => &self.area,
            Primary::Final => &self.final_score,
        }
    }

    /// Returns the areas, one per seed.
    pub fn areas(&self) -> Vec<f64> {
        self.seeds.iter().map(|seed| seed.area).collect()
    }
}

/// Measures every run of every game.
///
/// # Errors
/// If thresholds are given although there are several games.
pub fn games(
    grid: &Grid,
    thresholds: &[f64],
    bootstrap: Bootstrap,
) -> Result<Vec<GameRow>, ReportError> {
    let names: Vec<&str> = grid.games().map(GameRuns::name).collect();
    if !thresholds.is_empty() && names.len() > 1 {
        return Err(ReportError::ThresholdsOfManyGames { games: names.join(", ") });
    }
    grid.games().map(|game| Ok(game_row(game, thresholds, bootstrap)?)).collect()
}

fn game_row(
    game: GameRuns<'_>,
    thresholds: &[f64],
    bootstrap: Bootstrap,
) -> Result<GameRow, StatsError> {
    let common = Common::of(game.runs);
    let least = game.runs.iter().map(Run::length).min().unwrap_or(0);
    // A grid of its own: training games are logged at other frames than evaluations.
    let training = training_grid(game);
    let mut arms = Vec::new();
    for (arm, runs) in game.arms() {
        let mut row = game_arm(arm, runs, &common, least, bootstrap)?;
        if let Some(common) = &training {
            row.training_curve = Some(curve(&by_training(runs), common, bootstrap)?);
        }
        arms.push(row);
    }

    let reference = reference_of(game);
    let mut row = GameRow {
        game: game.name().to_owned(),
        budget_frames: common.budget(),
        from_frames: common.frames.first().copied().unwrap_or(0.0),
        unequal_budgets: game.runs.iter().any(|run| run.length() != least),
        scored_by: game.scored_by(),
        random: reference.map(|known| known.random),
        human: reference.map(|known| known.human),
        arms,
        thresholds: Vec::new(),
    };

    let levels = if thresholds.is_empty() { levels(game, &row) } else { named(thresholds) };
    row.thresholds = levels.into_iter().map(|level| threshold(game, &row, level)).collect();
    Ok(row)
}

/// Returns the common grid of training games, for a second curve where evaluations decide; `None`
/// if they do not, or if a run finished no game within the budget.
fn training_grid(game: GameRuns<'_>) -> Option<Common> {
    let lacks_games = game.runs.iter().any(|run| run.training.is_empty());
    if game.scored_by() == ScoredBy::Training || lacks_games {
        return None;
    }

    let runs = by_training(game.runs);
    let common = Common::of(&runs);
    // A run whose first game ended after the shortest run has no score on the grid.
    let has_all =
        runs.iter().all(|run| common.scores(run).iter().all(|(_, score)| score.is_finite()));
    has_all.then_some(common)
}

fn by_training(runs: &[Run]) -> Vec<Run> {
    let mut runs = runs.to_vec();
    runs.iter_mut().for_each(Run::score_by_training);
    runs
}

/// Returns a game's reference scores, if all of its runs use settings for which they hold.
fn reference_of(game: GameRuns<'_>) -> Option<ReferenceScores> {
    let known = game.runs.iter().map(|run| known_scores(game.name(), &run.config.env.resolve()));
    known.reduce(Option::and).flatten()
}

fn game_arm(
    arm: ArmId,
    runs: &[Run],
    common: &Common,
    least_budget: u64,
    bootstrap: Bootstrap,
) -> Result<GameArm, StatsError> {
    let seeds: Vec<SeedRow> = runs.iter().map(|run| seed_row(run, common, least_budget)).collect();
    let final_score = summary(seeds.iter().map(|seed| seed.final_score).collect(), bootstrap)?;
    let area = summary(seeds.iter().map(|seed| seed.area).collect(), bootstrap)?;
    let curve = curve(runs, common, bootstrap)?;
    Ok(GameArm { arm, final_score, area, curve, training_curve: None, seeds })
}

/// Measures a run. One with the smallest budget ends at its own last log point; longer ones are cut
/// there.
fn seed_row(run: &Run, common: &Common, least_budget: u64) -> SeedRow {
    let end = if run.length() == least_budget { f64::INFINITY } else { common.budget() };
    SeedRow {
        seed: run.config.seed,
        run: run.path.clone(),
        final_score: at(&run.curve, end, |point| point.score),
        area: area_under_curve(&common.scores(run)),
        episodes: run.episodes,
        frames: run.frames,
        hours: run.wall_secs / 3600.0,
        commits: run.meta.commits().into_iter().map(str::to_owned).collect(),
        commands: run.meta.sessions.iter().map(|session| as_typed(&session.command)).collect(),
    }
}

fn summary(values: Vec<f64>, bootstrap: Bootstrap) -> Result<Summary, StatsError> {
    let middle = mean(values.iter().copied());
    if values.len() < 2 {
        return Ok(Summary { mean: middle, interval: None });
    }
    let interval = bootstrap.of(&Scores::try_new(vec![values])?, |drawn| mean(drawn.all()))?;
    Ok(Summary { mean: middle, interval: Some(interval) })
}

/// Derives thresholds from the runs: between the start and the best final score, plus the human
/// score.
fn levels(game: GameRuns<'_>, row: &GameRow) -> Vec<(String, f64)> {
    let firsts = game.runs.iter().filter_map(|run| run.curve.first()).map(|point| point.score);
    let start = row.random.unwrap_or_else(|| firsts.fold(f64::INFINITY, f64::min));
    let best = row.arms.iter().map(|arm| arm.final_score.mean).fold(f64::NEG_INFINITY, f64::max);
    let mut levels = Vec::new();
    // Where no arm got off the start, there is no way to divide.
    if best > start {
        levels.extend(SHARES.map(|share| {
            (format!("{:.0} % of the way", share * 100.0), start + share * (best - start))
        }));
    }

    let points = game.runs.iter().flat_map(|run| &run.curve);
    // A score reached beyond the common budget is not compared.
    let within = points.filter(|point| point.frames <= row.budget_frames);
    let highest = within.map(|point| point.score).fold(f64::NEG_INFINITY, f64::max);
    levels.extend(
        row.human.filter(|&human| highest >= human).map(|human| ("human".to_owned(), human)),
    );
    levels
}

fn named(thresholds: &[f64]) -> Vec<(String, f64)> {
    thresholds.iter().map(|&score| (numbers::score(score), score)).collect()
}

fn threshold(game: GameRuns<'_>, row: &GameRow, (label, score): (String, f64)) -> Threshold {
    let arms = game.arms().map(|(_, runs)| reached(runs, score, row.budget_frames)).collect();
    Threshold { label, score, arms }
}

/// Finds where each run of an arm reached a score within the budget.
fn reached(runs: &[Run], score: f64, budget_frames: f64) -> Reached {
    let frames: Vec<Option<f64>> = runs
        .iter()
        .map(|run| {
            let within = run.curve.iter().filter(|point| point.frames <= budget_frames);
            let points: Vec<(f64, f64)> = within.map(|point| (point.frames, point.score)).collect();
            first_reaching(&points, score)
        })
        .collect();
    Reached { median_frames: median_with_never(&frames), frames }
}

/// Returns the median; with an even number of seeds, the midpoint of the middle two if both reached
/// it.
fn median_with_never(frames: &[Option<f64>]) -> Option<f64> {
    let mut times: Vec<f64> = frames.iter().map(|frames| frames.unwrap_or(f64::INFINITY)).collect();
    times.sort_by(f64::total_cmp);
    let last = times.len().checked_sub(1)?;
    // With a seed that never got there in the middle, the midpoint is infinite.
    Some(f64::midpoint(times[last / 2], times[times.len() / 2])).filter(|median| median.is_finite())
}

#[cfg(test)]
mod tests {
    use coordrl_envs::GameSetting;

    use super::*;
    use crate::report::test_support::{Fake, read_all};

    const FEW: Bootstrap = Bootstrap { repetitions: 500, level: 0.95, seed: 1 };

    fn grid(fakes: Vec<Fake>) -> Grid {
        let folder = tempfile::tempdir().unwrap();
        Grid::new(read_all(folder.path(), fakes.into_iter()))
    }

    #[test]
    fn finals_and_areas_worked_by_hand() {
        let one = Fake::new("catch", "conv", 1).with_scores(&[0.0, 1.0, 1.0]);
        let two = Fake::new("catch", "conv", 2).with_scores(&[f64::NAN, 0.0, 4.0]);
        let rows = games(&grid(vec![one, two]), &[], FEW).unwrap();
        let arm = &rows[0].arms[0];
        assert_eq!((arm.finals(), arm.areas()), (vec![1.0, 4.0], vec![1.0, 2.0])); // areas from 2000 on
        assert_eq!(arm.final_score.mean, 2.5);
        assert_eq!(arm.final_score.interval, Some(Interval { low: 1.0, high: 4.0 }));
        assert_eq!((rows[0].from_frames, rows[0].budget_frames), (2000.0, 3000.0));
        assert!(!rows[0].unequal_budgets);
    }

    #[test]
    fn the_final_score_is_that_of_the_weights_at_the_end_not_of_a_long_past() {
        // The return jumps from 0 to 10 at 60 % of the frames; games last ten times as long from
        // there, so the mean over the last 100 training games still includes earlier ones.
        let training = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0];
        let evaluations = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 10.0, 10.0, 10.0];
        let fake = |seed| Fake::new("catch", "conv", seed).with_scores(&training);
        let scored = |fake: Fake| games(&grid(vec![fake]), &[], FEW).unwrap().remove(0);

        let row = scored(fake(1).with_evaluations(&evaluations, 10.0));
        assert_eq!((row.scored_by, row.arms[0].finals()), (ScoredBy::Evaluation, vec![10.0]));
        assert_eq!(
            row.arms[0].areas(),
            [4.5],
            "0 up to half of the frames, then up to 10 within a tenth"
        );
        assert_eq!(row.arms[0].training_curve.as_ref().unwrap().mean.last(), Some(&2.0));

        let row = scored(fake(2).without_evaluations());
        assert_eq!((row.scored_by, row.arms[0].finals()), (ScoredBy::Training, vec![2.0]));
        assert!(row.arms[0].training_curve.is_none());
    }

    #[test]
    fn a_longer_run_is_cut_at_the_common_budget() {
        let short = Fake::new("catch", "conv", 1).with_scores(&[0.0, 1.0]);
        let long = Fake::new("catch", "coordconv", 1).with_scores(&[0.0, 2.0, 50.0]);
        let row = games(&grid(vec![short, long]), &[], FEW).unwrap().remove(0);
        assert!(row.unequal_budgets);
        assert_eq!((row.budget_frames, row.arms[1].finals()), (2000.0, vec![2.0]));
        assert_eq!(row.arms[1].areas(), [1.0]);
        assert_eq!(row.arms[1].final_score.interval, None);
    }

    #[test]
    fn thresholds_follow_from_start_and_best_end() {
        let slow = Fake::new("catch", "conv", 1).with_scores(&[-1.0, -1.0, 0.0]);
        let fast = Fake::new("catch", "coordconv", 1).with_scores(&[-1.0, 1.0, 1.0]);
        let row = games(&grid(vec![slow.clone(), fast]), &[], FEW).unwrap().remove(0);
        let scores: Vec<f64> = row.thresholds.iter().map(|threshold| threshold.score).collect();
        assert_eq!(scores, [-0.5, 0.0, 0.5]);
        let medians = |place: usize| -> Vec<Option<f64>> {
            row.thresholds.iter().map(|threshold| threshold.arms[place].median_frames).collect()
        };

        assert_eq!(medians(0), [Some(3000.0), Some(3000.0), None]);
        assert_eq!(medians(1), [Some(2000.0); 3]);
        let named = games(&grid(vec![slow]), &[-1.0], FEW).unwrap().remove(0);
        assert_eq!(named.thresholds[0].arms[0].frames, [Some(1000.0)]);
        let two = grid(vec![Fake::new("pong", "conv", 1), Fake::new("catch", "conv", 1)]);
        assert!(matches!(games(&two, &[1.0], FEW), Err(ReportError::ThresholdsOfManyGames { .. })));
    }

    #[test]
    fn a_human_counts_where_one_was_reached_and_a_random_policy_is_the_start() {
        let row = |end: f64| {
            let run = Fake::new("pong", "conv", 1).with_scores(&[-21.0, end]);
            games(&grid(vec![run]), &[], FEW).unwrap().remove(0)
        };

        let labels: Vec<String> =
            row(15.0).thresholds.into_iter().map(|threshold| threshold.label).collect();
        assert_eq!(labels, ["25 % of the way", "50 % of the way", "75 % of the way", "human"]);
        let short = Fake::new("pong", "conv", 1).with_scores(&[-21.0, -20.0]);
        let long = Fake::new("pong", "conv", 2).with_scores(&[-21.0, -20.0, 15.0]);
        let row_of_both = games(&grid(vec![short, long]), &[], FEW).unwrap().remove(0);
        assert_eq!(row_of_both.thresholds.len(), 3, "what lies beyond the budget does not count");
        assert_eq!(row(-21.0).thresholds, []);
        assert!((row(-0.7).thresholds[1].score - -10.7).abs() < 1e-9);
    }

    #[test]
    fn a_game_that_a_run_plays_in_another_mode_or_difficulty_has_no_known_scores() {
        let reference = |fakes: Vec<Fake>| {
            let row = games(&grid(fakes), &[], FEW).unwrap().remove(0);
            assert_eq!(row.random.is_some(), row.human.is_some());
            row.reference()
        };
        let usual = Fake::new("pong", "conv", 1);
        let mut hard = Fake::new("pong", "conv", 2);
        hard.config.env.difficulty = Some(GameSetting::Number(1));
        assert!(reference(vec![usual.clone()]).is_some());
        assert_eq!(reference(vec![usual, hard]), None);
    }

    #[test]
    fn seeds_that_never_reach_count_as_latest() {
        assert_eq!(median_with_never(&[Some(1.0), None, Some(3.0)]), Some(3.0));
        assert_eq!(median_with_never(&[Some(1.0), None]), None);
        assert_eq!(median_with_never(&[None, None, Some(3.0)]), None);
    }
}
