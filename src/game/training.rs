//! An agent on a game, as the run loop trains it.

use std::io::Write;
use std::time::Instant;

use coordrl_agents::{Agent, AgentError, AgentState, Policy, UpdateReport, Wish};

use super::progress::{BestBy, Progress};
use crate::config::{RunConfig, assets};
use crate::durable_file::replace_file;
use crate::eval::evaluation::{EvalPlan, Evaluation, play, policy_of};
use crate::eval::video::Format;
use crate::eval::video::game::Ending;
use crate::eval::video::panel::SidePanel;
use crate::eval::video::recorder::{RecordSpec, VideoRecorder};
use crate::metrics::perf::PerfMeter;
use crate::metrics::tags::{self, Tag};
use crate::metrics::{LogAxis, LogPoint};
use crate::run::checkpoint::{self, Identity, WriteReplay};
use crate::run::run_dir::{Meta, RunDir, write_json};
use crate::run::threads::build_pool;
use crate::run::trainable::{Due, LapClock, RunFiles, Trainable};
use crate::run::weights_file;

/// Frame rate of the videos recorded during training.
const VIDEO_FPS: usize = 30;

/// An agent on a game.
pub struct GameTraining {
    config: RunConfig,
    agent: Box<dyn Agent>,
    perf: PerfMeter,
    clock: LapClock,
    final_evaluation: Option<Evaluation>,
}

/// Games played with the current weights, and the time they took.
struct TimedEvaluation {
    evaluation: Evaluation,
    secs: f64,
}

impl GameTraining {
    /// Combines an agent with the settings it was built from. `frames` is its position.
    pub fn new(config: RunConfig, agent: Box<dyn Agent>, frames: u64) -> Self {
        let perf = PerfMeter::start(frames);
        Self { config, agent, perf, clock: LapClock::start(), final_evaluation: None }
    }

    /// Returns whether a fully trained run was stopped before its last log point or its final
    /// evaluation.
    ///
    /// Both come after the last checkpoint, so a crash in between loses them; training on for zero
    /// frames redoes them.
    pub fn lacks_its_end(run: &RunDir, config: &RunConfig, frames: u64) -> bool {
        let lacks_evaluation = config.is_evaluated() && run.evaluated_frames() != Some(frames);

        lacks_evaluation || run.last_logged_frames() < frames
    }

    /// Returns the agent.
    pub fn agent_mut(&mut self) -> &mut dyn Agent {
        self.agent.as_mut()
    }

    /// Returns the evaluation of the final weights, once the run has finished.
    pub fn final_evaluation(&self) -> Option<&Evaluation> {
        self.final_evaluation.as_ref()
    }

    fn take(&mut self, report: &UpdateReport, progress: &mut Progress) {
        progress.set_counters(&self.agent.counters());
        report.episodes.iter().for_each(|game| progress.games.add(*game));
        self.perf.add(&report.timing);
        progress.wall_secs += self.clock.lap();
    }

    /// Builds a policy from the current weights.
    fn policy(&self) -> anyhow::Result<Policy> {
        policy_of(&self.config, &self.agent.weights(), self.config.device.resolve()?)
    }

    fn evaluate_current(
        &self,
        policy: &Policy,
        progress: &mut Progress,
        files: &mut RunFiles,
    ) -> anyhow::Result<bool> {
        let assets = assets(self.config.rom_dir.as_deref());
        let plan = EvalPlan::while_training(&self.config, &assets);
        let Some(evaluated) = self.play_games(&plan, policy, progress.frames, files)? else {
            return Ok(false);
        };

        let mean = Some(evaluated.evaluation.summary.mean_return);
        progress.best_by = BestBy::Evaluation { updates: progress.updates, mean };
        log_evaluation(&tags::EVAL_RETURN, &evaluated, progress.frames, files)?;
        progress.evaluated_frames = Some(progress.frames);
        Ok(true)
    }

    /// Evaluates the final weights. Like the last log point it comes after the last checkpoint: if
    /// the run is extended, its line is removed. Returns `true` unless stopped.
    fn evaluate_final(
        &mut self,
        progress: &mut Progress,
        files: &mut RunFiles,
    ) -> anyhow::Result<bool> {
        if !self.config.is_evaluated() {
            return Ok(true);
        }

        let assets = assets(self.config.rom_dir.as_deref());
        let plan = EvalPlan::of_final_weights(&self.config, &assets);
        let Some(evaluated) = self.play_games(&plan, &self.policy()?, progress.frames, files)?
        else {
            return Ok(false);
        };

        log_evaluation(&tags::EVAL_FINAL_RETURN, &evaluated, progress.frames, files)?;
        progress.written = files.recorder.sync()?;
        // Only once its log line is on disk, because a run with this file counts as evaluated.
        write_json(&files.dir.evaluation_path(), &evaluated.evaluation)?;
        self.final_evaluation = Some(evaluated.evaluation);
        Ok(true)
    }

