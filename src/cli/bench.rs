//! `coordrl bench`: measures speeds on this machine.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use coordrl_agents::ALGORITHMS;
use coordrl_agents::device::device_name;
use serde::Serialize;

use super::settings::SettingFlags;
use crate::bench::{AgentBench, Benched, EnvBench, Speeds, TurnSpread, Turns};
use crate::config::{self, RunConfig};
use crate::exit_code::ExitCode;
use crate::metrics::console::{print_result, status};
use crate::run::run_dir::Session;
use crate::stop_flag::StopFlag;
use crate::text::numbers::counted;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl bench env pong --threads 1
  coordrl bench a2c breakout --torso coordconv --envs 64
  coordrl bench apex pong --preset small --json

A speed is the median over the turns. Close other programs, and compare ratios of speeds measured
one after the other on one machine, rather than speeds.";

/// Name of the measurement without an agent.
const ENV: &str = "env";

/// Measure speeds on this machine; writes nothing.
#[derive(Debug)]
pub struct Bench {
    /// `env`, or the name of an algorithm.
    what: String,
    flags: Box<BenchFlags>,
}

/// Flags of every measurement.
#[derive(Debug, Args)]
struct BenchFlags {
    /// `catch` or an Atari game; `coordrl games` lists them
    #[arg(default_value = "breakout")]
    game: String,
    /// Number of turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// Length of a turn in seconds
    #[arg(long, value_name = "SECS", default_value = "4", value_parser = parse_secs)]
    secs: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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

/// One subcommand for environments and one per algorithm.
impl Subcommand for Bench {
    fn augment_subcommands(command: Command) -> Command {
        let with_flags =
            |name: &'static str| BenchFlags::augment_args(Command::new(name)).after_help(EXAMPLES);
        // The subcommand names the algorithm, and a measurement has no length in frames.
        let of_agent = |name| {
            let hidden = |command: Command, flag| command.mut_arg(flag, |flag| flag.hide(true));
            hidden(hidden(with_flags(name), "algo"), "frames")
        };

        let env = of_agent(ENV).about("Environments under random actions");
        ALGORITHMS.iter().fold(command.subcommand(env), |command, algorithm| {
            let about = format!("Training with {}, from its first update on", algorithm.title);
            command.subcommand(of_agent(algorithm.name).about(about))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == ENV || ALGORITHMS.iter().any(|algorithm| algorithm.name == name)
    }
}

impl FromArgMatches for Bench {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((what, flags)) = matches.subcommand() else {
            return Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand));
        };
        let flags = Box::new(BenchFlags::from_arg_matches(flags)?);
        Ok(Self { what: what.to_owned(), flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A finished measurement.
#[derive(Serialize)]
struct BenchResult {
    envs: usize,
    #[serde(flatten)]
    speeds: Speeds,
    session: Session,
}

/// A measurement and its settings, as printed with `--json`.
#[derive(Serialize)]
struct BenchRecord<'a> {
    bench: &'a str,
    game: &'a str,
    torso: Option<&'a str>,
    turns: Turns,
    #[serde(flatten)]
    measured: &'a BenchResult,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config()?;
        let turns = Turns { count: self.flags.turns, secs: self.flags.secs };
        let stop = StopFlag::on_signals()?;
        let measured = match self.what.as_str() {
            ENV => measure_envs(&config, turns, &stop)?,
            _ => measure_agent(&config, turns, &stop)?,
        };
        let Some(measured) = measured else {
            status!("stopped before the first turn was over");
            return Ok(ExitCode::Interrupted);
        };

        print_result(&match self.flags.json {
            true => serde_json::to_string(&BenchRecord {
                bench: &self.what,
                game: &config.game,
                torso: (self.what != ENV).then_some(&config.torso),
                turns,
                measured: &measured,
            })?,
            false => self.as_text(&config, &measured),
        })?;
        Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
    }

    fn config(&self) -> anyhow::Result<RunConfig> {
        let BenchFlags { game, runs_dir, settings, .. } = self.flags.as_ref();
        let algorithm = if self.what == ENV { None } else { Some(self.what.as_str()) };
        let settings = settings.with_algo(algorithm);
        Ok(config::resolve(&settings.layer(Some(game), runs_dir)?.layered)?)
    }

    fn as_text(&self, config: &RunConfig, measured: &BenchResult) -> String {
        let BenchResult { speeds, envs, session } = measured;
        let subject = match self.what.as_str() {
            ENV => format!("environments, {}", config.game),
            algorithm => format!("{algorithm}, {}, torso {}", config.game, config.torso),
        };
        let Session { device, threads, .. } = session;
        let [envs, threads] = [counted(*envs, "environment"), counted(*threads, "thread")];
        let title = format!("{subject}, {envs}, {threads}, {device}");

        let rate = |name: &str, TurnSpread { median, min, max }: TurnSpread| {
            vec![name.to_owned(), number(median), number(min), number(max)]
        };
        let mut rows = vec![
            rate("agent steps/s", speeds.agent_steps_per_sec),
            rate("frames/s", speeds.frames_per_sec),
        ];
        if self.what != ENV {
            rows.push(rate("updates/s", speeds.updates_per_sec));
        }

        let parts = &speeds.micros_per_agent_step;
        let mut activities = vec![("emulate", parts.emulate), ("preprocess", parts.preprocess)];
        if self.what != ENV {
            activities.extend([("infer", parts.infer), ("learn", parts.learn)]);
        }
        activities.push(("wait", parts.wait));
        let whole: f64 = activities.iter().map(|(_, micros)| micros).sum();
        let activities: Vec<Vec<String>> = activities
            .into_iter()
            .map(|(name, micros)| {
                let share = format!("{:.0} %", 100.0 * micros / whole);
                vec![name.to_owned(), format!("{micros:.0}"), share]
            })
            .collect();

        let rates = table(&["speed", "median", "min", "max"], &rows);
        let times = table(&["threads' time", "µs per agent step", "share"], &activities);
        format!("{title}\n\n{rates}\n\n{times}")
    }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn measure_envs(
    config: &RunConfig,
    turns: Turns,
    stop: &StopFlag,
) -> anyhow::Result<Option<BenchResult>> {
    let envs = config.algorithm().envs_per_actor().iter().sum();
    let mut bench = EnvBench::start(config, envs)?;
    // The first steps of a game may differ from later ones, and caches are cold.
    bench.step()?;
    let session = Session::this_process(0, "cpu".to_owned(), bench.threads());
    let speeds = turns.measure(&mut bench, stop)?;
    Ok(speeds.map(|speeds| BenchResult { speeds, envs, session }))
}

fn measure_agent(
    config: &RunConfig,
    turns: Turns,
    stop: &StopFlag,
) -> anyhow::Result<Option<BenchResult>> {
    let mut bench = AgentBench::warmed_up(config, stop)?;
    let assembled = bench.assembled();
    let session = Session::this_process(0, device_name(assembled.device), assembled.threads);
    let speeds = turns.measure(&mut bench, stop)?;
    let envs = config.algorithm().envs_per_actor().iter().sum();
    Ok(speeds.map(|speeds| BenchResult { speeds, envs, session }))
}
