//! Flags for the settings of a run; shared by `train` and `config`.

use std::path::{Path, PathBuf};

use clap::Args;
use coordrl_envs::{EnvConfig, GameKind, GymId};

use crate::config::{Algo, Layered, Layers, Preset, RunConfig, Shelf, parse_count, preset_for};
use crate::metrics::console::status;

/// Setting flags. All are `Option`s, so that an absent flag differs from one set to the default.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingFlags {
    /// Learning algorithm: a2c or apex [default: a2c]
    #[arg(long, value_name = "NAME")]
    algo: Option<String>,
    /// Feature extractor, see `coordrl torsos` [default: conv]
    #[arg(long, value_name = "NAME")]
    torso: Option<String>,
    /// Run length in emulator frames [default: the preset's, else 40 million]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    frames: Option<u64>,
    /// Random seed [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Number of environments [default: 16]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    envs: Option<u64>,
    /// Worker threads; does not affect results [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads: Option<u64>,
    /// Threads per libtorch operation [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    torch_threads: Option<u64>,
    /// auto, cpu or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Preset name or file [default: the game's own, else `atari`]
    #[arg(long, value_name = "NAME|FILE")]
    preset: Option<String>,
    /// Settings file, TOML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, as in `a2c.rollout_agent_steps=20`; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Layered settings and the preset they started from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Settings, with the origin of each.
    pub layered: Layered<RunConfig>,
    /// Name of the preset.
    pub preset: Option<String>,
}

impl SettingFlags {
    /// Returns the flags of a command that names the algorithm itself; `None` leaves them as they
    /// are.
    pub fn with_algo(&self, name: Option<&str>) -> Self {
        let algo = name.map(str::to_owned).or_else(|| self.algo.clone());
        Self { algo, ..self.clone() }
    }

    /// Layers defaults, preset, file, `--set` and flags, in this order.
    pub fn layer(&self, game: Option<&str>, runs_dir: &Path) -> anyhow::Result<Settings> {
        let preset = self.find_preset(game, runs_dir)?;
        let mut layers = Layers::default();
        if let Some(preset) = &preset {
            tracing::debug!(name = preset.name, place = preset.place, "preset");
            Shelf::of_agents(runs_dir).apply(preset, &mut layers)?;
        }
        self.add_own_layers(&mut layers, game)?;
        Ok(Settings { layered: layers.finish()?, preset: preset.map(|preset| preset.name) })
    }

    /// Layers file, `--set` and flags on top of a run's settings.
    pub fn layer_over_run(
        &self,
        layers: &mut Layers<RunConfig>,
        game: Option<&str>,
    ) -> anyhow::Result<()> {
        self.add_own_layers(layers, game)
    }

    /// Returns `true` if a flag selects a whole set of settings, which makes no sense for an
    /// existing run.
    pub fn names_preset_or_file(&self) -> bool {
        self.preset.is_some() || self.config.is_some()
    }

    fn add_own_layers(
        &self,
        layers: &mut Layers<RunConfig>,
        game: Option<&str>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.config {
            layers.add_file(path)?;
        }

        self.set.iter().for_each(|assignment| layers.add_assignment(assignment));
        layers.add_flag("<game>", "game", game);
        layers.add_flag("--algo", "algo", self.algo.as_deref());
        layers.add_flag("--torso", "torso", self.torso.as_deref());
        layers.add_flag("--frames", "frames", self.frames);
        layers.add_flag("--seed", "seed", self.seed);
        // After `--algo`, which decides whose setting this is.
        let envs = format!("{}.envs", algo_of(layers).name());
        layers.add_flag("--envs", &envs, self.envs);
        layers.add_flag("--threads", "threads", self.threads);
        layers.add_flag("--torch-threads", "torch_threads", self.torch_threads);
        layers.add_flag("--device", "device", self.device.as_deref());
        Ok(())
    }

    fn find_preset(&self, game: Option<&str>, runs_dir: &Path) -> anyhow::Result<Option<Preset>> {
        if let Some(name) = &self.preset {
            return Ok(Some(Shelf::of_agents(runs_dir).find(name)?));
        }
        // Game and algorithm select the preset but may themselves be set in a higher layer. Errors,
        // such as an unknown game, are reported later with all other problems.
        let mut layers = Layers::default();
        let _ = self.add_own_layers(&mut layers, game);
        let named = layers.value_of("game").and_then(|value| value.as_str()).unwrap_or_default();
        let Ok(game) = coordrl_envs::find_game(named) else { return Ok(None) };
        Ok(preset_for(game.name, algo_of(&layers), game.kind == GameKind::Atari, runs_dir)?)
    }
}

/// Reports which rules of a Gymnasium id the settings do not include.
pub fn note_rules_left_out(typed: &str, env: &EnvConfig) {
    // A wrong name is reported later with all other problems.
    let id = GymId::parse(typed).ok().flatten();
    if let Some(note) = id.and_then(|id| id.rules_left_out(&env.resolve())) {
        status!("{note}");
    }
}

/// Returns the algorithm set so far; a wrong name is reported later with all other problems.
fn algo_of(layers: &Layers<RunConfig>) -> Algo {
    let name = layers.value_of("algo").and_then(|value| value.as_str());
    Algo::ALL.into_iter().find(|algo| name == Some(algo.name())).unwrap_or(Algo::A2c)
}
