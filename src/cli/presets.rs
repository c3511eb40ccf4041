//! `coordrl presets`: lists and shows presets.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::{Preset, list_presets};
use crate::exit_code::ExitCode;
use crate::metrics::console::print_result;
use crate::text::table::table;

/// List or show presets.
#[derive(Debug, Subcommand)]
pub enum Presets {
    /// List all presets, built-in and in the runs folder
    #[command(after_help = EXAMPLES)]
    List(List),
    /// Print the settings of one preset
    #[command(after_help = EXAMPLES)]
    Show(Show),
}

const EXAMPLES: &str = "\
Examples:
  coordrl presets list
  coordrl presets show pong
  coordrl train pong --preset zoo";

/// Arguments of `presets list`.
#[derive(Debug, Args)]
pub struct List {
    /// Folder of all runs; its `presets` folder overrides the built-in presets
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
}

/// Arguments of `presets show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Preset name or file
    name: String,
    /// Folder of all runs; its `presets` folder overrides the built-in presets
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
}

impl Presets {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let rows: Vec<Vec<String>> = list_presets(&self.runs_dir)?
            .into_iter()
            .map(|preset| vec![preset.name, preset.place, preset.summary])
            .collect();
        print_result(&table(&["preset", "place", "summary"], &rows))?;
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let preset = Preset::find(&self.name, &self.runs_dir)?;
        let mut text = format!("# {} ({}): {}\n", preset.name, preset.place, preset.summary);
        if let Some(parent) = &preset.extends {
            text.push_str(&format!("# extends {parent}\n"));
        }
        text.push_str(&toml::to_string(&preset.settings)?);
        print_result(text.trim_end())?;
        Ok(ExitCode::Ok)
    }
}
