//! How long a sweep will take and how much disk, from what was measured here.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use coordrl_stats::median;

use super::SweepError;
use super::cell::{Cell, CellState};
use super::child::{Ended, TrainingProcess};
use crate::assemble::check_parts;
use crate::checkpoint;
use crate::config::{Algo, Period, RunConfig};
use crate::interrupt::StopFlag;
use crate::memory;
use crate::metrics::read::read_points;
use crate::metrics::tags;
use crate::run_dir::RunDir;

/// Length of a trial run at most: some seconds on two cores.
const TRIAL_FRAMES: u64 = 16_000;
/// A trial is at most this part of a run, and shorter ones than this make no forecast.
const TRIAL_SHARE: u64 = 20;
const SHORTEST_TRIAL_FRAMES: u64 = 1_000;
/// Log points of a trial. The first tells of the start as well and is left out.
const TRIAL_POINTS: u64 = 4;
/// Transitions before a trial of Ape-X learns.
const TRIAL_WARMUP: u64 = 1_000;
const POLL: Duration = Duration::from_millis(50);

/// What one run of an arm was seen to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Emulator frames a second.
    pub frames_per_sec: f64,
    /// A checkpoint, without the replay.
    pub checkpoint_bytes: u64,
    /// Both metric files, for each log point.
    pub bytes_per_point: u64,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Seconds, with so many runs at a time.
    pub seconds: f64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Forecast {
    /// Adds up what is left of the cells.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn of<'a>(cells: impl Iterator<Item = (&'a Cell, CellState, Measured)>, jobs: usize) -> Self {
        let mut all = Self::default();
        for (cell, state, measured) in cells {
            let done = match state {
                CellState::Waiting => 0,
                CellState::Begun { frames } => frames,
                CellState::Done => continue,
            };
            let left = cell.config().frames.saturating_sub(done);
            all.seconds += left as f64 / measured.frames_per_sec / jobs as f64;
            // What a begun run has on the disk already is small beside what is to come.
            all.bytes += disk_bytes(cell.config(), measured);
        }
        all
    }
}

/// The checkpoints that stay, the one that is being written, the newest replay, and the numbers.
fn disk_bytes(config: &RunConfig, measured: Measured) -> u64 {
    let count = |period: Period| match period {
        Period::EveryFrames(frames) => config.frames / frames.max(1),
        Period::Off => 0,
    };
    // The first, those on the way, the last; of these the newest, the best, and one being written.
    let checkpoints = (count(config.checkpoint_every_frames) + 2).min(u64::from(config.keep_checkpoints) + 2);
    let points = count(config.log_every_frames) + 1;
    checkpoints * measured.checkpoint_bytes + points * measured.bytes_per_point + 2 * replay_bytes(config)
}

fn replay_bytes(config: &RunConfig) -> u64 {
    match (config.algo, check_parts(config)) {
        (Algo::Apex, Ok(spec)) => memory::forecast(config, &spec, tch::Device::Cpu).replay_bytes,
        _ => 0,
    }
}

/// What earlier work on a cell tells; absent before its second log point.
pub fn measured_in(run: &Path) -> Option<Measured> {
    let run = RunDir::open_to_read(run).ok()?;
    let points = read_points(&run.metrics_path()).ok()?;
    let later = points.get(1..).filter(|later| !later.is_empty())?;
    let speeds: Vec<f64> = later.iter().filter_map(|point| point.value(&tags::FRAMES_PER_SEC)).collect();
    let newest = checkpoint::list(&run.checkpoints_dir()).pop()?;
    let written = folder_bytes(&run.events_dir()) + folder_bytes(&run.metrics_path());
    Some(Measured {
        frames_per_sec: Some(median(speeds)).filter(|speed| *speed > 0.0)?,
        checkpoint_bytes: folder_bytes(&newest.path).saturating_sub(checkpoint::replay_bytes(&newest.path)),
        bytes_per_point: written / points.len() as u64,
    })
}

