//! Settings of a study.

use coordrl_agents::{OptimizerConfig, OptimizerKind};
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::Task;
use crate::detect::DetectConfig;
use crate::gan::GanConfig;
use crate::imagenet::ImageNetConfig;
use crate::layer::LayerStart;
use crate::lsun::LsunConfig;
use crate::vae::VaeConfig;

/// Study settings. [`Task::recipe`] returns suitable ones for a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyConfig {
    /// Rows per update; the last batch of an epoch may be smaller.
    pub batch_size: u32,
    /// Training epochs.
    pub epochs: u32,
    /// Update rule.
    pub optimizer: StudyOptimizer,
    /// Initial learning rate.
    pub learning_rate: f64,
    /// Adam: decay rate of the mean.
    pub beta1: f64,
    /// Adam: decay rate of the mean square.
    pub beta2: f64,
    /// SGD: share of the previous change that is repeated.
    pub momentum: f64,
    /// Learning rate schedule.
    pub schedule: RateSchedule,
    /// `step`: epochs between changes of the learning rate.
    pub step_every_epochs: u32,
    /// `step`: factor on the learning rate at each change.
    pub step_ratio: f64,
    /// `step`: maximum number of changes.
    pub step_limit: u32,
    /// Weight of the sum of squares of all convolution weights (not biases, not dense layers).
    pub l2: f64,
    /// Factor on the weights that is added to their gradient, biases and normalisation included, as
    /// in PyTorch's SGD; not part of the loss.
    pub weight_decay: f64,
    /// Loss to minimise; ignored by tasks with a loss of their own.
    pub loss: StudyLoss,
    /// Weight of the CoordConv renderer's second loss, 0 for none: the cross-entropy between its
    /// first stage's map and the map's target. With 1×1 windows in the second stage the target is
    /// the square itself, uniform over its pixels; with larger windows it is the centre alone, as
    /// in the released code's intermediate loss.
    pub map_loss: f64,
    /// Factor on the map that the CoordConv renderer's first stage passes to the second. The map is
    /// a softmax: a uniform one is 1 / 4096 everywhere, too small to affect the second stage.
    pub map_scale: f64,
    /// Units of the (x, y) inputs of the painting tasks.
    pub inputs: Inputs,
    /// Initial weights of the layer under study.
    pub layer_start: LayerStart,
    /// Factor on the coordinate channels of the layer under study; 1 is the paper's layer.
    pub coordinate_amplitude: f64,
    /// Factor on the number of channels, for networks published in several widths.
    pub channel_mul: u32,
    /// Height and width of windows, for networks published with larger ones: the transposed
    /// convolutions, and the second stage of the CoordConv renderer.
    pub filter_size: u32,
    /// Epochs between evaluations.
    pub eval_every_epochs: u32,
    /// Consecutive evaluations that must meet the task's mark before it counts as held.
    pub hold_evaluations: u32,
    /// Number of parts of a batch whose gradients are computed in parallel on a CPU. It determines
    /// the order of summation, so results depend on it (but not on the number of threads). Networks
    /// with batch normalisation always use one.
    pub shards: u32,
    /// Settings of the task `detect`.
    pub detect: DetectConfig,
    /// Settings of the task `gan`.
    pub gan: GanConfig,
    /// Settings of the task `imagenet`.
    pub imagenet: ImageNetConfig,
    /// Settings of the task `lsun`.
    pub lsun: LsunConfig,
    /// Settings of the task `vae`.
    pub vae: VaeConfig,
}

/// Update rule of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StudyOptimizer {
    /// Adam, as in all published runs of which the optimiser is known.
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Schedule of the learning rate over the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateSchedule {
    /// Constant learning rate.
    Constant,
    /// × `step_ratio` every `step_every_epochs` epochs, at most `step_limit` times.
    Step,
}

/// Units of the (x, y) inputs of the painting tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inputs {
    /// Whole numbers from 4 to 59, as in the authors' code.
    Pixels,
    /// Units of the coordinate channels: pixel 0 is −1, pixel 63 is 1. Initial weights of one scale
    /// then suit all four inputs, and the network learns much faster; it can represent the same
    /// functions either way.
    Coordinates,
}

