//! Grid of games and arms. An arm is an algorithm with a torso; its seeds are its repetitions.

use std::collections::BTreeMap;

use coordrl_agents::find_algorithm;
use coordrl_stats::mean;
use serde::Serialize;

use crate::config::Algo;
use crate::report::ReportError;
use crate::report::runs::{Run, ScoredBy};
use crate::text::suggest::did_you_mean;

/// Default baseline torso, if it is among the arms.
const USUAL_BASELINE: &str = "conv";

/// Arm: an algorithm with a torso.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Learning algorithm.
    pub algo: Algo,
    /// Feature extractor.
    pub torso: String,
}

impl Arm {
    fn of(run: &Run) -> Self {
        Self { algo: run.config.algo, torso: run.config.torso.clone() }
    }

    /// Returns the arm's name in run folders, such as `a2c-conv`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.algo.name(), self.torso)
    }
}

/// Returns an algorithm's display name.
pub fn spelled(algo: Algo) -> &'static str {
    find_algorithm(algo.name()).map_or(algo.name(), |algorithm| algorithm.title)
}

/// Runs by game and arm, one run per seed.
#[derive(Debug)]
pub struct Grid {
    /// Names of the games.
    pub games: Vec<String>,
    /// Arms in the order they were found, the usual baseline of each algorithm first.
    pub arms: Vec<Arm>,
    cells: BTreeMap<(usize, usize), Vec<Run>>,
}

/// Returns the arms in the order they were found, the usual baseline of each algorithm first so
/// that it has the same colour everywhere.
fn arms_of(runs: &[Run]) -> Vec<Arm> {
    let mut arms: Vec<Arm> = Vec::new();
    for arm in runs.iter().map(Arm::of) {
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    let mut algos: Vec<Algo> = arms.iter().map(|arm| arm.algo).collect();
    algos.dedup();
    // The sort is stable, so the other arms stay in the order in which they were found.
    arms.sort_by_key(|arm| {
        let place = algos.iter().position(|known| *known == arm.algo);
        (place, arm.torso != USUAL_BASELINE)
    });
    arms
}

/// Group of arms that are compared with one baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Index of the baseline arm.
    pub baseline: usize,
    /// Indices of the other arms.
    pub others: Vec<usize>,
}

impl Group {
    /// Iterates over all arms of the group, the baseline first.
    pub fn arms(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.baseline).chain(self.others.iter().copied())
    }
}

/// Arm as listed in the report.
#[derive(Clone, Debug, Serialize)]
pub struct ArmRow {
    /// Name in run folders.
    pub name: String,
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

/// Returns the mean, minimum and maximum.
fn mean_and_ends(numbers: &[f64]) -> [f64; 3] {
    // `f64::min` and `f64::max` ignore NaN, which makes it a neutral start.
    let least = numbers.iter().copied().fold(f64::NAN, f64::min);
    let most = numbers.iter().copied().fold(f64::NAN, f64::max);
    [mean(numbers.iter().copied()), least, most]
}

impl Grid {
    /// Sorts runs into cells, each ordered by seed.
    pub fn new(runs: Vec<Run>) -> Self {
        let mut games: Vec<String> = runs.iter().map(|run| run.config.game.clone()).collect();
        games.sort();
        games.dedup();
        let arms = arms_of(&runs);
        let mut cells: BTreeMap<(usize, usize), Vec<Run>> = BTreeMap::new();
        for run in runs {
            // Both are found: the lists were made from these runs.
            let arm = arms.iter().position(|arm| *arm == Arm::of(&run)).unwrap_or_default();
            let game = games.iter().position(|game| *game == run.config.game).unwrap_or_default();
            cells.entry((game, arm)).or_default().push(run);
        }

        cells.values_mut().for_each(|runs| runs.sort_by_key(|run| run.config.seed));
        Self { games, arms, cells }
    }

    /// Returns the runs of an arm in a game; empty if there are none.
    pub fn cell(&self, game: usize, arm: usize) -> &[Run] {
        self.cells.get(&(game, arm)).map_or(&[], Vec::as_slice)
    }

    /// Iterates over all runs of a game.
    pub fn of_game(&self, game: usize) -> impl Iterator<Item = &Run> + Clone {
        // Keys are ordered by game first, so the cells of a game are adjacent.
        self.cells.range((game, 0)..(game + 1, 0)).flat_map(|(_, runs)| runs)
    }

    /// Iterates over all runs.
    pub fn all(&self) -> impl Iterator<Item = &Run> {
        self.cells.values().flatten()
    }

    /// Returns the source of a game's scores, which all its runs share.
    pub fn scored_by(&self, game: usize) -> ScoredBy {
        self.of_game(game).next().map_or(ScoredBy::Training, |run| run.scored_by)
    }