/// Measures an arm by trial runs of `cell`, as many at once as there will be; `None` if a run is too
/// short for that, or a signal came.
///
/// # Errors
/// If a trial fails: so would the run.
pub fn measure(
    cell: &Cell,
    runs_dir: &Path,
    at_once: usize,
    stop: &StopFlag,
) -> anyhow::Result<Option<Measured>> {
    let config = cell.config();
    let frames = TRIAL_FRAMES.min(config.frames / TRIAL_SHARE);
    if frames < SHORTEST_TRIAL_FRAMES {
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("cannot make a folder for trial runs")?;
    copy_presets(runs_dir, folder.path()).context("cannot copy presets for trial runs")?;
    let mut trials = Vec::new();
    for index in 0..at_once {
        let arguments = trial_arguments(cell, frames, folder.path(), index);
        trials.push(TrainingProcess::start(&arguments, &folder.path().join(format!("{index}.log")))?);
    }
    // All of them, whatever comes of the first: they write into the folder.
    let ended: Vec<anyhow::Result<bool>> =
        trials.iter_mut().map(|trial| wait_for(trial, cell, stop)).collect();
    if !ended.into_iter().collect::<anyhow::Result<Vec<bool>>>()?.into_iter().all(|done| done) {
        return Ok(None);
    }
    let group = folder.path().join(&config.game).join(cell.arm());
    let seen = (0..at_once).filter_map(|index| measured_in(&group.join(index.to_string())));
    Ok(slowest(seen))
}

/// A trial's runs folder is one of its own, and presets of the user's lie in theirs.
fn copy_presets(from: &Path, to: &Path) -> std::io::Result<()> {
    let presets = to.join("presets");
    fs::create_dir(&presets)?;
    for entry in fs::read_dir(from.join("presets")).into_iter().flatten().flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), presets.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn slowest(measured: impl Iterator<Item = Measured>) -> Option<Measured> {
    measured.min_by(|a, b| a.frames_per_sec.total_cmp(&b.frames_per_sec))
}

fn trial_arguments(cell: &Cell, frames: u64, folder: &Path, index: usize) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = cell.arguments.iter().map(OsString::from).collect();
    let mut add = |text: String| arguments.push(text.into());
    for setting in [
        format!("frames={frames}"),
        format!("log_every_frames={}", frames / TRIAL_POINTS),
        "checkpoint_every_frames=off".to_owned(),
        "evaluation.every_frames=off".to_owned(),
        "video.every_frames=off".to_owned(),
    ] {
        add(format!("--set={setting}"));
    }
    if cell.config().algo == Algo::Apex {
        let warmup = TRIAL_WARMUP.min(cell.config().apex.replay.warmup_transitions);
        add(format!("--set=apex.replay.warmup_transitions={warmup}"));
    }
    // Of a flag that is given twice the later one would be refused: `--frames` is left out of trials.
    arguments.retain(|word| !word.to_string_lossy().starts_with("--frames="));
    arguments.extend([
        OsString::from("--runs-dir"),
        folder.into(),
        OsString::from("--name"),
        index.to_string().into(),
    ]);
    arguments
}

/// Whether it ended as it should; not if a signal came.
fn wait_for(trial: &mut TrainingProcess, cell: &Cell, stop: &StopFlag) -> anyhow::Result<bool> {
    loop {
        if stop.is_raised() {
            trial.stop();
        }
        match trial.ended()? {
            None => std::thread::sleep(POLL),
            Some(Ended::WithoutError) => return Ok(true),
            Some(Ended::Stopped) => return Ok(false),
            Some(Ended::Failed(failure, code)) => {
                return Err(SweepError::Trial { title: cell.title(), failure, code }.into());
            }
        }
    }
}

/// Bytes of a file, or of all files below a folder.
fn folder_bytes(path: &Path) -> u64 {
    let own = fs::metadata(path).map_or(0, |about| if about.is_file() { about.len() } else { 0 });
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| folder_bytes(&entry.path())).sum::<u64>()
}
