//! Starts, resumes and forks training sessions.
//!
//! Everything is validated before a folder is created or a byte written.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use coordrl_agents::replay::ReplayError;
use coordrl_agents::{Agent, AgentError};
use tch::Tensor;

use crate::config::{self, Layered, RunConfig};
use crate::exit_code::BadRequest;
use crate::machine;
use crate::metrics::console::status;
use crate::metrics::recorder::Recorder;
use crate::run::assemble::{Assembled, assemble};
use crate::run::checkpoint::{self, Checkpoint, CheckpointError};
use crate::run::progress::Progress;
use crate::run::run_dir::{Meta, RunDir, Session};
use crate::run::train_loop::Trainer;
use crate::run::weights_file;
use crate::stop_flag::StopFlag;
use crate::text::path_text::encode;
use coordrl_agents::device::device_name;

/// Location of a new run.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Folder of all runs of its kind: see [`group`].
    pub group: PathBuf,
    /// Name of the run's own folder; by default built from seed and time.
    pub name: Option<String>,
}

/// Origin of a new run, apart from its settings.
#[derive(Debug, Default)]
pub struct Start {
    /// Preset its settings are based on, for the record.
    pub preset: Option<String>,
    /// Weights file or run to take initial weights from.
    pub init_from: Option<PathBuf>,
    /// Checkpoint to continue from in full, and its path.
    pub fork: Option<(PathBuf, Checkpoint<Progress>)>,
}

/// Starts a run in a new folder.
pub fn new_run(config: RunConfig, to: &Destination, start: Start) -> anyhow::Result<Trainer> {
    let planned = RunDir::planned_path(&to.group, config.seed, to.name.as_deref())?;
    let mut assembled = assemble(&config)?;
    if let Some(from) = &start.init_from {
        load_weights_only(assembled.agent.as_mut(), from)?;
    }

    let mut meta = first_meta(&config, &start, &assembled);
    let progress = match start.fork {
        Some((_, checkpoint)) => take_over(assembled.agent.as_mut(), checkpoint)?,
        None => Progress::default(),
    };

    meta.sessions.push(session(&assembled, progress.frames));
    // Before this point a signal simply ends the process: there is nothing to save.
    let stop = StopFlag::on_signals()?;
    let run = RunDir::create(&planned, to.name.is_some())?;
    run.write_config(&config)?;
    run.write_meta(&meta)?;
    announce(&run, &config, &assembled, &meta);
    Ok(Trainer::open(run, config, assembled.agent, progress, stop)?)
}

/// Returns the folder of all runs of this kind: `<runs_dir>/<game>/<algo>-<torso>`.
pub fn group(runs_dir: &Path, config: &RunConfig) -> PathBuf {
    runs_dir.join(&config.game).join(format!("{}-{}", config.algo.name(), config.torso))
}

/// Resumes a run in its own folder.
pub fn resume(
    run: RunDir,
    config: RunConfig,
    from: Checkpoint<Progress>,
) -> anyhow::Result<Trainer> {
    Recorder::check(&run, &from.progress.written, CHOOSE_EARLIER)?;
    let mut assembled = assemble(&config)?;
    let mut meta = run.read_meta()?;
    let progress = take_over(assembled.agent.as_mut(), from)?;
    let stop = StopFlag::on_signals()?;
    run.write_config(&config)?;
    meta.sessions.push(session(&assembled, progress.frames));
    run.write_meta(&meta)?;
    checkpoint::remove_later_than(&run.checkpoints_dir(), progress.frames)?;
    announce(&run, &config, &assembled, &meta);
    status!("resumed at {} of {} frames", progress.frames, config.frames);
    Ok(Trainer::open(run, config, assembled.agent, progress, stop)?)
}

/// Resets the metric-file lengths: a fork starts its own files at the checkpoint's position.
pub fn fork_progress(mut checkpoint: Checkpoint<Progress>) -> Checkpoint<Progress> {
    checkpoint.progress.written = Default::default();
    checkpoint
}

/// Settings that may change on resume: they affect where and how fast the run executes and how
/// often it reports, but not what it learns.
pub(crate) const FREE_ON_RESUME: &[&str] = &[
    "device",
    "threads",
    "torch_threads",
    "rom_dir",
    "log_every_frames",
    "checkpoint_every_frames",
    "keep_checkpoints",
    "evaluation.every_frames",
    "evaluation.episodes",
    "evaluation.max_frames",
    "evaluation.final_episodes",
    "evaluation.final_max_frames",
    "video.every_frames",
    "video.max_frames",
];

/// Settings outside an algorithm's table that decide the shape of a checkpoint; not even a fork may
/// change them.
const FIXED_ON_FORK: &[&str] = &["game", "algo", "torso", "seed"];

