//! Starts and resumes runs of any kind.
//!
//! Everything is validated before a folder is created or a byte written.

use std::path::{Path, PathBuf};

use coordrl_agents::device::device_name;
use coordrl_agents::nn::NamedTensors;
use tch::Device;

use super::checkpoint::{self, CheckpointError, RunProgress};
use super::run_dir::{Meta, RunDir, Session};
use super::train_loop::TrainLoop;
use super::trainable::Trainable;
use super::weights_file;
use crate::config::{self, Configuration};
use crate::exit_code::BadRequest;
use crate::metrics::console::status;
use crate::stop_flag::StopFlag;

/// Location of a new run.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Folder of all runs of its kind.
    pub group: PathBuf,
    /// Name of the run's own folder; by default built from seed and time.
    pub name: Option<String>,
}

impl Destination {
    /// Returns the path of the new run's folder, which does not exist yet unless its name is made
    /// up and another process makes up the same.
    ///
    /// # Errors
    /// If the name is not a valid folder name, or is taken.
    pub fn plan(&self, seed: u64) -> anyhow::Result<PathBuf> {
        RunDir::planned_path(&self.group, seed, self.name.as_deref())
    }
}

/// Something to train, built from settings, and the machine's part in it.
pub struct Built<T> {
    /// The agent or the study.
    pub subject: T,
    /// Device of its networks.
    pub device: Device,
    /// Number of worker threads.
    pub threads: usize,
}

impl<T: Trainable> Built<T> {
    fn session(&self, start_position: u64) -> Session {
        Session::this_process(start_position, device_name(self.device), self.threads)
    }

    fn announce(&self, run: &RunDir, meta: &Meta) {
        status!("run folder {}", run.path().display());
        status!(
            "{} · {} parameters · device {} · {} threads · seed {} · {}",
            self.subject.title(),
            meta.parameters,
            device_name(self.device),
            self.threads,
            meta.seed,
            self.subject.remark(meta),
        );
    }
}

/// Creates the folder of a new run at `to`, from [`Destination::plan`]; `is_named` if the user
/// named it.
///
/// # Errors
/// If the folder cannot be created or written.
pub fn begin<T: Trainable>(
    built: Built<T>,
    to: &Path,
    is_named: bool,
    mut meta: Meta,
    progress: T::Progress,
) -> anyhow::Result<TrainLoop<T>> {
    meta.add_session(built.session(progress.position()));
    // Before this point a signal simply ends the process: there is nothing to save.
    let stop = StopFlag::on_signals()?;
    let run = RunDir::create(to, is_named)?;
    // A folder that lacks either file counts as a run that never began.
    run.write_config(built.subject.config())?;
    run.write_meta(&meta)?;
    built.announce(&run, &meta);
    Ok(TrainLoop::open(run, built.subject, progress, stop)?)
}

/// Resumes a run in its own folder, from the state loaded into `built`.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn resume<T: Trainable>(
    built: Built<T>,
    run: RunDir,
    progress: T::Progress,
) -> anyhow::Result<TrainLoop<T>> {
    let mut meta = run.read_meta()?;
    let stop = StopFlag::on_signals()?;
    run.write_config(built.subject.config())?;
    meta.add_session(built.session(progress.position()));
    run.write_meta(&meta)?;
    // The run diverges here from its later checkpoints: resuming from one would mix two runs.
    checkpoint::remove_later_than(&run.checkpoints_dir(), progress.position())?;
    built.announce(&run, &meta);
    let position = progress.position();
    status!("resumed at {position} of {} {}", built.subject.end(), T::AXIS.name());
    Ok(TrainLoop::open(run, built.subject, progress, stop)?)
}

/// Reads the weights of `--init-from`: those of a safetensors file, or of a run's last checkpoint.
///
/// # Errors
/// If there are none.
pub fn read_init_weights(from: &Path) -> anyhow::Result<NamedTensors> {
    if from.is_dir() {
        let run = RunDir::open_to_read(from)?;
        let entry = checkpoint::choose(&run.checkpoints_dir(), "last")?;
        return Ok(checkpoint::read_weights(&entry, None)
            .map_err(CheckpointError::without_flag)?
            .1);
    }
    let bad =
        |cause: String| BadRequest::error(format!("`--init-from {}`: {cause}", from.display()));
    let bytes = std::fs::read(from).map_err(|error| bad(error.to_string()))?;
    weights_file::from_bytes(&bytes).map_err(|error| bad(error.to_string()))
}

/// Lists the settings whose values differ, each with `old → new`.
pub fn changes<C: Configuration>(old: &C, new: &C) -> Vec<(String, String)> {
    let old = config::leaves(old);
    let new = config::leaves(new);
    new.into_iter()
        .filter_map(|(key, value)| {
            let before = old.iter().find(|(known, _)| *known == key);
            let before = before.map(|(_, value)| value.clone()).unwrap_or_default();
            (before != value).then(|| (key, format!("{before} → {value}")))
        })
        .collect()
}
