//! Scheduler: keeps the requested number of training processes running until every cell is done or
//! given up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::cell::{Cell, CellState};
use super::child::{Ended, TrainingProcess};
use super::game_run::GameRunPlan;
use super::planned::Planned;
use super::progress_table::{CellProgress, CellStatus, ProgressTable};
use super::record::CellFailure;
use crate::exit_code::ExitCode;
use crate::metrics::read::read_last_point;
use crate::run::run_dir::{RunDir, RunDirError};
use crate::stop_flag::StopFlag;

/// Number of attempts before a cell is given up.
const ATTEMPTS: u32 = 2;
const POLL: Duration = Duration::from_millis(200);
/// Wait for a run that another process uses: a killed sweep's run may still be writing its last
/// checkpoint.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(120);

/// Record of a sweep in progress.
pub trait Journal {
    /// Returns the path of the log of a cell's processes.
    fn log_path<P: Planned>(&self, cell: &Cell<P>) -> PathBuf;

    /// Records the failure of a cell, by its index, or clears it.
    ///
    /// # Errors
    /// If the record cannot be written.
    fn note(&mut self, cell: usize, failure: Option<CellFailure>) -> Result<(), RunDirError>;
}

/// Sweep in execution.
pub struct Scheduler<J, P = GameRunPlan> {
    journal: J,
    runs_dir: PathBuf,
    jobs: usize,
    stop: StopFlag,
    table: ProgressTable,
    slots: Vec<JobSlot<P>>,
}

/// Cell with its process.
struct JobSlot<P> {
    cell: Cell<P>,
    work: CellWork,
    /// Number of failed attempts.
    failed: u32,
    /// Time since which another process has used its folder.
    in_use_since: Option<Instant>,
    progress: CellProgress,
}

enum CellWork {
    Waiting,
    Running(TrainingProcess),
    Done,
    GivenUp(CellFailure, ExitCode),
}

/// Outcome of a sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepOutcome {
    /// Final progress of every cell, in order.
    pub cells: Vec<CellProgress>,
    /// Exit code of the first failure.
    pub failed: Option<ExitCode>,
    /// `true` if a signal ended it.
    pub interrupted: bool,
}

impl<J: Journal, P: Planned> Scheduler<J, P> {
    /// Builds a scheduler for cells with known states.
    pub fn new(
        journal: J,
        runs_dir: PathBuf,
        cells: Vec<(Cell<P>, CellState)>,
        jobs: usize,
        stop: StopFlag,
    ) -> Self {
        let mut slots: Vec<JobSlot<P>> =
            cells.into_iter().map(|(cell, state)| JobSlot::new(cell, state)).collect();
        // Those that are done are read too: the table shows their scores.
        slots.iter_mut().for_each(|slot| slot.look(&runs_dir));
        let table = ProgressTable::new(P::AXIS);
        Self { journal, runs_dir, jobs, stop, table, slots }
    }

    /// Runs until every cell is done or given up, or until stopped by a signal; then every process
    /// saves a checkpoint first.
    ///
    /// # Errors
    /// If processes cannot be started or the sweep's folder cannot be written. Running processes
    /// then stop with a checkpoint of their own.
    pub fn work(mut self) -> anyhow::Result<SweepOutcome> {
        for index in 0..self.slots.len() {
            if matches!(self.slots[index].work, CellWork::Done) {
                self.journal.note(index, None)?; // failed once, but has been completed elsewhere since
            }
        }

        loop {
            // First, so that the slots of ended processes can be filled in the same round.
            self.collect_ended()?;
            if self.stop.is_raised() {
                // Stopping a process twice is harmless, so nothing records which were asked.
                self.stop_all();
            } else {
                self.start_waiting()?;
            }
            if self.running() == 0 && (self.stop.is_raised() || !self.has_waiting()) {
                break;
            }
            if self.table.is_due() {
                let statuses = self.look();
                self.table.show(&statuses);
            }
            // Polled: processes, the stop flag and metric files have no common event to wait for.
            std::thread::sleep(POLL);
        }

        Ok(self.finish())
    }

