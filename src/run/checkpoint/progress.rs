//! Requirements on the run loop's part of a checkpoint.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// State that a run loop stores in its checkpoints.
pub trait RunProgress: Serialize + DeserializeOwned {
    /// Returns the run's position on its x axis.
    fn position(&self) -> u64;

    /// Returns the number of optimiser steps so far.
    fn updates(&self) -> u64;

    /// Returns the score that selects the best checkpoint, highest wins; `None` while data is
    /// insufficient.
    fn score(&self) -> Option<f64>;
}
