//! Progress of a study.

use serde::{Deserialize, Serialize};

/// Progress counters of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyCounters {
    /// Optimiser steps completed.
    pub updates: u64,
    /// Epochs completed.
    pub epochs: u32,
    /// Rows seen in the current epoch.
    pub rows_into_epoch: u32,
}
