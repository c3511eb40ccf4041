//! Presets: named starting points for settings, built into the binary and overridable by files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};

use super::layers::{parse_table, read_table};
use coordrl_agents::find_algorithm;

use super::{Algo, ConfigError, Configuration, Layers, Origin, Problem};
use crate::text::suggest::did_you_mean;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/runs/presets");

/// Preset of Atari games without one of their own.
const ATARI_FALLBACK: &str = "atari";

/// One preset file.
#[derive(Clone, Debug)]
pub struct Preset {
    /// File name without its extension, or the path as typed.
    pub name: String,
    /// Location: a path, or `built in`.
    pub place: String,
    /// One sentence for `presets list`.
    pub summary: String,
    /// Name of the preset it extends.
    pub extends: Option<String>,
    /// Settings.
    pub settings: Map<String, Value>,
}

impl Preset {
    /// Finds a preset by name (`pong`) or by path (`mine/fast.toml`).
    ///
    /// A file in `<runs_dir>/presets` overrides the built-in preset of the same name.
    pub fn find(name: &str, runs_dir: &Path) -> Result<Self, ConfigError> {
        if name.contains('/') || name.ends_with(".toml") || name.ends_with(".json") {
            let path = PathBuf::from(name);
            return Self::from_table(name, path.display().to_string(), read_table(&path)?);
        }
        available(runs_dir)?.remove(name).ok_or_else(|| unknown(name, runs_dir))
    }

    /// Adds this preset to the layers, on top of the presets it extends.
    pub fn apply<C: Configuration>(
        &self,
        layers: &mut Layers<C>,
        runs_dir: &Path,
    ) -> Result<(), ConfigError> {
        // Ancestors come first, since later layers win.
        for preset in self.with_ancestors(runs_dir)?.iter().rev() {
            layers.add_table(
                &preset.settings,
                &Origin::Preset(format!("{} ({})", preset.name, preset.place)),
            );
        }
        Ok(())
    }

    /// Returns this preset followed by its ancestors.
    fn with_ancestors(&self, runs_dir: &Path) -> Result<Vec<Self>, ConfigError> {
        let mut chain = vec![self.clone()];
        while let Some(parent) = chain.last().and_then(|preset| preset.extends.clone()) {
            if chain.iter().any(|preset| preset.name == parent) {
                return Err(ConfigError::CircularPreset(parent));
            }
            chain.push(Self::find(&parent, runs_dir)?);
        }
        Ok(chain)
    }

    fn from_table(
        name: &str,
        place: String,
        mut table: Map<String, Value>,
    ) -> Result<Self, ConfigError> {
        let mut take_text = |key: &str| match table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let text = format!("is {other} in preset {name} ({place}); it must be text");
                Err(ConfigError::Problems(vec![Problem::new(key, text)]))
            }
        };
        let summary = take_text("summary")?.unwrap_or_default();
        let extends = take_text("extends")?;
        Ok(Self { name: name.to_owned(), place, summary, extends, settings: table })
    }
}

/// Returns a game's default preset: its own, else the fallback for Atari games. Presets of Ape-X
/// end in `-apex`.
pub fn preset_for(
    game: &str,
    algo: Algo,
    is_atari: bool,
    runs_dir: &Path,
) -> Result<Option<Preset>, ConfigError> {
    let mut presets = available(runs_dir)?;
    let suffix = find_algorithm(algo.name()).map_or("", |algorithm| algorithm.preset_suffix);
    let mut named = |name: &str| presets.remove(&format!("{name}{suffix}"));
    Ok(named(game).or_else(|| if is_atari { named(ATARI_FALLBACK) } else { None }))
}

/// Returns all presets, sorted by name.
pub fn list_presets(runs_dir: &Path) -> Result<Vec<Preset>, ConfigError> {
    Ok(available(runs_dir)?.into_values().collect())
}

fn available(runs_dir: &Path) -> Result<BTreeMap<String, Preset>, ConfigError> {
    let mut presets = BTreeMap::new();
    for file in BUILT_IN.files() {
        let text = file.contents_utf8().unwrap_or_default();
        insert(&mut presets, file.path(), "built in".to_owned(), |path| parse_table(text, path))?;
    }
    // Read last, so that a file replaces the built-in preset of the same name.
    // Usually there is no such folder outside a checkout.
    for entry in std::fs::read_dir(runs_dir.join("presets")).into_iter().flatten().flatten() {
        let path = entry.path();
        insert(&mut presets, &path, path.display().to_string(), read_table)?;
    }
    Ok(presets)
}

fn insert(
    presets: &mut BTreeMap<String, Preset>,
    path: &Path,
    place: String,
    read: impl FnOnce(&Path) -> Result<Map<String, Value>, ConfigError>,
) -> Result<(), ConfigError> {
    let is_preset = path.extension().is_some_and(|extension| extension == "toml");
    let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_preset) else {
        return Ok(());
    };
    presets.insert(name.to_owned(), Preset::from_table(name, place, read(path)?)?);
    Ok(())
}

