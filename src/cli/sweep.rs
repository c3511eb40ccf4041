//! `coordrl sweep`: trains a grid of runs.

use std::path::{Path, PathBuf};

use clap::Args;
use coordrl_agents::find_algorithm;
use coordrl_envs::find_game;
use coordrl_stats::{POWER, least_holm_adjusted, least_visible_difference};
use serde::Serialize;

use super::settings::note_rules_left_out;
use super::train;
use crate::config::{ConfigError, Problem, parse_count};
use crate::exit_code::{BadRequest, ExitCode};
use crate::machine::size;
use crate::metrics::console::{describe_secs, print_result, shell_quote, status};
use crate::report::ALPHA;
use crate::run::assemble::check_parts;
use crate::run::launch;
use crate::stop_flag::StopFlag;
use crate::sweep::cell::{Cell, CellState};
use crate::sweep::folder::{SweepFolder, check_design, check_holds_all, log_name};
use crate::sweep::forecast::{self, Measured, RemainingRun, SweepEstimate};
use crate::sweep::plan::{Seeds, SweepPlan, built_in_plans};
use crate::sweep::progress_table::{CellProgress, CellStatus, millions};
use crate::sweep::record::folder_of;
use crate::sweep::scheduler::{Scheduler, SweepOutcome};
use crate::sweep::{SweepError, disk};
use crate::text::names;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl sweep nine-games-small --dry-run
  coordrl sweep --games pong,breakout --torsos conv,coordconv --seeds 3 --frames 2e6 --name first
  coordrl sweep mine.toml --jobs 8 --threads-per-run 2

Rerun the same command to resume unfinished runs after Ctrl-C, a kill or a power cut.
`coordrl report <runs-dir>/sweeps/<name>` compares the complete runs.";

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

/// Train every combination of games, algorithms, torsos and seeds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Sweep {
    /// Plan file, or name of a built-in plan: nine-games, nine-games-small, pilot
    plan: Option<String>,
    /// Games, comma-separated [default: the plan's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Grid")]
    games: Vec<String>,
    /// Feature extractors [default: the plan's, else conv,coordconv]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Grid")]
    torsos: Vec<String>,
    /// Learning algorithms [default: the plan's, else a2c]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Grid")]
    algos: Vec<String>,
    /// Number of seeds, counted from 1, or a list as in 4,5,6 [default: the plan's, else 3]
    #[arg(long, value_name = "N|LIST", value_parser = Seeds::parse, allow_negative_numbers = true, help_heading = "Grid")]
    seeds: Option<Seeds>,
    /// Run length in emulator frames [default: the plan's, else each game's preset]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true, help_heading = "Grid")]
    frames: Option<u64>,
    /// Preset of every run [default: the plan's, else each game's own]
    #[arg(long, value_name = "NAME|FILE", help_heading = "Grid")]
    preset: Option<String>,
    /// Set one key in every run, as in `keep_checkpoints=1`; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Grid")]
    set: Vec<String>,
    /// Concurrent runs [default: one per core, or 1 with Ape-X]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    jobs: Option<u64>,
    /// Worker threads per run; does not affect results [default: cores divided by concurrent runs]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads_per_run: Option<u64>,
    /// auto, cpu or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
    /// Name of the sweep, and prefix of its runs' names [default: the plan's, else sweep]
    #[arg(long)]
    name: Option<String>,
    /// Show the grid and the forecast, then exit
    #[arg(long)]
    dry_run: bool,
    /// Skip the trial runs and the forecast
    #[arg(long, conflicts_with = "dry_run")]
    no_forecast: bool,
    /// Print the results as one JSON object
    #[arg(long)]
    json: bool,
}

/// Validated request, with every default filled in.
struct Request {
    name: String,
    plan: SweepPlan,
    cells: Vec<(Cell, CellState)>,
    jobs: usize,
    threads: usize,
}

impl Sweep {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let request = self.request()?;
        let stop = StopFlag::on_signals()?;
        status!("{}", describe(&request));
        note_ids(&request);
        if !self.no_forecast {
            self.forecast(&request, &stop)?;
        }

        if stop.is_raised() {
            return Ok(ExitCode::Interrupted);
        }

        if self.dry_run {
            return Ok(ExitCode::Ok);
        }

