//! `coordrl sweep`: trains a grid of runs.

mod describe;
mod estimate;
mod request;
mod results;

use std::path::PathBuf;

use clap::Args;

use self::describe::{describe, note_ids};
use self::request::SweepRequest;
use crate::config::parse_count;
use crate::exit_code::ExitCode;
use crate::metrics::console::status;
use crate::stop_flag::StopFlag;
use crate::sweep::folder::SweepFolder;
use crate::sweep::game_run::GameCell;
use crate::sweep::plan::Seeds;
use crate::sweep::scheduler::Scheduler;

const EXAMPLES: &str = "\
Examples:
  coordrl sweep nine-games-small --dry-run
  coordrl sweep --games pong,breakout --torsos conv,coordconv --seeds 3 --frames 2e6 --name first
  coordrl sweep mine.toml --jobs 8 --threads-per-run 2

Rerun the same command to resume unfinished runs after Ctrl-C, a kill or a power cut.
`coordrl report <runs-dir>/sweeps/<name>` compares the complete runs.";

/// Train every combination of games, algorithms, torsos and seeds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Sweep {
    /// Plan file, or name of a built-in plan: nine-games, nine-games-small, nine-games-controls, pilot
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

impl Sweep {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let request = self.request()?;
        // Before the forecast, because a signal must stop its trial runs too.
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

        let SweepRequest { name, plan, cells, jobs, .. } = request;
        let plain: Vec<GameCell> = cells.iter().map(|(cell, _)| cell.clone()).collect();
        let folder = SweepFolder::open(&self.runs_dir, &name, &plan, &plain)?;
        let outcome = Scheduler::new(folder, self.runs_dir.clone(), cells, jobs, stop).work()?;
        self.print_results(&name, &plain, &outcome)
    }
}