fn unknown(name: &str, runs_dir: &Path) -> ConfigError {
    let presets = available(runs_dir).unwrap_or_default();
    let hint = did_you_mean(name, presets.keys().map(String::as_str));
    ConfigError::UnknownPreset { name: name.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Layered, RunConfig, resolve};

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    fn layered(preset: &Preset, runs_dir: &Path) -> Layered<RunConfig> {
        let mut layers = Layers::default();
        preset.apply(&mut layers, runs_dir).unwrap();
        layers.finish().unwrap()
    }

    #[test]
    fn every_built_in_preset_can_be_run_and_has_a_summary() {
        let presets = list_presets(nowhere()).unwrap();
        assert!(presets.len() >= 5);
        for preset in presets {
            assert!(!preset.summary.is_empty(), "{}", preset.name);
            resolve(&layered(&preset, nowhere())).unwrap();
        }
    }

    #[test]
    fn a_game_takes_its_own_preset_else_the_atari_fallback() {
        let of = |game, algo, is_atari| {
            preset_for(game, algo, is_atari, nowhere()).unwrap().map(|preset| preset.name)
        };
        let name = |game, is_atari| of(game, Algo::A2c, is_atari);
        assert_eq!(name("pong", true).as_deref(), Some("pong"));
        assert_eq!(name("zaxxon", true).as_deref(), Some("atari"));
        assert_eq!(name("catch", false).as_deref(), Some("catch"));
        assert_eq!(name("another_toy", false), None);
        assert_eq!(of("zaxxon", Algo::Apex, true).as_deref(), Some("atari-apex"));
        assert_eq!(of("catch", Algo::Apex, false).as_deref(), Some("catch-apex"));
    }

    #[test]
    fn the_published_recipes_are_what_was_published() {
        let config = |name| layered(&Preset::find(name, nowhere()).unwrap(), nowhere()).config;
        let zoo = config("zoo");
        let baselines = config("baselines");
        assert_eq!((zoo.a2c.value_coef, baselines.a2c.value_coef), (0.25, 0.5));
        for config in [&zoo, &baselines] {
            let optimizer = serde_json::to_value(&config.a2c.optimizer).unwrap();
            assert_eq!(optimizer["kind"], "rmsprop_tf");
            assert_eq!(optimizer["learning_rate"], 7e-4);
            assert_eq!(config.a2c.rows_per_update(), 80);
        }

        assert_eq!(serde_json::to_value(&baselines.a2c.optimizer).unwrap()["schedule"], "linear");
        let lives = ["paper", "uber"].map(|name| config(name).env.resolve().life_loss_ends_episode);
        assert_eq!(lives, [true, false]);
    }

    #[test]
    fn a_file_in_the_runs_folder_wins_over_the_built_in_preset() {
        let runs = tempfile::tempdir().unwrap();
        fs::create_dir(runs.path().join("presets")).unwrap();
        fs::write(runs.path().join("presets/pong.toml"), "extends = \"atari\"\nseed = 9").unwrap();
        let preset = Preset::find("pong", runs.path()).unwrap();
        let layered = layered(&preset, runs.path());
        assert_eq!(layered.config.seed, 9);
        assert!(layered.origin_of("seed").to_string().contains("presets/pong.toml"));
        assert!(layered.origin_of("frames").to_string().contains("built in"));
    }

    #[test]
    fn a_summary_or_parent_that_is_no_text_is_named() {
        let runs = tempfile::tempdir().unwrap();
        fs::create_dir(runs.path().join("presets")).unwrap();
        fs::write(runs.path().join("presets/a.toml"), "extends = 5").unwrap();
        let error = Preset::find("a", runs.path()).unwrap_err().to_string();
        assert!(
            error.contains("`extends`: is 5 in preset a") && error.contains("must be text"),
            "{error}"
        );
    }

    #[test]
    fn unknown_names_get_a_hint_and_circles_are_found() {
        let error = Preset::find("pogn", nowhere()).unwrap_err().to_string();
        assert!(error.contains("did you mean `pong`?"), "{error}");
        let runs = tempfile::tempdir().unwrap();
        fs::create_dir(runs.path().join("presets")).unwrap();
        fs::write(runs.path().join("presets/a.toml"), "extends = \"b\"").unwrap();
        fs::write(runs.path().join("presets/b.toml"), "extends = \"a\"").unwrap();
        let error =
            Preset::find("a", runs.path()).unwrap().with_ancestors(runs.path()).unwrap_err();
        assert!(matches!(error, ConfigError::CircularPreset(_)), "{error}");
    }
}
