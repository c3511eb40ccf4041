//! Sweep plans (`plan.toml`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::config::{ConfigError, Count, Problem, parse_count};
use crate::sweep::record::{Design, Primary};
use crate::text::suggest::did_you_mean;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/runs/plans");

/// Grid of runs as in a plan file. Missing values can be set on the command line.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepPlan {
    /// Name of the sweep's folder; defaults to the file's name.
    pub name: Option<String>,
    /// Purpose of the comparison and the limits of its conclusions.
    pub summary: Option<String>,
    /// Games, by any name that `coordrl train` accepts.
    pub games: Vec<String>,
    /// Learning algorithms.
    pub algos: Vec<String>,
    /// Feature extractors.
    pub torsos: Vec<String>,
    /// Seeds of every combination.
    pub seeds: Option<Seeds>,
    /// Run length in emulator frames; absent: each game's preset.
    #[serde(deserialize_with = "read_frames")]
    pub frames: Option<u64>,
    /// Preset of every run; absent: each game's own.
    pub preset: Option<String>,
    /// Primary measure of the sweep's report: `area` or `final`.
    pub primary: Primary,
    /// Baseline torso; absent: `conv`, else the first.
    pub reference: Option<String>,
    /// Settings of every run, as in a settings file.
    pub settings: Table,
}

fn read_frames<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Some(Count::deserialize(deserializer)?.0))
}

/// Seeds: `3` means 1, 2 and 3; a list means its elements.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenSeeds")]
pub enum Seeds {
    /// From 1 to this number.
    Count(u64),
    /// Explicit list.
    List(Vec<u64>),
}

/// Seeds as written in a plan.
#[derive(Deserialize)]
#[serde(untagged, expecting = "how many seeds, as in 3, or a list of them, as in [4, 5, 6]")]
enum WrittenSeeds {
    Count(Count),
    List(Vec<Count>),
}

impl From<WrittenSeeds> for Seeds {
    fn from(written: WrittenSeeds) -> Self {
        match written {
            WrittenSeeds::Count(Count(count)) => Self::Count(count),
            WrittenSeeds::List(list) => {
                Self::List(list.into_iter().map(|Count(seed)| seed).collect())
            }
        }
    }
}

impl Seeds {
    /// Returns all seeds in order.
    pub fn all(&self) -> Vec<u64> {
        match self {
            Self::Count(count) => (1..=*count).collect(),
            Self::List(list) => list.clone(),
        }
    }

    /// Returns the number of seeds.
    pub fn count(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::List(list) => list.len() as u64,
        }
    }

    /// Parses `3` or `4,5,6`.
    ///
    /// # Errors
    /// If a part is not a whole number, or there are no seeds.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |word: &str| parse_count(word.trim()).map_err(|_| wrong_seeds(text));
        match text.split_once(',') {
            None => Ok(Self::Count(number(text)?)),
            Some(_) => {
                // An empty word is a trailing comma, which makes a list of a single seed: `7,`.
                let words = text.split(',').filter(|word| !word.trim().is_empty());
                Ok(Self::List(words.map(number).collect::<Result<_, _>>()?))
            }
        }
    }
}

fn wrong_seeds(text: &str) -> String {
    format!("`{text}`: write how many, as in `3` for the seeds 1 to 3, or a list, as in `4,5,6`")
}

impl SweepPlan {
    /// Finds a plan by name (`nine-games`) or by path (`mine/plan.toml`). A file in
    /// `<runs_dir>/plans` overrides the built-in plan of the same name.
    ///
    /// # Errors
    /// If the plan does not exist or does not parse.
    pub fn find(name: &str, runs_dir: &Path) -> Result<Self, ConfigError> {
        if name.contains('/') || name.ends_with(".toml") {
            let path = PathBuf::from(name);
            return Self::parse(&read(&path)?, &path);
        }

        let path = runs_dir.join("plans").join(format!("{name}.toml"));
        if path.is_file() {
            return Self::parse(&read(&path)?, &path);
        }

        let built_in = built_in();
        let Some(text) = built_in.get(name) else {
            let hint = did_you_mean(name, built_in.keys().copied());
            let all: Vec<&str> = built_in.keys().copied().collect();
            let message =
                format!("no plan `{name}`{hint}; there are {}, or name a file", all.join(", "));
            return Err(ConfigError::Problems(vec![Problem::new("plan", message)]));
        };

        Self::parse(text, Path::new(&format!("{name}.toml")))
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parsed: Result<Self, _> = toml::from_str(text);
        let mut plan = parsed.map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            format: "plan",
            cause: error.to_string().trim_end().to_owned(),
        })?;
        plan.name = plan.name.or_else(|| Some(path.file_stem()?.to_string_lossy().into_owned()));
        Ok(plan)
    }

    /// Returns the design of the sweep's report.
    pub fn design(&self) -> Design {
        Design { primary: self.primary, reference: self.reference.clone() }
    }

    /// Returns the settings as `key=value` arguments for `--set`.
    pub fn assignments(&self) -> Vec<String> {
        let mut assignments = Vec::new();
        flatten("", &self.settings, &mut assignments);
        assignments
    }
}

/// Returns the names of the built-in plans with their summaries.
pub fn built_in_plans() -> Vec<(String, String)> {
    built_in().iter().map(|(name, text)| ((*name).to_owned(), summary_of(text))).collect()
}

/// Returns the summary in a plan's text; empty if it has none.
fn summary_of(text: &str) -> String {
    toml::from_str(text).ok().and_then(|plan: SweepPlan| plan.summary).unwrap_or_default()
}

fn built_in() -> BTreeMap<&'static str, &'static str> {
    BUILT_IN
        .files()
        .filter_map(|file| Some((file.path().file_stem()?.to_str()?, file.contents_utf8()?)))
        .collect()
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        cause: error.to_string(),
    })
}

