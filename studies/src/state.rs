//! Saved state of a study.

use coordrl_agents::nn::NamedTensors;
use serde::{Deserialize, Serialize};

use crate::counters::StudyCounters;
use crate::{Split, StudyError, StudyEvaluation};

/// Raised when the layout of [`StudyTrainerState`] changes.
const VERSION: u32 = 1;

/// State of a whole study: loading it continues training exactly as in the study that saved it.
#[derive(Debug)]
pub struct StudyState {
    /// Parameters and running statistics by name, `f32`, on the CPU.
    pub weights: NamedTensors,
    /// Moments and step counter of the optimiser, by name, on the CPU.
    pub optimizer: NamedTensors,
    /// Counters, seed and past evaluations, in MessagePack with a version.
    pub trainer: Vec<u8>,
}

/// Contents of [`StudyState::trainer`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StudyTrainerState {
    pub version: u32,
    /// Name of the task.
    pub task: String,
    pub split: Split,
    /// Determines the order of every epoch.
    pub seed: u64,
    /// Fingerprint of data that may change between two sessions.
    #[serde(default)]
    pub data: Option<String>,
    pub counters: StudyCounters,
    pub evaluations: Vec<StudyEvaluation>,
}

/// The first field alone, readable whatever comes after it.
#[derive(Deserialize)]
struct StateVersion {
    version: u32,
}

impl StudyTrainerState {
    pub fn new(task: &str, split: Split, seed: u64) -> Self {
        Self {
            version: VERSION,
            task: task.to_owned(),
            split,
            seed,
            data: None,
            counters: StudyCounters::default(),
            evaluations: Vec::new(),
        }
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, StudyError> {
        rmp_serde::to_vec_named(self).map_err(|error| bad(format!("it cannot be written: {error}")))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StudyError> {
        // The version first: a later layout need not parse as this one, and is not damage.
        let StateVersion { version } = rmp_serde::from_slice(bytes).map_err(unparsable)?;
        if version != VERSION {
            return Err(bad(format!("it is of version {version}; this build reads {VERSION}")));
        }
        rmp_serde::from_slice(bytes).map_err(unparsable)
    }

    /// Checks that the study of this state, with this number of training rows, can resume from it.
    pub fn check(&self, study: &Self, train_rows: usize) -> Result<(), StudyError> {
        if self.task != study.task || self.split != study.split {
            let [(found, split_found), (task, split)] =
                [self, study].map(|state| (&state.task, state.split.name()));
            return Err(bad(format!(
                "it is of `{found}` on the {split_found} split, this is `{task}` on the {split} one"
            )));
        }

        if self.data != study.data && self.data.is_some() {
            return Err(bad(
                "it has learned from other pictures than those in this folder".to_owned()
            ));
        }

        // An epoch that is complete has been counted, so its rows start again at 0.
        if self.counters.rows_into_epoch as usize >= train_rows {
            let rows = self.counters.rows_into_epoch;
            return Err(bad(format!("it is {rows} rows into an epoch of {train_rows}")));
        }

        Ok(())
    }
}

fn unparsable(error: rmp_serde::decode::Error) -> StudyError {
    bad(format!("it does not parse: {error}"))
}

fn bad(reason: String) -> StudyError {
    StudyError::State { reason }
}
