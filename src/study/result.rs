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

    /// Returns the main measure: its name, and its train and test values; NaN where it has none.
    pub fn main_measure(&self) -> (&str, [f64; 2]) {
        let mut names = self.measures.keys().filter_map(|key| key.strip_prefix("test_"));
        let name = names.next().unwrap_or_default();
        let value = |side: &str| self.measures.get(&format!("{side}_{name}"))?.as_f64();
        (name, ["train", "test"].map(|side| value(side).unwrap_or(f64::NAN)))
    }
}

/// Formats the main measure, as in `accuracy 0.9980` or `error px 0.1200`; a dash where these rows have
/// none.
pub(super) fn describe(measures: &Measures) -> String {
    let name = measures.named().next().map_or("", |(name, _)| name);
    match measures.main() {
        value if value.is_nan() => "–".to_owned(),
        value => format!("{} {value:.4}", name.replace("_px", " px")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_measure_of_held_out_rows_only_has_no_training_value() {
        let result: StudyResult = serde_json::from_value(json!({
            "run": "r", "task": "gan", "split": "scenes", "layer": "conv", "seed": 1,
            "parameters": 1, "seconds": 1.0, "epochs": 3, "updates": 3, "held": false,
            "time_to_mark": null, "train_whole": null, "test_whole": 0.5,
            "train_discriminator_accuracy": 0.75, "test_discriminator_accuracy": 0.25
        }))
        .unwrap();
        let (name, [train, test]) = result.main_measure();
        assert_eq!((name, test), ("whole", 0.5));
        assert!(train.is_nan());
    }
}
