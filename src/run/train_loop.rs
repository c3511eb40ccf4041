//! Training loop: update, log, evaluate and checkpoint until done or stopped.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use coordrl_agents::{Agent, AgentError, Policy, UpdateReport};

use crate::config::RunConfig;
use crate::durable_file::replace_file;
use crate::eval::evaluation::{EvalPlan, Evaluation, play, policy_of};
use crate::eval::video::Format;
use crate::eval::video::game::Ending;
use crate::eval::video::panel::SidePanel;
use crate::eval::video::recorder::{RecordSpec, VideoRecorder};
use crate::machine;
use crate::metrics::console::Console;
use crate::metrics::perf::PerfMeter;
use crate::metrics::recorder::Recorder;
use crate::metrics::tags::{self, Tag};
use crate::metrics::{Axis, LogPoint};
use crate::run::assemble::{assets, build_pool};
use crate::run::checkpoint::{self, Identity, WriteReplay};
use crate::run::progress::{BestBy, Progress};
use crate::run::run_dir::{RunDir, RunDirError, write_json};
use crate::run::weights_file;
use crate::stop_flag::StopFlag;

/// Frame rate of the videos recorded during training.
const VIDEO_FPS: usize = 30;

/// Outcome of a training session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainOutcome {
    /// All frames have been trained.
    Finished,
    /// Ctrl-C, SIGTERM or SIGHUP; a checkpoint was written.
    Interrupted,
}

/// Games played with the current weights, and the time they took.
struct Evaluated {
    evaluation: Evaluation,
    secs: f64,
}

/// A run in memory: folder, agent and metric recorder.
pub struct Trainer {
    run: RunDir,
    config: RunConfig,
    agent: Box<dyn Agent>,
    progress: Progress,
    recorder: Recorder,
    console: Console,
    perf: PerfMeter,
    stop: StopFlag,
    clock: Instant,
    final_evaluation: Option<Evaluation>,
}

impl Trainer {
    /// Returns whether a fully trained run was stopped before its last log point or its final
    /// evaluation.
    ///
    /// Both come after the last checkpoint, so a crash in between loses them; training on for zero
    /// frames redoes them.
    pub fn lacks_its_end(run: &RunDir, config: &RunConfig, frames: u64) -> bool {
        let lacks_evaluation = config.is_evaluated() && run.evaluated_frames() != Some(frames);

        lacks_evaluation || run.last_logged_frames() < frames
    }

    /// Opens the metric files at the lengths recorded in `progress`.
    pub fn open(
        run: RunDir,
        config: RunConfig,
        agent: Box<dyn Agent>,
        mut progress: Progress,
        stop: StopFlag,
    ) -> Result<Self, RunDirError> {
        progress.best_by = match (config.is_evaluated(), progress.best_by) {
            (false, _) => BestBy::Training,
            (true, BestBy::Training) => BestBy::Evaluation { updates: 0, mean: None },
            (true, evaluation) => evaluation,
        };

        let recorder = Recorder::open(&run, &progress.written, progress.frames)?;
        let console = Console::new(Axis::Frames, progress.frames, config.frames);
        let perf = PerfMeter::start(progress.frames);
        let clock = Instant::now();
        Ok(Self {
            run,
            config,
            agent,
            progress,
            recorder,
            console,
            perf,
            stop,
            clock,
            final_evaluation: None,
        })
    }

    /// Trains until all frames are done or a signal arrives.
    pub fn train(&mut self) -> anyhow::Result<TrainOutcome> {
        let _span = tracing::info_span!("run", path = %self.run.path().display()).entered();
        tracing::info!(frames = self.progress.frames, end = self.config.frames, "training");
        if checkpoint::list(&self.run.checkpoints_dir()).is_empty() {
            self.checkpoint()?;
        }

        let mut settled = self.evaluate_at_the_start()? && self.run_due_hooks()?;
        while settled && self.progress.frames < self.config.frames && !self.stop.is_raised() {
            settled = self.update_once()?;
        }

        self.checkpoint()?;
        self.console.finish(self.progress.frames, &note(&self.progress));
        // If reported as finished, a run stopped in its last evaluation could not be resumed to
        // redo it.
        if self.progress.frames < self.config.frames || !settled {
            return Ok(TrainOutcome::Interrupted);
        }

        self.log_rest()?;
        let ended = self.evaluate_at_the_end()?;
        Ok(if ended { TrainOutcome::Finished } else { TrainOutcome::Interrupted })
    }

    /// Returns the flag that stops the run when raised.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// Returns counters and recent games so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the evaluation of the final weights, once the run has finished.
    pub fn final_evaluation(&self) -> Option<&Evaluation> {
        self.final_evaluation.as_ref()
    }