/// Returns whether the algorithm in use cannot fork with a different value of `key`.
fn is_fixed_by_algorithm(config: &RunConfig, key: &str, same_moments: bool) -> bool {
    let algorithm = config.algorithm().algorithm();
    let Some(key) = key.strip_prefix(algorithm.name).and_then(|key| key.strip_prefix('.')) else {
        return false;
    };
    // These two decide which running averages the optimiser stores.
    let decides_moments = |name: &str| {
        key.strip_prefix(algorithm.optimizer_table)
            .is_some_and(|rest| rest.strip_prefix('.') == Some(name))
    };
    algorithm.fixed_on_fork.contains(&key)
        || (!same_moments && (decides_moments("centered") || decides_moments("momentum")))
}

/// Lists the changes that would turn a resumed run into a different one, each with its reason. The
/// remedy depends on the command.
pub fn refused_on_resume(old: &RunConfig, new: &RunConfig, frames_done: u64) -> Vec<String> {
    let mut refusals = Vec::new();
    for (key, change) in changes(old, new) {
        if key == "frames" {
            refusals.extend(refuse_frames(old, new, frames_done));
        } else if !FREE_ON_RESUME.contains(&key.as_str()) {
            refusals.push(format!("`{key}`: {change} alters the algorithm"));
        }
    }
    refusals
}

/// Rejects changes that would turn a run resumed by `coordrl train` into a different one.
pub fn check_resume(
    old: &RunConfig,
    new: &Layered<RunConfig>,
    frames_done: u64,
) -> anyhow::Result<()> {
    let refusals = refused_on_resume(old, &new.config, frames_done);
    if refusals.is_empty() {
        return Ok(());
    }
    let list = refusals.join("\n  - ");
    let way_on = way_on(old, &new.config, frames_done);
    Err(BadRequest::error(format!("a resumed run must stay the same run:\n  - {list}\n{way_on}")))
}

/// Suggests a command that accepts changes a resume rejects.
fn way_on(old: &RunConfig, new: &RunConfig, frames_done: u64) -> String {
    if check_fork(old, new).is_err() {
        return "not even `--fork` takes all of these; a new run with `--init-from` takes over weights alone"
            .to_owned();
    }

    match new.frames > frames_done {
        true => "add `--fork` to start a new run from this checkpoint".to_owned(),
        false => {
            format!(
                "with `--fork` and `--frames` above {frames_done} a new run starts from this checkpoint"
            )
        }
    }
}

/// Suggests flags to extend a finished run.
pub fn how_to_extend(config: &RunConfig) -> &'static str {
    match has_constant_schedule(config) {
        true => "a larger `--frames` extends it",
        false => {
            "its schedule of learning rates ends there, so it cannot be extended; `--fork` with a larger \
             `--frames` starts a new run from its last checkpoint"
        }
    }
}

fn has_constant_schedule(config: &RunConfig) -> bool {
    config.algorithm().optimizer().schedule == coordrl_agents::Schedule::Constant
}

/// Rejects changes that the checkpoint's contents cannot support.
pub fn check_fork(old: &RunConfig, new: &RunConfig) -> anyhow::Result<()> {
    let moments = |config: &RunConfig| {
        let optimizer = config.algorithm().optimizer();
        (optimizer.centered, optimizer.momentum > 0.0)
    };

    let same_moments = moments(old) == moments(new);
    let fixed = |key: &str| {
        FIXED_ON_FORK.contains(&key)
            || key.starts_with("env.")
            || is_fixed_by_algorithm(old, key, same_moments)
    };

    let refusals: Vec<String> = changes(old, new)
        .into_iter()
        .filter(|(key, _)| fixed(key))
        .map(|(key, change)| {
            format!("`{key}`: {change} does not fit the saved environments, generators, moments or weights")
        })
        .collect();
    match refusals.as_slice() {
        [] => Ok(()),
        _ => Err(BadRequest::error(format!(
            "cannot fork:\n  - {}\na new run with `--init-from` takes over weights alone",
            refusals.join("\n  - ")
        ))),
    }
}

fn refuse_frames(old: &RunConfig, new: &RunConfig, frames_done: u64) -> Option<String> {
    let change = format!("`frames`: {} → {}", old.frames, new.frames);
    if new.frames < old.frames {
        return Some(format!(
            "{change} is shorter; it stands at {frames_done}, and a run can only be extended"
        ));
    }
    (!has_constant_schedule(new)).then(|| {
        format!("{change} alters the learning rates already used: its schedule is not constant")
    })
}

/// Lists the keys whose values differ, each with `old → new`.
fn changes(old: &RunConfig, new: &RunConfig) -> Vec<(String, String)> {
    let old = config::leaves(old);
    let new = config::leaves(new);
    let old_of =
        |key: &str| old.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    new.into_iter()
        .filter_map(|(key, value)| {
            let before = old_of(&key).unwrap_or_default();
            (before != value).then(|| (key, format!("{before} → {value}")))
        })
        .collect()
}