        let Request { name, plan, cells, jobs, .. } = request;
        let plain: Vec<Cell> = cells.iter().map(|(cell, _)| cell.clone()).collect();
        let folder = SweepFolder::open(&self.runs_dir, &name, &plan, &plain)?;
        let outcome = Scheduler::new(folder, self.runs_dir.clone(), cells, jobs, stop).work()?;
        self.tell(&name, &plain, &outcome)
    }

    /// Validates everything before anything is created.
    fn request(&self) -> anyhow::Result<Request> {
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
        let longest = cells.iter().map(|cell| log_name(cell).len()).max().unwrap_or(0);
        names::check_folder_name("--name", &name, longest.saturating_sub(name.len()))?;
        if !self.dry_run {
            SweepFolder::check(&self.runs_dir, &name)?;
        }

        if let Some(old) = SweepFolder::read(&self.runs_dir, &name)? {
            let new: Vec<_> = cells.iter().map(Cell::to_record).collect();
            check_holds_all(&name, &old.cells, &new)?;
            check_design(&old, &plan)?;
        }

        let cells = self.with_states(cells)?;
        // No more jobs than runs left; threads per run stay fixed so that earlier speeds remain
        // comparable.
        let left = cells.iter().filter(|(_, state)| *state != CellState::Done).count();
        Ok(Request { name, plan, cells, jobs: jobs.min(left.max(1)), threads })
    }

    fn with_states(&self, cells: Vec<Cell>) -> anyhow::Result<Vec<(Cell, CellState)>> {
        let look = |cell: Cell| -> anyhow::Result<(Cell, CellState)> {
            let state = cell.state(&self.runs_dir)?;
            Ok((cell, state))
        };
        cells.into_iter().map(look).collect()
    }

    /// Reads the plan and applies the flags.
    fn plan(&self) -> anyhow::Result<SweepPlan> {
        let mut plan = match &self.plan {
            Some(name) => SweepPlan::find(name, &self.runs_dir)?,
            None => SweepPlan::default(),
        };

        let over = |own: &mut Vec<String>, flag: &Vec<String>, default: &[&str]| {
            if !flag.is_empty() {
                own.clone_from(flag);
            } else if own.is_empty() {
                *own = default.iter().map(ToString::to_string).collect();
            }
        };

        over(&mut plan.games, &self.games, &[]);
        over(&mut plan.torsos, &self.torsos, &["conv", "coordconv"]);
        over(&mut plan.algos, &self.algos, &["a2c"]);
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let as_usize = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let threads = self.threads_per_run.map(as_usize);
        let takes_all_cores = {
            let takes_all =
                |name: &String| find_algorithm(name).is_some_and(|algo| algo.takes_all_cores);
            plan.algos.iter().any(takes_all)
        };

        let jobs = self.jobs.map(as_usize).unwrap_or_else(|| match takes_all_cores {
            true => 1,
            false => cores / threads.unwrap_or(1).min(cores),
        });

        let jobs = jobs.min(cells.max(1));
        (jobs, threads.unwrap_or_else(|| (cores / jobs).max(1)))
    }

    /// Builds all combinations, every one with its first seed first, so that a sweep can be judged
    /// early.
    fn cells(&self, plan: &SweepPlan, name: &str, threads: usize) -> anyhow::Result<Vec<Cell>> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut cells: Vec<Cell> = Vec::new();
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
    ) -> anyhow::Result<Cell> {
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
        Ok(Cell { run: group.join(format!("{name}-seed{seed}")), settings, arguments })
    }

    /// Prints a time and disk estimate; returns an error if the disk is too small.
    fn forecast(&self, request: &Request, stop: &StopFlag) -> anyhow::Result<()> {
        let mut measured: Vec<(String, Measured)> = Vec::new();
        for (cell, _) in request.cells.iter().filter(|(_, state)| *state != CellState::Done) {
            if stop.is_raised() {
                return Ok(());
            }
            if measured.iter().any(|(arm, _)| *arm == cell.arm()) {
                continue;
            }
            let Some((found, how)) = self.measure(request, cell, stop)? else {
                if stop.is_raised() {
                    return Ok(());
                }
                status!("no forecast: the runs are too short for a trial");
                return Ok(());
            };
            status!("measured: {} {:.0} frames/s, {how}", cell.arm(), found.frames_per_sec);
            measured.push((cell.arm(), found));
        }

        self.tell_forecast(request, &measured)
    }

    /// Measures an arm from earlier work in this sweep, or else by trial runs, and describes which.
    /// Earlier work does not record how many runs were concurrent.
    fn measure(
        &self,
        request: &Request,
        cell: &Cell,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<(Measured, String)>> {
        let same = request.cells.iter().filter(|(other, _)| other.arm() == cell.arm());
        let earlier =
            same.filter_map(|(other, _)| forecast::measured_earlier(other, &self.runs_dir));
        if let Some(found) = forecast::slowest(earlier) {
            let how = format!("by earlier runs with {} each", counted(request.threads, "thread"));
            return Ok(Some((found, how)));
        }
        let found = forecast::measure(cell, &self.runs_dir, request.jobs, stop)?;
        Ok(found.map(|found| (found, format!("{} at a time", request.jobs))))
    }

    fn tell_forecast(
        &self,
        request: &Request,
        measured: &[(String, Measured)],
    ) -> anyhow::Result<()> {
        let of_arm = |cell: &Cell| {
            measured.iter().find(|(arm, _)| *arm == cell.arm()).map(|(_, found)| *found)
        };

        let cells = request.cells.iter();
        let left: Vec<RemainingRun<'_>> = cells
            .filter_map(|(cell, state)| {
                RemainingRun::of(cell, *state, of_arm(cell)?, &self.runs_dir)
            })
            .collect();
        let forecast = SweepEstimate::of(&left, request.jobs);
        let free = disk::free_bytes(&self.runs_dir);
        let free_text = free.map_or_else(String::new, |free| format!(" of {} free", size(free)));
        status!(
            "forecast: {} from now, {} of disk{free_text}{}",
            describe_secs(forecast.seconds),
            size(forecast.bytes),
            forecast::conditions(&left)
        );
        match free {
            Some(free) if forecast.bytes > free => {
                Err(self.too_little_disk(request, &left, forecast, free))
            }
            _ => Ok(()),
        }
    }

    fn too_little_disk(
        &self,
        request: &Request,
        left: &[RemainingRun<'_>],
        forecast: SweepEstimate,
        free: u64,
    ) -> anyhow::Error {
        // Runs that have begun must keep their settings, so smaller replays are an option only
        // before that.
        let is_new = request.cells.iter().all(|(_, state)| *state == CellState::Waiting);
        let replays = is_new && left.iter().any(RemainingRun::saves_replay);
        SweepError::Disk { needed: forecast.bytes, free, folder: self.runs_dir.clone(), replays }
            .into()
    }

    fn tell(&self, name: &str, cells: &[Cell], outcome: &SweepOutcome) -> anyhow::Result<ExitCode> {
        let folder = folder_of(&self.runs_dir, name);
        let rows: Vec<ResultRow> = cells
            .iter()
            .zip(&outcome.cells)
            .map(|(cell, progress)| ResultRow::new(&self.runs_dir, cell, progress))
            .collect();
        print_result(&if self.json {
            serde_json::to_string(&SweepResult { sweep: &folder, cells: &rows })?
        } else {
            as_table(&rows)
        })?;

        if outcome.interrupted {
            status!("stopped; the same command goes on from here");
            return Ok(ExitCode::Interrupted);
        }

        status!("compare with: coordrl report {}", shell_quote(&folder));
        Ok(outcome.failed.unwrap_or(ExitCode::Ok))
    }
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct SweepResult<'a> {
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    sweep: &'a Path,
    cells: &'a [ResultRow],
}

#[derive(Debug, Serialize)]
struct ResultRow {
    game: String,
    arm: String,
    seed: u64,
    state: &'static str,
    frames: u64,
    frames_asked: u64,
    episode_return: Option<f64>,
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    run: PathBuf,
}

impl ResultRow {
    fn new(runs_dir: &Path, cell: &Cell, progress: &CellProgress) -> Self {
        Self {
            game: progress.game.clone(),
            arm: progress.arm.clone(),
            seed: cell.config().seed,
            state: match progress.status {
                CellStatus::Done => "done",
                CellStatus::Failed => "failed",
                CellStatus::Waiting | CellStatus::Running => "unfinished",
            },
            frames: progress.frames,
            frames_asked: progress.end,
            episode_return: progress.episode_return,
            run: runs_dir.join(&cell.run),
        }
    }
}

fn as_table(rows: &[ResultRow]) -> String {
    let cells = |row: &ResultRow| {
        vec![
            row.game.clone(),
            row.arm.clone(),
            row.seed.to_string(),
            row.state.to_owned(),
            row.frames.to_string(),
            row.episode_return.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}")),
            row.run.display().to_string(),
        ]
    };

    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    table(&["game", "arm", "seed", "state", "frames", "mean return", "run"], &rows)
}

