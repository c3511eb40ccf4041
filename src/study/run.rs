//! Study loop: update, evaluate, log and checkpoint until the mark holds, epochs run out, or
//! stopped.

use std::time::Instant;

use coordrl_agents::AgentState;
use coordrl_studies::{Study, StudyError, StudyState};

use super::result::describe;
use super::{StudyProgress, StudyResult, StudyRunConfig};
use crate::metrics::console::Console;
use crate::metrics::perf::resident_mib;
use crate::metrics::recorder::Recorder;
use crate::metrics::{Axis, LogPoint, tags};
use crate::run::checkpoint::{self, Identity};
use crate::run::run_dir::{RunDir, RunDirError};
use crate::stop_flag::StopFlag;

/// Outcome of a study session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyOutcome {
    /// The mark held, or all epochs are complete.
    Finished,
    /// Ctrl-C, SIGTERM or SIGHUP; a checkpoint was written.
    Interrupted,
}

/// A study in memory: folder, network and metric recorder.
pub struct StudyRun {
    run: RunDir,
    config: StudyRunConfig,
    study: Study,
    progress: StudyProgress,
    recorder: Recorder,
    console: Console,
    stop: StopFlag,
    clock: Instant,
    /// Update count and time of the last log point, to compute the speed.
    last_log: (u64, Instant),
}

impl StudyRun {
    /// Opens the metric files at the lengths recorded in `progress`.
    pub fn open(
        run: RunDir,
        config: StudyRunConfig,
        study: Study,
        progress: StudyProgress,
        stop: StopFlag,
    ) -> Result<Self, RunDirError> {
        let recorder = Recorder::open(&run, &progress.written, progress.updates)?;
        let end = u64::from(config.study.epochs) * study.updates_per_epoch();
        let console = Console::new(Axis::Updates, progress.updates, end);
        let clock = Instant::now();
        let last_log = (progress.updates, Instant::now());
        Ok(Self { run, config, study, progress, recorder, console, stop, clock, last_log })
    }

    /// Trains until the mark holds, all epochs are complete, or a signal arrives.
    pub fn train(&mut self) -> anyhow::Result<StudyOutcome> {
        if checkpoint::list(&self.run.checkpoints_dir()).is_empty() {
            self.checkpoint()?;
        }
        while !self.is_done() && !self.stop.is_raised() {
            self.update_once()?;
        }
        self.checkpoint()?;
        self.console.finish(self.progress.updates, &self.note());
        Ok(if self.is_done() { StudyOutcome::Finished } else { StudyOutcome::Interrupted })
    }

    /// Returns the run folder.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Returns the network with its data, for figures.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// Returns counters and the latest evaluation.
    pub fn progress(&self) -> &StudyProgress {
        &self.progress
    }

    /// Returns the result so far; `None` before the first evaluation.
    pub fn result(&self) -> Option<StudyResult> {
        let parameters = self.study.parameter_count();
        let path = self.run.path().to_owned();
        StudyResult::of(path, &self.config, &self.progress, parameters)
    }

    fn is_done(&self) -> bool {
        is_done(&self.config, &self.study)
    }

    fn update_once(&mut self) -> anyhow::Result<()> {
        let report = self.study.update().map_err(|error| self.explain(error))?;
        self.progress.add(&report, self.study.counters());
        if report.epoch_ended {
            self.end_epoch()?;
        }
        self.tick();
        self.console.update(self.progress.updates, || note_of(&self.progress));
        Ok(())
    }

    fn end_epoch(&mut self) -> anyhow::Result<()> {
        if self.study.evaluation_due() {
            self.progress.evaluation = Some(self.study.evaluate()?);
            self.tick();
            if self.study.mark_held() {
                self.progress.hold_mark();
            }
            self.log_point()?;
        }

        if self.progress.epochs.is_multiple_of(self.config.checkpoint_every_epochs)
            && !self.is_done()
        {
            self.checkpoint()?;
        }

        Ok(())
    }

    fn tick(&mut self) {
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    fn log_point(&mut self) -> anyhow::Result<()> {
        let Some(evaluation) = self.progress.evaluation else { return Ok(()) };
        let mut values = self.progress.values(&evaluation);
        values.push((&tags::UPDATES_PER_SEC, self.updates_per_sec()));
        values.push((&tags::MEMORY_MIB, resident_mib()));
        values.push((&tags::WALL_SECS, Some(self.progress.wall_secs)));
        let point = LogPoint { axis: Axis::Updates, position: self.progress.updates, values };
        self.progress.sums = Default::default();
        Ok(self.recorder.log(&point)?)
    }

    #[expect(clippy::cast_precision_loss, reason = "speeds need no 53 bits")]
    fn updates_per_sec(&mut self) -> Option<f64> {
        let (updates, since) = self.last_log;
        self.last_log = (self.progress.updates, Instant::now());
        let secs = since.elapsed().as_secs_f64();
        (secs > 0.0).then(|| (self.progress.updates - updates) as f64 / secs)
    }

    /// Writes a checkpoint. Metrics are synced first, so that a checkpoint never refers to bytes
    /// that a crash could lose.
    fn checkpoint(&mut self) -> anyhow::Result<()> {
        self.progress.written = self.recorder.sync()?;
        let state = self.study.save()?;
        let StudyState { weights, optimizer, trainer } = state;
        let state = AgentState { weights, optimizer, target: Vec::new(), trainer };
        let dir = self.run.checkpoints_dir();
        checkpoint::write(&dir, &state, &self.progress, identity(&self.config), None)?;
        checkpoint::prune(&dir, self.config.keep_checkpoints)?;
        Ok(())
    }

    /// Adds the last intact checkpoint to an error.
    fn explain(&self, error: StudyError) -> anyhow::Error {
        let last = checkpoint::list(&self.run.checkpoints_dir()).pop();
        let place =
            last.map_or_else(|| "none".to_owned(), |entry| entry.path.display().to_string());
        let updates = self.progress.updates;
        anyhow::Error::new(error)
            .context(format!("the study stopped at {updates} updates; last checkpoint: {place}"))
    }

    fn note(&self) -> String {
        note_of(&self.progress)
    }
}

/// Returns `true` if a study is complete under these settings.
pub(super) fn is_done(config: &StudyRunConfig, study: &Study) -> bool {
    study.finished() || (config.stop_when_held && study.mark_held())
}

/// Returns the identity stored in a study's checkpoints.
pub(super) fn identity(config: &StudyRunConfig) -> Identity {
    Identity::of([config.task.name(), config.split.name(), &config.layer])
}

/// Formats the latest measures for the progress line.
fn note_of(progress: &StudyProgress) -> String {
    match progress.evaluation {
        None => format!("epoch {}", progress.epochs),
        Some(evaluation) => {
            let test = describe(&evaluation.test.measures);
            format!(
                "epoch {}, train {}, test {test}",
                progress.epochs,
                describe(&evaluation.train.measures)
            )
        }
    }
}
