//! Command line: one file per subcommand.

mod actor;
mod bench;
mod config;
mod eval;
pub(crate) mod exit;
mod fleet;
mod games;

mod logging;
mod npy;
mod play;
mod presets;
mod report;
mod rules;
mod settings;
mod study;
mod sweep;
mod torsos;
mod trace;
mod train;
mod zoo;

use clap::{Parser, Subcommand};

use self::exit::exit_code_of;
use crate::exit_code::ExitCode;
use crate::machine::keep_freed_blocks;
use crate::metrics::console::status;

const EXAMPLES: &str = "\
Examples:
  coordrl train catch
  coordrl train breakout --torso coordconv --seed 2 --frames 4e6
  coordrl eval runs/breakout/a2c-coordconv/seed2-20260101-120000 --episodes 100
  coordrl play runs/breakout/a2c-coordconv/seed2-20260101-120000 --video breakout.gif

Exit codes: 0 ok, 1 bug, 2 invalid request, 3 unusable run folder or checkpoint, 4 training
diverged, 5 insufficient resources (disk full, no memory), 130 interrupted after a checkpoint
(Ctrl-C, SIGTERM, or SIGHUP unless it is ignored, as under nohup).

COORDRL_LOG=info (or debug, trace) logs to stderr.";

/// Train and evaluate Atari agents with pluggable torsos.
#[derive(Debug, Parser)]
#[command(name = "coordrl", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train an agent on a game, or continue a run.
    Train(Box<train::Train>),
    /// Act for a learner on another machine, over a Redis.
    Actor(Box<actor::Actor>),
    /// Look at, or stop, a run over several machines.
    Fleet(fleet::Fleet),
    /// Play full games with a trained agent.
    Eval(eval::Eval),
    /// Record a video of a full game.
    Play(play::Play),
    /// List the games.
    Games(games::Games),
    /// List the torsos.
    Torsos(torsos::Torsos),
    /// List or show presets.
    #[command(subcommand)]
    Presets(presets::Presets),
    /// Show the origin of every setting, or check settings without running them.
    #[command(subcommand)]
    Config(Box<config::Config>),
    /// Train every combination of games, algorithms, torsos and seeds.
    Sweep(Box<sweep::Sweep>),
    /// Compare runs on one page.
    Report(report::Report),
    /// Repeat the other experiments of the CoordConv paper: coordinate tasks, detection, generative models.
    #[command(subcommand)]
    Study(study::Study),
    /// Measure speeds on this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Keep trained agents, small enough for a repository.
    #[command(subcommand)]
    Zoo(zoo::Zoo),
    /// Trace an environment under fixed actions, for comparing emulators.
    Trace(Box<trace::Trace>),
}

/// Parses the command line, runs the command and reports an error in one message.
pub fn main() -> ExitCode {
    keep_freed_blocks();
    quiet_workers();
    logging::start();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };

    match cli.command.run() {
        Ok(code) => code,
        Err(error) => {
            status!("error: {}", describe(&error));
            exit_code_of(&error)
        }
    }
}

/// Silences panic messages of worker threads, which return the panic and its location as an error,
/// unless `RUST_BACKTRACE` is set. Panics on the main thread are not caught, so they are printed.
fn quiet_workers() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_main = std::thread::current().name() == Some("main");
        if is_main || std::env::var_os("RUST_BACKTRACE").is_some() {
            usual(panic);
        }
    }));
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Train(command) => command.run(),
            Self::Actor(command) => command.run(),
            Self::Fleet(command) => command.run(),
            Self::Eval(command) => command.run(),
            Self::Play(command) => command.run(),
            Self::Games(command) => command.run(),
            Self::Torsos(command) => command.run(),
            Self::Presets(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Sweep(command) => command.run(),
            Self::Report(command) => command.run(),
            Self::Study(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Zoo(command) => command.run(),
            Self::Trace(command) => command.run(),
        }
    }
}

/// Help and version are results; anything else is an invalid request. clap picks the output stream.
fn report_usage(error: &clap::Error) -> ExitCode {
    // A closed output stream must not change the exit code.
    let _ = error.print();
    if error.use_stderr() { ExitCode::BadRequest } else { ExitCode::Ok }
}

/// Joins the error and its causes, omitting a cause already contained in the text so far.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
