//! Flags for the settings of a study; shared by `study` and `bench`.

use std::path::{Path, PathBuf};

use clap::Args;
use coordrl_studies::Task;

use crate::config::{ConfigError, Layers, Origin, Shelf, parse_count};
use crate::exit_code::BadRequest;
use crate::study::{StudyRunConfig, layer_of, resolve, split_of};

/// Setting flags. All are optional, so that an absent flag differs from one set to the default.
#[derive(Debug, Args)]
pub struct StudySettingFlags {
    /// Layer under study; `conv` is the paper's purely convolutional network [default: coordconv]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Held-out rows: `uniform`, a random quarter of the centres; `quadrant`, those in one quadrant
    /// of the canvas; `digits`, the only one of `detect`; `scenes`, that of `gan` and `vae`; `pictures`,
    /// that of `imagenet` and `lsun` [default: the task's first]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Random seed [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Train for exactly N epochs, ignoring the stopping criterion [default: the task's recipe]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    epochs: Option<u64>,
    /// Worker threads; does not affect results [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads: Option<u64>,
    /// auto, cpu or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// `detect`: folder of digits, for instance MNIST's four files [default: what set-up fetched];
    /// `imagenet`: folder with `train` and `val`, each with a folder of pictures for every class
    /// [default: builtin:shapes, drawn ones]; `lsun`: folder of pictures [default: builtin:rooms]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Preset name or file [default: the task's recipe]
    #[arg(long, value_name = "NAME|FILE")]
    preset: Option<String>,
    /// Settings file, TOML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, as in `study.learning_rate=0.01`; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl StudySettingFlags {
    /// Returns the settings of a new study.
    pub fn of_new(&self, task: &'static Task, runs_dir: &Path) -> anyhow::Result<StudyRunConfig> {
        let presets = Shelf::of_study(task.name, runs_dir);
        let recipe = self.recipe(task, presets)?;
        let layered = self.layers_of_new(&recipe, presets)?.finish()?;
        keeps_task(task, &layered.config)?;
        Ok(resolve(layered)?)
    }

    /// Returns the lowest layer: the recipe for the layer and split that the layers above it
    /// select.
    fn recipe(&self, task: &'static Task, presets: Shelf<'_>) -> anyhow::Result<StudyRunConfig> {
        let lowest = StudyRunConfig { task, split: task.splits[0], ..Default::default() };
        let probe = self.layers_of_new(&lowest, presets)?.finish()?;
        let layer = layer_of(&probe.config.layer);
        // A wrong name is reported later with all other problems.
        let Ok(layer) = layer else { return Ok(lowest) };
        Ok(StudyRunConfig::recipe(task, probe.config.split, layer))
    }

    /// Layers preset, file, `--set` and flags on top of `lowest`.
    fn layers_of_new(
        &self,
        lowest: &StudyRunConfig,
        presets: Shelf<'_>,
    ) -> anyhow::Result<Layers<StudyRunConfig>> {
        let mut layers = Layers::default();
        layers.add_config(lowest, &Origin::Recipe);
        if let Some(name) = &self.preset {
            presets.apply(&presets.find(name)?, &mut layers)?;
        }
        self.add_own_layers(&mut layers)?;
        Ok(layers)
    }

    /// Layers file, `--set` and flags on top of a run's settings.
    ///
    /// # Errors
    /// If there is a preset, which makes no sense for an existing run.
    pub fn layers_over_run(
        &self,
        old: &StudyRunConfig,
        run: &Path,
    ) -> anyhow::Result<Layers<StudyRunConfig>> {
        if self.preset.is_some() {
            return Err(BadRequest::error("`--preset` is for new studies, not with `--resume`"));
        }
        let mut layers = Layers::default();
        layers.add_config(old, &Origin::Run(run.to_owned()));
        self.add_own_layers(&mut layers)?;
        Ok(layers)
    }

    fn add_own_layers(&self, layers: &mut Layers<StudyRunConfig>) -> anyhow::Result<()> {
        if let Some(path) = &self.config {
            layers.add_file(path)?;
        }

        self.set.iter().for_each(|assignment| layers.add_assignment(assignment));
        if let Some(split) = &self.split {
            split_of(split).map_err(|problem| ConfigError::Problems(vec![problem]))?;
        }

        layers.add_flag("--split", "split", self.split.as_deref());
        layers.add_flag("--layer", "layer", self.layer.as_deref());
        // As typed from here, wherever the run is resumed.
        let data = self.data.as_ref().map(|data| match data.starts_with("builtin:") {
            true => data.clone(),
            false => std::path::absolute(data)
                .map_or_else(|_| data.clone(), |path| path.to_string_lossy().into_owned()),
        });
        layers.add_flag("--data", "data", data.as_deref());
        layers.add_flag("--seed", "seed", self.seed);
        layers.add_flag("--epochs", "study.epochs", self.epochs);
        // Whoever asks for a number of epochs gets all of them, even if the mark holds earlier.
        layers.add_flag("--epochs", "stop_when_held", self.epochs.map(|_| false));
        layers.add_flag("--threads", "threads", self.threads);
        layers.add_flag("--device", "device", self.device.as_deref());
        Ok(())
    }
}

/// Rejects settings for a task other than the subcommand.
fn keeps_task(task: &Task, config: &StudyRunConfig) -> anyhow::Result<()> {
    if config.task == task {
        return Ok(());
    }
    let text = format!("the settings are those of `{}`, the command says `{task}`", config.task);
    Err(BadRequest::error(text))
}
