//! The training loop: update, count, report, checkpoint; over and over, until done or told to stop.

use std::path::PathBuf;
use std::time::Instant;

use coordrl_agents::{AgentError, Policy};

use crate::agent::{Agent, Told};
use crate::assemble::{assets, build_pool};
use crate::checkpoint::{self, Identity};
use crate::config::{Period, RunConfig};
use crate::evaluation::{Plan, Summary, play, policy_of};
use crate::interrupt::StopFlag;
use crate::known_scores::known_scores;
use crate::memory;
use crate::metrics::console::Console;
use crate::metrics::perf::PerfMeter;
use crate::metrics::recorder::Recorder;
use crate::metrics::{Axis, LogPoint, tags};
use crate::progress::{BestBy, Progress};
use crate::run_dir::{RunDir, RunDirError, replace_file};
use crate::video::Format;
use crate::video::film::{Film, Scene};
use crate::video::game::Ending;
use crate::video::panel::Beside;
use crate::weights_file;

/// Pictures a second of the videos made while training.
const VIDEO_FPS: usize = 30;

/// How a training session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All frames are trained.
    Finished,
    /// Ctrl-C, SIGTERM or SIGHUP; there is a checkpoint.
    Interrupted,
}

/// A run in memory: the folder, the agent, and where the numbers go.
pub struct Trainer {
    run: RunDir,
    config: RunConfig,
    agent: Agent,
    progress: Progress,
    recorder: Recorder,
    console: Console,
    perf: PerfMeter,
    stop: StopFlag,
    clock: Instant,
}

impl Trainer {
    /// Whether a run that has trained all its frames was stopped before its last log point.
    ///
    /// That point comes after the last checkpoint, so a crash between the two loses it; training
    /// on, for no frame at all, writes it again.
    pub fn lacks_last_point(run: &RunDir, progress: &Progress) -> bool {
        run.told_frames() < progress.frames
    }

    /// Opens the metric files where `progress` says they end.
    pub fn open(
        run: RunDir,
        config: RunConfig,
        agent: Agent,
        mut progress: Progress,
        stop: StopFlag,
    ) -> Result<Self, RunDirError> {
        progress.best_by = match (config.evaluation.every_frames, progress.best_by) {
            (Period::Off, _) => BestBy::Training,
            (_, BestBy::Training) => BestBy::Evaluation { updates: 0, mean: None },
            (_, evaluation) => evaluation,
        };
        let recorder = Recorder::open(&run, &progress.written, progress.frames)?;
        let console = Console::new(Axis::Frames, progress.frames, config.frames);
        let perf = PerfMeter::start(progress.frames);
        let clock = Instant::now();
        Ok(Self { run, config, agent, progress, recorder, console, perf, stop, clock })
    }

    /// Trains until the run's frames are done or a signal comes.
    pub fn train(&mut self) -> anyhow::Result<Outcome> {
        let _span = tracing::info_span!("run", path = %self.run.path().display()).entered();
        tracing::info!(frames = self.progress.frames, end = self.config.frames, "training");
        if checkpoint::list(&self.run.checkpoints_dir()).is_empty() {
            self.checkpoint()?;
        }
        let mut settled = self.settle()?;
        while self.progress.frames < self.config.frames && !self.stop.is_raised() {
            settled = self.update_once()?;
        }
        self.checkpoint()?;
        self.console.finish(self.progress.frames, &note(&self.progress));
        // Finished, a run stopped in its last evaluation could not be resumed to make up for it.
        if self.progress.frames < self.config.frames || !settled {
            return Ok(Outcome::Interrupted);
        }
        self.log_rest()?;
        Ok(Outcome::Finished)
    }

    /// What stops the run when it is raised.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// Counters and recent games so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The run folder.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Gives whether everything that fell due with it was seen to.
    fn update_once(&mut self) -> anyhow::Result<bool> {
        let told = self.agent.update(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&told);
        let settled = self.settle()?;
        self.console.update(self.progress.frames, || note(&self.progress));
        Ok(settled)
    }

    /// Sees to what falls between the frames settled before and those trained now. Told to stop in an
    /// evaluation or a film, it leaves the rest to the process that resumes the run, which stands at the
    /// same weights. A checkpoint may find a few frames more: they are the next update's to settle.
    /// Gives whether it came to an end.
    fn settle(&mut self) -> anyhow::Result<bool> {
        let (before, after) = (self.progress.settled_frames, self.progress.frames);
        let RunConfig { evaluation, video, log_every_frames, checkpoint_every_frames, .. } = &self.config;
        let [evaluates, films, logs, checkpoints] =
            [evaluation.every_frames, video.every_frames, *log_every_frames, *checkpoint_every_frames]
                .map(|period| period.falls_between(before, after));
        if (evaluates || films) && !self.look_at_the_agent(evaluates, films)? {
            return Ok(false);
        }
        self.progress.settled_frames = after;
        if logs {
            self.log_point()?;
        }
        if checkpoints {
            self.checkpoint()?;
        }
        Ok(true)
    }

    /// Plays with the weights of the moment while training rests. Generators and environments are the
    /// evaluation's own, and its time does not count: what is learnt does not depend on it. Gives
    /// whether it came to an end.
    fn look_at_the_agent(&mut self, evaluates: bool, films: bool) -> anyhow::Result<bool> {
        let rest = self.agent.rest(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&rest);
        let start = Instant::now();
        let config = &self.config;
        let policy = policy_of(config, &self.agent.weights(), config.device.resolve()?)?;
        let done = (!evaluates || self.evaluate(&policy)?) && (!films || self.film(&policy)?);
        self.perf.leave_out(start.elapsed());
        self.clock = Instant::now();
        Ok(done)
    }

