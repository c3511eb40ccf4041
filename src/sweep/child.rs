//! Training run in a child process that ends when this process does.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::Context;

use crate::exit_code::ExitCode;
use crate::sweep::record::CellFailure;

/// Flag of `coordrl train` and `coordrl study` that makes it save a checkpoint and exit when stdin closes.
pub const FOLLOW_STDIN: &str = "--stop-when-stdin-closes";

/// Training process. Dropping it, or the end of this process for any reason, closes its stdin, upon
/// which it saves a checkpoint and exits.
#[derive(Debug)]
pub struct TrainingProcess {
    process: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
    /// Offset in the log at which this process's output begins.
    log_start: u64,
}

/// Outcome of a training process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exit code 0.
    WithoutError,
    /// Exit code of a run that was asked to stop.
    Stopped,
    /// Any other end, with the meaning of its exit code.
    Failed(CellFailure, ExitCode),
}

impl TrainingProcess {
    /// Starts a subcommand of `coordrl` with these arguments; appends its output to `log`.
    ///
    /// # Errors
    /// If this program cannot be started again, or the log cannot be written.
    pub fn start(subcommand: &[&str], arguments: &[OsString], log: &Path) -> anyhow::Result<Self> {
        // Earlier attempts wrote to the same log; their errors must not be reported as this one's.
        let log_start = fs::metadata(log).map_or(0, |about| about.len());
        let output = open_log(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = this_program()?;
        command.args(subcommand).args(arguments).arg(FOLLOW_STDIN);
        // A pipe that this process alone holds open: the system closes it even if this process is
        // killed, so that no run outlives its sweep.
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        leave_group(&mut command);
        let mut process = command.spawn().context("cannot start a training process")?;
        let input = process.stdin.take();
        Ok(Self { process, input, log: log.to_owned(), log_start })
    }

    /// Returns the outcome if the process has ended.
    pub fn ended(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.process.try_wait()?.map(|status| self.describe(status)))
    }

    /// Asks the process to save a checkpoint and exit, by closing its stdin.
    pub fn stop(&mut self) {
        self.input = None;
    }

    fn describe(&self, status: ExitStatus) -> Ended {
        match status.code() {
            Some(code) if code == ExitCode::Ok as i32 => Ended::WithoutError,
            // Not a failure by itself: the caller knows whether it asked the process to stop.
            Some(code) if code == ExitCode::Interrupted as i32 => Ended::Stopped,
            code => {
                // `exit status: 4`, or `signal: 9 (SIGKILL)`.
                let ended_with = status.to_string();
                let message = last_words(&self.log, self.log_start);
                let failure = CellFailure { attempts: 1, ended_with, message };
                Ended::Failed(failure, code.map_or(ExitCode::Unexpected, ExitCode::from_number))
            }
        }
    }
}

/// Returns a command for the running executable, even if its file has been replaced since: all runs
/// of a sweep then use the same code, and rebuilding during a sweep is safe.
#[cfg(target_os = "linux")]
fn this_program() -> anyhow::Result<Command> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(std::env::args_os().next().unwrap_or_else(|| "coordrl".into()));
    Ok(command)
}

#[cfg(not(target_os = "linux"))]
fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot tell where this program lies")?))
}

/// Leaves the process group: Ctrl-C reaches all of a terminal's group, but only this process stops
/// its runs.
#[cfg(unix)]
fn leave_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn leave_group(_command: &mut Command) {}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Appended to, so that earlier attempts stay, and so that stdout and stderr, which share the
    // file, do not overwrite each other.
    OpenOptions::new().create(true).append(true).open(path)
}

/// Returns the last error in a log from `start` on, or else its last line.
fn last_words(log: &Path, start: u64) -> String {
    // A log that cannot be read must not hide that the process failed.
    let bytes = fs::read(log).unwrap_or_default();
    let own = bytes.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let text = String::from_utf8_lossy(own);
    let text = text.trim_end();
    match text.rfind("error: ") {
        Some(start) => text[start + "error: ".len()..].to_owned(),
        None => match text.lines().last() {
            Some(line) => format!("it did not say why; its last line: {line}"),
            None => "it said nothing".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_error_else_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(last_words(&log, 0), "it said nothing");
        fs::write(&log, "10/20 frames\n15/20 frames\n").unwrap();
        assert_eq!(last_words(&log, 0), "it did not say why; its last line: 15/20 frames");
        fs::write(&log, "error: old\nresumed\nerror: 2 problems:\n  - `a`\n  - `b`\n").unwrap();
        assert_eq!(last_words(&log, 0), "2 problems:\n  - `a`\n  - `b`");
        fs::write(&log, "error: old\nresumed\n").unwrap();
        assert_eq!(last_words(&log, 11), "it did not say why; its last line: resumed");
        assert_eq!(last_words(&log, 100), "it said nothing");
    }
}
