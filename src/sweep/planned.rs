//! The interface between a sweep and the kinds of run it can start.

use std::ffi::OsString;
use std::path::Path;

use crate::config::{Configuration, leaves};
use crate::metrics::LogAxis;
use crate::metrics::tags::Tag;
use crate::run::run_dir::{RunConfiguration, RunDir};

/// A run that is planned: its settings, and what a sweep needs to know of them.
pub trait Planned: Clone {
    /// Settings, as in the run's `config.json`.
    type Config: Configuration + RunConfiguration;

    /// Unit of the run's length.
    const AXIS: LogAxis;
    /// Tag of the run's speed, in that unit per second.
    const SPEED: &'static Tag;

    /// Returns the settings.
    fn config(&self) -> &Self::Config;

    /// Returns the subcommand of `coordrl` that starts such runs.
    fn subcommand(&self) -> Vec<&str>;

    /// Returns what is learned: a game or a study. First column of the progress table.
    fn subject(&self) -> String;

    /// Returns the variant that learns it. Second column of the progress table.
    fn arm(&self) -> String;

    /// Returns the seed.
    fn seed(&self) -> u64;

    /// Returns the length of the run.
    fn end(&self) -> u64;

    /// Returns the tags that may hold the score to display, the best first.
    fn scores(&self) -> &'static [&'static Tag];

    /// Describes the score of a complete run.
    fn describe_score(&self, score: Option<f64>) -> String;

    /// Lists the settings that prevent a run from being resumed as this one, each with its reason.
    fn refused_on_resume(&self, old: &Self::Config, position: u64) -> Vec<String>;

    /// Returns `true` if a run whose last checkpoint is at `position`, if it has any, is complete.
    fn is_complete(&self, run: &RunDir, position: Option<u64>) -> bool;

    /// Returns `true` if a resumed run takes a new value of this setting.
    fn may_change(&self, key: &str) -> bool;

    /// Returns the arguments that resume a run. It keeps its own settings, but those that may
    /// change are passed again because the plan's may have changed.
    fn arguments_to_resume(&self, run: &Path) -> Vec<OsString> {
        // A setting that is absent cannot be written as `key=value`; the run keeps its own.
        let again = leaves(self.config())
            .into_iter()
            .filter(|(key, value)| self.may_change(key) && !value.is_null())
            .map(|(key, value)| OsString::from(format!("--set={key}={value}")));
        [OsString::from("--resume"), run.into()].into_iter().chain(again).collect()
    }
}
