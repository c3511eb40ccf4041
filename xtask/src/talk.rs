//! The only place that prints: progress goes to stderr, the results of `doctor` to stdout.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "this module is the tool's voice")]

use std::fmt::Display;

/// Prints a progress message to stderr.
pub fn line(text: impl Display) {
    eprintln!("{text}");
}

/// Prints a result to stdout.
pub fn answer(text: impl Display) {
    println!("{text}");
}

/// Prints the message of a failed command, with its causes, to stderr.
pub fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