/// Loss, as a mean over the rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyLoss {
    /// Softmax cross-entropy over all pixels.
    CrossEntropy,
    /// Sigmoid cross-entropy, averaged over pixels.
    Bce,
    /// Squared error, averaged over outputs.
    Mse,
}

impl StudyLoss {
    /// Name used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::Bce => "bce",
            Self::Mse => "mse",
        }
    }
}

/// The published settings of the CoordConv classifier.
impl Default for StudyConfig {
    fn default() -> Self {
        Self {
            batch_size: 16,
            epochs: 100,
            optimizer: StudyOptimizer::Adam,
            learning_rate: 0.005,
            beta1: 0.9,
            beta2: 0.99,
            momentum: 0.9,
            schedule: RateSchedule::Constant,
            step_every_epochs: 20,
            step_ratio: 0.1,
            step_limit: 4,
            l2: 0.0,
            weight_decay: 0.0,
            loss: StudyLoss::CrossEntropy,
            map_loss: 0.0,
            map_scale: 1.0,
            inputs: Inputs::Pixels,
            layer_start: LayerStart::Drawn,
            coordinate_amplitude: 1.0,
            channel_mul: 1,
            filter_size: 1,
            eval_every_epochs: 1,
            hold_evaluations: 3,
            shards: 2,
            detect: DetectConfig::default(),
            gan: GanConfig::default(),
            imagenet: ImageNetConfig::default(),
            lsun: LsunConfig::default(),
            vae: VaeConfig::default(),
        }
    }
}

impl StudyConfig {
    /// Returns the learning rate during an epoch, counted from 0.
    pub fn rate(&self, epoch: u32) -> f64 {
        match self.schedule {
            RateSchedule::Constant => self.learning_rate,
            RateSchedule::Step => {
                // `check` refuses 0, but nothing forces a caller to check before asking for a rate.
                let changes = (epoch / self.step_every_epochs.max(1)).min(self.step_limit);
                self.learning_rate * self.step_ratio.powf(f64::from(changes))
            }
        }
    }

    /// Returns the settings of the optimiser; of Adam by default with β₂ = 0.99, as published.
    pub(crate) fn optimizer(&self) -> OptimizerConfig {
        let kind = match self.optimizer {
            StudyOptimizer::Adam => OptimizerKind::Adam,
            StudyOptimizer::Sgd => OptimizerKind::Sgd,
        };
        OptimizerConfig {
            kind,
            momentum: self.momentum,
            learning_rate: self.learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: 1e-8,
            ..Default::default()
        }
    }

