//! Anomalies of the runs that a reader should know before the first number.

use std::collections::{BTreeMap, BTreeSet};

use coordrl_envs::reference_scores;

use super::distinct;
use super::grid::{ComparisonGroup, GameRuns, Grid};
use crate::config;
use crate::eval::known_scores::other_settings;
use crate::game::resume_rules::FREE_ON_RESUME;
use crate::metrics::accumulate::WINDOW_GAMES;
use crate::report::runs::{ArmId, ExcludedRun, Run, ScoredBy, Why};
use crate::sweep::record::Design;

/// Settings that identify a run or have a warning of their own.
const NO_SETTING: [&str; 5] = ["game", "algo", "torso", "seed", "frames"];

/// Anomaly with the games it concerns.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// The anomaly.
    pub anomaly: Anomaly,
    /// Names of the games; empty if it concerns the whole report.
    pub games: Vec<String>,
}

/// Anomaly of the runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Anomaly {
    /// The report departs from the design that its sweep fixed before the runs.
    Departure(Design),
    /// Numbers of excluded runs, by kind of reason.
    Excluded(BTreeMap<&'static str, usize>),
    /// A run cannot be read.
    Unreadable(ExcludedRun),
    /// Paths that were skipped, with reasons.
    PassedOver(Vec<String>),
    /// Compared arms without a complete run.
    NoRuns(Vec<ArmId>),
    /// Different numbers of frames, the lowest first.
    Budgets(Vec<u64>),
    /// Seeds of each arm, which differ.
    Seeds(Vec<(ArmId, Vec<u64>)>),
    /// Values of a setting, with the arms that use them.
    Setting {
        /// Key of the setting.
        key: String,
        /// Arms by value.
        arms: BTreeMap<String, BTreeSet<ArmId>>,
    },
    /// Settings for which the known scores do not hold.
    OtherRules(Vec<String>),
    /// Commits of the programs.
    Commits(Vec<String>),
    /// Some programs were built from code that no commit holds.
    UnknownCode,
    /// Number of runs that began with weights of another run.
    OtherWeights(usize),
    /// Machines, with their devices and threads.
    Machines(Vec<String>),
    /// An arm and its baseline differ in algorithm and torso at once.
    AlgorithmAndTorso(ArmId, ArmId),
    /// Scores are means of training games, which reach far back.
    TrainingScores {
        /// Number of runs without evaluations.
        lacking: usize,
        /// Number of games averaged in the run with the fewest.
        games: u64,
        /// Number of frames that they span in the run where it is greatest.
        frames: f64,
    },
    /// Runs without an evaluation of the final weights.
    NoFinalEvaluation {
        /// Number of these runs.
        runs: usize,
        /// Number of games in the smallest of their last evaluations.
        games: u64,
    },
    /// Number of evaluation games that were cut at their frame limit.
    CutGames(u64),
}

impl From<Anomaly> for Warning {
    fn from(anomaly: Anomaly) -> Self {
        Self { anomaly, games: Vec::new() }
    }
}

/// Lists what a reader should know before the first number, most serious first.
pub fn warnings(
    grid: &Grid,
    groups: &[ComparisonGroup],
    excluded: &[ExcludedRun],
    passed_over: &[String],
) -> Vec<Warning> {
    [
        of_all(excluded_runs(excluded)),
        of_all(unreadable(excluded)),
        of_all(skipped(passed_over)),
        of_games(grid, |game| arms_without_runs(game, groups)),
        of_games(grid, unequal_budgets),
        of_games(grid, unequal_seeds),
        of_games(grid, mixed_settings),
        of_games(grid, other_rules),
        of_all(mixed_commits(grid)),
        of_all(other_weights(grid)),
        of_all(mixed_machines(grid)),
        of_all(algorithm_and_torso(groups)),
        of_games(grid, training_scores),
        of_games(grid, no_final_evaluation),
        of_games(grid, cut_games),
    ]
    .concat()
}

fn of_all(anomalies: impl IntoIterator<Item = Anomaly>) -> Vec<Warning> {
    anomalies.into_iter().map(Warning::from).collect()
}

