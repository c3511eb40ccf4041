//! `coordrl study all`: runs every task, split and layer; prints one table and draws figures.

use std::path::PathBuf;

use clap::Args;
use coordrl_studies::{Split, layers, tasks};

use crate::config::{ConfigError, Problem, parse_count};
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::{print_result, status};
use crate::stop_flag::StopFlag;
use crate::study::campaign::Campaign;
use crate::study::{layer_of, split_of, task_of};
use crate::sweep::folder::log_name;
use crate::text::names;
use crate::text::path_text::shell_word;

const EXAMPLES: &str = "\
Examples:
  coordrl study all --quick
  coordrl study all --seeds 5 --baseline-seeds 1
  coordrl study all --layers coordconv --seeds 5
  coordrl study all --tasks classify,render --splits quadrant --name mine
  coordrl study all --with gan,vae

Runs are stored where single studies are; table and figures go to <runs-dir>/studies/all/<name>/.
Each study is a process of its own. Rerun with the same --name to resume unfinished studies and
redraw the figures.";

/// Run all but the longest tasks with every layer; print one table and draw figures.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct All {
    /// Train baselines for a tenth of their epochs: minutes instead of hours
    #[arg(long)]
    quick: bool,
    /// Run seeds 1 to N of each study
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seeds: u64,
    /// Run seeds 1 to N of the baselines, the slowest runs [default: as --seeds]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    baseline_seeds: Option<u64>,
    /// Only these tasks [default: all but `gan`, `vae`, `imagenet` and `lsun`, which take long]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    tasks: Vec<String>,
    /// These tasks too, beside the default ones
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "tasks")]
    with: Vec<String>,
    /// Only these splits [default: all that a task has]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    splits: Vec<String>,
    /// Only these layers [default: all in the registry]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    layers: Vec<String>,
    /// Concurrent studies; beside others each takes longer [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    jobs: Option<u64>,
    /// Worker threads per study; does not affect results [default: cores divided by concurrent
    /// studies]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads: Option<u64>,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
    /// Name of the results folder and of the runs
    #[arg(long, default_value = "all")]
    name: String,
    /// Print the results as a list of JSON objects
    #[arg(long)]
    json: bool,
}

impl All {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let campaign = self.campaign()?;
        campaign.check()?;
        // Held until table and figures are written.
        let lock = campaign.lock()?;
        let outcome = campaign.run(&lock, StopFlag::on_signals()?)?;
        if outcome.interrupted {
            let name = shell_word(&self.name);
            status!("stopped; the same command with `--name {name}` goes on from here");
            return Ok(ExitCode::Interrupted);
        }

        let results = campaign.results()?;
        print_result(&match self.json {
            true => serde_json::to_string(&results)?,
            false => campaign.table(&results),
        })?;

        match (campaign.write(&results), outcome.failed) {
            (Ok(folder), _) => status!("table and pictures: {}", folder.display()),
            // With studies missing, a figure may have nothing to show.
            (Err(error), Some(_)) => status!("not all pictures are drawn: {error:#}"),
            (Err(error), None) => return Err(error),
        }
        Ok(outcome.failed.unwrap_or(ExitCode::Ok))
    }

    fn campaign(&self) -> anyhow::Result<Campaign> {
        for (option, value) in [
            ("seeds", Some(self.seeds)),
            ("baseline-seeds", self.baseline_seeds),
            ("jobs", self.jobs),
            ("threads", self.threads),
        ] {
            if value == Some(0) {
                return Err(BadRequest::error(format!("`--{option} 0`: the least is 1")));
            }
        }

        let last_seed = self.seeds.max(self.baseline_seeds.unwrap_or(1));
        names::check_folder_name("--name", &self.name, Campaign::run_name("", last_seed).len())?;
        let mut problems = Vec::new();
        let mut by_default: Vec<_> =
            tasks().iter().copied().filter(|task| !task.takes_long).collect();
        let with = chosen(&self.with, task_of, &[], &mut problems);
        let more: Vec<_> = with.into_iter().filter(|task| !by_default.contains(task)).collect();
        by_default.extend(more);
        let tasks = chosen(&self.tasks, task_of, &by_default, &mut problems);
        let splits = chosen(&self.splits, split_of, &Split::ALL, &mut problems);
        let all_layers: Vec<_> = layers().iter().collect();
        let layers = chosen(&self.layers, layer_of, &all_layers, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems).into());
        }

        let campaign = Campaign {
            tasks,
            splits,
            layers,
            seeds: self.seeds,
            baseline_seeds: self.baseline_seeds.unwrap_or(self.seeds),
            quick: self.quick,
            jobs: self.jobs,
            threads: self.threads,
            runs_dir: self.runs_dir.clone(),
            name: self.name.clone(),
        };

        // The names of the logs are the longest of those that contain the campaign's.
        let longest = campaign.cells().iter().map(|cell| log_name(cell).len()).max().unwrap_or(0);
        names::check_folder_name("--name", &self.name, longest.saturating_sub(self.name.len()))?;
        Ok(campaign)
    }
}

/// Resolves the names, or returns everything if there are none.
fn chosen<T: Clone>(
    names: &[String],
    find: fn(&str) -> Result<T, Problem>,
    all: &[T],
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    if names.is_empty() {
        return all.to_vec();
    }
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        // Named twice, a study would run twice at the same time in one folder.
        if names[..index].contains(name) {
            continue;
        }

        match find(name) {
            Ok(one) => found.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Study;
    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        study: Study,
    }

    #[derive(Parser)]
    struct AllCli {
        #[command(flatten)]
        all: All,
    }

    #[test]
    fn a_study_of_the_grid_is_what_its_command_line_makes_of_it() {
        for flags in [&["--seeds=2"][..], &["--quick", "--jobs=1", "--threads=3"]] {
            let all = AllCli::parse_from([&["all"], flags].concat()).all;
            let campaign = all.campaign().unwrap();
            for cell in campaign.cells() {
                let words = [&["study", cell.plan.task.name][..]].concat();
                let words = words.into_iter().chain(cell.arguments.iter().map(String::as_str));
                let parsed = Cli::parse_from(words).study.settings().unwrap();
                assert_eq!(parsed, cell.plan, "{}", cell.title());
            }
        }
    }

    #[test]
    fn long_tasks_are_added_once() {
        let names = |flag: &str| -> Vec<&str> {
            let all = AllCli::parse_from(["all", flag]).all;
            all.campaign().unwrap().tasks.iter().map(|task| task.name).collect()
        };
        let default = names("--seeds=1");
        assert!(!default.contains(&"vae") && !default.contains(&"gan"));
        assert_eq!(names("--with=classify"), default);
        assert_eq!(names("--with=vae,detect,vae"), [&default[..], &["vae"]].concat());
    }

    #[test]
    fn a_layer_named_twice_runs_once() {
        let all = AllCli::parse_from(["all", "--layers=coordconv,coordconv"]).all;
        let asked: usize =
            tasks().iter().filter(|task| !task.takes_long).map(|task| task.splits.len()).sum();
        assert_eq!(all.campaign().unwrap().cells().len(), asked);
    }
}