    /// Plays the games of a plan; `None` if stopped.
    fn play_games(
        &self,
        plan: &EvalPlan<'_>,
        policy: &Policy,
        frames: u64,
        files: &RunFiles,
    ) -> anyhow::Result<Option<TimedEvaluation>> {
        let start = Instant::now();
        let pool = build_pool(self.config.threads, self.config.torch_threads)?;
        let Some(games) = play(plan, policy, &pool, &files.stop)? else { return Ok(None) };

        let checkpoint = checkpoint::folder_of(&files.dir.checkpoints_dir(), frames);
        let folders = [files.dir.path(), checkpoint.as_path()];
        let evaluation = Evaluation::new(plan, &self.config.torso, folders, frames, &games);
        Ok(Some(TimedEvaluation { evaluation, secs: start.elapsed().as_secs_f64() }))
    }

    /// Records the first game of the evaluation. Returns `true` unless stopped.
    fn record_video(&self, policy: &Policy, frames: u64, files: &RunFiles) -> anyhow::Result<bool> {
        let config = &self.config;
        let assets = assets(config.rom_dir.as_deref());
        let spec = RecordSpec {
            number: 0,
            frame_limit: Some(config.video.max_frames),
            beside: SidePanel::default(),
        };

        let mut recorder = VideoRecorder::new(Some(Format::Gif), VIDEO_FPS, false);
        let plan = EvalPlan::while_training(config, &assets);
        if recorder.record(&plan, policy, spec, &files.stop)? == Ending::Stopped {
            return Ok(false);
        }

        files.dir.write_video(frames, &recorder.finish()?)?;
        Ok(true)
    }

    /// Logs the partial interval at the end of a run. It comes after the last checkpoint on
    /// purpose: if the run is extended, this line is removed and the interval is logged whole.
    fn log_rest(&mut self, progress: &mut Progress, files: &mut RunFiles) -> anyhow::Result<()> {
        // Experience drained by the last checkpoint's pause is not an interval of its own.
        if progress.sums.is_empty() || files.dir.last_logged_frames() >= progress.frames {
            return Ok(());
        }

        let values = self.take_values(progress);
        let position = progress.frames;
        files.recorder.log(&LogPoint { axis: LogAxis::Frames, position, values })?;
        progress.written = files.recorder.sync()?;
        Ok(())
    }
}

impl Trainable for GameTraining {
    type Config = RunConfig;
    type Progress = Progress;
    type Error = AgentError;

    const AXIS: LogAxis = LogAxis::Frames;

    fn config(&self) -> &RunConfig {
        &self.config
    }

    fn identity(&self) -> Identity {
        identity(&self.config)
    }

    fn title(&self) -> String {
        let RunConfig { game, algo, torso, .. } = &self.config;
        format!("game {game} · {} · torso {torso}", algo.name())
    }

    fn remark(&self, meta: &Meta) -> String {
        format!("preset {}", meta.preset.as_deref().unwrap_or("none"))
    }

    fn parameter_count(&self) -> u64 {
        self.agent.parameter_count()
    }

    fn keep_checkpoints(&self) -> u32 {
        self.config.keep_checkpoints
    }

    fn end(&self) -> u64 {
        self.config.frames
    }

    fn update(&mut self, progress: &mut Progress) -> Result<(), AgentError> {
        let report = self.agent.update(&mut progress.sums)?;
        self.take(&report, progress);
        Ok(())
    }

    fn pause(&mut self, progress: &mut Progress) -> Result<(), AgentError> {
        // Pausing collects experience that is still on its way, so counters may advance once more.
        let rest = self.agent.pause(&mut progress.sums)?;
        self.take(&rest, progress);
        Ok(())
    }

    fn due(&self, progress: &Progress) -> Due {
        let RunConfig { evaluation, video, log_every_frames, checkpoint_every_frames, .. } =
            &self.config;
        let before = progress.settled_frames;
        let after = progress.frames;
        // Frame 0 lies in no interval, so the evaluation before training needs its own rule.
        let initial = after == 0 && progress.best_by.awaits_first_evaluation();
        Due {
            position: after,
            evaluation: self.config.is_evaluated()
                && progress.evaluated_frames != Some(after)
                && (initial || evaluation.every_frames.falls_between(before, after)),
            video: video.every_frames.falls_between(before, after),
            log: log_every_frames.falls_between(before, after),
            checkpoint: checkpoint_every_frames.falls_between(before, after)
                || self.agent.wish() == Some(Wish::Checkpoint),
        }
    }

