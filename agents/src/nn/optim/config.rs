//! What can be set about an optimiser.

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::maths::Schedule;

/// Optimiser settings. Fields that a kind does not use are ignored by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which rule.
    pub kind: OptimizerKind,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    pub schedule: Schedule,
    /// Updates over which the learning rate rises from nearly 0, in even steps; 0 for none.
    pub warmup_updates: u64,
    /// RMSProp: share of the old mean square that is kept.
    pub decay: f64,
    /// What keeps the denominator from 0. Under the root in `rmsprop_tf`, beside it in the others:
    /// 1e-5 under the root acts like 3e-3 beside it.
    pub epsilon: f64,
    /// RMSProp: share of the last change that is made again; 0 for none.
    pub momentum: f64,
    /// RMSProp: divide by the deviation of the gradient instead of its root mean square.
    pub centered: bool,
    /// Adam: share of the old mean that is kept.
    pub beta1: f64,
    /// Adam: share of the old mean square that is kept.
    pub beta2: f64,
}

/// The rules there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// RMSProp with bias correction: the mean square starts at 0 and is divided by 1 − decayᵗ, as
    /// Adam does, so that the first steps are as long as later ones.
    RmspropCorrected,
    /// RMSProp as libtorch and PyTorch have it: ε beside the root, the mean square from 0, so that
    /// the first step is 1 / √(1 − decay) times the learning rate: 10 times at a decay of 0.99.
    Rmsprop,
    /// RMSProp as TensorFlow 1 has it: ε under the root, the mean square from 1. Starts slowly where
    /// gradients are below 1, and with up to 1 / √(1 − decay) times the rate where they are above.
    RmspropTf,
    /// Adam.
    Adam,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::RmspropCorrected,
            learning_rate: 7e-4,
            schedule: Schedule::Constant,
            warmup_updates: 0,
            decay: 0.99,
            epsilon: 1e-5,
            momentum: 0.0,
            centered: false,
            beta1: 0.9,
            beta2: 0.999,
        }
    }
}

impl OptimizerConfig {
    /// Factor on the learning rate of an update, the first of which is 0: 1 after the warm-up.
    pub(crate) fn warmup_factor(&self, update: u64) -> f64 {
        if update >= self.warmup_updates {
            return 1.0;
        }
        (update + 1) as f64 / self.warmup_updates as f64
    }

    /// Everything that is wrong with these settings; keys start with `table`.
    pub fn check(&self, table: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem { key: format!("{table}.{key}"), message });
        };
        for (key, value) in [("learning_rate", self.learning_rate), ("epsilon", self.epsilon)] {
            if !(value.is_finite() && value > 0.0) {
                refuse(key, format!("is {value}; it must be a number above 0"));
            }
        }
        let shares = [
            ("decay", self.decay),
            ("momentum", self.momentum),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
        ];
        for (key, value) in shares {
            if !(0.0..1.0).contains(&value) {
                refuse(key, format!("is {value}; it must be at least 0 and below 1"));
            }
        }
        if self.kind == OptimizerKind::RmspropCorrected && self.centered {
            refuse(
                "centered",
                "is true, but `rmsprop_corrected` cannot be centred: after one gradient its variance is 0, \
                 and the first step would be rate / epsilon; `rmsprop` and `rmsprop_tf` can"
                    .to_owned(),
            );
        }
        problems
    }
}
