//! What the run's own part of a checkpoint must tell of itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the loop of a kind of run remembers between two processes.
pub trait RunProgress: Serialize + DeserializeOwned {
    /// Where the run stands on its x axis.
    fn position(&self) -> u64;

    /// Optimiser steps so far.
    fn updates(&self) -> u64;

    /// What the best checkpoint is chosen by, greatest first; absent while there is too little to
    /// tell.
    fn score(&self) -> Option<f64>;
}
