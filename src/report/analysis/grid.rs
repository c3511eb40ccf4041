//! Grid of games and arms, and which arms are compared with which.

use coordrl_agents::find_algorithm;
use coordrl_stats::mean;
use serde::Serialize;

use super::distinct;
use crate::config::Algo;
use crate::report::ReportError;
use crate::report::runs::{ArmId, Run, ScoredBy};
use crate::text::suggest::did_you_mean;

/// Default baseline torso, if it is among the arms.
const USUAL_BASELINE: &str = "conv";

/// Runs by game and arm, one run per seed.
#[derive(Debug)]
pub struct Grid {
    /// Arms in the order they were found, the usual baseline of each algorithm first.
    pub arms: Vec<ArmId>,
    /// Runs by game, arm and seed.
    runs: Vec<Run>,
}

/// Runs of one game, of which there is at least one.
#[derive(Clone, Copy, Debug)]
pub struct GameRuns<'a> {
    /// Runs by arm and seed.
    pub runs: &'a [Run],
}

/// Group of arms that are compared with one baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonGroup {
    /// Baseline arm.
    pub baseline: ArmId,
    /// Other arms.
    pub others: Vec<ArmId>,
}

/// Arm as listed in the report.
#[derive(Clone, Debug, Serialize)]
pub struct ArmRow {
    /// Name in run folders.
    pub name: ArmId,
    /// Display name: the torso alone if all arms share one algorithm.
    pub label: String,
    /// Learning algorithm.
    pub algo: Algo,
    /// Feature extractor.
    pub torso: String,
    /// Number of complete runs.
    pub runs: usize,
    /// Number of trainable parameters: several values if games differ in their number of actions.
    pub parameters: Vec<u64>,
    /// Emulator frames per second over whole runs: mean, minimum and maximum.
    pub frames_per_sec: [f64; 3],
    /// Share of the torso's features that were dead at the end: mean, minimum and maximum over the
    /// runs that report it.
    pub dead_share: Option<[f64; 3]>,
}

/// Returns the arms in the order they were found, the usual baseline of each algorithm first so
/// that it has the same colour everywhere.
fn arms_of(runs: &[Run]) -> Vec<ArmId> {
    let mut arms: Vec<ArmId> = Vec::new();
    for arm in runs.iter().map(Run::arm) {
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }

    let algos: Vec<Algo> = arms.iter().map(|arm| arm.algo).collect();
    // The sort is stable, so the other arms stay in the order in which they were found.
    arms.sort_by_key(|arm| {
        let place = algos.iter().position(|known| *known == arm.algo);
        (place, arm.torso != USUAL_BASELINE)
    });
    arms
}

/// Returns the mean, minimum and maximum.
fn mean_and_ends(numbers: &[f64]) -> [f64; 3] {
    // `f64::min` and `f64::max` ignore NaN, which makes it a neutral start.
    let least = numbers.iter().copied().fold(f64::NAN, f64::min);
    let most = numbers.iter().copied().fold(f64::NAN, f64::max);
    [mean(numbers.iter().copied()), least, most]
}

impl<'a> GameRuns<'a> {
    /// Returns its name.
    pub fn name(self) -> &'a str {
        &self.runs[0].config.game
    }

    /// Iterates over the arms that have runs in it, with these runs.
    pub fn arms(self) -> impl Iterator<Item = (ArmId, &'a [Run])> {
        let cells = self.runs.chunk_by(|a, b| a.arm() == b.arm());
        cells.map(|runs| (runs[0].arm(), runs))
    }

    /// Returns the source of its scores, which all its runs share.
    pub fn scored_by(self) -> ScoredBy {
        self.runs[0].scored_by
    }
}

impl Grid {
    /// Sorts runs into cells, each ordered by seed.
    pub fn new(mut runs: Vec<Run>) -> Self {
        let arms = arms_of(&runs);
        runs.sort_by_cached_key(|run| {
            let arm = arms.iter().position(|arm| *arm == run.arm());
            (run.config.game.clone(), arm, run.config.seed)
        });
        Self { arms, runs }
    }

