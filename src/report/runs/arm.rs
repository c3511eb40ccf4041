//! Arms.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::config::{Algo, RunConfig};

/// Arm: an algorithm with a torso; its seeds are its repetitions. Written as its name in run
/// folders, such as `a2c-conv`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArmId {
    /// Learning algorithm.
    pub algo: Algo,
    /// Feature extractor.
    pub torso: String,
}

impl ArmId {
    /// Returns the arm of a run.
    pub fn of(config: &RunConfig) -> Self {
        Self { algo: config.algo, torso: config.torso.clone() }
    }

    /// Returns `true` if `name` is the arm's name or that of its torso.
    pub fn is_called(&self, name: &str) -> bool {
        self.torso == name || self.to_string() == name
    }
}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algo.name(), self.torso)
    }
}

impl Serialize for ArmId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
