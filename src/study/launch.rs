//! Starts and resumes study sessions.
//!
//! Everything is validated before a folder is created or a byte written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordrl_agents::AgentState;
use coordrl_studies::{Study, StudySetup, StudyState};
use tch::Device;

use super::run::{identity, is_done};
use super::{StudyProgress, StudyResult, StudyRun, StudyRunConfig, layer_of};
use crate::config::{self, ConfigError};
use crate::exit_code::BadRequest;
use crate::metrics::console::status;
use crate::metrics::recorder::Recorder;
use crate::run::assemble::build_pool;
use crate::run::checkpoint::{self, Checkpoint, CheckpointError};
use crate::run::run_dir::{Meta, RunDir, Session};
use crate::stop_flag::StopFlag;
use coordrl_agents::device::device_name;

/// Returns the folder of all studies of this kind: `<runs_dir>/studies/<task>-<split>/<layer>`.
pub fn group(runs_dir: &Path, config: &StudyRunConfig) -> PathBuf {
    let task = format!("{}-{}", config.task.name(), config.split.name());
    runs_dir.join("studies").join(task).join(&config.layer)
}

/// Starts a study in a new folder.
pub fn new_run(
    config: StudyRunConfig,
    runs_dir: &Path,
    name: Option<&str>,
    stop: StopFlag,
) -> anyhow::Result<StudyRun> {
    let planned = RunDir::planned_path(&group(runs_dir, &config), config.seed, name)?;
    let (study, device, threads) = build(&config)?;
    let mut meta = Meta::new(config.seed, study.parameter_count());
    meta.sessions.push(Session::this_process(0, device_name(device), threads));
    let run = RunDir::create(&planned, name.is_some())?;
    run.write_config(&config)?;
    run.write_meta(&meta)?;
    announce(&run, &config, &meta);
    Ok(StudyRun::open(run, config, study, StudyProgress::default(), stop)?)
}

/// A study restored from its last checkpoint.
pub struct Loaded {
    /// Network with its data.
    pub study: Study,
    /// Counters and the latest evaluation.
    pub progress: StudyProgress,
    device: Device,
    threads: usize,
}

impl Loaded {
    /// Returns `true` if the study is complete.
    pub fn is_done(&self, config: &StudyRunConfig) -> bool {
        is_done(config, &self.study)
    }

    /// Returns the result so far; `None` before the first evaluation.
    pub fn result(&self, run: &RunDir, config: &StudyRunConfig) -> Option<StudyResult> {
        StudyResult::of(run.path().to_owned(), config, &self.progress, self.study.parameter_count())
    }
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
    let mut progress = checkpoint.progress;
    if study.mark_held() {
        // Checkpoints of the first versions do not record it; their studies stopped at that point.
        progress.hold_mark();
    }

    Ok(Loaded { study, progress, device, threads })
}

/// Resumes a study in its own folder.
pub fn resume(
    run: RunDir,
    config: StudyRunConfig,
    loaded: Loaded,
    stop: StopFlag,
) -> anyhow::Result<StudyRun> {
    let Loaded { study, progress, device, threads } = loaded;
    let way_on = "remove the newest checkpoint to continue from an earlier one";
    Recorder::check(&run, &progress.written, way_on)?;
    let mut meta = run.read_meta()?;
    run.write_config(&config)?;
    meta.sessions.push(Session::this_process(progress.updates, device_name(device), threads));
    run.write_meta(&meta)?;
    announce(&run, &config, &meta);
    status!("resumed at {} updates, epoch {}", progress.updates, progress.epochs);
    Ok(StudyRun::open(run, config, study, progress, stop)?)
}

/// Settings that may change on resume: how long, where and how fast the study runs, but not what it
/// learns.
const FREE_ON_RESUME: &[&str] = &[
    "study.epochs",
    "stop_when_held",
    "device",
    "threads",
    "checkpoint_every_epochs",
    "keep_checkpoints",
];

/// Rejects changes that would turn a resumed study into a different one; `way_on` suggests a
/// remedy.
pub fn check_resume(
    old: &StudyRunConfig,
    new: &StudyRunConfig,
    way_on: &str,
) -> anyhow::Result<()> {
    let was = config::leaves(old);
    let is = config::leaves(new);
    let changed = was.iter().zip(&is).filter(|((key, before), (_, after))| {
        before != after && !FREE_ON_RESUME.contains(&key.as_str())
    });

    let refusals: Vec<String> =
        changed.map(|((key, before), (_, after))| format!("`{key}`: {before} → {after}")).collect();
    if refusals.is_empty() {
        return Ok(());
    }

    let list = refusals.join("\n  - ");
    Err(BadRequest::error(format!(
        "a resumed study must stay the same study:\n  - {list}\n{way_on}"
    )))
}

fn build(config: &StudyRunConfig) -> anyhow::Result<(Study, Device, usize)> {
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
        device,
        pool,
    })?;

    Ok((study, device, threads))
}

fn announce(run: &RunDir, config: &StudyRunConfig, meta: &Meta) {
    status!("run folder {}", run.path().display());
    let session = meta.sessions.last();
    status!(
        "task {} · split {} · layer {} · {} parameters · device {} · {} threads · seed {} · mark: {}",
        config.task,
        config.split.name(),
        config.layer,
        meta.parameters,
        session.map_or("-", |session| session.device.as_str()),
        session.map_or(0, |session| session.threads),
        config.seed,
        config.task.mark(),
    );
}
