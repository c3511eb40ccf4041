//! What the loop of a study must remember between two processes.

use coordrl_studies::{Counters, Evaluation, Measures, UpdateReport};
use serde::{Deserialize, Serialize};

use crate::metrics::accumulate::Mean;
use crate::metrics::recorder::Written;
use crate::metrics::tags::{self, Tag};
use crate::run::checkpoint::RunProgress;

/// Counters, sums and file lengths of a study, as a checkpoint keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyProgress {
    /// Optimiser steps.
    pub updates: u64,
    /// Whole epochs.
    pub epochs: u32,
    /// Seconds spent, all sessions together.
    pub wall_secs: f64,
    /// The last evaluation.
    pub evaluation: Option<Evaluation>,
    /// When the task's mark was first held; absent before.
    #[serde(default)]
    pub mark: Option<TimeToMark>,
    /// Sums since the last log point.
    pub sums: StudySums,
    /// How much of the metric files is part of this.
    pub written: Written,
}

/// How much training it took until the task's mark had held for as many evaluations as the settings
/// ask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeToMark {
    /// Whole epochs.
    pub epochs: u32,
    /// Optimiser steps.
    pub updates: u64,
    /// Seconds of training, evaluations included.
    pub seconds: f64,
}

/// What the updates since the last log point told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySums {
    loss: Mean,
    l2_loss: Mean,
    grad_norm: Mean,
    learning_rate: Option<f64>,
}

impl StudyProgress {
    /// Takes the report of one update and the counters after it.
    pub fn add(&mut self, report: &UpdateReport, counters: Counters) {
        self.updates = counters.updates;
        self.epochs = counters.epochs;
        self.sums.loss.add(report.loss);
        self.sums.l2_loss.add(report.l2_loss);
        self.sums.grad_norm.add(report.grad_norm);
        self.sums.learning_rate = Some(report.learning_rate);
    }

    /// Remembers this moment as the one at which the mark was first held, if it was not held
    /// before.
    pub fn hold_mark(&mut self) {
        let now =
            TimeToMark { epochs: self.epochs, updates: self.updates, seconds: self.wall_secs };
        self.mark.get_or_insert(now);
    }

    /// The values for a log point at `evaluation`, speed aside.
    pub fn values(&self, evaluation: &Evaluation) -> Vec<(&'static Tag, Option<f64>)> {
        let mut values = vec![
            (&tags::STUDY_EPOCHS, Some(f64::from(self.epochs))),
            (&tags::LOSS_BATCH, self.sums.loss.value()),
            (&tags::LOSS_L2, self.sums.l2_loss.value()),
            (&tags::GRAD_NORM, self.sums.grad_norm.value()),
            (&tags::LEARNING_RATE, self.sums.learning_rate),
            (&tags::STUDY_TRAIN_LOSS, Some(evaluation.train.loss)),
            (&tags::STUDY_TEST_LOSS, Some(evaluation.test.loss)),
        ];
        values.extend(measured(&evaluation.train.measures, TRAIN));
        values.extend(measured(&evaluation.test.measures, TEST));
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

    fn score(&self) -> Option<f64> {
        // Greatest first: an error counts against.
        Some(match self.evaluation?.test.measures {
            Measures::Classify { accuracy, .. } => accuracy,
            Measures::Render { iou, .. } => iou,
            Measures::Regress { error_px } => -error_px,
        })
    }
}

/// The tags of a set of centres: accuracy, distance, IoU, exact pictures, error.
type MeasureTags = [&'static Tag; 5];

const TRAIN: MeasureTags = [
    &tags::STUDY_TRAIN_ACCURACY,
    &tags::STUDY_TRAIN_DISTANCE,
    &tags::STUDY_TRAIN_IOU,
    &tags::STUDY_TRAIN_EXACT,
    &tags::STUDY_TRAIN_ERROR,
];
const TEST: MeasureTags = [
    &tags::STUDY_TEST_ACCURACY,
    &tags::STUDY_TEST_DISTANCE,
    &tags::STUDY_TEST_IOU,
    &tags::STUDY_TEST_EXACT,
    &tags::STUDY_TEST_ERROR,
];

fn measured(
    measures: &Measures,
    [accuracy_tag, distance_tag, iou_tag, exact_tag, error_tag]: MeasureTags,
) -> Vec<(&'static Tag, Option<f64>)> {
    match *measures {
        Measures::Classify { accuracy, distance_px } => {
            vec![(accuracy_tag, Some(accuracy)), (distance_tag, Some(distance_px))]
        }
        Measures::Render { iou, exact } => vec![(iou_tag, Some(iou)), (exact_tag, Some(exact))],
        Measures::Regress { error_px } => vec![(error_tag, Some(error_px))],
    }
}