fn arms(plan: &SweepPlan) -> Vec<(&String, &String)> {
    plan.algos.iter().flat_map(|algo| plan.torsos.iter().map(move |torso| (algo, torso))).collect()
}

fn count_of(plan: &SweepPlan) -> usize {
    plan.games.len() * arms(plan).len() * plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len())
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
fn check_unique(cells: &[Cell]) -> Result<(), SweepError> {
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

fn describe(request: &Request) -> String {
    let Request { name, plan, cells, jobs, threads } = request;
    let done = cells.iter().filter(|(_, state)| *state == CellState::Done).count();
    let begun = cells.iter().filter(|(_, state)| matches!(state, CellState::Begun { .. })).count();
    let frames: u64 = cells.iter().map(|(cell, _)| cell.config().frames).sum();
    let seeds = plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len());
    let mut text = format!(
        "sweep {name}: {} × {} × {}",
        counted(plan.games.len(), "game"),
        counted(arms(plan).len(), "arm"),
        counted(seeds, "seed")
    );
    text.push_str(&format!(
        " = {}, {} frames together",
        counted(cells.len(), "run"),
        millions(frames)
    ));
    if done + begun > 0 {
        text.push_str(&format!("; {done} done, {begun} begun"));
    }

    text.push_str(&format!("\n{jobs} at a time, {} each", counted(*threads, "thread")));
    text.extend(tests_in_words(plan).map(|tests| format!("\n{tests}")));
    if let Some(summary) = &plan.summary {
        text.push_str(&format!("\n{}", summary.trim()));
    }

    text
}

