//! Estimates a sweep's time and disk use from measurements on this machine.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use coordrl_stats::median;

use super::SweepError;
use super::cell::CellState;
use super::child::{Ended, TrainingProcess};
use super::game_run::GameCell;
use super::planned::Planned;
use crate::config::{Algo, Period, RunConfig};
use crate::game::assemble::check_parts;
use crate::metrics::LogAxis;
use crate::metrics::read::{ReadPoint, read_points};
use crate::metrics::tags;
use crate::run::checkpoint;
use crate::run::run_dir::RunDir;
use crate::stop_flag::StopFlag;

/// Maximum length of a trial run: some seconds on two cores.
const TRIAL_FRAMES: u64 = 16_000;
/// Maximum length of a trial as a fraction of a run. Trials below the minimum give no forecast.
const TRIAL_SHARE: u64 = 20;
const SHORTEST_TRIAL_FRAMES: u64 = 1_000;
/// Log points of a trial. The first includes start-up and is skipped.
const TRIAL_POINTS: u64 = 4;
/// Transitions before a trial of Ape-X starts learning.
const TRIAL_WARMUP: u64 = 1_000;
const POLL: Duration = Duration::from_millis(50);

/// Measured costs of one run of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Emulator frames per second.
    pub frames_per_sec: f64,
    /// Size of a checkpoint without the replay.
    pub checkpoint_bytes: u64,
    /// Size of both metric files per log point.
    pub bytes_per_point: u64,
    /// Seconds per evaluation game; absent if there was none.
    pub secs_per_game: Option<f64>,
}

/// Unfinished run.
#[derive(Clone, Copy, Debug)]
pub struct RemainingRun<'a> {
    /// Settings.
    pub config: &'a RunConfig,
    /// Frames left to train.
    pub frames: u64,
    /// Bytes on disk already used by its checkpoints and metrics.
    pub held_bytes: u64,
    /// Measured costs of its arm.
    pub measured: Measured,
}

impl<'a> RemainingRun<'a> {
    /// Returns what is left of a cell; `None` if it is done.
    pub fn of(
        cell: &'a GameCell,
        state: CellState,
        measured: Measured,
        runs_dir: &Path,
    ) -> Option<Self> {
        let (done, held_bytes) = match state {
            CellState::Waiting => (0, 0),
            CellState::Begun { position: frames } => {
                (frames, bytes_held_by(&runs_dir.join(&cell.run)))
            }
            CellState::Done => return None,
        };
        let config = cell.config();
        Some(Self { config, frames: config.frames.saturating_sub(done), held_bytes, measured })
    }

