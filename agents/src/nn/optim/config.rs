//! Optimiser settings.

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::maths::Schedule;

/// Optimiser settings. Each kind ignores the fields it does not use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Update rule.
    pub kind: OptimizerKind,
    /// Initial learning rate.
    pub learning_rate: f64,
    /// Learning-rate schedule over the run.
    pub schedule: Schedule,
    /// Updates over which the learning rate rises linearly from nearly 0; 0 disables the warm-up.
    pub warmup_updates: u64,
    /// RMSProp: decay rate of the mean square.
    pub decay: f64,
    /// Constant that keeps the denominator away from 0. Inside the root in `rmsprop_tf`, outside it
    /// in the others: 1e-5 inside the root acts like 3e-3 outside.
    pub epsilon: f64,
    /// RMSProp and SGD: fraction of the previous change that is repeated; 0 disables momentum.
    pub momentum: f64,
    /// RMSProp: divides by the gradient's standard deviation instead of its root mean square.
    pub centered: bool,
    /// Adam: decay rate of the mean.
    pub beta1: f64,
    /// Adam: decay rate of the mean square.
    pub beta2: f64,
}

/// Available update rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// RMSProp with bias correction: the mean square starts at 0 and is divided by 1 − decayᵗ, as
    /// in Adam, so the first steps are as long as later ones.
    RmspropCorrected,
    /// RMSProp as in libtorch and PyTorch: ε outside the root and a mean square that starts at 0,
    /// so the first step is 1 / √(1 − decay) times the learning rate: 10 times at a decay of 0.99.
    Rmsprop,
    /// RMSProp as in TensorFlow 1: ε inside the root and a mean square that starts at 1. Starts
    /// slowly where gradients are below 1, and at up to 1 / √(1 − decay) times the rate where they
    /// are above.
    RmspropTf,
    /// Adam.
    Adam,
    /// Stochastic gradient descent.
    Sgd,
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
    /// Returns the factor on the learning rate of `update`, counted from 0; 1 after the warm-up.
    pub(crate) fn warmup_factor(&self, update: u64) -> f64 {
        if update >= self.warmup_updates {
            return 1.0;
        }
        (update + 1) as f64 / self.warmup_updates as f64
    }

    /// Returns all problems with these settings; keys start with `table`.
    pub fn check(&self, table: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("{table}.{key}"), message));
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
