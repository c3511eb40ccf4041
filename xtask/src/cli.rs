//! The command line.

use crate::layout::Layout;
use crate::{doctor, gates, page, parity, process, redis, setup};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Set-up, checks and shortcuts of the coordrl workspace.
///
/// The first `train` or `test` sets everything up: libtorch and the Arcade Learning Environment are
/// fetched through pip, checked and kept in `.deps`. COORDRL_DEPS_DIR names a folder that several
/// checkouts share instead.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "Examples:
  cargo xtask train pong                        set up, build, train
  cargo xtask test --package coordrl-envs       set up, then test one crate
  cargo xtask doctor                            what is there, what is missing, and the fix";

#[derive(Debug, Subcommand)]
enum Task {
    /// Fetch and build what the workspace needs; does nothing if all is present
    Setup,
    /// Print each part of the set-up, its state, and the fix if it is missing
    Doctor,
    /// Fetch a Redis server for the tests of runs over several machines (Debian's packages)
    Redis,
    /// Set up, build, and run `coordrl train` with these arguments
    #[command(disable_help_flag = true)]
    Train(Passed),
    /// Set up and run `cargo test --workspace` with these arguments
    #[command(disable_help_flag = true)]
    Test(Passed),
    /// Run every check that a change must pass, cheapest first
    Gates,
    /// Check formatting, lints and documentation only
    Lint,
    /// Run what the continuous integration runs: `lint`, then the tests
    Ci,
    /// Compare live with the reference emulator; arguments go to the script
    #[command(disable_help_flag = true)]
    Parity(Passed),
    /// Check a report's page in Chromium: errors, loads, marks, widths; saves screenshots
    Page(Page),
}

#[derive(Args, Debug)]
struct Page {
    /// A folder written by `coordrl report` [default: a new one, of the runs kept in docs/results/catch-coordinates]
    report: Option<PathBuf>,
    /// Folder for the screenshots
    #[arg(long, value_name = "DIR", default_value = "target/page")]
    shots: PathBuf,
}

#[derive(Args, Debug)]
struct Passed {
    /// Passed on unchanged
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Tasks whose arguments belong to the program they start.
const PASSING_ON: [&str; 3] = ["train", "test", "parity"];

impl Cli {
    /// Parses the command line. A `--` right after a task that passes its arguments on is one of
    /// those arguments: a second one in front of it keeps clap from consuming it.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Self {
        Self::try_read(words).unwrap_or_else(|error| error.exit())
    }

    fn try_read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut words: Vec<OsString> = words.into_iter().collect();
        if words.get(1).is_some_and(|task| PASSING_ON.iter().any(|name| task == name)) {
            words.insert(2, "--".into());
        }
        Self::try_parse_from(words)
    }
}

/// Runs the requested task. `train`, `test` and `parity` replace this process by the program they
/// start.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let layout = Layout::of_checkout();
    // The doctor describes the set-up as it is, so nothing may be repaired first.
    if !matches!(cli.task, Task::Doctor) {
        setup::run(&layout)?;
    }

    match cli.task {
        Task::Setup => {
            crate::talk::line(format!("everything is set up in {}", layout.deps().display()))
        }
        Task::Redis => redis::ensure(&layout)?,
        Task::Doctor => return Ok(doctor::run(&layout)),
        Task::Train(passed) => {
            return Err(process::become_program(gates::train_command(&layout, &passed.arguments)));
        }
        Task::Test(passed) => {
            return Err(process::become_program(gates::test_command(&layout, &passed.arguments)));
        }
        Task::Gates => gates::run(&layout, gates::ALL)?,
        Task::Lint => gates::run(&layout, gates::LINTS)?,
        Task::Ci => gates::run(&layout, gates::CI)?,
        Task::Page(task) => page::run(&layout, task.report.as_deref(), &task.shots)?,
        Task::Parity(passed) => match parity::run(&layout, &passed.arguments)? {},
    }

    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn arguments_of(words: &[&str]) -> Vec<OsString> {
        match Cli::try_read(words.iter().map(OsString::from)).unwrap().task {
            Task::Train(passed) | Task::Test(passed) | Task::Parity(passed) => passed.arguments,
            task => panic!("{task:?} takes no arguments"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_behind_train_and_test_are_not_ours() {
        let words = ["xtask", "train", "pong", "--frames", "4000", "--help", "-v"];
        assert_eq!(arguments_of(&words), words[2..]);
        assert_eq!(arguments_of(&["xtask", "train", "--help"]), ["--help"]);
        assert_eq!(arguments_of(&["xtask", "test", "--", "--nocapture"]), ["--", "--nocapture"]);
        assert_eq!(
            arguments_of(&["xtask", "test", "-p", "xtask", "--", "a"]),
            ["-p", "xtask", "--", "a"]
        );
    }
}