    /// Returns `true` if its checkpoints contain a replay, which is most of their size.
    pub fn saves_replay(&self) -> bool {
        self.config.algorithm().saves_replay()
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn seconds(&self) -> f64 {
        let training = self.frames as f64 / self.measured.frames_per_sec;
        let evaluations =
            self.measured.secs_per_game.map_or(0.0, |secs| secs * self.games() as f64);

        training + evaluations
    }

    /// Returns the number of evaluation games still to be played.
    fn games(&self) -> u64 {
        let evaluation = &self.config.evaluation;
        let Period::EveryFrames(every) = evaluation.every_frames else { return 0 };
        if !self.config.is_evaluated() {
            return 0;
        }
        let done = self.config.frames - self.frames;
        let on_the_way = self.config.frames / every - done / every;
        // A run that has begun has already been evaluated at frame 0.
        let at_the_start = u64::from(done == 0);

        (at_the_start + on_the_way) * evaluation.episodes + evaluation.final_episodes
    }

    /// Returns the bytes kept after the run, without the replay: checkpoints and metrics.
    fn kept_bytes(&self) -> u64 {
        let Self { config, measured, .. } = self;
        // The first, the periodic and the last checkpoint; the newest of them and the best are
        // kept.
        let written = times_in(config.checkpoint_every_frames, config.frames).saturating_add(2);
        let checkpoints = written.min(u64::from(config.keep_checkpoints) + 1);
        let points = times_in(config.log_every_frames, config.frames).saturating_add(1);
        let of_points = points.saturating_mul(measured.bytes_per_point);
        checkpoints.saturating_mul(measured.checkpoint_bytes).saturating_add(of_points)
    }

    /// Returns the size of the replay in its newest checkpoint. A short run does not fill it, and
    /// on disk it is always compressed.
    fn replay_bytes(&self) -> u64 {
        if !self.saves_replay() {
            return 0;
        }
        // Not an error here: the request has already checked that the game loads.
        let Ok(spec) = check_parts(self.config) else { return 0 };
        let transitions = self.config.frames / u64::from(spec.frame_skip.max(1));
        let mut config = self.config.clone();
        config.apex.replay.capacity = config.apex.replay.capacity.min(transitions.max(1));
        config.apex.replay.compress = true;
        config.algorithm().memory(spec.obs_shape, tch::Device::Cpu).replay_bytes
    }
}

/// Returns how often something periodic happens in so many frames.
fn times_in(period: Period, frames: u64) -> u64 {
    match period {
        Period::EveryFrames(every) => frames / every.max(1),
        Period::Off => 0,
    }
}

/// Estimated cost of the remaining runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SweepEstimate {
    /// Seconds, with `jobs` concurrent runs.
    pub seconds: f64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl SweepEstimate {
    /// Estimates runs that are started in this order.
    pub fn of(left: &[RemainingRun<'_>], jobs: usize) -> Self {
        let seconds: Vec<f64> = left.iter().map(RemainingRun::seconds).collect();
        Self { seconds: time_of(&seconds, jobs), bytes: disk_bytes(left, jobs) }
    }
}

/// Returns the time at which the last run ends if each starts as soon as one of `jobs` slots is
/// free. Slots may idle at the end, when one long run is left.
fn time_of(seconds: &[f64], jobs: usize) -> f64 {
    let mut slots: Vec<f64> = vec![0.0; jobs.clamp(1, seconds.len().max(1))];
    for own in seconds {
        if let Some(least_loaded) = slots.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *least_loaded += own;
        }
    }
    slots.into_iter().fold(0.0, f64::max)
}

/// Returns the bytes kept by all runs, plus what concurrent runs need temporarily: the checkpoint
/// being written, with its own replay, before older ones are removed.
fn disk_bytes(left: &[RemainingRun<'_>], jobs: usize) -> u64 {
    let mut bytes: u64 = 0;
    let mut passing = Vec::new();
    for run in left {
        let replay = run.replay_bytes();
        let stays = run.kept_bytes().saturating_add(replay);
        bytes = bytes.saturating_add(stays.saturating_sub(run.held_bytes));
        passing.push(run.measured.checkpoint_bytes.saturating_add(replay));
    }
    // At worst, the largest checkpoints are written at the same time.
    passing.sort_unstable();
    passing.iter().rev().take(jobs).fold(bytes, |sum, largest| sum.saturating_add(*largest))
}

/// Returns the bytes covered by [`RemainingRun::kept_bytes`] and the replay. Forecasts exclude
/// videos.
fn bytes_held_by(run: &Path) -> u64 {
    let Ok(run) = RunDir::open_to_read(run) else { return 0 };
    folder_bytes(&run.checkpoints_dir())
        + folder_bytes(&run.events_dir())
        + folder_bytes(&run.metrics_path())
}

/// Returns the caveats to append to a forecast: a better agent may play longer evaluation games,
/// and videos are not measured.
pub fn conditions(left: &[RemainingRun<'_>]) -> &'static str {
    let evaluates = left.iter().any(|run| run.games() > 0);
    let films = left.iter().any(|run| run.config.video.every_frames != Period::Off);
    match (evaluates, films) {
        (true, true) => ", if evaluated games stay as long as they were, and without videos",
        (true, false) => ", if evaluated games stay as long as they were",
        (false, true) => ", without videos",
        (false, false) => "",
    }
}

/// Measures earlier work on a cell. Returns `None` before the last session's second log point, or
/// if that session's thread count, and therefore its speed, differs from the cell's.
pub fn measured_earlier(cell: &GameCell, runs_dir: &Path) -> Option<Measured> {
    let run = RunDir::open_to_read(&runs_dir.join(&cell.run)).ok()?;
    let session = run.read_meta().ok()?.sessions.pop()?;
    let same = threads_of(cell.config()) == Some(session.threads);
    if same { measured_in(&run, session.start_position) } else { None }
}

/// Returns a run's threads as counted in `meta.json`: Ape-X adds its own to those requested.
fn threads_of(config: &RunConfig) -> Option<usize> {
    let asked = config.threads? as usize;
    Some(asked + config.algorithm().own_threads())
}

/// Measures the session of a run that began at `start_frames`.
fn measured_in(run: &RunDir, start_frames: u64) -> Option<Measured> {
    let points = read_points(&run.metrics_path()).ok()?;
    // `None` is below every `Some`, which also leaves out points without frames.
    let of_session =
        points.iter().filter(|point| point.position(LogAxis::Frames) > Some(start_frames));
    let speeds = of_session.filter_map(|point| point.value(&tags::FRAMES_PER_SEC));
    // The first point includes start-up.
    let speeds: Vec<f64> = speeds.skip(1).collect();
    let newest = checkpoint::list(&run.checkpoints_dir()).pop()?;
    let written = folder_bytes(&run.events_dir()) + folder_bytes(&run.metrics_path());
    Some(Measured {
        // The median of no points is NaN, which the filter rejects.
        frames_per_sec: Some(median(speeds)).filter(|speed| *speed > 0.0)?,
        checkpoint_bytes: folder_bytes(&newest.path)
            .saturating_sub(checkpoint::replay_bytes(&newest.path)),
        // There are points: without them the speed above is missing.
        bytes_per_point: written / points.len() as u64,
        secs_per_game: secs_per_game(&points),
    })
}

/// Returns the seconds per game in a run's last evaluation: game lengths change with the agent.
fn secs_per_game(points: &[ReadPoint]) -> Option<f64> {
    points.iter().rev().find_map(|point| {
        Some(point.value(&tags::EVALUATION_SECS)? / point.value(&tags::EVAL_EPISODES)?)
    })
}

/// Measures an arm by trial runs of `cell`, as many at once as the sweep will run. Returns `None`
/// if the runs are too short for trials, or if stopped.
///
/// # Errors
/// If a trial fails, as the run itself would.
pub fn measure(
    cell: &GameCell,
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
    let trials: Vec<_> = (0..at_once)
        .map(|index| {
            let arguments = trial_arguments(cell, frames, folder.path(), index);
            let log = folder.path().join(format!("{index}.log"));
            TrainingProcess::start(&cell.plan.subcommand(), &arguments, &log)
        })
        .collect();

    // Wait for all of them even if one fails or cannot be started: they write into the folder,
    // which is removed on return.
    let ended: Vec<anyhow::Result<bool>> =
        trials.into_iter().map(|trial| wait_for(&mut trial?, cell, stop)).collect();
    if !ended.into_iter().collect::<anyhow::Result<Vec<bool>>>()?.into_iter().all(|done| done) {
        return Ok(None);
    }

    let group = folder.path().join(&config.game).join(cell.arm());
    let runs =
        (0..at_once).filter_map(|index| RunDir::open_to_read(&group.join(index.to_string())).ok());
    Ok(slowest(runs.filter_map(|run| measured_in(&run, 0))))
}

/// Copies the user's presets, since trials use a runs folder of their own.
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

/// Returns the slowest measurement, since concurrent runs compete for resources.
pub fn slowest(measured: impl Iterator<Item = Measured>) -> Option<Measured> {
    measured.min_by(|a, b| a.frames_per_sec.total_cmp(&b.frames_per_sec))
}

fn trial_arguments(cell: &GameCell, frames: u64, folder: &Path, index: usize) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = cell.arguments.iter().map(OsString::from).collect();
    for setting in [
        format!("frames={frames}"),
        format!("log_every_frames={}", frames / TRIAL_POINTS),
        // The first and the last are still written, and one is enough to measure its size.
        "checkpoint_every_frames=off".to_owned(),
        "video.every_frames=off".to_owned(),
    ] {
        arguments.push(format!("--set={setting}").into());
    }

    let config = cell.config();
    if config.is_evaluated() {
        // As many games as in a periodic evaluation: the trial's last evaluation is the one
        // measured.
        let games = config.evaluation.episodes;
        arguments.push(format!("--set=evaluation.every_frames={frames}").into());
        arguments.push(format!("--set=evaluation.final_episodes={games}").into());
    }

    if cell.config().algo == Algo::Apex {
        let warmup = TRIAL_WARMUP.min(cell.config().apex.replay.warmup_transitions);
        arguments.push(format!("--set=apex.replay.warmup_transitions={warmup}").into());
    }

    // clap rejects a repeated flag, and trials set `frames` themselves, so drop `--frames`.
    arguments.retain(|word| !word.to_string_lossy().starts_with("--frames="));
    arguments.extend([
        OsString::from("--runs-dir"),
        folder.into(),
        OsString::from("--name"),
        index.to_string().into(),
    ]);
    arguments
}

/// Waits for a trial; returns `false` if it was stopped.
fn wait_for(trial: &mut TrainingProcess, cell: &GameCell, stop: &StopFlag) -> anyhow::Result<bool> {
    loop {
        // The trial still has to be waited for: it writes a checkpoint into the temporary folder.
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

/// Returns the size of a file, or of all files below a folder.
fn folder_bytes(path: &Path) -> u64 {
    let own = fs::metadata(path).map_or(0, |about| if about.is_file() { about.len() } else { 0 });
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| folder_bytes(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layered;
    use crate::run::run_dir::{Meta, Session};

    const MEASURED: Measured = Measured {
        frames_per_sec: 100.0,
        checkpoint_bytes: 1_000,
        bytes_per_point: 5,
        secs_per_game: None,
    };

    fn left(config: &RunConfig) -> RemainingRun<'_> {
        RemainingRun { config, frames: config.frames, held_bytes: 0, measured: MEASURED }
    }

    /// Keeps the three newest of its twelve checkpoints and the best; has eleven log points.
    fn a2c() -> RunConfig {
        let every = Period::EveryFrames(100);
        RunConfig {
            frames: 1_000,
            log_every_frames: every,
            checkpoint_every_frames: every,
            keep_checkpoints: 3,
            ..RunConfig::default()
        }
    }

    fn apex(frames: u64) -> RunConfig {
        RunConfig { game: "catch".to_owned(), algo: Algo::Apex, frames, ..RunConfig::default() }
    }

    #[test]
    fn slots_that_stay_empty_make_nothing_faster() {
        let config = a2c();
        assert_eq!(SweepEstimate::of(&[left(&config)], 8).seconds, 10.0, "one run is one run");
        assert_eq!(
            SweepEstimate::of(&[left(&config); 3], 2).seconds,
            20.0,
            "the second round is half empty"
        );
        let begun = RemainingRun { frames: 400, ..left(&config) };
        assert_eq!(SweepEstimate::of(&[left(&config), begun, begun], 2).seconds, 10.0);
        assert_eq!(SweepEstimate::of(&[], 2), SweepEstimate::default());
    }

    #[test]
    fn runs_take_the_slot_that_is_free_first_in_their_order() {
        assert_eq!(time_of(&[3.0, 1.0, 1.0, 1.0], 2), 3.0);
        assert_eq!(time_of(&[1.0, 1.0, 1.0, 3.0], 2), 4.0, "a long run at the end is waited for");
        assert_eq!(time_of(&[2.0, 3.0], 1), 5.0);
    }

    #[test]
    fn every_run_keeps_its_checkpoints_and_those_at_work_hold_one_more() {
        let config = a2c();
        let run = left(&config);
        let kept = 4 * 1_000 + 11 * 5;
        assert_eq!(disk_bytes(&[run; 3], 2), 3 * kept + 2 * 1_000);
        assert_eq!(disk_bytes(&[run], 2), kept + 1_000);
        let endless = RunConfig {
            frames: u64::MAX,
            log_every_frames: Period::EveryFrames(1),
            ..config.clone()
        };
        assert_eq!(disk_bytes(&[left(&endless); 2], 1), u64::MAX, "no overflow");
    }

    #[test]
    fn what_a_run_holds_already_is_not_asked_for_again() {
        let config = a2c();
        let run = left(&config);
        let kept = 4 * 1_000 + 11 * 5;
        assert_eq!(
            disk_bytes(&[RemainingRun { held_bytes: 1_500, ..run }], 1),
            kept - 1_500 + 1_000
        );
        let more_than_it_needs = RemainingRun { held_bytes: 1_000_000, ..run };
        assert_eq!(
            disk_bytes(&[more_than_it_needs, run], 1),
            kept + 1_000,
            "it is not another's room"
        );
    }

    #[test]
    fn only_runs_at_work_hold_two_replays() {
        let config = apex(10_000);
        let run = left(&config);
        let replay = run.replay_bytes();
        assert!(replay > 1_000_000, "{replay}");
        let kept = run.kept_bytes() + replay;
        assert_eq!(disk_bytes(&[run; 5], 2), 5 * kept + 2 * (1_000 + replay));
    }

    #[test]
    fn a_replay_is_counted_as_far_as_it_is_saved_and_filled() {
        let [short, full, longer] = [apex(10_000), apex(2_000_000), apex(40_000_000)];
        assert_eq!(full.apex.replay.capacity, 2_000_000);
        let bytes = |config: &RunConfig| left(config).replay_bytes();
        assert!(bytes(&short) < bytes(&full) / 50, "catch makes a transition of every frame");
        assert_eq!(bytes(&full), bytes(&longer));
        assert_eq!(bytes(&a2c()), 0);
        let mut unsaved = apex(40_000_000);
        unsaved.apex.replay.save = false;
        assert!(!left(&unsaved).saves_replay() && left(&longer).saves_replay());
        assert_eq!(bytes(&unsaved), 0);
    }

    #[test]
    fn a_forecast_says_what_it_rests_on() {
        let plain = a2c();
        let mut evaluates = a2c();
        let mut films = a2c();
        evaluates.evaluation.every_frames = Period::EveryFrames(500);
        films.video.every_frames = Period::EveryFrames(500);
        let of = |configs: &[&RunConfig]| {
            let runs: Vec<RemainingRun<'_>> = configs.iter().map(|config| left(config)).collect();
            conditions(&runs)
        };

        let evaluated = ", if evaluated games stay as long as they were";
        assert_eq!(of(&[&plain]), "");
        assert_eq!(of(&[&plain, &evaluates]), evaluated);
        assert_eq!(of(&[&films]), ", without videos");
        assert_eq!(of(&[&films, &plain, &evaluates]), format!("{evaluated}, and without videos"));
    }

    #[test]
    fn evaluations_take_the_time_of_the_games_still_to_come() {
        let mut config = a2c();
        config.evaluation.every_frames = Period::EveryFrames(250);
        let measured = Measured { secs_per_game: Some(0.5), ..MEASURED };
        let new = RemainingRun { measured, ..left(&config) };
        // Ten games each at 0, 250, 500, 750 and 1000, then a hundred.
        assert_eq!(new.games(), 150);
        assert_eq!(new.seconds(), 10.0 + 75.0);

        let begun = RemainingRun { frames: 500, ..new };
        assert_eq!(begun.games(), 120, "those at 750 and 1000 and the last hundred");
        config.evaluation.every_frames = Period::EveryFrames(1_001);
        assert_eq!(
            RemainingRun { measured, ..left(&config) }.games(),
            0,
            "a run shorter than a period has none"
        );
    }

    #[test]
    fn the_last_evaluation_tells_how_long_a_game_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let lines = [
            r#"{"frames":0,"eval/episode_return":1.0,"eval/episodes":10.0,"perf/evaluation_secs":2.0}"#,
            r#"{"frames":5,"eval/episode_return":1.0,"eval/episodes":10.0,"perf/evaluation_secs":5.0}"#,
            r#"{"frames":6,"train/episode_return":1.0}"#,
        ];
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert_eq!(secs_per_game(&read_points(&path).unwrap()), Some(0.5));
    }

    /// Writes six log points, a checkpoint, and a second session from frame 300 on with two
    /// threads.
    fn earlier_run(path: &Path, config: &RunConfig) {
        let run = RunDir::create(path, true).unwrap();
        run.write_config(config).unwrap();
        fs::create_dir(run.checkpoints_dir().join("000000000500")).unwrap();
        let points = [(100, 9), (200, 9), (300, 9), (400, 999), (500, 30), (600, 40)];
        let line = |(frames, speed): (u64, u64)| {
            format!("{{\"frames\":{frames},\"perf/frames_per_sec\":{speed}}}\n")
        };

        fs::write(run.metrics_path(), points.map(line).concat()).unwrap();
        let mut meta = Meta::new(1, 0);
        let session = |start, threads| Session::this_process(start, "cpu".to_owned(), threads);
        meta.sessions = vec![session(0, 1), session(300, 2)];
        run.write_meta(&meta).unwrap();
    }

    #[test]
    fn earlier_work_tells_of_its_last_session_if_that_had_as_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        let config = RunConfig { threads: Some(2), ..a2c() };
        earlier_run(&folder.path().join("a"), &config);
        let settings = Layered { config, problems: Vec::new(), origins: Default::default() };
        let mut cell = GameCell { plan: settings, arguments: Vec::new(), run: "a".into() };
        let speed = |cell: &GameCell| {
            measured_earlier(cell, folder.path()).map(|found| found.frames_per_sec)
        };
        assert_eq!(speed(&cell), Some(35.0), "the session's first point tells of the start");
        cell.plan.config.threads = Some(1);
        assert_eq!(speed(&cell), None, "one thread is not as fast as two");
        cell.run = "b".into();
        assert_eq!(speed(&cell), None, "nothing there");
    }

    #[test]
    fn threads_of_ape_x_are_counted_as_its_runs_count_them() {
        let mut config = RunConfig { threads: Some(3), ..apex(1_000) };
        assert_eq!(threads_of(&config), Some(3 + config.apex.num_threads()));
        config.algo = Algo::A2c;
        assert_eq!(threads_of(&config), Some(3));
    }

    #[test]
    fn a_begun_run_is_forecast_from_where_it_stands_and_a_finished_one_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let config = a2c();
        earlier_run(&folder.path().join("a"), &config);
        let settings = Layered { config, problems: Vec::new(), origins: Default::default() };
        let cell = GameCell { plan: settings, arguments: Vec::new(), run: "a".into() };
        let of = |state| {
            let left = RemainingRun::of(&cell, state, MEASURED, folder.path());
            left.map(|left| (left.frames, left.held_bytes))
        };

        let numbers = fs::metadata(folder.path().join("a/metrics.jsonl")).unwrap().len();
        assert_eq!(of(CellState::Waiting), Some((1_000, 0)));
        assert_eq!(of(CellState::Begun { position: 500 }), Some((500, numbers)));
        assert_eq!(of(CellState::Done), None);
    }
}
