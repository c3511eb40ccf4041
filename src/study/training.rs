//! A study, as the run loop trains it.

use std::time::Instant;

use coordrl_agents::AgentState;
use coordrl_studies::{Intake, Study, StudyCounters, StudyError, StudyState};

use super::result::describe;
use super::{StudyProgress, StudyResult, StudyRunConfig};
use crate::metrics::LogAxis;
use crate::metrics::console::status;
use crate::metrics::perf::resident_mib;
use crate::metrics::tags::{self, Tag};
use crate::run::checkpoint::Identity;
use crate::run::run_dir::Meta;
use crate::run::trainable::{Due, LapClock, RunFiles, Trainable};

/// A study with its settings.
pub struct StudyTraining {
    config: StudyRunConfig,
    study: Study,
    clock: LapClock,
    /// Update count and time of the last log point, to compute the speed.
    last_log: (u64, Instant),
    /// Seconds since then for which the study waited for its data.
    waited_secs: f64,
}

impl StudyTraining {
    /// Combines a study with the settings it was built from.
    pub fn new(config: StudyRunConfig, study: Study) -> Self {
        let last_log = (study.counters().updates, Instant::now());
        Self { config, study, clock: LapClock::start(), last_log, waited_secs: 0.0 }
    }

    /// Returns the network with its data.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// Returns the result so far, with the path of the run; `None` before the first evaluation.
    pub fn result(&self, run: &std::path::Path, progress: &StudyProgress) -> Option<StudyResult> {
        StudyResult::of(run.to_owned(), &self.config, progress, self.study.parameter_count())
    }

    /// Returns updates per second, and the share of the time spent waiting for data, since the last log
    /// point.
    fn take_speeds(&mut self) -> [Option<f64>; 2] {
        let (updates, since) = self.last_log;
        let now = self.study.counters().updates;
        self.last_log = (now, Instant::now());
        let secs = since.elapsed().as_secs_f64();
        let waited = std::mem::take(&mut self.waited_secs);
        // Other tasks make their data where they need them.
        let waits = self.study.task().drawn.is_some();
        let known = |value: f64| (secs > 0.0).then_some(value / secs);
        [known(as_number(now - updates)), known(waited).filter(|_| waits)]
    }

    /// Names rows that could not be read.
    fn take_intake(&mut self) {
        let Intake { failed, waited_secs, .. } = self.study.take_intake();
        self.waited_secs += waited_secs;
        for row in failed {
            status!("warning: {row}; the next picture is used instead");
        }
    }
}

impl Trainable for StudyTraining {
    type Config = StudyRunConfig;
    type Progress = StudyProgress;
    type Error = StudyError;

    const AXIS: LogAxis = LogAxis::Updates;

    fn config(&self) -> &StudyRunConfig {
        &self.config
    }

    fn identity(&self) -> Identity {
        identity(&self.config)
    }

    fn title(&self) -> String {
        let StudyRunConfig { task, split, layer, .. } = &self.config;
        format!("task {task} · split {} · layer {layer}", split.name())
    }

    fn remark(&self, _meta: &Meta) -> String {
        let task = self.config.task;
        match (&task.mark, task.drawn) {
            (Some(mark), _) => format!("mark: {}", mark.text),
            (None, Some(_)) => format!("data {}", self.config.data_dir().display()),
            (None, None) => "no mark".to_owned(),
        }
    }

    fn parameter_count(&self) -> u64 {
        self.study.parameter_count()
    }

    fn keep_checkpoints(&self) -> u32 {
        self.config.keep_checkpoints
    }

    fn end(&self) -> u64 {
        u64::from(self.config.study.epochs) * self.study.updates_per_epoch()
    }

    /// All epochs are complete, or the mark has held and the settings stop there.
    fn is_done(&self, progress: &StudyProgress) -> bool {
        self.config.is_done(progress)
    }

    fn update(&mut self, progress: &mut StudyProgress) -> Result<(), StudyError> {
        let report = self.study.update();
        self.take_intake();
        let report = report?;
        progress.add(&report, self.study.counters());
        progress.wall_secs += self.clock.lap();
        Ok(())
    }

    fn due(&self, progress: &StudyProgress) -> Due {
        let StudyCounters { updates, epochs, rows_into_epoch } = self.study.counters();
        let epoch_ended = rows_into_epoch == 0 && epochs > 0;
        let evaluation = self.study.evaluation_due();
        Due {
            position: updates,
            evaluation,
            video: false,
            log: evaluation,
            // At the end of training the run loop writes one anyway.
            checkpoint: epoch_ended
                && epochs.is_multiple_of(self.config.checkpoint_every_epochs)
                && !self.is_done(progress),
        }
    }

    fn evaluate(
        &mut self,
        _due: &Due,
        progress: &mut StudyProgress,
        _files: &mut RunFiles,
    ) -> anyhow::Result<bool> {
        let evaluated = self.study.evaluate();
        self.take_intake();
        progress.evaluation = Some(evaluated?);
        // Before the mark is recorded: the seconds to the mark include its evaluations.
        progress.wall_secs += self.clock.lap();
        if self.study.mark_held() {
            progress.hold_mark();
        }
        Ok(true)
    }

    fn take_values(&mut self, progress: &mut StudyProgress) -> Vec<(&'static Tag, Option<f64>)> {
        let mut values = progress.values(self.config.task);
        let [updates_per_sec, data_wait_share] = self.take_speeds();
        values.push((&tags::UPDATES_PER_SEC, updates_per_sec));
        values.push((&tags::DATA_WAIT_SHARE, data_wait_share));
        values.push((&tags::MEMORY_MIB, resident_mib()));
        values.push((&tags::WALL_SECS, Some(progress.wall_secs)));
        progress.sums = Default::default();
        values
    }

    fn save(&self) -> Result<AgentState, StudyError> {
        let StudyState { weights, optimizer, trainer } = self.study.save()?;
        Ok(AgentState { weights, optimizer, target: Vec::new(), trainer })
    }

    fn is_intact_after(&self, error: &StudyError) -> bool {
        matches!(error, StudyError::Unreadable { .. })
    }

    fn note(&self, progress: &StudyProgress) -> String {
        match &progress.evaluation {
            None => format!("epoch {}", progress.epochs),
            Some(evaluation) => {
                let train = describe(&evaluation.train.measures);
                let test = describe(&evaluation.test.measures);
                format!("epoch {}, train {train}, test {test}", progress.epochs)
            }
        }
    }
}

/// Returns the identity stored in a study's checkpoints.
pub(super) fn identity(config: &StudyRunConfig) -> Identity {
    Identity::of([config.task.name, config.split.name(), &config.layer])
}

#[expect(clippy::cast_precision_loss, reason = "speeds need no 53 bits")]
fn as_number(count: u64) -> f64 {
    count as f64
}