    /// Lists every problem with these settings for `task`; keys start with `study.`.
    pub fn check(&self, task: &Task) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("study.{key}"), message));
        };

        for (key, count) in self.counts() {
            if count == 0 {
                refuse(key, "is 0; the least is 1".to_owned());
            }
        }

        let factors = [
            ("learning_rate", self.learning_rate),
            ("step_ratio", self.step_ratio),
            ("map_scale", self.map_scale),
            ("coordinate_amplitude", self.coordinate_amplitude),
        ];
        // Written as negations, because every comparison with NaN is false.
        for (key, value) in factors {
            if !(value.is_finite() && value > 0.0) {
                refuse(key, format!("is {value}; it must be a number above 0"));
            }
        }

        let shares = [("beta1", self.beta1), ("beta2", self.beta2), ("momentum", self.momentum)];
        for (key, decay) in shares {
            if !(0.0..1.0).contains(&decay) {
                refuse(key, format!("is {decay}; it must be at least 0 and below 1"));
            }
        }

        let weights =
            [("l2", self.l2), ("weight_decay", self.weight_decay), ("map_loss", self.map_loss)];
        for (key, weight) in weights {
            if !(weight.is_finite() && weight >= 0.0) {
                refuse(key, format!("is {weight}; it must be a number of 0 or more"));
            }
        }

        if !task.losses.is_empty() && !task.losses.contains(&self.loss) {
            let names: Vec<&str> = task.losses.iter().map(|loss| loss.name()).collect();
            let text = format!("is \"{}\", which does not suit `{task}`; ", self.loss.name());
            refuse("loss", text + &format!("it can be \"{}\"", names.join("\" or \"")));
        }

        problems.extend(self.detect.check());
        problems.extend(self.gan.check());
        problems.extend(self.imagenet.check());
        problems.extend(self.lsun.check());
        problems.extend(self.vae.check());
        problems
    }

    fn counts(&self) -> [(&'static str, u32); 8] {
        [
            ("batch_size", self.batch_size),
            ("epochs", self.epochs),
            ("step_every_epochs", self.step_every_epochs),
            ("channel_mul", self.channel_mul),
            ("filter_size", self.filter_size),
            ("eval_every_epochs", self.eval_every_epochs),
            ("hold_evaluations", self.hold_evaluations),
            ("shards", self.shards),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_task;

    #[test]
    fn every_problem_is_listed_at_once() {
        let config = StudyConfig {
            batch_size: 0,
            epochs: 0,
            learning_rate: f64::NAN,
            step_every_epochs: 0,
            step_ratio: -1.0,
            beta1: 1.0,
            beta2: f64::NAN,
            momentum: 1.0,
            map_scale: f64::INFINITY,
            coordinate_amplitude: 0.0,
            l2: -1.0,
            weight_decay: f64::INFINITY,
            map_loss: f64::NAN,
            loss: StudyLoss::CrossEntropy,
            channel_mul: 0,
            filter_size: 0,
            eval_every_epochs: 0,
            hold_evaluations: 0,
            shards: 0,
            ..Default::default()
        };

        let keys: Vec<String> = config
            .check(find_task("regress").unwrap())
            .into_iter()
            .map(|problem| problem.key)
            .collect();
        let expected = [
            "batch_size",
            "epochs",
            "step_every_epochs",
            "channel_mul",
            "filter_size",
            "eval_every_epochs",
            "hold_evaluations",
            "shards",
            "learning_rate",
            "step_ratio",
            "map_scale",
            "coordinate_amplitude",
            "beta1",
            "beta2",
            "momentum",
            "l2",
            "weight_decay",
            "map_loss",
            "loss",
        ];
        assert_eq!(keys, expected.map(|key| format!("study.{key}")));
        assert_eq!(StudyConfig::default().check(find_task("classify").unwrap()), vec![]);
    }

    #[test]
    fn a_loss_that_does_not_suit_meets_those_that_do() {
        let problems = StudyConfig::default().check(find_task("render").unwrap());
        let text = "`study.loss` is \"cross_entropy\", which does not suit `render`; it can be \"bce\" or \"mse\"";
        assert_eq!(problems.iter().map(Problem::to_string).collect::<Vec<_>>(), [text]);
        let config = StudyConfig { loss: StudyLoss::Bce, ..Default::default() };
        assert_eq!(config.check(find_task("regress").unwrap()).len(), 1);
    }

    #[test]
    fn rates_step_down_and_then_stay() {
        let config = StudyConfig {
            learning_rate: 1.0,
            schedule: RateSchedule::Step,
            step_every_epochs: 2,
            step_ratio: 0.5,
            step_limit: 2,
            ..Default::default()
        };

        assert_eq!(
            [0, 1, 2, 3, 4, 9].map(|epoch| config.rate(epoch)),
            [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        );
        let constant = StudyConfig { schedule: RateSchedule::Constant, ..config };
        assert_eq!(constant.rate(9), 1.0);
    }

    #[test]
    fn toml_and_json_come_back_as_they_went_and_unknown_keys_are_refused() {
        let config = StudyConfig {
            schedule: RateSchedule::Step,
            loss: StudyLoss::Bce,
            ..Default::default()
        };
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<StudyConfig>(&toml).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<StudyConfig>(&json).unwrap(), config);
        // Settings that predate the amplitude load as the paper's layer.
        let mut old = serde_json::to_value(StudyConfig::default()).unwrap();
        assert!(old.as_object_mut().unwrap().remove("coordinate_amplitude").is_some());
        assert_eq!(serde_json::from_value::<StudyConfig>(old).unwrap(), StudyConfig::default());
        assert!(toml::from_str::<StudyConfig>("batchsize = 3").is_err());
        assert!(toml::from_str::<StudyConfig>("loss = \"softmax\"").is_err());
    }
}