    /// Returns the arms as listed in the report.
    pub fn rows(&self) -> Vec<ArmRow> {
        (0..self.arms.len()).map(|arm| self.row(arm)).collect()
    }

    fn row(&self, place: usize) -> ArmRow {
        let arm = &self.arms[place];
        let runs: Vec<&Run> = self.all().filter(|run| Arm::of(run) == *arm).collect();
        let mut parameters: Vec<u64> = runs.iter().map(|run| run.meta.parameters).collect();
        parameters.sort_unstable();
        parameters.dedup();

        let speeds: Vec<f64> = runs.iter().map(|run| run.frames_per_sec()).collect();
        let dead: Vec<f64> = runs.iter().filter_map(|run| run.dead_share).collect();
        ArmRow {
            name: arm.name(),
            label: self.label(place),
            algo: arm.algo,
            torso: arm.torso.clone(),
            runs: runs.len(),
            parameters,
            frames_per_sec: mean_and_ends(&speeds),
            dead_share: (!dead.is_empty()).then(|| mean_and_ends(&dead)),
        }
    }

    /// Returns an arm's display name: the torso, with the algorithm if there are several.
    pub fn label(&self, arm: usize) -> String {
        let Arm { algo, torso } = &self.arms[arm];
        let one_algorithm = self.arms.iter().all(|other| other.algo == *algo);
        if one_algorithm { torso.clone() } else { format!("{torso} ({})", spelled(*algo)) }
    }

    /// Returns the groups of arms to compare: the torsos within each algorithm or, if every
    /// algorithm has a single torso, the algorithms.
    ///
    /// # Errors
    /// If `wanted` is neither a torso nor an arm here.
    pub fn groups(&self, wanted: Option<&str>) -> Result<Vec<Group>, ReportError> {
        wanted.map_or(Ok(()), |wanted| self.check_baseline(wanted))?;
        let all = 0..self.arms.len();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for arm in all.clone() {
            let alike: Vec<usize> =
                all.clone().filter(|&other| self.arms[other].algo == self.arms[arm].algo).collect();
            // Every arm of a set finds the same set; the first one enters it.
            if alike.len() > 1 && alike[0] == arm {
                sets.push(alike);
            }
        }

        if sets.is_empty() && self.arms.len() > 1 {
            sets.push(all.collect());
        }

        Ok(sets.into_iter().map(|arms| self.group(&arms, wanted)).collect())
    }

    fn group(&self, arms: &[usize], wanted: Option<&str>) -> Group {
        let baseline = wanted
            .and_then(|name| self.find(arms, name))
            .or_else(|| self.find(arms, USUAL_BASELINE))
            .unwrap_or(arms[0]);
        Group { baseline, others: arms.iter().copied().filter(|&arm| arm != baseline).collect() }
    }

    /// Finds the first of these arms with the given torso or full name.
    fn find(&self, arms: &[usize], name: &str) -> Option<usize> {
        arms.iter().copied().find(|&place| {
            let arm = &self.arms[place];
            arm.torso == name || arm.name() == name
        })
    }

    fn check_baseline(&self, wanted: &str) -> Result<(), ReportError> {
        let mut known: Vec<&str> = self.arms.iter().map(|arm| arm.torso.as_str()).collect();
        if known.contains(&wanted) || self.arms.iter().any(|arm| arm.name() == wanted) {
            return Ok(());
        }
        known.sort_unstable();
        known.dedup();
        let hint = did_you_mean(wanted, known.iter().copied());
        Err(ReportError::UnknownBaseline { name: wanted.to_owned(), hint, known: known.join(", ") })
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

    #[test]
    fn torsos_are_compared_within_their_algorithm() {
        let grid =
            grid(&[("a2c", "coordconv"), ("a2c", "conv"), ("apex", "conv"), ("apex", "impala")]);
        let groups = grid.groups(None).unwrap();
        let expected =
            [Group { baseline: 0, others: vec![1] }, Group { baseline: 2, others: vec![3] }];
        assert_eq!(groups, expected);
        assert_eq!([grid.label(0), grid.label(1)], ["conv (A2C)", "coordconv (A2C)"]);
        let groups = grid.groups(Some("apex-impala")).unwrap();
        assert_eq!(groups[1], Group { baseline: 3, others: vec![2] });
        assert_eq!(groups[0].baseline, 0);
    }

    #[test]
    fn algorithms_are_compared_where_each_has_one_torso_and_one_arm_with_nothing() {
        let two = grid(&[("a2c", "impala"), ("apex", "impala")]);
        assert_eq!(two.groups(None).unwrap(), [Group { baseline: 0, others: vec![1] }]);
        assert_eq!(
            two.groups(Some("apex-impala")).unwrap(),
            [Group { baseline: 1, others: vec![0] }]
        );
        let one = grid(&[("a2c", "impala")]);
        assert_eq!(one.groups(None).unwrap(), []);
        assert_eq!(one.label(0), "impala");
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