    fn finish(mut self) -> SweepOutcome {
        let cells = self.look();
        self.table.finish(&cells);
        let failed = self.slots.iter().find_map(|slot| match &slot.work {
            CellWork::GivenUp(_, code) => Some(*code),
            _ => None,
        });

        for slot in &self.slots {
            if let CellWork::GivenUp(failure, _) = &slot.work {
                let CellFailure { attempts, ended_with, message } = failure;
                let title = slot.cell.title();
                self.table.tell(&format!(
                    "{title} failed {attempts} times, with {ended_with}: {message}"
                ));
            }
        }

        // A signal while the last run ends interrupts nothing.
        let interrupted = self.stop.is_raised() && self.has_waiting();
        SweepOutcome { cells, failed, interrupted }
    }

    fn running(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.work, CellWork::Running(_))).count()
    }

    fn has_waiting(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.work, CellWork::Waiting))
    }

    fn look(&mut self) -> Vec<CellProgress> {
        for slot in &mut self.slots {
            if matches!(slot.work, CellWork::Running(_)) {
                slot.look(&self.runs_dir);
            }
        }
        self.slots.iter().map(|slot| slot.progress.clone()).collect()
    }

    fn stop_all(&mut self) {
        for slot in &mut self.slots {
            if let CellWork::Running(process) = &mut slot.work {
                process.stop();
            }
        }
    }

    fn start_waiting(&mut self) -> anyhow::Result<()> {
        for index in 0..self.slots.len() {
            // Counted every time: a cell may turn out to be done, or wait for another process.
            if self.running() >= self.jobs {
                return Ok(());
            }
            if matches!(self.slots[index].work, CellWork::Waiting) {
                self.start(index)?;
            }
        }
        Ok(())
    }

    /// Starts or resumes a cell; leaves it waiting while another process uses it.
    fn start(&mut self, index: usize) -> anyhow::Result<()> {
        let path = self.runs_dir.join(&self.slots[index].cell.run);
        if RunDir::is_in_use(&path) {
            let since = *self.slots[index].in_use_since.get_or_insert_with(Instant::now);
            return match since.elapsed() > PATIENCE_WITH_OTHERS {
                true => self.cannot_start(index, &RunDirError::InUse(path)),
                false => Ok(()),
            };
        }
        self.slots[index].in_use_since = None; // patience begins anew with the next process

        // Read again at every start: an earlier attempt or another process may have changed it.
        let cell = &self.slots[index].cell;
        let state = match cell.state(&self.runs_dir) {
            Ok(CellState::Waiting) => cell.clear(&self.runs_dir).map(|()| CellState::Waiting),
            other => other,
        };

        let (arguments, how) = match state {
            Err(error) => return self.cannot_start(index, &error),
            Ok(CellState::Done) => return self.done(index),
            Ok(CellState::Waiting) => (self.arguments_to_begin(cell)?, "begins".to_owned()),
            Ok(CellState::Begun { position }) => {
                let run = self.runs_dir.join(&cell.run);
                let how = format!("goes on at {position} {}", P::AXIS.name());
                (cell.plan.arguments_to_resume(&run), how)
            }
        };

        let log = self.journal.log_path(cell);
        let process = TrainingProcess::start(&cell.plan.subcommand(), &arguments, &log)?;
        let again = if self.slots[index].failed > 0 { ", a second time" } else { "" };
        self.table.tell(&format!("{} {how}{again}", cell.title()));
        self.slots[index].set(CellWork::Running(process));
        Ok(())
    }

    fn arguments_to_begin(&self, cell: &Cell<P>) -> anyhow::Result<Vec<OsString>> {
        let name = cell.run.file_name().context("a run folder without a name")?;
        let mut arguments: Vec<OsString> = cell.arguments.iter().map(OsString::from).collect();
        arguments.extend([
            "--runs-dir".into(),
            self.runs_dir.clone().into(),
            "--name".into(),
            name.into(),
        ]);
        Ok(arguments)
    }

    fn collect_ended(&mut self) -> anyhow::Result<()> {
        for index in 0..self.slots.len() {
            let CellWork::Running(process) = &mut self.slots[index].work else { continue };
            if let Some(ended) = process.ended()? {
                // Its last log point may have been written since the last redraw.
                self.slots[index].look(&self.runs_dir);
                self.take(index, ended)?;
            }
        }
        Ok(())
    }

    // An exit code alone does not prove that a run is done: its folder decides.
    fn take(&mut self, index: usize, ended: Ended) -> anyhow::Result<()> {
        match ended {
            Ended::WithoutError if self.slots[index].is_done(&self.runs_dir) => self.done(index),
            Ended::Stopped if self.stop.is_raised() => {
                // Waiting, not failed: the next process of the sweep resumes it.
                self.slots[index].set(CellWork::Waiting);
                Ok(())
            }
            Ended::WithoutError => {
                self.failed(index, unfinished("exit status: 0"), ExitCode::Unexpected)
            }
            // Stopped by someone else. A failed attempt, or it might be restarted without end.
            Ended::Stopped => {
                self.failed(index, unfinished("exit status: 130"), ExitCode::Interrupted)
            }
            Ended::Failed(failure, code) => self.failed(index, failure, code),
        }
    }

    fn done(&mut self, index: usize) -> anyhow::Result<()> {
        let slot = &mut self.slots[index];
        slot.set(CellWork::Done);
        let result = slot.cell.plan.describe_score(slot.progress.score);
        let text = format!("{} is done: {result}", slot.cell.title());
        self.table.tell(&text);
        Ok(self.journal.note(index, None)?)
    }

    fn failed(&mut self, index: usize, failure: CellFailure, code: ExitCode) -> anyhow::Result<()> {
        let slot = &mut self.slots[index];
        slot.failed += 1;
        let failure = CellFailure { attempts: slot.failed, ..failure };
        let text =
            format!("{} ended with {}: {}", slot.cell.title(), failure.ended_with, failure.message);
        self.table.tell(&text);
        if failure.attempts >= ATTEMPTS {
            return self.give_up(index, failure, code);
        }
        slot.set(CellWork::Waiting);
        Ok(self.journal.note(index, Some(failure))?)
    }

    /// Abandons a cell whose folder became unusable after the sweep began; the others continue.
    fn cannot_start(&mut self, index: usize, error: &RunDirError) -> anyhow::Result<()> {
        let failure = CellFailure {
            attempts: self.slots[index].failed + 1,
            ended_with: "no process".to_owned(),
            message: error.to_string(),
        };
        self.give_up(index, failure, error.exit_code())
    }

    fn give_up(
        &mut self,
        index: usize,
        failure: CellFailure,
        code: ExitCode,
    ) -> anyhow::Result<()> {
        self.journal.note(index, Some(failure.clone()))?;
        self.slots[index].set(CellWork::GivenUp(failure, code));
        Ok(())
    }
}

