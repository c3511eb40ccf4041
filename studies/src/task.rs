//! The tasks, and the mark at which each counts as solved.

use serde::{Deserialize, Serialize};

/// One of the paper's three coordinate tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// From (x, y) to that pixel: a softmax over all 4096.
    Classify,
    /// From (x, y) to the picture of the square around it.
    Render,
    /// From the picture of one pixel to its (x, y).
    Regress,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 3] = [Self::Classify, Self::Render, Self::Regress];

    /// Name on the command line and in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Render => "render",
            Self::Regress => "regress",
        }
    }

    /// One-line description of the task.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Classify => "from (x, y) to the pixel there, out of 4096",
            Self::Render => "from (x, y) to a picture of the 9×9 square there",
            Self::Regress => "from a picture of one pixel to its (x, y)",
        }
    }

    /// Describes the criterion at which the task counts as solved.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Classify => "accuracy 1 on train and test",
            Self::Render => "test IoU of at least 0.99",
            Self::Regress => "test error below 0.5 px",
        }
    }

    /// Returns `true` if the network paints a canvas (from two numbers) rather than reading one.
    pub(crate) fn paints(self) -> bool {
        self != Self::Regress
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
