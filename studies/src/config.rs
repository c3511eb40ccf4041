//! What can be set about a study.

use coordrl_agents::{OptimizerConfig, OptimizerKind};
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::Task;
use crate::layer::LayerStart;

/// Study settings. [`StudyConfig::recipe`] has those that fit a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyConfig {
    /// Rows an update learns from; the last of an epoch may be fewer.
    pub batch_size: u32,
    /// Times that every training centre is seen.
    pub epochs: u32,
    /// Learning rate of Adam at the start.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: RateSchedule,
    /// `step`: epochs from one change of the learning rate to the next.
    pub step_every_epochs: u32,
    /// `step`: factor on the learning rate at each change.
    pub step_ratio: f64,
    /// `step`: the most changes.
    pub step_limit: u32,
    /// Weight of the sum of squares of all convolutions' weights (not biases, not dense layers).
    pub l2: f64,
    /// What is minimised.
    pub loss: Loss,
    /// Weight of the CoordConv renderer's second loss, 0 for none: the cross-entropy between its first
    /// stage's map and what that has to hold. With 1×1 windows in the second stage that is the
    /// square itself, all its pixels alike; with larger windows the centre alone, as the released
    /// code's intermediate loss has it.
    pub map_loss: f64,
    /// Factor on the map that the CoordConv renderer's first stage hands to the second. The map is
    /// a softmax: an even one is 1 / 4096 everywhere, which the second stage hardly sees.
    pub map_scale: f64,
    /// In which numbers the painting tasks are given x and y.
    pub inputs: Inputs,
    /// What the weights of the layer under study start from.
    pub layer_start: LayerStart,
    /// Factor on the coordinate channels of the layer under study; 1 is the paper's layer.
    pub coordinate_amplitude: f64,
    /// Factor on the number of channels, where a network has published wider forms.
    pub channel_mul: u32,
    /// Height and width of windows, where a network has published larger forms: the transposed
    /// convolutions, and the second stage of the CoordConv renderer.
    pub filter_size: u32,
    /// Epochs from one evaluation to the next.
    pub eval_every_epochs: u32,
    /// Evaluations in a row that must meet the task's mark before it counts as held.
    pub hold_evaluations: u32,
    /// Parts of a batch whose gradients are taken side by side on a CPU. Changes the order in which
    /// they are summed, so results depend on it (and not on the number of threads). Networks with
    /// batch normalisation have one whatever is set.
    pub shards: u32,
}

/// How the learning rate changes over the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateSchedule {
    /// Not at all.
    Constant,
    /// × `step_ratio` every `step_every_epochs` epochs, at most `step_limit` times.
    Step,
}

/// In which numbers the painting tasks are given x and y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inputs {
    /// Whole numbers from 4 to 59, as in the authors' code.
    Pixels,
    /// In the units of the coordinate channels: pixel 0 is −1, pixel 63 is 1. First weights of one
    /// size then suit all four inputs, and the network learns much sooner; it can represent the
    /// same functions either way.
    Coordinates,
}

/// What is minimised, as a mean over the rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax cross-entropy over all pixels: `classify` only.
    CrossEntropy,
    /// Sigmoid cross-entropy of each pixel, their mean: painting tasks only.
    Bce,
    /// Squared error of each output, their mean.
    Mse,
}

impl Loss {
    /// Whether a task can be learnt with it.
    pub fn suits(self, task: Task) -> bool {
        match self {
            Self::CrossEntropy => task == Task::Classify,
            Self::Bce => task.paints(),
            Self::Mse => true,
        }
    }

    /// What it is called in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::Bce => "bce",
            Self::Mse => "mse",
        }
    }
}

/// The CoordConv classifier's published settings.
impl Default for StudyConfig {
    fn default() -> Self {
        Self {
            batch_size: 16,
            epochs: 100,
            learning_rate: 0.005,
            schedule: RateSchedule::Constant,
            step_every_epochs: 20,
            step_ratio: 0.1,
            step_limit: 4,
            l2: 0.0,
            loss: Loss::CrossEntropy,
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
        }
    }
}

