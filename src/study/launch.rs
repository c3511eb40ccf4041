//! Starts and resumes studies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordrl_agents::AgentState;
use coordrl_studies::{Study, StudySetup, StudyState};
use tch::Device;

use super::training::{StudyTraining, identity};
use super::{StudyProgress, StudyRunConfig, layer_of};
use crate::config::ConfigError;
use crate::exit_code::BadRequest;
use crate::metrics::recorder::Recorder;
use crate::run::checkpoint::{self, Checkpoint, CheckpointError};
use crate::run::launch::{self, Built, Destination};
use crate::run::run_dir::{Meta, RunDir};
use crate::run::threads::build_pool;
use crate::run::train_loop::TrainLoop;
use crate::text::path_text::encode;

/// A study in memory.
pub type StudyRun = TrainLoop<StudyTraining>;

/// Returns the folder of all studies of this kind: `<runs_dir>/studies/<task>-<split>/<layer>`.
pub fn group(runs_dir: &Path, config: &StudyRunConfig) -> PathBuf {
    let task = format!("{}-{}", config.task.name, config.split.name());
    runs_dir.join("studies").join(task).join(&config.layer)
}

/// Starts a study in a new folder, with the weights of a file or a run if one is named.
pub fn new_run(
    config: StudyRunConfig,
    to: &Destination,
    init_from: Option<&Path>,
) -> anyhow::Result<StudyRun> {
    let planned = to.plan(config.seed)?;
    let (mut study, device, threads) = build(&config)?;
    if let Some(from) = init_from {
        study.load_weights(launch::read_init_weights(from)?).map_err(|error| {
            BadRequest::error(format!("`--init-from {}` does not fit: {error}", from.display()))
        })?;
    }
    let init_from = init_from.map(encode);
    let meta = Meta { init_from, ..Meta::new(config.seed, study.parameter_count()) };
    let built = Built { subject: StudyTraining::new(config, study), device, threads };
    launch::begin(built, &planned, to.name.is_some(), meta, StudyProgress::default())
}

/// A study restored from its last checkpoint.
pub struct Loaded {
    /// The study.
    pub built: Built<StudyTraining>,
    /// Counters and the latest evaluation.
    pub progress: StudyProgress,
}

/// Restores a study from its last checkpoint; writes nothing.
pub fn load(run: &RunDir, config: &StudyRunConfig) -> anyhow::Result<Loaded> {
    let checkpoint: Checkpoint<StudyProgress> =
        checkpoint::read_newest(&run.checkpoints_dir(), &identity(config))
            .map_err(CheckpointError::without_flag)?;
    let (mut study, device, threads) = build(config)?;
    let AgentState { weights, optimizer, trainer, .. } = checkpoint.state;
    study
        .load(&StudyState { weights, optimizer, trainer })
        .context("the checkpoint does not fit the run's settings")?;

    // Clocks start here, not before the network was built.
    let subject = StudyTraining::new(config.clone(), study);
    Ok(Loaded { built: Built { subject, device, threads }, progress: checkpoint.progress })
}

/// Resumes a study in its own folder.
pub fn resume(run: RunDir, loaded: Loaded) -> anyhow::Result<StudyRun> {
    let Loaded { built, progress } = loaded;
    let way_on = "remove the newest checkpoint to continue from an earlier one";
    Recorder::check(&run, &progress.written, way_on)?;
    launch::resume(built, run, progress)
}

/// Settings that may change on resume: how long, where and how fast the study runs, but not what it
/// learns.
pub const FREE_ON_RESUME: &[&str] = &[
    "study.epochs",
    "stop_when_held",
    "data",
    "device",
    "threads",
    "checkpoint_every_epochs",
    "keep_checkpoints",
];

/// Lists the changes that would turn a resumed study into a different one.
pub fn refused_on_resume(old: &StudyRunConfig, new: &StudyRunConfig) -> Vec<String> {
    launch::changes(old, new)
        .into_iter()
        .filter(|(key, _)| !FREE_ON_RESUME.contains(&key.as_str()))
        .map(|(key, change)| format!("`{key}`: {change}"))
        .collect()
}

/// Rejects changes that would turn a resumed study into a different one.
pub fn check_resume(old: &StudyRunConfig, new: &StudyRunConfig) -> anyhow::Result<()> {
    let refusals = refused_on_resume(old, new);
    if refusals.is_empty() {
        return Ok(());
    }

    let list = refusals.join("\n  - ");
    Err(BadRequest::error(format!(
        "a resumed study must stay the same study:\n  - {list}\n\
         leave these out, or start a new run"
    )))
}

/// Builds the network of a study with its data; returns the device and the number of threads too.
pub fn build(config: &StudyRunConfig) -> anyhow::Result<(Study, Device, usize)> {
    let layer = layer_of(&config.layer).map_err(|problem| ConfigError::Problems(vec![problem]))?;
    let device = config.device.resolve()?;
    let pool = Arc::new(build_pool(config.threads, 1)?);
    let threads = pool.current_num_threads();
    let study = Study::build(StudySetup {
        task: config.task,
        split: config.split,
        layer,
        config: &config.study,
        seed: config.seed,
        data_dir: &config.data_dir(),
        notes_dir: notes_dir().as_deref(),
        device,
        pool,
    })?;

    Ok((study, device, threads))
}

/// Returns the user's folder for what can be made again, `~/.cache/coordrl` on most systems.
fn notes_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(folder.join("coordrl"))
}
