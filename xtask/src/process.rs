//! Running other programs.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Replaces this process by `command`. Exit code, signals and terminal are then the program's own:
/// Ctrl-C reaches only it, and the shell waits for exactly it. Returns only if the program cannot
/// be started.
pub fn become_program(mut command: Command) -> anyhow::Error {
    let error = command.exec();
    anyhow::Error::new(error).context(format!("cannot start `{}`", shown(&command)))
}

/// Runs `command` to completion; an error names it.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    // Cargo sets the variable for what it runs; the one in `PATH` may be another version.
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// First line that `command` prints to stdout, if it runs and succeeds.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Formats a command as typed in a shell: the program's file name and its arguments.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_arguments_and_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(format!("{error:#}").contains("no-such-program-here"));
        assert_eq!(first_line(&mut Command::new("no-such-program-here")), None);
    }

    #[test]
    fn the_first_line_is_trimmed() {
        assert_eq!(
            first_line(Command::new("sh").args(["-c", "echo ' a '; echo b"])),
            Some("a".to_owned())
        );
        assert_eq!(first_line(Command::new("sh").args(["-c", "echo a; exit 1"])), None);
    }
}
