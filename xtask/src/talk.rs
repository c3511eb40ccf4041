//! The only place that prints: talk goes to stderr, the results of `doctor` to stdout.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "this module is the tool's voice")]

use std::fmt::Display;

/// A line about what is being done.
pub fn line(text: impl Display) {
    eprintln!("{text}");
}

/// A line that is the answer to what was asked.
pub fn answer(text: impl Display) {
    println!("{text}");
}

/// The message of a failed command, with its causes.
pub fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
