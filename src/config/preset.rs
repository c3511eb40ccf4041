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

/// A set of presets: those of agents, or those of one study.
#[derive(Clone, Copy, Debug)]
pub struct Shelf<'a> {
    runs_dir: &'a Path,
    study: Option<&'a str>,
}

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

impl<'a> Shelf<'a> {
    /// The presets of agents: built in, and files in `<runs_dir>/presets`.
    pub fn of_agents(runs_dir: &'a Path) -> Self {
        Self { runs_dir, study: None }
    }

    /// The presets of a study: built in, and files in `<runs_dir>/presets/studies/<task>`.
    pub fn of_study(task: &'a str, runs_dir: &'a Path) -> Self {
        Self { runs_dir, study: Some(task) }
    }

    /// Returns all presets, sorted by name. A file replaces the built-in preset of its name.
    ///
    /// # Errors
    /// If a file cannot be read or is no preset.
    pub fn list(&self) -> Result<Vec<Preset>, ConfigError> {
        Ok(self.by_name()?.into_values().collect())
    }

    /// Finds a preset by name (`pong`) or by path (`mine/fast.toml`).
    ///
    /// # Errors
    /// If there is none, or its file cannot be read or is no preset.
    pub fn find(&self, name: &str) -> Result<Preset, ConfigError> {
        if name.contains('/') || name.ends_with(".toml") || name.ends_with(".json") {
            let path = PathBuf::from(name);
            return Preset::from_table(name, path.display().to_string(), read_table(&path)?);
        }
        self.by_name()?.remove(name).ok_or_else(|| self.unknown(name))
    }

    /// Adds a preset to the layers, on top of the presets it extends.
    ///
    /// # Errors
    /// If one of those is missing or extends itself.
    pub fn apply<C: Configuration>(
        &self,
        preset: &Preset,
        layers: &mut Layers<C>,
    ) -> Result<(), ConfigError> {
        // Ancestors come first, since later layers win.
        for preset in self.with_ancestors(preset)?.iter().rev() {
            layers.add_table(
                &preset.settings,
                &Origin::Preset(format!("{} ({})", preset.name, preset.place)),
            );
        }
        Ok(())
    }

    /// Returns a preset followed by its ancestors.
    fn with_ancestors(&self, preset: &Preset) -> Result<Vec<Preset>, ConfigError> {
        let mut chain = vec![preset.clone()];
        while let Some(parent) = chain.last().and_then(|preset| preset.extends.clone()) {
            if chain.iter().any(|preset| preset.name == parent) {
                return Err(ConfigError::CircularPreset(parent));
            }
            chain.push(self.find(&parent)?);
        }
        Ok(chain)
    }

    fn by_name(&self) -> Result<BTreeMap<String, Preset>, ConfigError> {
        let mut presets = BTreeMap::new();
        let folder = self.study.map(|task| Path::new("studies").join(task));
        let built_in = match &folder {
            None => Some(&BUILT_IN),
            Some(folder) => BUILT_IN.get_dir(folder),
        };
        for file in built_in.into_iter().flat_map(Dir::files) {
            let text = file.contents_utf8().unwrap_or_default();
            let place = "built in".to_owned();
            insert(&mut presets, file.path(), place, |path| parse_table(text, path))?;
        }
        // Read last, so that a file replaces the built-in preset of the same name.
        // Usually there is no such folder outside a checkout.
        let files = self.runs_dir.join("presets").join(folder.unwrap_or_default());
        for entry in std::fs::read_dir(files).into_iter().flatten().flatten() {
            let path = entry.path();
            insert(&mut presets, &path, path.display().to_string(), read_table)?;
        }
        Ok(presets)
    }

    fn has(&self, name: &str) -> bool {
        self.by_name().is_ok_and(|presets| presets.contains_key(name))
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let presets = self.by_name().unwrap_or_default();
        let hint = match self.study {
            Some(_) if Self::of_agents(self.runs_dir).has(name) => {
                "; agents have one, for `coordrl train`".to_owned()
            }
            _ => did_you_mean(name, presets.keys().map(String::as_str)),
        };
        let of = self.study.map(|task| format!(" of `{task}`")).unwrap_or_default();
        ConfigError::UnknownPreset { name: name.to_owned(), of, hint }
    }
}

impl Preset {
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
    let mut presets = Shelf::of_agents(runs_dir).by_name()?;
    let suffix = find_algorithm(algo.name()).map_or("", |algorithm| algorithm.preset_suffix);
    let mut named = |name: &str| presets.remove(&format!("{name}{suffix}"));
    Ok(named(game).or_else(|| if is_atari { named(ATARI_FALLBACK) } else { None }))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Layered, RunConfig, resolve};

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    fn agents(runs_dir: &Path) -> Shelf<'_> {
        Shelf::of_agents(runs_dir)
    }

    fn layered(preset: &Preset, runs_dir: &Path) -> Layered<RunConfig> {
        let mut layers = Layers::default();
        Shelf::of_agents(runs_dir).apply(preset, &mut layers).unwrap();
        layers.finish().unwrap()
    }

    #[test]
    fn every_built_in_preset_can_be_run_and_has_a_summary() {
        let presets = agents(nowhere()).list().unwrap();
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
        let config = |name| layered(&agents(nowhere()).find(name).unwrap(), nowhere()).config;
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
        let preset = agents(runs.path()).find("pong").unwrap();
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
        let error = agents(runs.path()).find("a").unwrap_err().to_string();
        assert!(
            error.contains("`extends`: is 5 in preset a") && error.contains("must be text"),
            "{error}"
        );
    }

    #[test]
    fn studies_have_presets_of_their_own() {
        let runs = tempfile::tempdir().unwrap();
        let folder = runs.path().join("presets/studies/detect");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("mine.toml"), "summary = \"mine\"").unwrap();
        let shelf = Shelf::of_study("detect", runs.path());
        let names: Vec<String> =
            shelf.list().unwrap().into_iter().map(|preset| preset.name).collect();
        assert_eq!(names, ["mine", "paper", "small"]);
        let error = |name| shelf.find(name).unwrap_err().to_string();
        assert!(
            error("pong")
                .starts_with("no preset `pong` of `detect`; agents have one, for `coordrl train`")
        );
        assert!(error("papr").contains("did you mean `paper`?"));
        assert!(agents(runs.path()).find("mine").is_err());
    }

    #[test]
    fn unknown_names_get_a_hint_and_circles_are_found() {
        let error = agents(nowhere()).find("pogn").unwrap_err().to_string();
        assert!(error.contains("did you mean `pong`?"), "{error}");
        let runs = tempfile::tempdir().unwrap();
        fs::create_dir(runs.path().join("presets")).unwrap();
        fs::write(runs.path().join("presets/a.toml"), "extends = \"b\"").unwrap();
        fs::write(runs.path().join("presets/b.toml"), "extends = \"a\"").unwrap();
        let shelf = agents(runs.path());
        let error = shelf.with_ancestors(&shelf.find("a").unwrap()).unwrap_err();
        assert!(matches!(error, ConfigError::CircularPreset(_)), "{error}");
    }
}