impl StudyConfig {
    /// Learning rate during an epoch, the first of which is 0.
    pub fn rate(&self, epoch: u32) -> f64 {
        match self.schedule {
            RateSchedule::Constant => self.learning_rate,
            RateSchedule::Step => {
                let changes = (epoch / self.step_every_epochs.max(1)).min(self.step_limit);
                self.learning_rate * self.step_ratio.powf(f64::from(changes))
            }
        }
    }

    /// The optimiser of all published runs: Adam with β₂ = 0.99.
    pub(crate) fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            kind: OptimizerKind::Adam,
            learning_rate: self.learning_rate,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            ..Default::default()
        }
    }

    /// Everything that is wrong with these settings for `task`; keys start with `study.`.
    pub fn check(&self, task: Task) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem { key: format!("study.{key}"), message });
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
        for (key, value) in factors {
            if !(value.is_finite() && value > 0.0) {
                refuse(key, format!("is {value}; it must be a number above 0"));
            }
        }
        for (key, weight) in [("l2", self.l2), ("map_loss", self.map_loss)] {
            if !(weight.is_finite() && weight >= 0.0) {
                refuse(key, format!("is {weight}; it must be a number of 0 or more"));
            }
        }
        if !self.loss.suits(task) {
            let fitting =
                [Loss::CrossEntropy, Loss::Bce, Loss::Mse].into_iter().filter(|loss| loss.suits(task));
            let names: Vec<&str> = fitting.map(Loss::name).collect();
            let text = format!("is \"{}\", which does not suit `{task}`; ", self.loss.name());
            refuse("loss", text + &format!("it can be \"{}\"", names.join("\" or \"")));
        }
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

    #[test]
    fn every_problem_is_listed_at_once() {
        let config = StudyConfig {
            batch_size: 0,
            epochs: 0,
            learning_rate: f64::NAN,
            step_every_epochs: 0,
            step_ratio: -1.0,
            map_scale: f64::INFINITY,
            coordinate_amplitude: 0.0,
            l2: -1.0,
            map_loss: f64::NAN,
            loss: Loss::CrossEntropy,
            channel_mul: 0,
            filter_size: 0,
            eval_every_epochs: 0,
            hold_evaluations: 0,
            shards: 0,
            ..Default::default()
        };
        let keys: Vec<String> = config.check(Task::Regress).into_iter().map(|problem| problem.key).collect();
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
            "l2",
            "map_loss",
            "loss",
        ];
        assert_eq!(keys, expected.map(|key| format!("study.{key}")));
        assert_eq!(StudyConfig::default().check(Task::Classify), vec![]);
    }

    #[test]
    fn a_loss_that_does_not_suit_meets_those_that_do() {
        let problems = StudyConfig::default().check(Task::Render);
        let text =
            "`study.loss` is \"cross_entropy\", which does not suit `render`; it can be \"bce\" or \"mse\"";
        assert_eq!(problems.iter().map(Problem::to_string).collect::<Vec<_>>(), [text]);
        let config = StudyConfig { loss: Loss::Bce, ..Default::default() };
        assert_eq!(config.check(Task::Regress).len(), 1);
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
        assert_eq!([0, 1, 2, 3, 4, 9].map(|epoch| config.rate(epoch)), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        let constant = StudyConfig { schedule: RateSchedule::Constant, ..config };
        assert_eq!(constant.rate(9), 1.0);
    }

    #[test]
    fn toml_and_json_come_back_as_they_went_and_unknown_keys_are_refused() {
        let config = StudyConfig { schedule: RateSchedule::Step, loss: Loss::Bce, ..Default::default() };
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<StudyConfig>(&toml).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<StudyConfig>(&json).unwrap(), config);
        // Settings from before there was an amplitude are those of the paper's layer.
        let mut old = serde_json::to_value(StudyConfig::default()).unwrap();
        assert!(old.as_object_mut().unwrap().remove("coordinate_amplitude").is_some());
        assert_eq!(serde_json::from_value::<StudyConfig>(old).unwrap(), StudyConfig::default());
        assert!(toml::from_str::<StudyConfig>("batchsize = 3").is_err());
        assert!(toml::from_str::<StudyConfig>("loss = \"softmax\"").is_err());
    }
}