fn flatten(prefix: &str, table: &Table, assignments: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, assignments),
            value => assignments.push(format!("{key}={value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SweepPlan, ConfigError> {
        SweepPlan::parse(text, Path::new("mine.toml"))
    }

    #[test]
    fn a_plan_says_what_is_compared_and_how() {
        let plan = parse(
            "games = [\"pong\"]\ntorsos = [\"conv\", \"coordconv\"]\nseeds = 3\nframes = 400_000\n\
             [settings]\nkeep_checkpoints = 1\n[settings.a2c.optimizer]\nkind = \"adam\"\nlearning_rate = 2e-4",
        )
        .unwrap();
        assert_eq!((plan.name.as_deref(), plan.frames), (Some("mine"), Some(400_000)));
        assert_eq!(plan.seeds.as_ref().unwrap().all(), [1, 2, 3]);
        assert_eq!(plan.design(), Design { primary: Primary::Area, reference: None });
        let plan_of_ends = parse("primary = \"final\"\nreference = \"coordconv\"").unwrap();
        assert_eq!(plan_of_ends.design().to_string(), "the final score against coordconv");
        let same = parse(
            "games = [\"pong\"]\nseeds = [1.0, 2e0, 3]\nframes = 4e5\n[settings]\nkeep_checkpoints = 1e0",
        )
        .unwrap();
        assert_eq!((same.frames, same.seeds.unwrap().all()), (plan.frames, vec![1, 2, 3]));
        let mut assignments = plan.assignments();
        assignments.sort();
        assert_eq!(
            assignments,
            [
                "a2c.optimizer.kind=\"adam\"",
                "a2c.optimizer.learning_rate=0.0002",
                "keep_checkpoints=1"
            ]
        );
    }

    #[test]
    fn what_a_plan_cannot_say_is_named_with_its_place() {
        for (text, parts) in [
            ("gmaes = [\"pong\"]", ["mine.toml", "gmaes", "games"]),
            ("seeds = \"three\"", ["mine.toml", "seeds", "line 1"]),
            ("games = \"pong\"", ["mine.toml", "games", "sequence"]),
            ("primary = \"speed\"", ["mine.toml", "speed", "final"]),
            ("frames = 1.5", ["mine.toml", "frames", "whole number"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            parts.iter().for_each(|part| assert!(error.contains(part), "{part} not in {error}"));
        }

        let error =
            SweepPlan::find("nine-game", Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("did you mean `nine-games`?"), "{error}");
    }

    #[test]
    fn seeds_are_a_number_or_a_list() {
        assert_eq!(Seeds::parse("3").unwrap().all(), [1, 2, 3]);
        assert_eq!(Seeds::parse("7,9").unwrap().all(), [7, 9]);
        assert_eq!(Seeds::parse("7,").unwrap().all(), [7]);
        assert_eq!(Seeds::parse("1e3,2_000").unwrap().all(), [1_000, 2_000]);
        for bad in ["", "three", "-1", "1-3", "1,x"] {
            assert!(Seeds::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plan_in_the_runs_folder_wins_over_the_built_in_one() {
        let runs = tempfile::tempdir().unwrap();
        std::fs::create_dir(runs.path().join("plans")).unwrap();
        std::fs::write(runs.path().join("plans/nine-games.toml"), "games = [\"catch\"]").unwrap();
        assert_eq!(SweepPlan::find("nine-games", runs.path()).unwrap().games, ["catch"]);
        assert_eq!(
            SweepPlan::find("nine-games", Path::new("/nonexistent")).unwrap().games.len(),
            9
        );
    }

    #[test]
    fn the_shipped_plans_are_the_same_comparison_at_two_lengths() {
        let plan = |name| SweepPlan::find(name, Path::new("/nonexistent")).unwrap();
        let [long, short] = ["nine-games", "nine-games-small"].map(plan);
        assert!(long.games.contains(&"ms_pacman".to_owned()));
        assert_eq!((&long.algos, &long.torsos), (&short.algos, &short.torsos));
        assert!(short.games.iter().all(|game| long.games.contains(game)));
        assert_eq!((long.games.len(), short.games.len()), (9, 8));
        assert_eq!((long.frames, short.frames), (Some(40_000_000), Some(2_000_000)));
        for plan in [long, short] {
            assert_eq!(
                plan.seeds.unwrap().count(),
                8,
                "with fewer nothing passes Holm over nine games"
            );
            let never_scores = ["enduro", "freeway"];
            assert!(plan.games.iter().all(|game| !never_scores.contains(&game.as_str())));
        }

        assert!(built_in_plans().iter().all(|(_, summary)| !summary.is_empty()));
    }

    #[test]
    fn the_pilot_compares_nothing_and_shares_no_seed_with_the_comparison() {
        let plan = |name| SweepPlan::find(name, Path::new("/nonexistent")).unwrap();
        let [pilot, comparison] = ["pilot", "nine-games-small"].map(plan);
        assert_eq!((pilot.games.len(), pilot.torsos.as_slice()), (16, &["conv".to_owned()][..]));
        assert_eq!(pilot.frames, comparison.frames);
        assert!(comparison.games.iter().all(|game| pilot.games.contains(game)));
        let controls = plan("nine-games-controls");
        assert!(controls.games.iter().all(|game| comparison.games.contains(game)));
        assert_eq!((controls.frames, controls.design()), (comparison.frames, comparison.design()));
        assert_eq!(controls.seeds, comparison.seeds);
        let seeds = comparison.seeds.unwrap().all();
        assert!(pilot.seeds.unwrap().all().iter().all(|seed| !seeds.contains(seed)));
    }
}
