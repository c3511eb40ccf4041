//! Evaluations: loss and named measures on the training and the held-out rows.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Task;
use crate::task::ScoreSums;

/// Scores of a network on the training and test rows, in evaluation mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyEvaluation {
    /// Epochs trained so far.
    pub epoch: u32,
    /// Score on the training rows.
    pub train: Score,
    /// Score on the held-out rows.
    pub test: Score,
}

/// Score of a network on a set of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Loss without the L2 term; mean over the rows.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Task-specific measures.
    pub measures: Measures,
}

impl Score {
    /// Computes the score from the sums over this many rows.
    pub(crate) fn new(task: &Task, sums: &ScoreSums, rows: usize) -> Self {
        let names = task.measures.iter().map(|measure| measure.name.to_owned());
        let values = sums.measures.iter().map(|tally| Value(tally.value()));
        let values = names.zip(values).collect();
        let measures = Measures(IndexMap::from([(task.name.to_owned(), values)]));
        Self { loss: sums.loss / rows as f64, measures }
    }
}

/// Measures of a task by name, the most important first.
///
/// Stored as `{"classify": {"accuracy": 1.0, "distance_px": 0.0}}`. A measure of nothing is NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measures(IndexMap<String, IndexMap<String, Value>>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Value(#[serde(deserialize_with = "number_or_nan")] f64);

/// Reads null as NaN: JSON has no other way to write it.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Measures {
    /// Returns the task's name.
    pub fn task(&self) -> &str {
        self.0.first().map_or("", |(task, _)| task)
    }

    /// Returns all measures by name, the most important first.
    pub fn named(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.values().flatten().map(|(name, Value(value))| (name.as_str(), *value))
    }

    /// Returns the most important measure.
    pub fn main(&self) -> f64 {
        self.named().next().map_or(f64::NAN, |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_task;
    use crate::task::Tally;

    fn score(task: &Task, main: f64) -> Score {
        let mut measures = vec![Tally::over_rows(0.0, 1); task.measures.len()];
        measures[0] = Tally::over_rows(main, 1);
        Score::new(task, &ScoreSums { loss: 0.0, measures }, 1)
    }

    #[test]
    fn marks_are_met_where_the_task_says() {
        let is_met = |task: &str, train, test| {
            let task = find_task(task).unwrap();
            let [train, test] = [train, test].map(|main| score(task, main));
            (task.mark.unwrap().is_met)(&StudyEvaluation { epoch: 1, train, test })
        };

        assert!(is_met("classify", 1.0, 1.0));
        assert!(!is_met("classify", 0.9996, 1.0) && !is_met("classify", 1.0, 0.9996));
        assert!(is_met("render", 0.0, 0.99) && !is_met("render", 1.0, 0.989));
        assert!(is_met("regress", 9.0, 0.49) && !is_met("regress", 0.1, 0.5));
        assert!(!is_met("regress", 9.0, f64::NAN));
    }

    /// Checkpoints hold measures in this form.
    #[test]
    fn measures_are_stored_by_the_names_of_task_and_measure() {
        let measures = [2.0, 1.0].map(|sum| Tally::over_rows(sum, 2)).into();
        let sums = ScoreSums { loss: 1.0, measures };
        let Score { measures, .. } = Score::new(find_task("render").unwrap(), &sums, 2);
        let json = r#"{"render":{"iou":1.0,"exact":0.5}}"#;
        assert_eq!(serde_json::to_string(&measures).unwrap(), json);
        assert_eq!(serde_json::from_str::<Measures>(json).unwrap(), measures);
        assert_eq!((measures.task(), measures.main()), ("render", 1.0));

        let bytes = rmp_serde::to_vec_named(&measures).unwrap();
        let expected =
            b"\x81\xa6render\x82\xa3iou\xcb\x3f\xf0\0\0\0\0\0\0\xa5exact\xcb\x3f\xe0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(rmp_serde::from_slice::<Measures>(&bytes).unwrap(), measures);
    }

    #[test]
    fn a_measure_of_nothing_and_a_diverged_loss_survive_json() {
        let sums = ScoreSums { loss: f64::NAN, measures: vec![Tally::over_rows(0.0, 0); 2] };
        let score = Score::new(find_task("render").unwrap(), &sums, 2);
        let json = serde_json::to_string(&score).unwrap();
        let read: Score = serde_json::from_str(&json).unwrap();
        assert!(read.loss.is_nan() && read.measures.named().all(|(_, value)| value.is_nan()));
        assert_eq!(read.measures.named().count(), 2);
    }
}
