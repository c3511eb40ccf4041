//! The training loop: update, count, report, checkpoint; over and over, until done or told to stop.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use coordrl_agents::{A2c, AgentError, UpdateReport};

use crate::checkpoint::{self, Identity};
use crate::config::RunConfig;
use crate::interrupt::StopFlag;
use crate::metrics::console::Console;
use crate::metrics::jsonl::JsonlSink;
use crate::metrics::perf::PerfMeter;
use crate::metrics::tensorboard::TensorBoardSink;
use crate::metrics::{LogPoint, MetricSink, tags};
use crate::progress::Progress;
use crate::run_dir::{RunDir, RunDirError};

/// How a training session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All frames are trained.
    Finished,
    /// Ctrl-C or SIGTERM; there is a checkpoint.
    Interrupted,
}

/// A run in memory: the folder, the agent, and where the numbers go.
pub struct Trainer {
    run: RunDir,
    config: RunConfig,
    agent: A2c,
    progress: Progress,
    jsonl: JsonlSink,
    tensorboard: TensorBoardSink,
    console: Console,
    perf: PerfMeter,
    stop: StopFlag,
    clock: Instant,
}

impl Trainer {
    /// Opens the metric files where `progress` says they end.
    pub fn open(
        run: RunDir,
        config: RunConfig,
        agent: A2c,
        progress: Progress,
        stop: StopFlag,
    ) -> Result<Self, RunDirError> {
        let jsonl = open_jsonl(&run, progress.metrics_bytes)?;
        let events = run.events_dir();
        let tensorboard = TensorBoardSink::open(&events, &progress.event_files, progress.frames)
            .map_err(|cause| RunDirError::CannotWrite { path: events, cause })?;
        let console = Console::new(progress.frames, config.frames);
        let perf = PerfMeter::start(progress.frames);
        Ok(Self {
            run,
            config,
            agent,
            progress,
            jsonl,
            tensorboard,
            console,
            perf,
            stop,
            clock: Instant::now(),
        })
    }

    /// Trains until the run's frames are done or a signal comes.
    pub fn train(&mut self) -> anyhow::Result<Outcome> {
        if checkpoint::list(&self.run.checkpoints_dir()).is_empty() {
            self.checkpoint()?;
        }
        while self.progress.frames < self.config.frames && !self.stop.is_raised() {
            self.update_once()?;
        }
        self.checkpoint()?;
        self.console.finish(self.progress.frames, self.progress.games.mean_return());
        if self.progress.frames < self.config.frames {
            return Ok(Outcome::Interrupted);
        }
        self.log_rest()?;
        Ok(Outcome::Finished)
    }

    /// Counters and recent games so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The run folder.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    fn update_once(&mut self) -> anyhow::Result<()> {
        let before = self.progress.frames;
        let report = self.agent.update().map_err(|error| self.explain(error))?;
        self.take(&report);
        let after = self.progress.frames;
        if self.config.log_every_frames.falls_between(before, after) {
            self.log_point()?;
        }
        if self.config.checkpoint_every_frames.falls_between(before, after) {
            self.checkpoint()?;
        }
        self.console.update(after, self.progress.games.mean_return());
        Ok(())
    }

    fn take(&mut self, report: &UpdateReport) {
        self.progress.set_counters(&self.agent.counters());
        self.progress.sums.add(report);
        report.episodes.iter().for_each(|game| self.progress.games.add(*game));
        self.perf.add(&report.timing);
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    /// A run that diverged must say where it is still whole.
    fn explain(&self, error: AgentError) -> anyhow::Error {
        let last = checkpoint::list(&self.run.checkpoints_dir()).pop();
        let place = last.map_or_else(|| "none".to_owned(), |entry| entry.path.display().to_string());
        let frames = self.progress.frames;
        anyhow::Error::new(error)
            .context(format!("training stopped at {frames} frames; last checkpoint: {place}"))
    }

    fn log_point(&mut self) -> anyhow::Result<()> {
        let point = self.collect();
        self.perf = PerfMeter::start(self.progress.frames);
        self.progress.sums = Default::default();
        self.write(&point)
    }

    /// The part of an interval that is left when a run is done. It comes after the last checkpoint
    /// on purpose: if the run is extended, this line is cut and the interval is reported whole.
    fn log_rest(&mut self) -> anyhow::Result<()> {
        if self.progress.sums.is_empty() {
            return Ok(());
        }
        self.log_point()?;
        self.sync_metrics().map_err(|cause| self.cannot_write(cause))?;
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
        values.extend(sums.values());
        values.extend(self.perf.values(*frames));
        values.push((&tags::WALL_SECS, Some(*wall_secs)));
        LogPoint { frames: *frames, values }
    }

    fn write(&mut self, point: &LogPoint) -> anyhow::Result<()> {
        self.jsonl
            .log(point)
            .and_then(|()| self.tensorboard.log(point))
            .map_err(|cause| self.cannot_write(cause).into())
    }

    fn cannot_write(&self, cause: io::Error) -> RunDirError {
        RunDirError::CannotWrite { path: self.run.metrics_path(), cause }
    }

    /// Metrics go to the disk first: a checkpoint never knows of bytes that a crash could take.
    fn checkpoint(&mut self) -> anyhow::Result<PathBuf> {
        self.sync_metrics().map_err(|cause| self.cannot_write(cause))?;
        let state = self.agent.save().context("cannot take the agent's state")?;
        let dir = self.run.checkpoints_dir();
        let path = checkpoint::write(&dir, &state, &self.progress, identity(&self.config))?;
        checkpoint::prune(&dir, self.config.keep_checkpoints)?;
        Ok(path)
    }

    fn sync_metrics(&mut self) -> io::Result<()> {
        self.jsonl.sync()?;
        self.tensorboard.sync()?;
        self.progress.metrics_bytes = self.jsonl.bytes();
        self.progress.event_files = self.tensorboard.files()?;
        Ok(())
    }
}

/// Whose checkpoints a run's are.
pub fn identity(config: &RunConfig) -> Identity {
    Identity { game: config.game.clone(), algo: config.algo.name().to_owned(), torso: config.torso.clone() }
}

fn open_jsonl(run: &RunDir, bytes: u64) -> Result<JsonlSink, RunDirError> {
    let path = run.metrics_path();
    JsonlSink::open(&path, bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => RunDirError::Damaged { path, cause: cause.to_string() },
        _ => RunDirError::CannotWrite { path, cause },
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}