    /// Uses generators and environments of its own, and its time is not counted.
    fn evaluate(
        &mut self,
        due: &Due,
        progress: &mut Progress,
        files: &mut RunFiles,
    ) -> anyhow::Result<bool> {
        let start = Instant::now();
        let policy = self.policy()?;
        let done = (!due.evaluation || self.evaluate_current(&policy, progress, files)?)
            && (!due.video || self.record_video(&policy, progress.frames, files)?);

        self.perf.leave_out(start.elapsed());
        self.clock.restart();
        Ok(done)
    }

    fn take_values(&mut self, progress: &mut Progress) -> Vec<(&'static Tag, Option<f64>)> {
        let Progress { frames, updates, games, sums, wall_secs, .. } = &*progress;
        let mut values = vec![
            (&tags::EPISODE_RETURN, games.mean_return()),
            (&tags::EPISODE_LENGTH_FRAMES, games.mean_length_frames()),
            (&tags::EPISODES, Some(as_value(games.total()))),
            (&tags::UPDATES, Some(as_value(*updates))),
        ];
        values.extend(sums.values(self.config.algorithm().algorithm().tags));
        values.extend(self.perf.values(*frames));
        values.push((&tags::WALL_SECS, Some(*wall_secs)));

        self.perf = PerfMeter::start(*frames);
        progress.sums = Default::default();
        values
    }

    fn save(&self) -> Result<AgentState, AgentError> {
        self.agent.save()
    }

    fn checkpointed(&mut self) {
        self.agent.checkpointed();
    }

    fn is_asked_to_stop(&self) -> bool {
        self.agent.wish() == Some(Wish::Stop)
    }

    fn replay_writer(&self) -> Option<Box<WriteReplay<'_>>> {
        if !self.agent.saves_replay() {
            return None;
        }
        Some(Box::new(|to: &mut dyn Write| self.agent.write_replay(to)))
    }

    fn finish(&mut self, progress: &mut Progress, files: &mut RunFiles) -> anyhow::Result<bool> {
        self.log_rest(progress, files)?;
        self.evaluate_final(progress, files)
    }

    /// Keeps the batch of an update that diverged.
    fn keep_evidence(&self, error: &AgentError, dir: &RunDir) -> String {
        if !matches!(error, AgentError::NonFinite { .. }) {
            return String::new();
        }

        let path = dir.diverged_path();
        // A failure to write is only reported: the error that stopped the run must stay the cause.
        let written = weights_file::to_bytes(&self.agent.last_batch())
            .map_err(anyhow::Error::new)
            .and_then(|bytes| Ok(replace_file(&path, &bytes)?));
        match written {
            Ok(()) => format!("; what it was learning from: {}", path.display()),
            Err(error) => format!("; what it was learning from could not be written: {error}"),
        }
    }

    fn note(&self, progress: &Progress) -> String {
        let mean = progress.games.mean_return();
        mean.map_or_else(|| "mean return -".to_owned(), |mean| format!("mean return {mean:.2}"))
    }
}

/// Returns the identity stored in a run's checkpoints.
pub fn identity(config: &RunConfig) -> Identity {
    Identity::of([&config.game, config.algo.name(), &config.torso])
}

/// Logs an evaluation as a separate line, with its mean return under `tag`.
fn log_evaluation(
    tag: &'static Tag,
    evaluated: &TimedEvaluation,
    frames: u64,
    files: &mut RunFiles,
) -> anyhow::Result<()> {
    let Evaluation { summary, human_normalised, games_cut, .. } = &evaluated.evaluation;
    tracing::info!(frames, mean = summary.mean_return, cut = games_cut.len(), "evaluated");

    let values = vec![
        (tag, Some(summary.mean_return)),
        (&tags::EVAL_HUMAN, *human_normalised),
        (&tags::EVAL_EPISODES, Some(as_value(summary.episodes as u64))),
        (&tags::EVAL_GAMES_CUT, Some(as_value(games_cut.len() as u64))),
        (&tags::EVALUATION_SECS, Some(evaluated.secs)),
    ];
    Ok(files.recorder.log(&LogPoint { axis: LogAxis::Frames, position: frames, values })?)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}
