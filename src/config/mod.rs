//! Settings: their definition, layers, presets and checks.

mod check;
mod layers;
mod number;
mod period;
mod preset;
mod rom_dir;
mod run_config;

pub use check::{check, resolve};
pub use layers::{Configuration, Layered, Layers, Origin, leaf_keys, leaves};
pub use number::{Count, parse_count, parse_number, parse_small_count};
pub use period::Period;
pub use preset::{Preset, Shelf, preset_for};
pub use rom_dir::assets;
pub use run_config::{Algo, EvaluationConfig, RunConfig, VideoConfig};

pub use coordrl_envs::Problem;

use std::path::PathBuf;

/// Error while reading or resolving settings. Always for the user to fix.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// All problems found, not only the first.
    #[error("{}", list(.0))]
    Problems(Vec<Problem>),
    /// The settings file could not be read.
    #[error("cannot read settings from {}: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// I/O error.
        cause: String,
    },
    /// The settings file is neither TOML nor JSON.
    #[error("{} is not valid {format}: {cause}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// `TOML` or `JSON`, by the file's name.
        format: &'static str,
        /// Location and cause.
        cause: String,
    },
    /// No preset has this name.
    #[error("no preset `{name}`{of}{hint} (`coordrl presets list` shows all)")]
    UnknownPreset {
        /// Name as typed.
        name: String,
        /// " of `detect`" for a study's, else empty.
        of: String,
        /// "; did you mean …?" or empty.
        hint: String,
    },
    /// Presets extend each other in a cycle.
    #[error("preset `{0}` extends itself")]
    CircularPreset(String),
}

fn list(problems: &[Problem]) -> String {
    match problems {
        [one] => describe(one),
        many => {
            let lines: Vec<String> =
                many.iter().map(|problem| format!("\n  - {}", describe(problem))).collect();
            format!("{} problems in the settings:{}", many.len(), lines.concat())
        }
    }
}

fn describe(problem: &Problem) -> String {
    format!("`{}`: {}", problem.key, problem.message)
}
