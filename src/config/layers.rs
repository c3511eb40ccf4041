//! Layers of settings, later wins: defaults < preset < settings file < `--set` < named flags.
//!
//! Layers are trees of plain values, merged leaf by leaf. Every leaf records the origin of its
//! value. Unknown keys and values of the wrong type are collected rather than reported one at a
//! time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::number::{parse_value, whole};
use super::{ConfigError, Problem};
use crate::text::suggest::did_you_mean;

/// Complete set of settings that layers are merged into.
pub trait Configuration: Default + Serialize + DeserializeOwned {
    /// Returns the defaults, plus a value for every key that is otherwise absent because it follows
    /// another.
    fn with_every_key() -> Self {
        Self::default()
    }
}

/// Origin of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `impl Default`.
    Default,
    /// A preset, with its location.
    Preset(String),
    /// The recipe of a study's task and layer.
    Recipe,
    /// `--config FILE`.
    File(PathBuf),
    /// `--set key=value`.
    Set,
    /// A named flag, such as `--seed`.
    Flag(&'static str),
    /// The `config.json` of a resumed run.
    Run(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Recipe => f.write_str("recipe"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Set => f.write_str("--set"),
            Self::Flag(name) => f.write_str(name),
            Self::Run(path) => write!(f, "run {}", path.display()),
        }
    }
}

/// Merged settings, with the origin of each.
#[derive(Clone, Debug)]
pub struct Layered<C> {
    /// Settings as typed; not yet resolved or checked.
    pub config: C,
    /// Unknown keys and values of the wrong type, omitted from `config`.
    pub problems: Vec<Problem>,
    /// Origin by key; absent keys have their default.
    pub origins: BTreeMap<String, Origin>,
}

impl<C> Layered<C> {
    /// Returns the origin of the value of `key`.
    pub fn origin_of(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// Stack of layers, lowest first.
#[derive(Clone, Debug)]
pub struct Layers<C> {
    /// Lowest layer.
    defaults: C,
    /// All keys with valid values, against which keys are checked.
    schema: Value,
    /// Merged layers so far; a key that follows another setting is absent until set.
    tree: Value,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl<C: Configuration> Default for Layers<C> {
    fn default() -> Self {
        let defaults = C::default();
        let schema = tree_of(&C::with_every_key());
        let tree = tree_of(&defaults);
        Self { defaults, schema, tree, origins: BTreeMap::new(), problems: Vec::new() }
    }
}

impl<C: Configuration> Layers<C> {
    /// Adds a table as the next layer.
    pub fn add_table(&mut self, table: &Map<String, Value>, origin: &Origin) {
        let mut leaves = Vec::new();
        collect_leaves(&self.schema, "", table, &mut leaves);
        for (key, value) in leaves {
            self.set(&key, value, origin.clone());
        }
    }

    /// Adds all settings of a configuration as the next layer.
    pub fn add_config(&mut self, config: &C, origin: &Origin) {
        if let Value::Object(table) = tree_of(config) {
            self.add_table(&table, origin);
        }
    }

    /// Adds a TOML or JSON file as the next layer.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let table = read_table(path)?;
        self.add_table(&table, &Origin::File(path.to_owned()));
        Ok(())
    }

    /// Adds one `key=value` as the next layer. A value that is not TOML is read as a string.
    pub fn add_assignment(&mut self, assignment: &str) {
        match assignment.split_once('=') {
            Some((key, text)) => self.set(key.trim(), parse_value(text.trim()), Origin::Set),
            None => self.problems.push(Problem::new(
                assignment,
                "`--set` wants `key=value`, as in `--set a2c.rollout_agent_steps=20`",
            )),
        }
    }

    /// Adds the value of a named flag as the next layer; `None` means that the flag is absent.
    pub fn add_flag<T: Into<Value>>(&mut self, flag: &'static str, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.set(key, value.into(), Origin::Flag(flag));
        }
    }

    /// Returns the current value of a key.
    pub fn value_of(&self, key: &str) -> Option<&Value> {
        self.tree.pointer(&pointer(key))
    }

    /// Merges the layers. Their problems are passed on, to be reported together with those of the
    /// settings as a whole.
    pub fn finish(self) -> Result<Layered<C>, ConfigError> {
        let config = serde_json::from_value(self.tree).map_err(|error| {
            ConfigError::Problems(vec![Problem::new("settings", error.to_string())])
        })?;
        Ok(Layered { config, problems: self.problems, origins: self.origins })
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        let value = whole(value);
        if let Some(problem) = self.problem_with(key, &value, &origin) {
            // The value is left out, so that everything else can still be checked.
            self.problems.push(problem);
            return;
        }
        put(&mut self.tree, key, value);
        self.origins.insert(key.to_owned(), origin);
    }

    /// Tests the value alone on top of the defaults, so that each wrong value is reported by key.
    fn problem_with(&self, key: &str, value: &Value, origin: &Origin) -> Option<Problem> {
        match self.schema.pointer(&pointer(key)) {
            Some(Value::Object(_)) => {
                return Some(Problem::new(
                    key,
                    format!("is a table, not a setting (from {origin})"),
                ));
            }
            Some(_) => {}
            None => {
                let keys = leaf_keys::<C>();
                let hint = did_you_mean(key, keys.iter().map(String::as_str));
                return Some(Problem::new(key, format!("no such setting (from {origin}){hint}")));
            }
        }

        let mut trial = tree_of(&self.defaults);
        put(&mut trial, key, value.clone());
        let error = serde_json::from_value::<C>(trial).err()?;
        Some(Problem::new(key, format!("{error} (value {value}, from {origin})")))
    }
}

/// Returns the keys of all settings, in the order of the structs.
pub fn leaf_keys<C: Configuration>() -> Vec<String> {
    leaves_of(&tree_of(&C::with_every_key())).into_iter().map(|(key, _)| key).collect()
}

/// Reads a settings file: JSON by its extension, TOML otherwise.
pub(super) fn read_table(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    parse_table(&text, path)
}

/// Parses the text of a settings file.
pub(super) fn parse_table(text: &str, path: &Path) -> Result<Map<String, Value>, ConfigError> {
    // Some editors begin a file with a byte order mark, which JSON does not allow.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let (format, parsed) = if is_json {
        ("JSON", serde_json::from_str(text).map_err(|error| error.to_string()))
    } else {
        ("TOML", toml::from_str(text).map_err(|error| error.to_string()))
    };
    parsed.map_err(|cause| ConfigError::Syntax { path: path.to_owned(), format, cause })
}

