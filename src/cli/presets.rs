//! `coordrl presets`: lists and shows presets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use coordrl_studies::tasks;

use crate::config::{ConfigError, Shelf};
use crate::exit_code::ExitCode;
use crate::metrics::console::print_result;
use crate::study::task_of;
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
  coordrl presets show paper --study detect
  coordrl train pong --preset zoo
  coordrl study detect --preset paper";

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
    /// Show a preset of this study
    #[arg(long, value_name = "TASK")]
    study: Option<String>,
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
        let agents = ("agents".to_owned(), Shelf::of_agents(&self.runs_dir));
        let studies = tasks()
            .iter()
            .map(|task| (format!("study {task}"), Shelf::of_study(task.name, &self.runs_dir)));
        let mut rows = Vec::new();
        for (of, shelf) in std::iter::once(agents).chain(studies) {
            let presets = shelf.list()?.into_iter();
            rows.extend(
                presets.map(|preset| vec![preset.name, of.clone(), preset.place, preset.summary]),
            );
        }
        print_result(&table(&["preset", "of", "place", "summary"], &rows))?;
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let task = self.study.as_deref().map(task_of).transpose();
        let task = task.map_err(|problem| ConfigError::Problems(vec![problem]))?;
        let shelf = match task {
            None => Shelf::of_agents(&self.runs_dir),
            Some(task) => Shelf::of_study(task.name, &self.runs_dir),
        };
        let preset = shelf.find(&self.name)?;
        let mut text = format!("# {} ({}): {}\n", preset.name, preset.place, preset.summary);
        if let Some(parent) = &preset.extends {
            text.push_str(&format!("# extends {parent}\n"));
        }
        text.push_str(&toml::to_string(&preset.settings)?);
        print_result(text.trim_end())?;
        Ok(ExitCode::Ok)
    }
}
