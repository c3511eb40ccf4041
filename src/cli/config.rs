//! `coordrl config`: shows or checks the resolved settings.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::settings::{SettingFlags, Settings, note_rules_left_out};
use crate::config::{self, leaves};
use crate::exit_code::ExitCode;
use crate::game::assemble::check_parts;
use crate::metrics::console::print_result;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl config show pong
  coordrl config show breakout --preset baselines --set a2c.envs=32 --json
  coordrl config check pong --config mine.toml";

/// Show the origin of every setting, or check settings without running them.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every setting with its value and origin
    #[command(after_help = EXAMPLES)]
    Show(Show),
    /// Report all problems with the settings at once
    #[command(after_help = EXAMPLES)]
    Check(Target),
}

/// Settings to inspect.
#[derive(Debug, Args)]
pub struct Target {
    /// `catch` or an Atari game [default: pong]
    game: Option<String>,
    #[command(flatten)]
    settings: SettingFlags,
    /// Folder of all runs; its `presets` folder overrides the built-in presets
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    target: Target,
    /// Print a JSON object that maps each key to its value and origin
    #[arg(long)]
    json: bool,
}

impl Config {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show(show) => show.run(),
            Self::Check(target) => target.check(),
        }
    }
}

impl Target {
    fn layer(&self) -> anyhow::Result<Settings> {
        self.settings.layer(self.game.as_deref(), &self.runs_dir)
    }

    fn check(&self) -> anyhow::Result<ExitCode> {
        let layered = self.layer()?.layered;
        let config = config::resolve(&layered)?;
        note_rules_left_out(&layered.config.game, &config.env);
        config.device.resolve()?;
        let _ = check_parts(&config)?;
        let rows = config.algorithm().rows_per_update();
        print_result(&format!(
            "ok: {} on {}, {rows} rows an update",
            config.algo.name(),
            config.game
        ))?;
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.target.layer()?;
        let resolved = config::resolve(&settings.layered)?;
        note_rules_left_out(&settings.layered.config.game, &resolved.env);
        // Settings of the other algorithm have no effect, so listing them would mislead.
        let used = leaves(&resolved).into_iter().filter(|(key, _)| !resolved.is_idle(key));
        let rows = used.map(|(key, value)| {
            let origin = settings.layered.origin_of(&key).to_string();
            (key, value, origin)
        });
        let text = if self.json { as_json(rows)? } else { as_table(rows) };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }
}

fn as_table(rows: impl Iterator<Item = (String, Value, String)>) -> String {
    let cells: Vec<Vec<String>> = rows
        .map(|(key, value, origin)| {
            let value = if value.is_null() { "(by machine)".to_owned() } else { value.to_string() };
            vec![key, value, origin]
        })
        .collect();
    table(&["setting", "value", "origin"], &cells)
}

fn as_json(rows: impl Iterator<Item = (String, Value, String)>) -> serde_json::Result<String> {
    let object: serde_json::Map<String, Value> = rows
        .map(|(key, value, origin)| (key, json!({ "value": value, "origin": origin })))
        .collect();
    serde_json::to_string_pretty(&object)
}
