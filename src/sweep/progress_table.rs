//! Progress of a sweep: a table redrawn on a terminal, otherwise an occasional line.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::metrics::LogAxis;
use crate::metrics::console::{describe_secs, status};
use crate::text::table::table;

/// Time between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(60);
/// Minimum time between two redraws on a terminal.
const TABLE_INTERVAL: Duration = Duration::from_secs(1);

/// Status of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellStatus {
    /// Not started, or between two attempts.
    Waiting,
    /// Running in a process.
    Running,
    /// All frames are trained.
    Done,
    /// Given up in this sweep process.
    Failed,
}

/// Progress of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellProgress {
    /// Game, or task and split of a study.
    pub subject: String,
    /// Variant that learns it.
    pub arm: String,
    /// Status.
    pub status: CellStatus,
    /// Position at the last log point, in the unit of the table.
    pub position: u64,
    /// Run length.
    pub end: u64,
    /// Speed at the last log point.
    pub per_sec: Option<f64>,
    /// Score at the last log point.
    pub score: Option<f64>,
}

impl CellProgress {
    /// Position, as far as it counts. A run that is done early, such as a study that holds its
    /// mark, has nothing left.
    fn trained(&self) -> u64 {
        // The last update of a run may reach beyond its end; the surplus must not stand in for
        // another.
        if self.status == CellStatus::Done { self.end } else { self.position.min(self.end) }
    }
}

/// Progress display: a table, or lines.
#[derive(Debug)]
pub struct ProgressTable {
    /// Unit of all positions.
    axis: LogAxis,
    bar: Option<ProgressBar>,
    last_shown: Option<Instant>,
}

impl ProgressTable {
    /// Builds an empty display of positions in this unit.
    pub fn new(axis: LogAxis) -> Self {
        Self { axis, bar: io::stderr().is_terminal().then(new_bar), last_shown: None }
    }

    /// Returns `true` if it is time for another update.
    pub fn is_due(&self) -> bool {
        let interval = if self.bar.is_some() { TABLE_INTERVAL } else { LINE_INTERVAL };
        self.last_shown.is_none_or(|last| last.elapsed() >= interval)
    }

    /// Shows the progress of all cells.
    pub fn show(&mut self, cells: &[CellProgress]) {
        self.last_shown = Some(Instant::now());
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!(
                    "{}\n{}",
                    grid(cells, self.axis, terminal_rows()),
                    summary(cells, self.axis)
                ));
                bar.tick();
            }
            None => status!("{}{}", summary(cells, self.axis), running(cells)),
        }
    }

    /// Prints a message about an event.
    pub fn tell(&self, text: &str) {
        match &self.bar {
            // Suspended, or the next redraw would overwrite the line.
            Some(bar) => bar.suspend(|| status!("{text}")),
            None => status!("{text}"),
        }
    }

    /// Shows the final state and leaves it on the screen.
    pub fn finish(&mut self, cells: &[CellProgress]) {
        self.show(cells);
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn new_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style)
}

/// Returns the number of rows that fit, leaving room for the summary and earlier messages.
fn terminal_rows() -> usize {
    let (rows, _) = console::Term::stderr().size();
    usize::from(rows).saturating_sub(4).max(4)
}

/// Formats one row per game and arm, with one letter per seed. Drops rows without a running process
/// first.
fn grid(cells: &[CellProgress], axis: LogAxis, rows: usize) -> String {
    let groups = by_subject_and_arm(cells);
    let shown: Vec<&Vec<&CellProgress>> = match groups.len() > rows {
        true => groups.iter().filter(|group| is_busy(group)).take(rows).collect(),
        false => groups.iter().collect(),
    };
    let cells: Vec<Vec<String>> = shown.into_iter().map(|group| row(group)).collect();
    let speed = format!("{}/s", axis.name());
    let [subject, score] = match axis {
        LogAxis::Frames => ["game", "return"],
        LogAxis::Updates => ["study", "test"],
    };
    table(&[subject, "arm", "seeds", axis.name(), &speed, score], &cells)
}

/// Returns `true` if a process is running one of these cells.
fn is_busy(group: &[&CellProgress]) -> bool {
    group.iter().any(|cell| cell.status == CellStatus::Running)
}

