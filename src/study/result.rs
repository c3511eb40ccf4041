//! What a study says at its end.

use std::path::PathBuf;

use coordrl_studies::Measures;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{StudyProgress, StudyRunConfig, TimeToMark};

/// The result of a study, from its last evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyResult {
    /// Run folder.
    #[serde(with = "crate::text::path_text")]
    pub run: PathBuf,
    /// What was learnt.
    pub task: String,
    /// Which centres were held out.
    pub split: String,
    /// Layer under study.
    pub layer: String,
    /// Seed of the run.
    pub seed: u64,
    /// Trainable numbers in the network.
    pub parameters: u64,
    /// Seconds of training, evaluations included, all sessions together.
    pub seconds: f64,
    /// Whole epochs.
    pub epochs: u32,
    /// Optimiser steps.
    pub updates: u64,
    /// Whether the task's mark has ever held for as many evaluations in a row as the settings ask
    /// for.
    pub held: bool,
    /// When it first had; absent if never.
    pub time_to_mark: Option<TimeToMark>,
    /// `train_…` and `test_…` of `accuracy`, `iou` or `error_px`, and what else the task measures.
    #[serde(flatten)]
    pub measures: Map<String, Value>,
}

impl StudyResult {
    /// Of a run with at least one evaluation; `None` before.
    pub fn of(
        run: PathBuf,
        config: &StudyRunConfig,
        progress: &StudyProgress,
        parameters: u64,
    ) -> Option<Self> {
        let evaluation = progress.evaluation?;
        let mut measures = Map::new();
        let sides = [("train", evaluation.train.measures), ("test", evaluation.test.measures)];
        // The one that counts first, for train and test.
        for index in 0..sides[0].1.named().len() {
            for (side, of_side) in &sides {
                let (name, value) = of_side.named()[index];
                measures.insert(format!("{side}_{name}"), json!(value));
            }
        }

        Some(Self {
            run,
            task: config.task.name().to_owned(),
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

    /// The measure that counts most: on train and on test.
    pub fn main_measure(&self) -> (&str, [f64; 2]) {
        let named = |side: &str| {
            let prefix = format!("{side}_");
            self.measures
                .iter()
                .find_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value.as_f64()?)))
        };
        match (named("train"), named("test")) {
            (Some((name, train)), Some((_, test))) => (name, [train, test]),
            _ => ("", [f64::NAN; 2]),
        }
    }
}

/// A measure as people read it: `accuracy 0.998`, `error_px 0.12`.
pub(super) fn describe(measures: &Measures) -> String {
    let (name, value) = measures.named()[0];
    format!("{} {value:.4}", name.replace("_px", " px"))
}
