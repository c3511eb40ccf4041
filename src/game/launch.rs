//! Starts, resumes and forks runs of games.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use coordrl_agents::replay::ReplayError;
use coordrl_agents::{Agent, AgentError};

use super::assemble::{Assembled, assemble};
use super::progress::{BestBy, Progress};
use super::training::GameTraining;
use crate::config::{Algo, RunConfig};
use crate::exit_code::BadRequest;
use crate::fleet::{self, LinkAddress};
use crate::machine;
use crate::metrics::console::status;
use crate::metrics::recorder::Recorder;
use crate::run::checkpoint::{Checkpoint, CheckpointError};
use crate::run::launch::{self, Built, Destination};
use crate::run::run_dir::{Meta, RunDir};
use crate::run::train_loop::TrainLoop;
use crate::text::path_text::encode;

/// A run of a game in memory.
pub type GameRun = TrainLoop<GameTraining>;

/// Origin of a new run, apart from its settings.
#[derive(Debug, Default)]
pub struct Start {
    /// Preset its settings are based on, for the record.
    pub preset: Option<String>,
    /// Weights file or run to take initial weights from.
    pub init_from: Option<PathBuf>,
    /// Checkpoint to continue from in full, and its path.
    pub fork: Option<(PathBuf, Checkpoint<Progress>)>,
    /// Broker through which actors elsewhere take part.
    pub link: Option<LinkAddress>,
}

/// Starts a run in a new folder.
pub fn new_run(config: RunConfig, to: &Destination, start: Start) -> anyhow::Result<GameRun> {
    let planned = to.plan(config.seed)?;
    let mut assembled = assemble(&config)?;
    if let Some(from) = &start.init_from {
        load_weights_only(assembled.agent.as_mut(), from)?;
    }
    join(assembled.agent.as_mut(), &config, start.link.as_ref(), &planned)?;

    let meta = first_meta(&config, &start, assembled.agent.parameter_count());
    let progress = match start.fork {
        Some((_, checkpoint)) => take_over(assembled.agent.as_mut(), checkpoint)?,
        None => Progress::default(),
    };

    let (built, progress) = into_parts(config, assembled, progress);
    launch::begin(built, &planned, to.name.is_some(), meta, progress)
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
    link: Option<&LinkAddress>,
) -> anyhow::Result<GameRun> {
    // Before the agent is built and its replay read, so that damaged metrics are reported at once.
    Recorder::check(&run, &from.progress.written, CHOOSE_EARLIER)?;
    let mut assembled = assemble(&config)?;
    join(assembled.agent.as_mut(), &config, link, run.path())?;
    let progress = take_over(assembled.agent.as_mut(), from)?;
    let (built, progress) = into_parts(config, assembled, progress);
    launch::resume(built, run, progress)
}

/// Makes this process the learner of the run in `folder` at a broker, if there is one.
fn join(
    agent: &mut dyn Agent,
    config: &RunConfig,
    link: Option<&LinkAddress>,
    folder: &Path,
) -> anyhow::Result<()> {
    let Some(link) = link else {
        let nobody_acts = config.algo == Algo::Apex && config.apex.num_actors() == 0;
        return match nobody_acts {
            true => Err(BadRequest::error(
                "`apex.actors` is 0, so that only actors elsewhere act: give `--link`, or more actors",
            )),
            false => Ok(()),
        };
    };
    fleet::join_as_learner(agent, config, link, &fleet::run_name(config, folder))
}

/// Prepares a checkpoint for a fork, whose metric files and evaluations start anew.
pub fn fork_progress(mut checkpoint: Checkpoint<Progress>) -> Checkpoint<Progress> {
    let progress = &mut checkpoint.progress;
    progress.written = Default::default();
    progress.evaluated_frames = None;
    // Nothing is trained yet, so the first evaluation is made again, for the fork's own metrics.
    if progress.frames == 0 {
        progress.best_by = BestBy::Training;
    }
    checkpoint
}

/// Returns what the run loop takes: the subject and its progress.
fn into_parts(
    config: RunConfig,
    assembled: Assembled,
    mut progress: Progress,
) -> (Built<GameTraining>, Progress) {
    let Assembled { agent, device, threads, replay_bytes } = assembled;
    if let Some(bytes) = replay_bytes {
        let capacity = config.apex.replay.capacity;
        status!("replay of {capacity} transitions, up to {}", machine::size(bytes));
    }

    progress.best_by = progress.best_by.suiting(config.is_evaluated());
    let subject = GameTraining::new(config, agent, progress.frames);
    (Built { subject, device, threads }, progress)
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
    let weights = launch::read_init_weights(from)?;
    agent.load_weights(&weights).map_err(|error| {
        BadRequest::error(format!("`--init-from {}` does not fit: {error}", from.display()))
    })
}

/// Builds the metadata of a run before its first session.
fn first_meta(config: &RunConfig, start: &Start, parameters: u64) -> Meta {
    Meta {
        preset: start.preset.clone(),
        forked_from: start.fork.as_ref().map(|(path, _)| encode(path)),
        init_from: start.init_from.as_ref().map(encode),
        ..Meta::new(config.seed, parameters)
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
