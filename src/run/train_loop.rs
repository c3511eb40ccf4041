//! The run loop: update, evaluate, log and checkpoint until done or stopped.

use std::path::PathBuf;

use super::checkpoint::{self, RunProgress};
use super::run_dir::{RunDir, RunDirError};
use super::trainable::{RunFiles, Trainable};
use crate::machine;
use crate::metrics::LogPoint;
use crate::metrics::console::Console;
use crate::metrics::recorder::Recorder;
use crate::stop_flag::StopFlag;

/// Outcome of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Training and its last evaluation are complete.
    Finished,
    /// Ctrl-C, SIGTERM or SIGHUP; a checkpoint was written.
    Interrupted,
}

/// A run in memory.
pub struct TrainLoop<T: Trainable> {
    subject: T,
    progress: T::Progress,
    files: RunFiles,
    console: Console,
}

impl<T: Trainable> TrainLoop<T> {
    /// Opens the metric files at the lengths recorded in `progress`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn open(
        dir: RunDir,
        subject: T,
        progress: T::Progress,
        stop: StopFlag,
    ) -> Result<Self, RunDirError> {
        let recorder = Recorder::open(&dir, progress.written(), progress.position())?;
        let console = Console::new(T::AXIS, progress.position(), subject.end());
        Ok(Self { subject, progress, files: RunFiles { dir, recorder, stop }, console })
    }

    /// Trains until done or stopped by a signal.
    ///
    /// # Errors
    /// If an update fails, or the folder cannot be written. The last checkpoint stays valid.
    pub fn train(&mut self) -> anyhow::Result<RunOutcome> {
        let _span = tracing::info_span!("run", path = %self.dir().path().display()).entered();
        tracing::info!(position = self.progress.position(), end = self.subject.end(), "training");
        // A run killed before its first periodic checkpoint can then still be resumed.
        if checkpoint::list(&self.dir().checkpoints_dir()).is_empty() {
            self.checkpoint()?;
        }

        // Before the first update: the evaluation at the start, or what a stopped process left
        // undone.
        let mut settled = self.run_due_hooks()?;
        while settled && !self.is_done() && !self.is_asked_to_stop() {
            if let Err(error) = self.subject.update(&mut self.progress) {
                self.save_after(&error);
                return Err(self.explain(error));
            }
            settled = self.run_due_hooks()?;
            let Self { subject, progress, console, .. } = self;
            console.update(progress.position(), || subject.note(progress));
        }

        // Also after a signal, which must not cost the work since the last checkpoint.
        self.checkpoint()?;
        self.console.finish(self.progress.position(), &self.subject.note(&self.progress));
        // If reported as finished, a run stopped in its last evaluation could not be resumed to
        // redo it.
        if !self.is_done() || !settled {
            return Ok(RunOutcome::Interrupted);
        }

        let finished = self.subject.finish(&mut self.progress, &mut self.files)?;
        Ok(if finished { RunOutcome::Finished } else { RunOutcome::Interrupted })
    }

    /// Returns what the run trains.
    pub fn subject(&self) -> &T {
        &self.subject
    }

    /// Returns the progress so far.
    pub fn progress(&self) -> &T::Progress {
        &self.progress
    }

    /// Returns the run folder.
    pub fn dir(&self) -> &RunDir {
        &self.files.dir
    }

    /// Returns the flag that stops the run when raised.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.files.stop
    }

    fn is_asked_to_stop(&self) -> bool {
        self.files.stop.is_raised() || self.subject.is_asked_to_stop()
    }

    fn is_done(&self) -> bool {
        self.subject.is_done(&self.progress)
    }

    /// Runs the hooks that are due. If stopped during an evaluation or a video, it leaves the rest
    /// to the process that resumes the run, which has the same weights. A checkpoint may add to the
    /// position; the next call handles that. Returns `true` if all due hooks ran.
    fn run_due_hooks(&mut self) -> anyhow::Result<bool> {
        let due = self.subject.due(&self.progress);
        if due.evaluation || due.video {
            // Paused, so that the weights evaluated are those at the position logged.
            self.pause()?;
            let evaluated = self.subject.evaluate(&due, &mut self.progress, &mut self.files);
            if let Some(own) = evaluated.as_ref().err().and_then(|error| error.downcast_ref()) {
                self.save_after(own);
            }
            if !evaluated? {
                return Ok(false);
            }
        }

        // Before the checkpoint below, which stores it: a resumed run must not evaluate again.
        self.progress.settle(due.position);
        if due.log {
            let values = self.subject.take_values(&mut self.progress);
            let position = self.progress.position();
            self.files.recorder.log(&LogPoint { axis: T::AXIS, position, values })?;
        }

        if due.checkpoint {
            self.checkpoint()?;
        }

        Ok(true)
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        self.subject.pause(&mut self.progress).map_err(|error| self.explain(error))
    }

    /// Writes a checkpoint. Metrics are synced first, so that a checkpoint never refers to bytes
    /// that a crash could lose.
    fn checkpoint(&mut self) -> anyhow::Result<PathBuf> {
        self.pause()?;
        self.progress.set_written(self.files.recorder.sync()?);
        let state = self.subject.save().map_err(|error| self.explain(error))?;
        let dir = self.dir().checkpoints_dir();
        let path = checkpoint::write(
            &dir,
            &state,
            &self.progress,
            self.subject.identity(),
            self.subject.replay_writer().as_deref(),
        )?;
        tracing::info!(position = self.progress.position(), path = %path.display(), "checkpoint");
        // Only after the new one is in place, so that there is always one to resume from.
        checkpoint::prune(&dir, self.subject.keep_checkpoints())?;
        self.subject.checkpointed();
        // Free the copied state first, so that trimming the heap returns its memory too.
        drop(state);
        machine::give_back_unused();
        Ok(path)
    }

    /// Saves a state that this error has left as it was. If that fails too, the first error is the one
    /// to report.
    fn save_after(&mut self, error: &T::Error) {
        if self.subject.is_intact_after(error)
            && let Err(second) = self.checkpoint()
        {
            tracing::warn!("no checkpoint after the error: {second:#}");
        }
    }

    /// Adds position and last checkpoint to an error.
    fn explain(&self, error: T::Error) -> anyhow::Error {
        let last = checkpoint::list(&self.dir().checkpoints_dir()).pop();
        let place =
            last.map_or_else(|| "none".to_owned(), |entry| entry.path.display().to_string());
        let position = self.progress.position();
        let unit = T::AXIS.name();
        let evidence = self.subject.keep_evidence(&error, self.dir());
        anyhow::Error::new(error).context(format!(
            "training stopped at {position} {unit}; last checkpoint: {place}{evidence}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use coordrl_agents::device::DeviceChoice;

    use super::*;
    use crate::config::{Period, RunConfig};
    use crate::game::assemble::assemble;
    use crate::game::launch::fork_progress;
    use crate::game::progress::{BestBy, Progress};
    use crate::game::training::{GameTraining, identity};
    use crate::metrics::recorder::Written;
    use crate::run::checkpoint::Checkpoint;

    /// Settings of a short run that is evaluated at its start and at its end.
    fn config() -> RunConfig {
        let mut config = RunConfig {
            game: "catch".to_owned(),
            frames: 200,
            device: DeviceChoice::Cpu,
            threads: Some(1),
            ..RunConfig::default()
        };
        config.env.screen_size = Some(36);
        config.a2c.envs = 4;
        config.evaluation.every_frames = Period::EveryFrames(200);
        config.evaluation.episodes = 3;
        config.evaluation.final_episodes = 3;
        config
    }

    /// Stops a new run right after its first evaluation and returns its checkpoint.
    fn stop_after_first_evaluation(folder: &Path) -> Checkpoint<Progress> {
        let config = config();
        let whose = identity(&config);
        let dir = RunDir::create(folder, true).unwrap();
        dir.write_config(&config).unwrap();

        let best_by = BestBy::default().suiting(config.is_evaluated());
        let progress = Progress { best_by, ..Progress::default() };
        let agent = assemble(&config).unwrap().agent;
        let subject = GameTraining::new(config, agent, 0);
        let mut run = TrainLoop::open(dir, subject, progress, StopFlag::default()).unwrap();

        // The steps of `train` if the signal arrives between the evaluation and the first update.
        run.checkpoint().unwrap();
        assert!(run.run_due_hooks().unwrap());
        let path = run.checkpoint().unwrap();
        checkpoint::read(&path, &whose).unwrap()
    }

    #[test]
    fn a_run_stopped_right_after_its_first_evaluation_does_not_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let Checkpoint { state, progress, .. } = stop_after_first_evaluation(&path);
        assert_eq!(progress.frames, 0);

        let mut agent = assemble(&config()).unwrap().agent;
        agent.load(state, None).unwrap();
        let dir = RunDir::open_to_train(&path).unwrap();
        let subject = GameTraining::new(config(), agent, 0);
        let mut run = TrainLoop::open(dir, subject, progress, StopFlag::default()).unwrap();
        assert_eq!(run.train().unwrap(), RunOutcome::Finished);

        let text = fs::read_to_string(run.dir().metrics_path()).unwrap();
        let of_initial_weights = r#"{"frames":0,"eval/episode_return":"#;
        assert_eq!(text.matches(of_initial_weights).count(), 1, "{text}");
    }

    #[test]
    fn a_fork_from_there_repeats_it_for_its_own_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let stopped = stop_after_first_evaluation(&folder.path().join("a"));
        assert!(!stopped.progress.best_by.awaits_first_evaluation());
        assert_ne!(stopped.progress.written, Written::default());

        let forked = fork_progress(stopped).progress;
        assert!(forked.best_by.suiting(true).awaits_first_evaluation());
        assert_eq!(forked.written, Written::default());
    }

    #[test]
    fn a_fork_repeats_an_evaluation_whose_video_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let mut stopped = stop_after_first_evaluation(&folder.path().join("a"));
        stopped.progress.evaluated_frames = Some(400);
        assert_eq!(fork_progress(stopped).progress.evaluated_frames, None);
    }
}