/// Remedy if the newest checkpoint cannot be resumed.
pub const CHOOSE_EARLIER: &str = "continue from an earlier one with `--checkpoint`";
const CANNOT_READ_REPLAY: &str = "cannot read the checkpoint's replay";

fn take_over(agent: &mut dyn Agent, checkpoint: Checkpoint<Progress>) -> anyhow::Result<Progress> {
    let replay = checkpoint.open_replay().context(CANNOT_READ_REPLAY)?;
    if agent.has_replay() && replay.is_none() {
        status!("no replay in this checkpoint: a new warm-up is gathered before learning goes on");
    }
    let Checkpoint { state, progress, replay: file, .. } = checkpoint;
    let mut replay = replay;
    let bytes = replay.as_mut().map(|bytes| bytes as &mut dyn Read);
    agent.load(state, bytes).map_err(|error| explain_load(error, file.as_deref()))?;
    Ok(progress)
}

/// Classifies a load error. A replay is verified only while it is read, so damage there must not be
/// blamed on the settings.
fn explain_load(error: AgentError, replay: Option<&Path>) -> anyhow::Error {
    use ReplayError::{DamagedPlane, Io, SnapshotDamaged};
    match (&error, replay) {
        (
            AgentError::Replay(cause @ (SnapshotDamaged { .. } | DamagedPlane { .. })),
            Some(file),
        ) => CheckpointError::damaged_replay(file, cause).into(),
        (AgentError::Replay(Io(_)), _) => anyhow::Error::new(error).context(CANNOT_READ_REPLAY),
        _ => anyhow::Error::new(error).context("the checkpoint does not fit the run's settings"),
    }
}

fn load_weights_only(agent: &mut dyn Agent, from: &Path) -> anyhow::Result<()> {
    let weights = read_init_weights(from)?;
    agent.load_weights(&weights).map_err(|error| {
        BadRequest::error(format!("`--init-from {}` does not fit: {error}", from.display()))
    })
}

/// Reads the weights of a safetensors file, or of a run's last checkpoint.
fn read_init_weights(from: &Path) -> anyhow::Result<Vec<(String, Tensor)>> {
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

/// Builds the metadata of a run before its first session.
fn first_meta(config: &RunConfig, start: &Start, assembled: &Assembled) -> Meta {
    Meta {
        preset: start.preset.clone(),
        forked_from: start.fork.as_ref().map(|(path, _)| encode(path)),
        init_from: start.init_from.as_ref().map(encode),
        ..Meta::new(config.seed, assembled.agent.parameter_count())
    }
}

fn session(assembled: &Assembled, start_frames: u64) -> Session {
    Session::this_process(start_frames, device_name(assembled.device), assembled.threads)
}

fn announce(run: &RunDir, config: &RunConfig, assembled: &Assembled, meta: &Meta) {
    status!("run folder {}", run.path().display());
    status!(
        "game {} · {} · torso {} · {} parameters · device {} · {} threads · seed {} · preset {}",
        config.game,
        config.algo.name(),
        config.torso,
        meta.parameters,
        device_name(assembled.device),
        assembled.threads,
        config.seed,
        meta.preset.as_deref().unwrap_or("none"),
    );
    if let Some(bytes) = assembled.replay_bytes {
        let capacity = config.apex.replay.capacity;
        status!("replay of {capacity} transitions, up to {}", machine::size(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::exit_code_of;
    use crate::exit_code::ExitCode;

    #[test]
    fn a_replay_that_cannot_be_read_or_is_damaged_is_not_the_settings_fault() {
        let file = Path::new("runs/a/600/replay.bin");
        let explained = |cause: ReplayError| explain_load(cause.into(), Some(file));
        let unread = explained(ReplayError::Io(std::io::Error::other("a bad sector")));
        assert_eq!(exit_code_of(&unread), ExitCode::MachineRefused);
        assert!(format!("{unread:#}").starts_with(CANNOT_READ_REPLAY), "{unread:#}");
        let damaged = explained(ReplayError::DamagedPlane { reason: "too short".to_owned() });
        assert_eq!(exit_code_of(&damaged), ExitCode::BadRun);
        let text = format!("{damaged:#}");
        assert!(
            text.starts_with("checkpoint runs/a/600 is damaged: runs/a/600/replay.bin: "),
            "{text}"
        );
        let [found, expected] = ["2", "1"].map(str::to_owned);
        let other = explained(ReplayError::SnapshotMismatch { what: "version", found, expected });
        assert_eq!(exit_code_of(&other), ExitCode::BadRun);
        assert!(format!("{other:#}").contains("does not fit the run's settings"), "{other:#}");
    }
}
