//! Requirements on the run loop's part of a checkpoint.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::metrics::recorder::Written;

/// State that a run loop stores in its checkpoints.
pub trait RunProgress: Serialize + DeserializeOwned {
    /// Returns the run's position on its x axis.
    fn position(&self) -> u64;

    /// Returns the number of optimiser steps so far.
    fn updates(&self) -> u64;

    /// Returns the score that selects the best checkpoint, highest wins; `None` while data is
    /// insufficient.
    fn score(&self) -> Option<f64>;

    /// Returns the lengths of the metric files at this point.
    fn written(&self) -> &Written;

    /// Records the lengths of the metric files.
    fn set_written(&mut self, written: Written);

    /// Records that all hooks due up to `position` have run.
    fn settle(&mut self, _position: u64) {}
}
