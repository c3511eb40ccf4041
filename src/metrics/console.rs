//! Progress of a run for the user: a bar on a terminal, otherwise an occasional line.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::LogAxis;
use crate::text::path_text::shell_word;

/// Minimum time between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Minimum time between two redraws on a terminal.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// Approximate averaging time of the displayed speed.
const SPEED_WINDOW_SECS: f64 = 10.0;

/// Prints a status line to stderr, formatted as by [`format!`]. Never used for results.
macro_rules! status {
    ($($arg:tt)*) => { $crate::metrics::console::print_status(format_args!($($arg)*)) };
}
pub(crate) use status;

/// Prints a line to stderr; `status!` formats one.
pub fn print_status(line: std::fmt::Arguments<'_>) {
    // A closed stderr is no reason to stop training.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints a result to stdout.
pub fn print_result(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // A closed pipe, as in `coordrl games | head`, is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Quotes a path for a shell: names with spaces in quotes, bytes that are not text as escapes.
pub fn shell_quote(path: &Path) -> String {
    shell_word(path)
}

/// Progress display of a run.
#[derive(Debug)]
pub struct Console {
    bar: Option<ProgressBar>,
    axis: LogAxis,
    /// Final position of the run.
    end: u64,
    last_shown: Instant,
    last_position: u64,
    per_sec: Option<f64>,
}

impl Console {
    /// Starts the display of a run at `position` that ends at `end`.
    pub fn new(axis: LogAxis, position: u64, end: u64) -> Self {
        // Results go to stdout, which may be redirected while the bar is watched.
        let bar = io::stderr().is_terminal().then(|| new_bar(axis, position, end));
        Self { bar, axis, end, last_shown: Instant::now(), last_position: position, per_sec: None }
    }

    /// Shows the position, with a note on performance, if enough time has passed.
    pub fn update(&mut self, position: u64, note: impl FnOnce() -> String) {
        let interval = if self.bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL };
        if self.last_shown.elapsed() >= interval {
            self.show(position, &note());
        }
    }

    /// Shows the final state and leaves it on the screen.
    pub fn finish(&mut self, position: u64, note: &str) {
        self.show(position, note);
        if let Some(bar) = &self.bar {
            // `finish` would fill the bar, even for a run that was stopped on the way.
            bar.abandon();
        }
    }

    fn show(&mut self, position: u64, note: &str) {
        self.measure_speed(position);
        let text = self.describe(position, note);
        match &self.bar {
            Some(bar) => {
                bar.set_position(position);
                bar.set_message(text);
            }
            None => status!("{position}/{} {}, {text}", self.end, self.axis.name()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn measure_speed(&mut self, position: u64) {
        let secs = self.last_shown.elapsed().as_secs_f64();
        if secs > 0.0 && position > self.last_position {
            let now = (position - self.last_position) as f64 / secs;
            // Weighted by time, since updates come at irregular intervals.
            let weight = (secs / SPEED_WINDOW_SECS).min(1.0);
            self.per_sec = Some(self.per_sec.map_or(now, |old| old + weight * (now - old)));
        }
        self.last_shown = Instant::now();
        self.last_position = position;
    }

    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn describe(&self, position: u64, note: &str) -> String {
        let left = self.end.saturating_sub(position);
        let (speed, time_left) = match self.per_sec {
            Some(speed) if speed > 0.0 => {
                (format!("{speed:.0}"), describe_secs(left as f64 / speed))
            }
            _ => ("-".to_owned(), "-".to_owned()),
        };
        format!("{speed} {}/s, {note}, {time_left} left", self.axis.name())
    }
}

/// Formats seconds as hours and minutes, or minutes and seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for display; casts saturate"
)]
pub fn describe_secs(secs: f64) -> String {
    let secs = secs.round() as u64;
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3600, secs / 60 % 60),
    }
}

fn new_bar(axis: LogAxis, position: u64, end: u64) -> ProgressBar {
    let template = format!("{{bar:30}} {{human_pos}}/{{human_len}} {} · {{msg}}", axis.name());
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(end).with_style(style).with_position(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(shell_quote(Path::new("runs/pong/seed1-20260101")), "runs/pong/seed1-20260101");
        assert_eq!(shell_quote(Path::new("my run")), "'my run'");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(describe_secs(59.4), "59s");
        assert_eq!(describe_secs(60.0), "1m00s");
        assert_eq!(describe_secs(3660.0), "1h01m");
    }

    #[test]
    fn before_the_first_update_there_is_no_speed_to_show() {
        let console = Console::new(LogAxis::Frames, 0, 100);
        assert_eq!(console.describe(0, "mean return -"), "- frames/s, mean return -, - left");
    }
}