    /// Returns the run folder.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Performs one update. Returns `true` if all due hooks ran.
    fn update_once(&mut self) -> anyhow::Result<bool> {
        let report =
            self.agent.update(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&report);
        let settled = self.run_due_hooks()?;
        self.console.update(self.progress.frames, || note(&self.progress));
        Ok(settled)
    }

    /// Runs the hooks that became due since `settled_frames`: evaluation, video, log point,
    /// checkpoint. If stopped during an evaluation or a video, it leaves the rest to the process
    /// that resumes the run, which has the same weights. A checkpoint may add a few frames; the
    /// next call handles those. Returns `true` if all due hooks ran.
    fn run_due_hooks(&mut self) -> anyhow::Result<bool> {
        let before = self.progress.settled_frames;
        let after = self.progress.frames;
        let RunConfig { evaluation, video, log_every_frames, checkpoint_every_frames, .. } =
            &self.config;
        let [evaluates, films, logs, checkpoints] = [
            evaluation.every_frames,
            video.every_frames,
            *log_every_frames,
            *checkpoint_every_frames,
        ]
        .map(|period| period.falls_between(before, after));
        let evaluates = evaluates && self.config.is_evaluated();
        if (evaluates || films) && !self.pause_and_play(evaluates, films)? {
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

    /// Evaluates the initial weights. The checkpoint at frame 0 does not record this: a run stopped
    /// before its next checkpoint evaluates them again. Returns `true` unless stopped.
    fn evaluate_at_the_start(&mut self) -> anyhow::Result<bool> {
        if self.progress.frames > 0 || !self.config.is_evaluated() {
            return Ok(true);
        }
        self.pause_and_play(true, false)
    }

    /// Evaluates or records the current weights while training pauses. It uses generators and
    /// environments of its own and its time is not counted, so training is unaffected. Returns
    /// `true` unless stopped.
    fn pause_and_play(&mut self, evaluates: bool, films: bool) -> anyhow::Result<bool> {
        let rest =
            self.agent.pause(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&rest);
        let start = Instant::now();
        let policy = self.policy()?;
        let done =
            (!evaluates || self.evaluate(&policy)?) && (!films || self.record_video(&policy)?);
        self.perf.leave_out(start.elapsed());
        self.clock = Instant::now();
        Ok(done)
    }

    /// Builds a policy from the current weights.
    fn policy(&self) -> anyhow::Result<Policy> {
        policy_of(&self.config, &self.agent.weights(), self.config.device.resolve()?)
    }

    fn evaluate(&mut self, policy: &Policy) -> anyhow::Result<bool> {
        let assets = assets(self.config.rom_dir.as_deref());
        let plan = EvalPlan::while_training(&self.config, &assets);
        let Some(evaluated) = self.play_games(&plan, policy)? else { return Ok(false) };

        let mean = Some(evaluated.evaluation.summary.mean_return);
        self.progress.best_by = BestBy::Evaluation { updates: self.progress.updates, mean };
        self.log_evaluation(&tags::EVAL_RETURN, &evaluated)?;
        Ok(true)
    }

    /// Evaluates the final weights. Like the last log point it comes after the last checkpoint: if
    /// the run is extended, its line is removed. Returns `true` unless stopped.
    fn evaluate_at_the_end(&mut self) -> anyhow::Result<bool> {
        if !self.config.is_evaluated() {
            return Ok(true);
        }

        let assets = assets(self.config.rom_dir.as_deref());
        let plan = EvalPlan::of_final_weights(&self.config, &assets);
        let Some(evaluated) = self.play_games(&plan, &self.policy()?)? else { return Ok(false) };

        self.log_evaluation(&tags::EVAL_FINAL_RETURN, &evaluated)?;
        self.progress.written = self.recorder.sync()?;
        write_json(&self.run.evaluation_path(), &evaluated.evaluation)?;
        self.final_evaluation = Some(evaluated.evaluation);
        Ok(true)
    }

    /// Plays the games of a plan; `None` if stopped.
    fn play_games(
        &self,
        plan: &EvalPlan<'_>,
        policy: &Policy,
    ) -> anyhow::Result<Option<Evaluated>> {
        let start = Instant::now();
        let pool = build_pool(self.config.threads, self.config.torch_threads)?;
        let Some(games) = play(plan, policy, &pool, &self.stop)? else { return Ok(None) };

        let checkpoint = checkpoint::folder_of(&self.run.checkpoints_dir(), self.progress.frames);
        let folders = [self.run.path(), checkpoint.as_path()];
        let evaluation =
            Evaluation::new(plan, &self.config.torso, folders, self.progress.frames, &games);
        Ok(Some(Evaluated { evaluation, secs: start.elapsed().as_secs_f64() }))
    }

    /// Logs an evaluation as a separate line, with its mean return under `tag`.
    fn log_evaluation(&mut self, tag: &'static Tag, evaluated: &Evaluated) -> anyhow::Result<()> {
        let Evaluation { summary, human_normalised, games_cut, .. } = &evaluated.evaluation;
        let frames = self.progress.frames;
        tracing::info!(frames, mean = summary.mean_return, cut = games_cut.len(), "evaluated");

        let values = vec![
            (tag, Some(summary.mean_return)),
            (&tags::EVAL_HUMAN, *human_normalised),
            (&tags::EVAL_EPISODES, Some(as_value(summary.episodes as u64))),
            (&tags::EVAL_GAMES_CUT, Some(as_value(games_cut.len() as u64))),
            (&tags::EVALUATION_SECS, Some(evaluated.secs)),
        ];
        Ok(self.recorder.log(&LogPoint { axis: Axis::Frames, position: frames, values })?)
    }

    /// Records the first game of the evaluation. Returns `true` unless stopped.
    fn record_video(&self, policy: &Policy) -> anyhow::Result<bool> {
        let config = &self.config;
        let assets = assets(config.rom_dir.as_deref());
        let spec = RecordSpec {
            number: 0,
            frame_limit: Some(config.video.max_frames),
            beside: SidePanel::default(),
        };

        let mut recorder = VideoRecorder::new(Some(Format::Gif), VIDEO_FPS, false);
        if recorder.record(&EvalPlan::while_training(config, &assets), policy, spec, &self.stop)?
            == Ending::Stopped
        {
            return Ok(false);
        }

        self.run.write_video(self.progress.frames, &recorder.finish()?)?;
        Ok(true)
    }

    fn take(&mut self, report: &UpdateReport) {
        self.progress.set_counters(&self.agent.counters());
        report.episodes.iter().for_each(|game| self.progress.games.add(*game));
        self.perf.add(&report.timing);
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    /// Adds the last intact checkpoint to an error, and saves the batch if training diverged.
    fn explain(&self, error: AgentError) -> anyhow::Error {
        let last = checkpoint::list(&self.run.checkpoints_dir()).pop();
        let place =
            last.map_or_else(|| "none".to_owned(), |entry| entry.path.display().to_string());
        let frames = self.progress.frames;
        let kept = match error {
            AgentError::NonFinite { .. } => self.keep_batch(),
            _ => String::new(),
        };
        anyhow::Error::new(error)
            .context(format!("training stopped at {frames} frames; last checkpoint: {place}{kept}"))
    }

    /// Writes the batch of the failed update to the run folder; returns a note with its path or the
    /// error.
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

    /// Logs the partial interval at the end of a run. It comes after the last checkpoint on
    /// purpose: if the run is extended, this line is removed and the interval is logged whole.
    fn log_rest(&mut self) -> anyhow::Result<()> {
        // Experience drained by the last checkpoint's pause is not an interval of its own.
        if self.progress.sums.is_empty() || self.run.last_logged_frames() >= self.progress.frames {
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
        values.extend(sums.values(self.config.algorithm().algorithm().tags));
        values.extend(self.perf.values(*frames));
        values.push((&tags::WALL_SECS, Some(*wall_secs)));
        LogPoint { axis: Axis::Frames, position: *frames, values }
    }

    /// Writes a checkpoint. Metrics are synced first, so that a checkpoint never refers to bytes
    /// that a crash could lose.
    fn checkpoint(&mut self) -> anyhow::Result<PathBuf> {
        let rest =
            self.agent.pause(&mut self.progress.sums).map_err(|error| self.explain(error))?;
        self.take(&rest);
        self.progress.written = self.recorder.sync()?;
        let state = self.agent.save().map_err(|error| self.explain(error))?;
        let dir = self.run.checkpoints_dir();
        let whose = identity(&self.config);
        let write_replay = |to: &mut dyn Write| self.agent.write_replay(to);
        let replay: Option<WriteReplay<'_>> =
            if self.agent.saves_replay() { Some(&write_replay) } else { None };
        let path = checkpoint::write(&dir, &state, &self.progress, whose, replay)?;
        tracing::info!(frames = self.progress.frames, path = %path.display(), "checkpoint");
        checkpoint::prune(&dir, self.config.keep_checkpoints)?;
        // Free the copied state first, so that trimming the heap returns its memory too.
        drop(state);
        machine::give_back_unused();
        Ok(path)
    }
}

/// Returns the identity stored in a run's checkpoints.
pub fn identity(config: &RunConfig) -> Identity {
    Identity::of([&config.game, config.algo.name(), &config.torso])
}

/// Formats the mean return for the progress line.
fn note(progress: &Progress) -> String {
    let mean = progress.games.mean_return();
    mean.map_or_else(|| "mean return -".to_owned(), |mean| format!("mean return {mean:.2}"))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}
