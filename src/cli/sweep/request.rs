//! The sweep that was asked for: plan and flags, checked and filled in.

use std::path::Path;

use coordrl_agents::find_algorithm;

use super::Sweep;
use crate::cli::train;
use crate::config::{ConfigError, Problem};
use crate::exit_code::BadRequest;
use crate::game::assemble::check_parts;
use crate::game::launch;
use crate::sweep::SweepError;
use crate::sweep::cell::CellState;
use crate::sweep::cores::share_cores;
use crate::sweep::folder::{SweepFolder, check_design, check_holds_all, log_name};
use crate::sweep::game_run::GameCell;
use crate::sweep::plan::{Seeds, SweepPlan, built_in_plans};
use crate::text::names;

/// Maximum number of seeds: more is surely a mistake.
const MOST_SEEDS: u64 = 10_000;

/// Settings that the grid sets, with the flags for them.
const OF_THE_GRID: &[(&str, &str)] = &[
    ("game", "`games`, `--games`"),
    ("algo", "`algos`, `--algos`"),
    ("torso", "`torsos`, `--torsos`"),
    ("seed", "`seeds`, `--seeds`"),
    ("frames", "`frames`, `--frames`"),
    ("threads", "`--threads-per-run`"),
];

/// Validated request, with every default filled in.
pub(super) struct SweepRequest {
    pub name: String,
    pub plan: SweepPlan,
    pub cells: Vec<(GameCell, CellState)>,
    pub jobs: usize,
    pub threads: usize,
}

impl Sweep {
    /// Validates everything before anything is created.
    pub(super) fn request(&self) -> anyhow::Result<SweepRequest> {
        let plan = self.plan()?;
        let name = self.name.clone().or(plan.name.clone()).unwrap_or_else(|| "sweep".to_owned());
        names::check_folder_name("--name", &name, 0)?;
        for (flag, value) in [
            ("jobs", self.jobs),
            ("threads-per-run", self.threads_per_run),
            ("frames", self.frames),
        ] {
            if value == Some(0) {
                return Err(BadRequest::error(format!("`--{flag} 0`: the least is 1")));
            }
        }

        let count = count_of(&plan);
        let (jobs, threads) = self.share_cores(&plan, count);
        let cells = self.cells(&plan, &name, threads)?;
        // Names of logs hold the sweep's name and more; the longest must fit the file system too.
        let longest = cells.iter().map(|cell| log_name(cell).len()).max().unwrap_or(0);
        names::check_folder_name("--name", &name, longest.saturating_sub(name.len()))?;
        // A dry run needs neither the lock nor a disk that it can write to.
        if !self.dry_run {
            SweepFolder::check(&self.runs_dir, &name)?;
        }

        if let Some(old) = SweepFolder::read(&self.runs_dir, &name)? {
            let new: Vec<_> = cells.iter().map(GameCell::to_record).collect();
            check_holds_all(&name, &old.cells, &new)?;
            check_design(&old, &plan)?;
        }

        let cells = self.with_states(cells)?;
        // No more jobs than runs left; threads per run stay fixed so that earlier speeds remain
        // comparable.
        let left = cells.iter().filter(|(_, state)| *state != CellState::Done).count();
        Ok(SweepRequest { name, plan, cells, jobs: jobs.min(left.max(1)), threads })
    }

    fn with_states(&self, cells: Vec<GameCell>) -> anyhow::Result<Vec<(GameCell, CellState)>> {
        let mut with_states = Vec::with_capacity(cells.len());
        for cell in cells {
            let state = cell.state(&self.runs_dir)?;
            with_states.push((cell, state));
        }
        Ok(with_states)
    }

    /// Reads the plan and applies the flags.
    fn plan(&self) -> anyhow::Result<SweepPlan> {
        let mut plan = match &self.plan {
            Some(name) => SweepPlan::find(name, &self.runs_dir)?,
            None => SweepPlan::default(),
        };

        fill_in(&mut plan.games, &self.games, &[]);
        fill_in(&mut plan.torsos, &self.torsos, &["conv", "coordconv"]);
        fill_in(&mut plan.algos, &self.algos, &["a2c"]);
        plan.seeds = self.seeds.clone().or(plan.seeds).or(Some(Seeds::Count(3)));
        plan.frames = self.frames.or(plan.frames);
        plan.preset = self.preset.clone().or(plan.preset);
        if plan.games.is_empty() {
            return Err(BadRequest::error(no_games()));
        }

        let seeds = plan.seeds.as_ref().map_or(0, Seeds::count);
        if seeds == 0 || seeds > MOST_SEEDS {
            return Err(BadRequest::error(format!(
                "{seeds} seeds: the least is 1, the most {MOST_SEEDS}"
            )));
        }

        self.check_settings(&plan)?;
        match &plan.reference {
            Some(reference) if !plan.torsos.contains(reference) => Err(BadRequest::error(format!(
                "the plan's `reference` is `{reference}`, which is none of its torsos ({})",
                plan.torsos.join(", ")
            ))),
            _ => Ok(plan),
        }
    }