/// Returns the keys and values of all settings of a configuration.
pub fn leaves(config: &impl Configuration) -> Vec<(String, Value)> {
    leaves_of(&tree_of(config))
}

fn leaves_of(tree: &Value) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    if let Value::Object(table) = tree {
        collect_leaves(tree, "", table, &mut leaves);
    }
    leaves
}

fn tree_of(config: &impl Configuration) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// Sets a dotted key whose tables already exist.
fn put(tree: &mut Value, key: &str, value: Value) {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let place = if table.is_empty() { Some(tree) } else { tree.pointer_mut(&pointer(table)) };
    if let Some(Value::Object(table)) = place {
        table.insert(name.to_owned(), value);
    }
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

/// Flattens `table` into (key, value) pairs. Descends into what the defaults know as a table;
/// anything else is a value, or an unknown key to be reported under its full name.
fn collect_leaves(
    known: &Value,
    prefix: &str,
    table: &Map<String, Value>,
    leaves: &mut Vec<(String, Value)>,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (known.get(name), value) {
            (Some(inner @ Value::Object(_)), Value::Object(inner_table)) => {
                collect_leaves(inner, &key, inner_table, leaves);
            }
            // A table where a value belongs also ends here, to be refused by its key.
            _ => leaves.push((key, value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn layered(
        build: impl FnOnce(&mut Layers<RunConfig>),
    ) -> Result<Layered<RunConfig>, ConfigError> {
        let mut layers = Layers::default();
        build(&mut layers);
        layers.finish()
    }

    fn table(text: &str) -> Map<String, Value> {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn no_layer_is_the_defaults() {
        let layered = layered(|_| {}).unwrap();
        assert_eq!(layered.config, RunConfig::default());
        assert_eq!(layered.origin_of("seed"), Origin::Default);
    }

    #[test]
    fn later_layers_win_and_every_value_knows_its_origin() {
        let layered = layered(|layers| {
            let preset = Origin::Preset("pong".to_owned());
            layers.add_table(
                &table("frames = 1\nseed = 2\ntorso = \"a\"\n[env]\nnoop_max = 3"),
                &preset,
            );
            layers.add_table(&table("seed = 4\ntorso = \"b\""), &Origin::File("x.toml".into()));
            layers.add_assignment("torso=c");
            layers.add_assignment("env.frame_skip = 2");
            layers.add_flag("--torso", "torso", Some("d"));
            layers.add_flag::<u64>("--seed", "seed", None);
        })
        .unwrap();
        let config = &layered.config;
        assert_eq!((config.frames, config.seed, config.torso.as_str()), (1, 4, "d"));
        assert_eq!((config.env.noop_max, config.env.frame_skip), (Some(3), Some(2)));
        assert_eq!(layered.origin_of("frames"), Origin::Preset("pong".to_owned()));
        assert_eq!(layered.origin_of("seed"), Origin::File("x.toml".into()));
        assert_eq!(layered.origin_of("env.frame_skip"), Origin::Set);
        assert_eq!(layered.origin_of("torso"), Origin::Flag("--torso"));
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_all_listed_with_hints() {
        let layered = layered(|layers| {
            layers.add_assignment("a2c.rollout_steps=5");
            layers.add_assignment("a2c.envs=many");
            layers.add_assignment("frames=-5");
            layers.add_assignment("env=3");
            layers.add_assignment("nonsense");
            layers.add_assignment("env.frame_skp=3");
        })
        .unwrap();
        assert_eq!(layered.config, RunConfig::default(), "what is wrong is left out");
        let error = ConfigError::Problems(layered.problems).to_string();
        assert!(error.contains("6 problems"), "{error}");
        for part in [
            "did you mean `a2c.rollout_agent_steps`?",
            "`a2c.envs`: invalid type: string \"many\"",
            "`frames`: invalid value: integer `-5`",
            "`env`: is a table",
            "`--set` wants `key=value`",
            "did you mean `env.frame_skip`?",
        ] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }

    /// Numbers read alike on the command line and in both file formats.
    #[test]
    fn numbers_are_read_alike_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let layered = layered(|layers| layers.add_file(&path).unwrap()).unwrap();
            assert_eq!(layered.problems, [], "{name}: {text}");
            layered.config
        };

        let expected = layered(|layers| {
            layers.add_assignment("frames=4e6");
            layers.add_assignment("log_every_frames=1e4");
            layers.add_assignment("env.max_episode_frames=18e3");
        });

        let expected = expected.unwrap().config;
        assert_eq!(expected.frames, 4_000_000);
        for toml in ["4e6", "4_000_000", "4_000_000.0", "4000000"] {
            let rest = "log_every_frames = 1e4\n[env]\nmax_episode_frames = 18e3";
            assert_eq!(read("a.toml", &format!("frames = {toml}\n{rest}")), expected);
        }

        let rest = r#""log_every_frames": 1e4, "env": {"max_episode_frames": 18e3}"#;
        for json in ["4e6", "4000000.0", "4000000"] {
            assert_eq!(read("a.json", &format!("{{\"frames\": {json}, {rest}}}")), expected);
        }
    }

    #[test]
    fn a_fraction_is_no_whole_number_in_a_file_either() {
        let layered = layered(|layers| {
            let origin = Origin::File("x.toml".into());
            layers.add_table(&table("frames = 1.5\nseed = -4e6\n[a2c]\ndiscount = 1e0"), &origin);
        });
        let layered = layered.unwrap();
        let mut keys: Vec<&str> =
            layered.problems.iter().map(|problem| problem.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!((keys, layered.config.a2c.discount), (vec!["frames", "seed"], 1.0));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_settings_file() {
        for (name, text) in [("a.json", "{\"seed\": 7}"), ("a.toml", "seed = 7")] {
            let table = parse_table(&format!("\u{feff}{text}"), Path::new(name)).unwrap();
            assert_eq!(table["seed"], 7, "{name}");
        }
    }

    #[test]
    fn resolved_settings_come_back_from_both_formats() {
        let mut config = RunConfig { threads: Some(3), ..RunConfig::default() };
        config.env = config.env.resolve().into();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<RunConfig>(&json).unwrap(), config);
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<RunConfig>(&toml).unwrap(), config);
    }

    #[test]
    fn every_setting_is_known_by_its_full_key() {
        let keys = leaf_keys::<RunConfig>();
        for key in ["game", "env.noop_max", "a2c.optimizer.learning_rate", "a2c.actors", "threads"]
        {
            assert!(keys.iter().any(|known| known == key), "{key} not in {keys:?}");
        }
    }
}