/// Checks every game, and merges equal anomalies.
fn of_games<A>(grid: &Grid, check: impl Fn(GameRuns<'_>) -> A) -> Vec<Warning>
where
    A: IntoIterator<Item = Anomaly>,
{
    let mut warnings: Vec<Warning> = Vec::new();
    for game in grid.games() {
        for anomaly in check(game) {
            let name = game.name().to_owned();
            match warnings.iter_mut().find(|known| known.anomaly == anomaly) {
                Some(known) => known.games.push(name),
                None => warnings.push(Warning { anomaly, games: vec![name] }),
            }
        }
    }

    warnings
}

fn excluded_runs(runs: &[ExcludedRun]) -> Option<Anomaly> {
    let mut kinds = BTreeMap::new();
    for run in runs {
        *kinds.entry(run.why.kind()).or_default() += 1;
    }
    (!kinds.is_empty()).then_some(Anomaly::Excluded(kinds))
}

fn unreadable(runs: &[ExcludedRun]) -> impl Iterator<Item = Anomaly> {
    let damaged =
        runs.iter().filter(|run| matches!(run.why, Why::Damaged { .. } | Why::Unusable { .. }));
    damaged.cloned().map(Anomaly::Unreadable)
}

fn skipped(places: &[String]) -> Option<Anomaly> {
    (!places.is_empty()).then(|| Anomaly::PassedOver(places.to_vec()))
}

fn arms_without_runs(game: GameRuns<'_>, groups: &[ComparisonGroup]) -> Option<Anomaly> {
    let compared = groups.iter().flat_map(ComparisonGroup::arms);
    let lacking: Vec<ArmId> =
        compared.filter(|arm| game.arms().all(|(own, _)| own != **arm)).cloned().collect();
    (!lacking.is_empty()).then_some(Anomaly::NoRuns(lacking))
}

fn unequal_budgets(game: GameRuns<'_>) -> Option<Anomaly> {
    let budgets = distinct(game.runs.iter().map(Run::length));
    (budgets.len() > 1).then_some(Anomaly::Budgets(budgets))
}

fn unequal_seeds(game: GameRuns<'_>) -> Option<Anomaly> {
    // An arm without runs has a warning of its own.
    let arms = game.arms().map(|(arm, runs)| (arm, runs.iter().map(|run| run.config.seed)));
    let seeds: Vec<(ArmId, Vec<u64>)> = arms.map(|(arm, seeds)| (arm, seeds.collect())).collect();
    // Runs are sorted by seed, so equal sets of seeds are equal lists.
    let differ = seeds.iter().any(|(_, own)| *own != seeds[0].1);
    differ.then_some(Anomaly::Seeds(seeds))
}

/// Finds settings that differ within a game, except those that identify arms and seeds, depend on
/// the machine, or belong to an algorithm not in use.
fn mixed_settings(game: GameRuns<'_>) -> Vec<Anomaly> {
    let mut settings: BTreeMap<String, BTreeMap<String, BTreeSet<ArmId>>> = BTreeMap::new();
    for run in game.runs {
        for (key, value) in config::leaves(&run.config) {
            if is_compared(run, &key) {
                let arms = settings.entry(key).or_default().entry(value.to_string()).or_default();
                arms.insert(run.arm());
            }
        }
    }

    settings.retain(|_, arms| arms.len() > 1);
    settings.into_iter().map(|(key, arms)| Anomaly::Setting { key, arms }).collect()
}

/// Returns `true` if a setting should be the same in all runs of a game.
fn is_compared(run: &Run, key: &str) -> bool {
    !NO_SETTING.contains(&key) && !FREE_ON_RESUME.contains(&key) && !run.config.is_idle(key)
}

/// Known scores hold for one mode and difficulty; in another they would normalise a game wrongly.
fn other_rules(game: GameRuns<'_>) -> Option<Anomaly> {
    // Games without known scores are never normalised, whatever their settings.
    reference_scores(game.name())?;
    let settings =
        distinct(game.runs.iter().flat_map(|run| other_settings(&run.config.env.resolve())));
    (!settings.is_empty()).then_some(Anomaly::OtherRules(settings))
}

fn mixed_commits(grid: &Grid) -> Vec<Anomaly> {
    let commits =
        distinct(grid.runs().iter().flat_map(|run| run.meta.commits()).map(str::to_owned));
    // Such a name can be the same in two runs and still mean different code.
    let unknown = commits.iter().any(|commit| commit == "unknown" || commit.ends_with("-dirty"));
    let several = (commits.len() > 1).then_some(Anomaly::Commits(commits));
    several.into_iter().chain(unknown.then_some(Anomaly::UnknownCode)).collect()
}

fn other_weights(grid: &Grid) -> Option<Anomaly> {
    let number = grid
        .runs()
        .iter()
        .filter(|run| run.meta.forked_from.is_some() || run.meta.init_from.is_some())
        .count();
    (number > 0).then_some(Anomaly::OtherWeights(number))
}

fn mixed_machines(grid: &Grid) -> Option<Anomaly> {
    let sessions = grid.runs().iter().flat_map(|run| &run.meta.sessions);
    let machines = distinct(sessions.map(|session| {
        format!(
            "{} ({}, {} cores, {}, {} threads)",
            session.host, session.platform, session.cores, session.device, session.threads
        )
    }));
    (machines.len() > 1).then_some(Anomaly::Machines(machines))
}

fn algorithm_and_torso(groups: &[ComparisonGroup]) -> Vec<Anomaly> {
    let mut pairs = Vec::new();
    for ComparisonGroup { baseline, others } in groups {
        let both = others.iter().filter(|arm| arm.algo != baseline.algo);
        let both = both.filter(|arm| arm.torso != baseline.torso);
        pairs.extend(both.map(|arm| Anomaly::AlgorithmAndTorso(arm.clone(), baseline.clone())));
    }
    pairs
}

/// Without evaluations, scores are means over the last games, which reach further back the longer
/// games are; and a better agent may play longer games.
fn training_scores(game: GameRuns<'_>) -> Option<Anomaly> {
    let fewest = game.runs.iter().map(|run| run.episodes).min()?;
    let frames = game.runs.iter().map(|run| run.window_frames).fold(0.0, f64::max);
    let lacking = game.runs.iter().filter(|run| run.evaluated.is_none()).count();
    let games = fewest.min(WINDOW_GAMES as u64);
    let scores = Anomaly::TrainingScores { lacking, games, frames };
    (game.scored_by() == ScoredBy::Training).then_some(scores)
}

fn no_final_evaluation(game: GameRuns<'_>) -> Option<Anomaly> {
    if game.scored_by() == ScoredBy::Training {
        return None;
    }
    let evaluated = game.runs.iter().filter_map(|run| run.evaluated);
    let without: Vec<u64> =
        evaluated.filter(|last| !last.has_final).map(|last| last.last_games).collect();
    let games = *without.iter().min()?;
    Some(Anomaly::NoFinalEvaluation { runs: without.len(), games })
}

fn cut_games(game: GameRuns<'_>) -> Option<Anomaly> {
    let evaluated = game.runs.iter().filter_map(|run| run.evaluated);
    let cut: u64 = evaluated.map(|evaluated| evaluated.games_cut).sum();
    (cut > 0).then_some(Anomaly::CutGames(cut))
}
