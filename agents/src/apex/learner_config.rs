//! Settings of the learner.

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::maths::{Schedule, TdLoss, ValueRescaling};
use crate::nn::{OptimizerConfig, OptimizerKind, QHead};

/// Path of the settings in a configuration file.
pub(crate) const LEARNER_TABLE: &str = "apex.learner";

/// Learner settings. Defaults are those of Horgan et al. 2018 (arXiv:1803.00933), appendix C.
///
/// An `optimizer` table parsed on its own takes missing values from A2C's defaults, not from these:
/// parse settings on top of a complete [`LearnerConfig::default`], as the command line does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnerConfig {
    /// Batch size B, in transitions.
    pub batch_size: u32,
    /// Shards of the batch whose gradients are computed in parallel and then summed, so that
    /// rounding depends on their number (but not on the number of threads). CPU only: a GPU uses
    /// one shard.
    pub shards: u32,
    /// Use double Q-learning; otherwise bootstrap from the target network's maximum.
    pub double_q: bool,
    /// Head that maps features to action values.
    pub head: QHead,
    /// Updates between copies of the weights into the target network.
    pub target_copy_updates: u64,
    /// Maximum Euclidean norm of the whole gradient, or `"off"`.
    #[serde(with = "crate::off")]
    pub max_grad_norm: Option<f64>,
    /// Huber threshold: the loss is ½δ² up to this error and linear beyond, or `"off"` for ½δ²
    /// everywhere.
    #[serde(with = "crate::off")]
    pub huber_delta: Option<f64>,
    /// Learn values rescaled by h(x) = sign(x) · (√(|x| + 1) − 1) + ε·x with this ε, or `"off"` for
    /// unscaled values. For unclipped rewards.
    #[serde(with = "crate::off")]
    pub value_rescaling_epsilon: Option<f64>,
    /// Settings of the optimiser.
    pub optimizer: OptimizerConfig,
}

impl Default for LearnerConfig {
    fn default() -> Self {
        let optimizer = OptimizerConfig {
            // The authors' values are for TensorFlow's form: ε 1.5e-7 inside the root acts like
            // 4e-4 outside it.
            kind: OptimizerKind::RmspropTf,
            learning_rate: 6.25e-5, // 0.00025 / 4
            decay: 0.95,
            epsilon: 1.5e-7,
            momentum: 0.0,
            centered: true,
            ..Default::default()
        };

        Self {
            batch_size: 512,
            shards: 1,
            double_q: true,
            head: QHead::Dueling,
            target_copy_updates: 2500,
            max_grad_norm: Some(40.0),
            huber_delta: None,
            value_rescaling_epsilon: None,
            optimizer,
        }
    }
}

impl LearnerConfig {
    /// Returns the loss function of a TD error.
    pub fn loss(&self) -> TdLoss {
        self.huber_delta.map_or(TdLoss::HalfSquared, |delta| TdLoss::Huber { delta })
    }

    /// Returns the value rescaling; the actors' initial priorities need it too.
    pub fn value_rescaling(&self) -> ValueRescaling {
        self.value_rescaling_epsilon
            .map_or(ValueRescaling::Off, |epsilon| ValueRescaling::On { epsilon })
    }

    /// Lists all problems with these settings; keys start with `prefix`.
    pub fn check(&self, prefix: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("{prefix}.{key}"), message));
        };

        let counts = [
            ("batch_size", u64::from(self.batch_size)),
            ("shards", self.shards.into()),
            ("target_copy_updates", self.target_copy_updates),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            refuse(key, "is 0; the least is 1".to_owned());
        }

        if self.batch_size > 0 && self.shards > self.batch_size {
            refuse(
                "shards",
                format!("is {}, more than the batch has rows ({})", self.shards, self.batch_size),
            );
        }

        for (key, number) in
            [("max_grad_norm", self.max_grad_norm), ("huber_delta", self.huber_delta)]
        {
            match number {
                Some(number) if !(number.is_finite() && number > 0.0) => {
                    refuse(
                        key,
                        format!("is {number}; it must be above 0, or \"off\" for no limit"),
                    );
                }
                _ => {}
            }
        }

        match self.value_rescaling_epsilon {
            Some(epsilon) if !(0.0..=1.0).contains(&epsilon) => {
                let text = format!(
                    "is {epsilon}; it must be between 0 and 1, or \"off\" for no rescaling"
                );
                refuse("value_rescaling_epsilon", text);
            }
            _ => {}
        }

        if self.optimizer.schedule != Schedule::Constant {
            let text = "is \"linear\"; the learner runs beside its actors and knows no frames: \
                        only \"constant\" works here";
            refuse("optimizer.schedule", text.to_owned());
        }

        problems.extend(self.optimizer.check(&format!("{prefix}.optimizer")));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_papers_and_valid() {
        let config = LearnerConfig::default();
        assert_eq!(config.check("apex.learner"), vec![]);
        assert_eq!(
            (config.loss(), config.value_rescaling()),
            (TdLoss::HalfSquared, ValueRescaling::Off)
        );
        assert_eq!(config.optimizer.learning_rate, 0.000_25 / 4.0);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let mut config = LearnerConfig {
            batch_size: 0,
            shards: 0,
            target_copy_updates: 0,
            max_grad_norm: Some(0.0),
            huber_delta: Some(f64::NAN),
            value_rescaling_epsilon: Some(-0.1),
            ..Default::default()
        };

        config.optimizer.schedule = Schedule::Linear;
        config.optimizer.decay = 1.0;
        let keys: Vec<_> = config.check("a.b").into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            [
                "a.b.batch_size",
                "a.b.shards",
                "a.b.target_copy_updates",
                "a.b.max_grad_norm",
                "a.b.huber_delta",
                "a.b.value_rescaling_epsilon",
                "a.b.optimizer.schedule",
                "a.b.optimizer.decay",
            ]
        );
    }

    #[test]
    fn toml_and_json_come_back_as_they_went() {
        for number in [None, Some(0.5)] {
            for head in [QHead::Dueling, QHead::Plain] {
                let config = LearnerConfig {
                    max_grad_norm: number,
                    huber_delta: number,
                    value_rescaling_epsilon: number,
                    head,
                    ..Default::default()
                };
                let toml = toml::to_string(&config).unwrap();
                assert_eq!(toml::from_str::<LearnerConfig>(&toml).unwrap(), config);
                let json = serde_json::to_string(&config).unwrap();
                assert_eq!(serde_json::from_str::<LearnerConfig>(&json).unwrap(), config);
            }
        }

        assert!(toml::from_str::<LearnerConfig>("dueling = true").is_err());
    }
}