/// For each game given as a Gymnasium id, reports which of its rules the runs do not have.
fn note_ids(request: &Request) {
    for typed in &request.plan.games {
        let named = |cell: &&(Cell, CellState)| {
            find_game(typed).is_ok_and(|game| game.name == cell.0.config().game)
        };
        if let Some((cell, _)) = request.cells.iter().find(named) {
            note_rules_left_out(typed, &cell.config().env);
        }
    }
}

/// Describes the best result that the report's tests can reach with this plan; `None` without
/// comparisons.
fn tests_in_words(plan: &SweepPlan) -> Option<String> {
    let seeds = plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len());
    let pairs = match plan.torsos.len() {
        1 => plan.algos.len() - 1,
        torsos => plan.algos.len() * (torsos - 1),
    };

    let tests = plan.games.len() * pairs;
    if tests == 0 {
        return None;
    }

    let least = least_holm_adjusted(seeds, tests);
    let what = counted(tests, "comparison");
    Some(match least <= ALPHA {
        true => format!(
            "{what} of {seeds} against {seeds} seeds: p after Holm's correction is {least:.4} at best{}",
            visible_in_words(seeds, tests)
        ),
        false => format!(
            "{what} of {seeds} against {seeds} seeds: no p can pass Holm's correction, the least being {least:.2}; \
             more seeds or fewer games would do"
        ),
    })
}

/// Describes the smallest detectable difference, for one test and for the first step of Holm's
/// correction.
fn visible_in_words(seeds: usize, tests: usize) -> String {
    let visible = |alpha: f64| least_visible_difference(seeds, alpha);
    let (Some(alone), Some(corrected)) = (visible(ALPHA), visible(ALPHA / tests as f64)) else {
        return String::new();
    };

    let after_holm = match tests {
        1 => String::new(),
        _ => format!(", after Holm's correction {corrected:.1}"),
    };

    format!(
        "\nsmallest difference found {:.0} times in 100: {alone:.1} standard deviations over seeds{after_holm}",
        POWER * 100.0
    )
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(games: usize, torsos: usize, algos: usize, seeds: u64) -> SweepPlan {
        let names = |count: usize| (0..count).map(|place| place.to_string()).collect();
        let seeds = Some(Seeds::Count(seeds));
        SweepPlan {
            games: names(games),
            torsos: names(torsos),
            algos: names(algos),
            seeds,
            ..SweepPlan::default()
        }
    }

    #[test]
    fn a_plan_is_told_whether_any_test_can_pass_holm() {
        let text = tests_in_words(&plan(9, 2, 1, 5)).unwrap();
        assert!(
            text.starts_with("9 comparisons of 5 against 5 seeds: no p can pass")
                && text.contains("0.07"),
            "{text}"
        );
        let text = tests_in_words(&plan(9, 2, 1, 8)).unwrap();
        assert!(text.contains("is 0.0014 at best"), "{text}"); // 9 × 2 / 12 870
        assert!(
            text.contains("80 times in 100: 1.6 standard deviations over seeds, after Holm's"),
            "{text}"
        );
        let text = tests_in_words(&plan(1, 2, 1, 8)).unwrap();
        assert!(text.ends_with("1.6 standard deviations over seeds"), "{text}");
        assert!(tests_in_words(&plan(3, 3, 2, 8)).unwrap().starts_with("12 comparisons"));
        assert!(tests_in_words(&plan(3, 1, 2, 8)).unwrap().starts_with("3 comparisons"));
        assert_eq!(tests_in_words(&plan(3, 1, 1, 8)), None);
    }
}