    /// Iterates over the games by name.
    pub fn games(&self) -> impl Iterator<Item = GameRuns<'_>> {
        self.runs.chunk_by(|a, b| a.config.game == b.config.game).map(|runs| GameRuns { runs })
    }

    /// Returns all runs, by game, arm and seed.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns the arms as listed in the report.
    pub fn rows(&self) -> Vec<ArmRow> {
        self.arms.iter().map(|arm| self.row(arm)).collect()
    }

    fn row(&self, arm: &ArmId) -> ArmRow {
        let runs: Vec<&Run> = self.runs.iter().filter(|run| run.arm() == *arm).collect();
        let speeds: Vec<f64> = runs.iter().map(|run| run.frames_per_sec()).collect();
        let dead: Vec<f64> = runs.iter().filter_map(|run| run.dead_share).collect();
        ArmRow {
            name: arm.clone(),
            label: self.label(arm),
            algo: arm.algo,
            torso: arm.torso.clone(),
            runs: runs.len(),
            parameters: distinct(runs.iter().map(|run| run.meta.parameters)),
            frames_per_sec: mean_and_ends(&speeds),
            dead_share: (!dead.is_empty()).then(|| mean_and_ends(&dead)),
        }
    }

    /// Returns an arm's display name: the torso, with the algorithm if there are several.
    fn label(&self, arm: &ArmId) -> String {
        if self.arms.iter().all(|other| other.algo == arm.algo) {
            return arm.torso.clone();
        }
        let name = arm.algo.name();
        let algo = find_algorithm(name).map_or(name, |algorithm| algorithm.title);
        format!("{} ({algo})", arm.torso)
    }

    /// Returns the groups of arms to compare: the torsos within each algorithm or, if every
    /// algorithm has a single torso, the algorithms.
    ///
    /// # Errors
    /// If `wanted` is neither a torso nor an arm here.
    pub fn groups(&self, wanted: Option<&str>) -> Result<Vec<ComparisonGroup>, ReportError> {
        wanted.map_or(Ok(()), |wanted| self.check_baseline(wanted))?;
        // The arms of one algorithm are adjacent.
        let mut sets: Vec<&[ArmId]> =
            self.arms.chunk_by(|a, b| a.algo == b.algo).filter(|arms| arms.len() > 1).collect();
        if sets.is_empty() && self.arms.len() > 1 {
            sets.push(&self.arms);
        }

        Ok(sets.into_iter().map(|arms| ComparisonGroup::of(arms, wanted)).collect())
    }

    fn check_baseline(&self, wanted: &str) -> Result<(), ReportError> {
        if self.arms.iter().any(|arm| arm.is_called(wanted)) {
            return Ok(());
        }
        let known = distinct(self.arms.iter().map(|arm| arm.torso.as_str()));
        let hint = did_you_mean(wanted, known.iter().copied());
        Err(ReportError::UnknownBaseline { name: wanted.to_owned(), hint, known: known.join(", ") })
    }
}

impl ComparisonGroup {
    /// Groups these arms around the wanted baseline or, if it is not among them, the usual one.
    fn of(arms: &[ArmId], wanted: Option<&str>) -> Self {
        let names = wanted.into_iter().chain([USUAL_BASELINE]);
        let mut found = names.filter_map(|name| arms.iter().find(|arm| arm.is_called(name)));
        let baseline = found.next().unwrap_or(&arms[0]).clone();
        Self { others: arms.iter().filter(|arm| **arm != baseline).cloned().collect(), baseline }
    }

    /// Iterates over all arms of the group, the baseline first.
    pub fn arms(&self) -> impl Iterator<Item = &ArmId> {
        std::iter::once(&self.baseline).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_support::{Fake, read_all};

    fn grid(arms: &[(&str, &str)]) -> Grid {
        let folder = tempfile::tempdir().unwrap();
        let fakes = arms.iter().map(|(algo, torso)| Fake::new("pong", torso, 1).with_algo(algo));
        Grid::new(read_all(folder.path(), fakes))
    }

    /// Names the baseline of each group, then the other arms.
    fn groups(grid: &Grid, wanted: Option<&str>) -> Vec<Vec<String>> {
        let groups = grid.groups(wanted).unwrap();
        groups.iter().map(|group| group.arms().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn torsos_are_compared_within_their_algorithm() {
        let grid =
            grid(&[("a2c", "coordconv"), ("a2c", "conv"), ("apex", "conv"), ("apex", "impala")]);
        assert_eq!(
            groups(&grid, None),
            [["a2c-conv", "a2c-coordconv"], ["apex-conv", "apex-impala"]]
        );
        let labels: Vec<String> = grid.rows().into_iter().map(|row| row.label).collect();
        assert_eq!(labels[..2], ["conv (A2C)", "coordconv (A2C)"]);
        assert_eq!(
            groups(&grid, Some("apex-impala")),
            [["a2c-conv", "a2c-coordconv"], ["apex-impala", "apex-conv"]]
        );
    }

    #[test]
    fn algorithms_are_compared_where_each_has_one_torso_and_one_arm_with_nothing() {
        let two = grid(&[("a2c", "impala"), ("apex", "impala")]);
        assert_eq!(groups(&two, None), [["a2c-impala", "apex-impala"]]);
        assert_eq!(groups(&two, Some("apex-impala")), [["apex-impala", "a2c-impala"]]);
        let one = grid(&[("a2c", "impala")]);
        assert_eq!(one.groups(None).unwrap(), []);
        assert_eq!(one.rows()[0].label, "impala");
    }

    #[test]
    fn an_unknown_baseline_meets_the_nearest() {
        let error =
            grid(&[("a2c", "conv"), ("a2c", "coordconv")]).groups(Some("cordconv")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("did you mean `coordconv`?") && text.contains("conv, coordconv"),
            "{text}"
        );
    }
}
