//! Result of a study.

use std::path::PathBuf;

use coordrl_studies::Measures;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{StudyProgress, StudyRunConfig, TimeToMark};

/// Result of a study, taken from its latest evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyResult {
    /// Run folder.
    #[serde(with = "crate::text::path_text")]
    pub run: PathBuf,
    /// Task learnt.
    pub task: String,
    /// Split, which defines the held-out centres.
    pub split: String,
    /// Layer under study.
    pub layer: String,
    /// Seed of the run.
    pub seed: u64,
    /// Number of trainable parameters.
    pub parameters: u64,
    /// Training time in seconds, including evaluations, over all sessions.
    pub seconds: f64,
    /// Number of complete epochs.
    pub epochs: u32,
    /// Number of optimiser steps.
    pub updates: u64,
    /// `true` if the task's mark ever held for the configured number of evaluations in a row.
    pub held: bool,
    /// Cost of first reaching it; absent if never.
    pub time_to_mark: Option<TimeToMark>,
    /// `train_…` and `test_…` of `accuracy`, `iou` or `error_px`, and the task's other measures.
    #[serde(flatten)]
    pub measures: Map<String, Value>,
}

impl StudyResult {
    /// Builds the result of a run; `None` before its first evaluation.
    pub fn of(
        run: PathBuf,
        config: &StudyRunConfig,
        progress: &StudyProgress,
        parameters: u64,
    ) -> Option<Self> {
        let evaluation = progress.evaluation.as_ref()?;
        let mut measures = Map::new();
        let sides = evaluation.train.measures.named().zip(evaluation.test.measures.named());
        // The main measure comes first, for train and test.
        for ((name, train), (_, test)) in sides {
            measures.insert(format!("train_{name}"), json!(train));
            measures.insert(format!("test_{name}"), json!(test));
        }

        Some(Self {
            run,
            task: config.task.name.to_owned(),
            split: config.split.name().to_owned(),
            layer: config.layer.clone(),
            seed: config.seed,
            parameters,
            seconds: progress.wall_secs,
            epochs: progress.epochs,
            updates: progress.updates,
            held: progress.mark.is_some(),
            time_to_mark: progress.mark,
            measures,
        })
    }

    /// Returns the main measure: its name, and its train and test values.
    pub fn main_measure(&self) -> (&str, [f64; 2]) {
        match (self.first_measure("train"), self.first_measure("test")) {
            (Some((name, train)), Some((_, test))) => (name, [train, test]),
            _ => ("", [f64::NAN; 2]),
        }
    }

    fn first_measure(&self, side: &str) -> Option<(&str, f64)> {
        let prefix = format!("{side}_");
        self.measures
            .iter()
            .find_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value.as_f64()?)))
    }
}

/// Formats the main measure, as in `accuracy 0.9980` or `error px 0.1200`.
pub(super) fn describe(measures: &Measures) -> String {
    let name = measures.named().next().map_or("", |(name, _)| name);
    format!("{} {:.4}", name.replace("_px", " px"), measures.main())
}
