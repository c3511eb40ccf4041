//! `coordrl bench`: measures speeds on this machine.

mod replay;
mod study;
mod training;

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use coordrl_agents::ALGORITHMS;
use serde::Serialize;

use self::study::StudyFlags;
use super::settings::SettingFlags;
use crate::bench::{TurnSpread, Turns};
use crate::config::{self, RunConfig};
use crate::exit_code::ExitCode;
use crate::metrics::console::{print_result, status};

const EXAMPLES: &str = "\
Examples:
  coordrl bench env pong --threads 1
  coordrl bench a2c breakout --torso coordconv --envs 64
  coordrl bench apex pong --preset small --json
  coordrl bench replay pong --set apex.replay.compress=true
  coordrl bench study classify --layer conv
  coordrl bench study imagenet --data my-pictures

A speed is the median over the turns. Close other programs, and compare ratios of speeds measured
one after the other on one machine, rather than speeds.";

/// Names of the measurements that are not of an algorithm.
const ENV: &str = "env";
const REPLAY: &str = "replay";
const STUDY: &str = "study";

/// Measure speeds on this machine; writes nothing.
#[derive(Debug)]
pub enum Bench {
    /// `env`, `replay`, or the name of an algorithm.
    OfRun(String, Box<BenchFlags>),
    /// A study.
    OfStudy(Box<StudyFlags>),
}

/// Flags of every measurement.
#[derive(Clone, Copy, Debug, Args)]
struct TurnFlags {
    /// Number of turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// Length of a turn in seconds
    #[arg(long, value_name = "SECS", default_value = "4", value_parser = parse_secs)]
    secs: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Flags of a measurement with a game.
#[derive(Debug, Args)]
pub struct BenchFlags {
    /// `catch` or an Atari game; `coordrl games` lists them
    #[arg(default_value = "breakout")]
    game: String,
    #[command(flatten)]
    turns: TurnFlags,
    /// Folder whose `presets` are looked through too
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

fn parse_secs(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(secs) if (0.01..=3600.0).contains(&secs) => Ok(secs),
        _ => Err("a turn takes 0.01 to 3600 seconds".to_owned()),
    }
}

/// One subcommand per algorithm, and those for the parts.
impl Subcommand for Bench {
    fn augment_subcommands(command: Command) -> Command {
        // The subcommand names the algorithm, and a measurement has no length in frames.
        let of_run = |name: &'static str, about: String| {
            BenchFlags::augment_args(Command::new(name))
                .about(about)
                .after_help(EXAMPLES)
                .mut_arg("algo", |flag| flag.hide(true))
                .mut_arg("frames", |flag| flag.hide(true))
        };

        let env = of_run(ENV, "Environments under random actions".to_owned());
        let about = "Ape-X's replay, filled by random actions, and the learner it feeds";
        let replay = of_run(REPLAY, about.to_owned());
        let study = StudyFlags::augment_args(Command::new(STUDY))
            .about("Updates of a coordinate task")
            .after_help(EXAMPLES)
            .mut_arg("epochs", |flag| flag.hide(true));
        let algorithms = ALGORITHMS.iter().map(|algorithm| {
            let about = format!("Training with {}, from its first update on", algorithm.title);
            of_run(algorithm.name, about)
        });
        command.subcommand(env).subcommands(algorithms).subcommand(replay).subcommand(study)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        [ENV, REPLAY, STUDY].contains(&name)
            || ALGORITHMS.iter().any(|algorithm| algorithm.name == name)
    }
}

impl FromArgMatches for Bench {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((STUDY, flags)) => {
                Ok(Self::OfStudy(Box::new(StudyFlags::from_arg_matches(flags)?)))
            }
            Some((what, flags)) => {
                let flags = BenchFlags::from_arg_matches(flags)?;
                Ok(Self::OfRun(what.to_owned(), Box::new(flags)))
            }
            None => Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::OfRun(what, flags) if what == REPLAY => replay::run(&flags),
            Self::OfRun(what, flags) => training::run(&what, &flags),
            Self::OfStudy(flags) => study::run(&flags),
        }
    }
}

impl TurnFlags {
    fn turns(self) -> Turns {
        Turns { count: self.turns, secs: self.secs }
    }

    /// Prints what was measured: `record` as JSON, or `text`.
    fn print(self, record: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        Ok(print_result(&if self.json { serde_json::to_string(record)? } else { text() })?)
    }
}

impl BenchFlags {
    /// Returns the settings of a run with this algorithm, or with that of the flags.
    fn config(&self, algorithm: Option<&str>) -> anyhow::Result<RunConfig> {
        let settings = self.settings.with_algo(algorithm);
        let layered = settings.layer(Some(&self.game), &self.runs_dir)?.layered;
        Ok(config::resolve(&layered)?)
    }
}

/// Ends a measurement that was stopped before it had anything to print.
fn stopped_early() -> ExitCode {
    status!("stopped before the first turn was over");
    ExitCode::Interrupted
}

fn speed_row(name: &str, TurnSpread { median, min, max }: TurnSpread) -> Vec<String> {
    vec![name.to_owned(), number(median), number(min), number(max)]
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
