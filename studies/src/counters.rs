//! Progress of a study.

use serde::{Deserialize, Serialize};

/// How far training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Optimiser steps made.
    pub updates: u64,
    /// Whole epochs made.
    pub epochs: u32,
    /// Rows seen of the epoch under way.
    pub rows_into_epoch: u32,
}