    /// Rejects settings that the grid would silently override, and games that look like flags.
    fn check_settings(&self, plan: &SweepPlan) -> anyhow::Result<()> {
        let assignments = plan.assignments().into_iter().chain(self.set.iter().cloned());
        for assignment in assignments {
            let key = assignment.split('=').next().unwrap_or_default().trim().to_owned();
            if let Some((_, instead)) = OF_THE_GRID.iter().find(|(known, _)| *known == key) {
                return Err(BadRequest::error(format!(
                    "`{key}` is no setting of a sweep's runs; use {instead}"
                )));
            }
        }

        match plan.games.iter().find(|game| game.starts_with('-')) {
            Some(game) => Err(BadRequest::error(format!("unknown game `{game}`"))),
            None => Ok(()),
        }
    }

    /// Returns the number of concurrent runs and the threads of each.
    fn share_cores(&self, plan: &SweepPlan, cells: usize) -> (usize, usize) {
        let takes_all_cores = plan
            .algos
            .iter()
            .any(|name| find_algorithm(name).is_some_and(|algorithm| algorithm.takes_all_cores));
        let jobs = self.jobs.or(takes_all_cores.then_some(1));
        share_cores(cells, jobs, self.threads_per_run)
    }

    /// Builds all combinations, every one with its first seed first, so that a sweep can be judged
    /// early.
    fn cells(&self, plan: &SweepPlan, name: &str, threads: usize) -> anyhow::Result<Vec<GameCell>> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut cells: Vec<GameCell> = Vec::new();
        for seed in plan.seeds.iter().flat_map(Seeds::all) {
            for game in &plan.games {
                for (algo, torso) in arms(plan) {
                    match self.cell(plan, name, threads, [game, algo, torso], seed) {
                        Ok(cell) => cells.push(cell),
                        Err(error) => collect(error, &mut problems)?,
                    }
                }
            }
        }

        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems).into());
        }

        check_unique(&cells)?;
        // Loading a game takes a moment, and seeds do not change whether it loads: try one of each.
        for cell in cells.iter().filter(|cell| cell.config().seed == cells[0].config().seed) {
            check_parts(cell.config())?;
        }

        Ok(cells)
    }

    fn cell(
        &self,
        plan: &SweepPlan,
        name: &str,
        threads: usize,
        [game, algo, torso]: [&str; 3],
        seed: u64,
    ) -> anyhow::Result<GameCell> {
        let mut arguments =
            vec![game.to_owned(), format!("--algo={algo}"), format!("--torso={torso}")];
        arguments.extend([format!("--seed={seed}"), format!("--threads={threads}")]);
        arguments.extend(plan.frames.map(|frames| format!("--frames={frames}")));
        arguments.extend(plan.preset.as_ref().map(|preset| format!("--preset={preset}")));
        arguments.extend(self.device.as_ref().map(|device| format!("--device={device}")));
        let assignments = plan.assignments().into_iter().chain(self.set.iter().cloned());
        arguments.extend(assignments.map(|assignment| format!("--set={assignment}")));
        let settings = train::settings_of(&arguments, &self.runs_dir)?;
        settings.config.device.resolve()?;
        let group = launch::group(Path::new(""), &settings.config);
        Ok(GameCell { plan: settings, arguments, run: group.join(format!("{name}-seed{seed}")) })
    }
}

fn fill_in(own: &mut Vec<String>, flag: &[String], default: &[&str]) {
    if !flag.is_empty() {
        flag.clone_into(own);
    } else if own.is_empty() {
        *own = default.iter().map(ToString::to_string).collect();
    }
}

/// Returns the pairs of algorithm and torso.
pub(super) fn arms(plan: &SweepPlan) -> Vec<(&String, &String)> {
    plan.algos.iter().flat_map(|algo| plan.torsos.iter().map(move |torso| (algo, torso))).collect()
}

/// Collects each problem once, however many cells have it.
fn collect(error: anyhow::Error, problems: &mut Vec<Problem>) -> anyhow::Result<()> {
    match error.downcast::<ConfigError>()? {
        ConfigError::Problems(found) => {
            for problem in found {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            Ok(())
        }
        other => Err(other.into()),
    }
}

/// Rejects duplicates: two names of one game yield the same cell.
fn check_unique(cells: &[GameCell]) -> Result<(), SweepError> {
    let mut seen = std::collections::BTreeSet::new();
    match cells.iter().find(|cell| !seen.insert(&cell.run)) {
        Some(twice) => Err(SweepError::Duplicate(twice.title())),
        None => Ok(()),
    }
}

fn no_games() -> String {
    let plans: Vec<String> =
        built_in_plans().into_iter().map(|(name, _)| format!("`{name}`")).collect();
    format!(
        "which games? name a plan ({}, or a file), or give `--games pong,breakout`",
        plans.join(", ")
    )
}

fn count_of(plan: &SweepPlan) -> usize {
    plan.games.len() * arms(plan).len() * plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len())
}