fn by_subject_and_arm(cells: &[CellProgress]) -> Vec<Vec<&CellProgress>> {
    let mut groups: Vec<Vec<&CellProgress>> = Vec::new();
    for cell in cells {
        let known = groups
            .iter_mut()
            .find(|group| group[0].subject == cell.subject && group[0].arm == cell.arm);
        match known {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

fn row(group: &[&CellProgress]) -> Vec<String> {
    let marks: String = group.iter().map(|cell| letter(cell.status)).collect();
    let (position, end) = lengths_of(group.iter().copied());
    let running = group.iter().filter(|cell| cell.status == CellStatus::Running);
    let speed: f64 = running.filter_map(|cell| cell.per_sec).sum();
    let returns: Vec<String> = group.iter().filter_map(|cell| cell.score).map(short).collect();
    vec![
        group[0].subject.clone(),
        group[0].arm.clone(),
        marks,
        format!("{} of {}", millions(position), millions(end)),
        if speed > 0.0 { format!("{speed:.0}") } else { "-".to_owned() },
        if returns.is_empty() { "-".to_owned() } else { returns.join(" ") },
    ]
}

/// Formats a score in a few characters: accuracies and errors are below 1.
fn short(score: f64) -> String {
    if score.abs() < 1.0 { format!("{score:.3}") } else { format!("{score:.1}") }
}

fn letter(status: CellStatus) -> char {
    match status {
        CellStatus::Waiting => '·',
        CellStatus::Running => '▸',
        CellStatus::Done => '✓',
        CellStatus::Failed => '✗',
    }
}

/// Formats `3 of 8 done, 2 running, 1 failed · 45 % of 3.2 M frames · 3800 frames/s · 14m00s left`.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn summary(cells: &[CellProgress], axis: LogAxis) -> String {
    let count = |status: CellStatus| cells.iter().filter(|cell| cell.status == status).count();
    let mut parts = vec![format!(
        "{} of {} done, {} running",
        count(CellStatus::Done),
        cells.len(),
        count(CellStatus::Running)
    )];
    if count(CellStatus::Failed) > 0 {
        parts[0].push_str(&format!(", {} failed", count(CellStatus::Failed)));
    }

    let (position, end) = lengths_of(cells.iter());
    parts.push(format!(
        "{:.0} % of {} {}",
        100.0 * position as f64 / end.max(1) as f64,
        millions(end),
        axis.name()
    ));
    let running = cells.iter().filter(|cell| cell.status == CellStatus::Running);
    let speed: f64 = running.filter_map(|cell| cell.per_sec).sum();
    if speed > 0.0 {
        parts.push(format!("{speed:.0} {}/s", axis.name()));
        // Cells that were given up are not trained to their end.
        let (position, end) =
            lengths_of(cells.iter().filter(|cell| cell.status != CellStatus::Failed));
        parts.push(format!("{} left", describe_secs(end.saturating_sub(position) as f64 / speed)));
    }

    parts.join(" · ")
}

/// Describes the running cells in one line.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn running(cells: &[CellProgress]) -> String {
    let all: Vec<String> = cells
        .iter()
        .filter(|cell| cell.status == CellStatus::Running)
        .map(|cell| {
            let percent = 100.0 * cell.position as f64 / cell.end.max(1) as f64;
            format!("{} {} at {percent:.0} %", cell.subject, cell.arm)
        })
        .collect();
    if all.is_empty() { String::new() } else { format!(" · {}", all.join(", ")) }
}

fn lengths_of<'a>(cells: impl Iterator<Item = &'a CellProgress>) -> (u64, u64) {
    cells.fold((0, 0), |(sum, end), cell| (sum + cell.trained(), end + cell.end))
}

/// Formats a number of frames or updates for display.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn millions(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} k", count / 1000),
        _ => format!("{:.1} M", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(game: &str, arm: &str, status: CellStatus, position: u64) -> CellProgress {
        let (per_sec, score) = match status {
            CellStatus::Running => (Some(1000.0), Some(-20.25)),
            CellStatus::Done => (Some(900.0), Some(1.5)),
            CellStatus::Waiting | CellStatus::Failed => (None, None),
        };

        CellProgress {
            subject: game.into(),
            arm: arm.into(),
            status,
            position,
            end: 400_000,
            per_sec,
            score,
        }
    }

    #[test]
    fn a_row_holds_the_seeds_of_a_game_and_an_arm() {
        let cells = [
            cell("pong", "a2c-conv", CellStatus::Done, 400_320),
            cell("pong", "a2c-coordconv", CellStatus::Running, 100_000),
            cell("pong", "a2c-conv", CellStatus::Running, 200_000),
            cell("pong", "a2c-coordconv", CellStatus::Failed, 0),
        ];
        let expected = "game  arm            seeds  frames          frames/s  return\n\
                        pong  a2c-conv       ✓▸     600 k of 800 k  1000      1.5 -20.2\n\
                        pong  a2c-coordconv  ▸✗     100 k of 800 k  1000      -20.2";
        assert_eq!(grid(&cells, LogAxis::Frames, 10), expected);
        assert_eq!(
            summary(&cells, LogAxis::Frames),
            "1 of 4 done, 2 running, 1 failed · 44 % of 1.6 M frames · 2000 frames/s · 4m10s left",
            "what has failed is not left to do"
        );
        assert_eq!(running(&cells), " · pong a2c-coordconv at 25 %, pong a2c-conv at 50 %");
    }

    #[test]
    fn where_rows_do_not_fit_those_that_move_are_shown() {
        let mut cells: Vec<CellProgress> = (0..30)
            .map(|game| cell(&format!("game{game}"), "a2c-conv", CellStatus::Waiting, 0))
            .collect();
        cells[20].status = CellStatus::Running;
        let text = grid(&cells, LogAxis::Frames, 5);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("game20"));
        assert!(summary(&cells, LogAxis::Frames).starts_with("0 of 30 done, 1 running"));
    }
}
