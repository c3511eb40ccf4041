//! The end of a sweep: one row per run.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Sweep;
use crate::exit_code::ExitCode;
use crate::metrics::console::{print_result, shell_quote, status};
use crate::sweep::game_run::GameCell;
use crate::sweep::progress_table::{CellProgress, CellStatus};
use crate::sweep::record::folder_of;
use crate::sweep::scheduler::SweepOutcome;
use crate::text::table::table;

impl Sweep {
    /// Prints the results; returns the exit code of the sweep.
    pub(super) fn print_results(
        &self,
        name: &str,
        cells: &[GameCell],
        outcome: &SweepOutcome,
    ) -> anyhow::Result<ExitCode> {
        let folder = folder_of(&self.runs_dir, name);
        let rows: Vec<ResultRow> = cells
            .iter()
            .zip(&outcome.cells)
            .map(|(cell, progress)| ResultRow::new(&self.runs_dir, cell, progress))
            .collect();
        print_result(&if self.json {
            serde_json::to_string(&SweepResult { sweep: &folder, cells: &rows })?
        } else {
            as_table(&rows)
        })?;

        if outcome.interrupted {
            status!("stopped; the same command goes on from here");
            return Ok(ExitCode::Interrupted);
        }

        status!("compare with: coordrl report {}", shell_quote(&folder));
        Ok(outcome.failed.unwrap_or(ExitCode::Ok))
    }
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct SweepResult<'a> {
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    sweep: &'a Path,
    cells: &'a [ResultRow],
}

#[derive(Debug, Serialize)]
struct ResultRow {
    game: String,
    arm: String,
    seed: u64,
    state: &'static str,
    frames: u64,
    frames_asked: u64,
    episode_return: Option<f64>,
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    run: PathBuf,
}

impl ResultRow {
    fn new(runs_dir: &Path, cell: &GameCell, progress: &CellProgress) -> Self {
        Self {
            game: progress.subject.clone(),
            arm: progress.arm.clone(),
            seed: cell.config().seed,
            state: match progress.status {
                CellStatus::Done => "done",
                CellStatus::Failed => "failed",
                CellStatus::Waiting | CellStatus::Running => "unfinished",
            },
            frames: progress.position,
            frames_asked: progress.end,
            episode_return: progress.score,
            run: runs_dir.join(&cell.run),
        }
    }

    /// Formats the row for a table.
    fn cells(&self) -> Vec<String> {
        vec![
            self.game.clone(),
            self.arm.clone(),
            self.seed.to_string(),
            self.state.to_owned(),
            self.frames.to_string(),
            self.episode_return.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}")),
            self.run.display().to_string(),
        ]
    }
}

fn as_table(rows: &[ResultRow]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(ResultRow::cells).collect();
    table(&["game", "arm", "seed", "state", "frames", "mean return", "run"], &rows)
}
