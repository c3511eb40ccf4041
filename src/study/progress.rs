//! State of the study loop that a checkpoint stores.

use coordrl_studies::{
    MeasureRange, StudyCounters, StudyEvaluation, StudyUpdateReport, Task, find_task,
};
use serde::{Deserialize, Serialize};

use crate::metrics::accumulate::Mean;
use crate::metrics::recorder::Written;
use crate::metrics::tags::{self, Tag};
use crate::run::checkpoint::RunProgress;

/// Counters, metric sums and metric-file lengths of a study, as stored in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyProgress {
    /// Number of optimiser steps.
    pub updates: u64,
    /// Number of complete epochs.
    pub epochs: u32,
    /// Wall-clock time in seconds, over all sessions.
    pub wall_secs: f64,
    /// Latest evaluation.
    pub evaluation: Option<StudyEvaluation>,
    /// Cost of first reaching the task's mark; absent before.
    #[serde(default)]
    pub mark: Option<TimeToMark>,
    /// Sums since the last log point.
    pub sums: StudySums,
    /// Lengths of the metric files at this point.
    pub written: Written,
}

/// Training needed until the task's mark had held for the configured number of evaluations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeToMark {
    /// Number of complete epochs.
    pub epochs: u32,
    /// Number of optimiser steps.
    pub updates: u64,
    /// Training time in seconds, including evaluations.
    pub seconds: f64,
}

/// Sums of the update metrics since the last log point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySums {
    loss: Mean,
    l2_loss: Mean,
    grad_norm: Mean,
    learning_rate: Option<f64>,
}

impl StudyProgress {
    /// Adds the report of one update and the counters after it.
    pub fn add(&mut self, report: &StudyUpdateReport, counters: StudyCounters) {
        self.updates = counters.updates;
        self.epochs = counters.epochs;
        self.sums.loss.add(report.loss);
        self.sums.l2_loss.add(report.l2_loss);
        self.sums.grad_norm.add(report.grad_norm);
        self.sums.learning_rate = Some(report.learning_rate);
    }

    /// Records the current position as the first at which the mark held, unless one is recorded.
    pub fn hold_mark(&mut self) {
        let now =
            TimeToMark { epochs: self.epochs, updates: self.updates, seconds: self.wall_secs };
        self.mark.get_or_insert(now);
    }

    /// Returns the values of a log point of `task`, except speeds.
    pub fn values(&self, task: &Task) -> Vec<(&'static Tag, Option<f64>)> {
        let mut values = vec![
            (&tags::STUDY_EPOCHS, Some(f64::from(self.epochs))),
            (&tags::LOSS_BATCH, self.sums.loss.value()),
            (&tags::LOSS_L2, self.sums.l2_loss.value()),
            (&tags::GRAD_NORM, self.sums.grad_norm.value()),
            (&tags::LEARNING_RATE, self.sums.learning_rate),
        ];

        if let Some(StudyEvaluation { train, test, .. }) = &self.evaluation {
            values.push((&tags::STUDY_TRAIN_LOSS, Some(train.loss)));
            values.push((&tags::STUDY_TEST_LOSS, Some(test.loss)));
            // A measure of nothing, as of a second stage that is left out, is no number.
            let known = |value: f64| (!value.is_nan()).then_some(value);
            for (measure, (_, value)) in task.measures.iter().zip(train.measures.named()) {
                values.extend(measure.train.map(|tag| (tag, known(value))));
            }
            for (measure, (_, value)) in task.measures.iter().zip(test.measures.named()) {
                values.push((measure.test, known(value)));
            }
        }

        values
    }
}

impl RunProgress for StudyProgress {
    fn position(&self) -> u64 {
        self.updates
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn written(&self) -> &Written {
        &self.written
    }

    fn set_written(&mut self, written: Written) {
        self.written = written;
    }

    fn score(&self) -> Option<f64> {
        let measures = &self.evaluation.as_ref()?.test.measures;
        // A custom task has no best checkpoint: nothing says here which end of its range is better.
        let task = find_task(measures.task()).ok()?;
        // The highest score wins, so errors are negated.
        match task.measures[0].range {
            MeasureRange::Share => Some(measures.main()),
            MeasureRange::Error => Some(-measures.main()),
            MeasureRange::Ratio => None,
        }
    }
}