/// Describes a run that was stopped by someone else, or that ended before its last frame.
fn unfinished(ended_with: &str) -> CellFailure {
    let message = "it ended before its training was complete".to_owned();
    CellFailure { attempts: 1, ended_with: ended_with.to_owned(), message }
}

impl<P: Planned> JobSlot<P> {
    fn new(cell: Cell<P>, state: CellState) -> Self {
        let progress = CellProgress {
            subject: cell.plan.subject(),
            arm: cell.arm(),
            status: CellStatus::Waiting,
            position: 0,
            end: cell.plan.end(),
            per_sec: None,
            score: None,
        };

        let mut slot =
            Self { cell, work: CellWork::Waiting, failed: 0, in_use_since: None, progress };
        if state == CellState::Done {
            slot.set(CellWork::Done);
        }

        slot
    }

    fn set(&mut self, work: CellWork) {
        self.progress.status = match work {
            CellWork::Waiting => CellStatus::Waiting,
            CellWork::Running(_) => CellStatus::Running,
            CellWork::Done => CellStatus::Done,
            CellWork::GivenUp(..) => CellStatus::Failed,
        };
        self.work = work;
    }

    /// Reads the run's progress. A line that cannot be read now is read at the next poll.
    fn look(&mut self, runs_dir: &std::path::Path) {
        let metrics =
            RunDir::open_to_read(&runs_dir.join(&self.cell.run)).map(|run| run.metrics_path());
        let Ok(Some(point)) =
            metrics.map_err(drop).and_then(|path| read_last_point(&path).map_err(drop))
        else {
            return;
        };

        self.progress.position = point.position(P::AXIS).unwrap_or(0);
        // Lines of evaluations have no speed, and others no score if there are evaluations.
        self.progress.per_sec = point.value(P::SPEED).or(self.progress.per_sec);
        let score = self.cell.plan.scores().iter().find_map(|tag| point.value(tag));
        self.progress.score = score.or(self.progress.score);
    }

    fn is_done(&self, runs_dir: &std::path::Path) -> bool {
        matches!(self.cell.state(runs_dir), Ok(CellState::Done))
    }
}