    fn evaluate(&mut self, policy: &Policy) -> anyhow::Result<bool> {
        let config = &self.config;
        let pool = build_pool(config.threads, config.torch_threads)?;
        let assets = assets(config.rom_dir.as_deref());
        let plan = Plan::while_training(config, &assets, config.evaluation.episodes);
        let Some(games) = play(&plan, policy, &pool, &self.stop)? else { return Ok(false) };
        let mean = Summary::of(&games).mean_return;
        tracing::info!(frames = self.progress.frames, mean, "evaluated");
        self.progress.best_by = BestBy::Evaluation { updates: self.progress.updates, mean: Some(mean) };
        self.progress.sums.set(&tags::EVAL_RETURN, mean);
        if let Some(known) = known_scores(&self.config.game, &self.config.env.resolve()) {
            self.progress.sums.set(&tags::EVAL_HUMAN, known.normalise(mean));
        }
        Ok(true)
    }

    /// Films the first game of the evaluation.
    fn film(&self, policy: &Policy) -> anyhow::Result<bool> {
        let config = &self.config;
        let assets = assets(config.rom_dir.as_deref());
        let scene =
            Scene { number: 0, frame_limit: Some(config.video.max_frames), beside: Beside::default() };
        let mut film = Film::new(Some(Format::Gif), VIDEO_FPS, false);
        if film.shoot(&Plan::while_training(config, &assets, 1), policy, scene, &self.stop)?
            == Ending::Stopped
        {
            return Ok(false);
        }
        self.run.write_video(self.progress.frames, &film.finish()?)?;
        Ok(true)
    }

    fn take(&mut self, told: &Told) {
        self.progress.set_counters(&self.agent.counters());
        told.episodes.iter().for_each(|game| self.progress.games.add(*game));
        self.perf.add(&told.timing);
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    /// A run that diverged must say where it is still whole, and keep what it diverged on.
    fn explain(&self, error: AgentError) -> anyhow::Error {
        let last = checkpoint::list(&self.run.checkpoints_dir()).pop();
        let place = last.map_or_else(|| "none".to_owned(), |entry| entry.path.display().to_string());
        let frames = self.progress.frames;
        let kept = match error {
            AgentError::NonFinite { .. } => self.keep_batch(),
            _ => String::new(),
        };
        anyhow::Error::new(error)
            .context(format!("training stopped at {frames} frames; last checkpoint: {place}{kept}"))
    }

    /// Writes what the failed update was to learn from into the run folder; says where, or why not.
    fn keep_batch(&self) -> String {
        let path = self.run.diverged_path();
        let written = weights_file::to_bytes(&self.agent.last_batch())
            .map_err(anyhow::Error::new)
            .and_then(|bytes| Ok(replace_file(&path, &bytes)?));
        match written {
            Ok(()) => format!("; what it was learning from: {}", path.display()),
            Err(error) => format!("; what it was learning from could not be written: {error}"),
        }
    }

    fn log_point(&mut self) -> anyhow::Result<()> {
        let point = self.collect();
        self.perf = PerfMeter::start(self.progress.frames);
        self.progress.sums = Default::default();
        Ok(self.recorder.log(&point)?)
    }

    /// The part of an interval that is left when a run is done. It comes after the last checkpoint
    /// on purpose: if the run is extended, this line is cut and the interval is reported whole.
    fn log_rest(&mut self) -> anyhow::Result<()> {
        // What came in with the last checkpoint's rest is no interval of its own.
        if self.progress.sums.is_empty() || !Self::lacks_last_point(&self.run, &self.progress) {
            return Ok(());
        }
        self.log_point()?;
        self.progress.written = self.recorder.sync()?;
        Ok(())
    }

    fn collect(&self) -> LogPoint {
        let Progress { frames, updates, games, sums, wall_secs, .. } = &self.progress;
        let mut values = vec![
            (&tags::EPISODE_RETURN, games.mean_return()),
            (&tags::EPISODE_LENGTH_FRAMES, games.mean_length_frames()),
            (&tags::EPISODES, Some(as_value(games.total()))),
            (&tags::UPDATES, Some(as_value(*updates))),
        ];
        values.extend(sums.values(self.agent.tags()));
        if self.config.evaluation.every_frames != Period::Off {
            values.extend(sums.values(tags::EVALUATION));
        }
        values.extend(self.perf.values(*frames));
        values.push((&tags::WALL_SECS, Some(*wall_secs)));
        LogPoint { axis: Axis::Frames, position: *frames, values }
    }

    /// Metrics go to the disk first: a checkpoint never knows of bytes that a crash could take.
    fn checkpoint(&mut self) -> anyhow::Result<PathBuf> {
        let rest = self.agent.rest(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&rest);
        self.progress.written = self.recorder.sync()?;
        let state = self.agent.save().map_err(|error| self.explain(error))?;
        let dir = self.run.checkpoints_dir();
        let whose = identity(&self.config);
        let path = self
            .agent
            .with_replay(|replay| checkpoint::write(&dir, &state, &self.progress, whose, replay))?;
        tracing::info!(frames = self.progress.frames, path = %path.display(), "checkpoint");
        checkpoint::prune(&dir, self.config.keep_checkpoints)?;
        drop(state);
        memory::give_back_unused();
        Ok(path)
    }
}

/// Whose checkpoints a run's are.
pub fn identity(config: &RunConfig) -> Identity {
    Identity::of([&config.game, config.algo.name(), &config.torso])
}

/// How well the run does, for the progress line.
fn note(progress: &Progress) -> String {
    let mean = progress.games.mean_return();
    mean.map_or_else(|| "mean return -".to_owned(), |mean| format!("mean return {mean:.2}"))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}
