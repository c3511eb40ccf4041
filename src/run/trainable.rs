//! The interface between the run loop and what it trains.

use std::error::Error;
use std::time::Instant;

use coordrl_agents::AgentState;

use super::checkpoint::{Identity, RunProgress, WriteReplay};
use super::run_dir::{Meta, RunDir};
use crate::config::Configuration;
use crate::metrics::LogAxis;
use crate::metrics::recorder::Recorder;
use crate::metrics::tags::Tag;
use crate::stop_flag::StopFlag;

/// Subject of a run: an agent on a game, or a study.
///
/// An implementation learns, measures and describes itself. The loop ([`TrainLoop`]) decides when,
/// and owns folder, metric files, checkpoints and progress line.
///
/// [`TrainLoop`]: super::train_loop::TrainLoop
pub trait Trainable {
    /// Settings of a run, as in its `config.json`.
    type Config: Configuration;
    /// State of a run that its checkpoints hold besides weights and optimiser.
    type Progress: RunProgress;
    /// Error of a failed update.
    type Error: Error + Send + Sync + 'static;

    /// Unit of positions.
    const AXIS: LogAxis;

    /// Returns the settings.
    fn config(&self) -> &Self::Config;

    /// Returns the identity stored in checkpoints.
    fn identity(&self) -> Identity;

    /// Returns a title such as `game pong · a2c · torso conv`.
    fn title(&self) -> String;

    /// Returns further facts for the start of a session, such as the preset.
    fn remark(&self, meta: &Meta) -> String;

    /// Returns the number of trainable parameters.
    fn parameter_count(&self) -> u64;

    /// Returns the number of newest checkpoints to keep, besides the best.
    fn keep_checkpoints(&self) -> u32;

    /// Returns the last position, for the progress line. Training may end earlier.
    fn end(&self) -> u64;

    /// Returns `true` if there is nothing left to train.
    fn is_done(&self, progress: &Self::Progress) -> bool {
        progress.position() >= self.end()
    }

    /// Makes one update, or as much progress as possible within a fraction of a second.
    ///
    /// # Errors
    /// If training cannot continue. The last checkpoint stays valid.
    fn update(&mut self, progress: &mut Self::Progress) -> Result<(), Self::Error>;

    /// Pauses threads of its own, if any, so that its state stands still until the next update.
    ///
    /// # Errors
    /// As [`Trainable::update`].
    fn pause(&mut self, _progress: &mut Self::Progress) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Returns the hooks to run before the next update.
    fn due(&self, progress: &Self::Progress) -> Due;

    /// Evaluates, and records a video, as far as due, while training pauses. Must not affect
    /// training. Returns `true` unless stopped by the signal in `files`.
    ///
    /// # Errors
    /// If a game or the network fails, or a file cannot be written.
    fn evaluate(
        &mut self,
        due: &Due,
        progress: &mut Self::Progress,
        files: &mut RunFiles,
    ) -> anyhow::Result<bool>;

    /// Returns the values of a log point, and starts the next interval.
    fn take_values(&mut self, progress: &mut Self::Progress) -> Vec<(&'static Tag, Option<f64>)>;

    /// Returns the state for a checkpoint.
    ///
    /// # Errors
    /// As [`Trainable::update`].
    fn save(&self) -> Result<AgentState, Self::Error>;

    /// Returns the writer of a replay, if it belongs into checkpoints.
    fn replay_writer(&self) -> Option<Box<WriteReplay<'_>>> {
        None
    }

    /// Reports that a checkpoint of the last [`Trainable::save`] is complete.
    fn checkpointed(&mut self) {}

    /// Returns `true` if another process asks the run to end.
    fn is_asked_to_stop(&self) -> bool {
        false
    }

    /// Does what remains once all training is done and saved. Returns `true` unless stopped.
    ///
    /// # Errors
    /// As [`Trainable::evaluate`].
    fn finish(
        &mut self,
        _progress: &mut Self::Progress,
        _files: &mut RunFiles,
    ) -> anyhow::Result<bool> {
        Ok(true)
    }

    /// Returns `true` if an update or an evaluation that failed with this error changed nothing, so that
    /// the state is worth a checkpoint.
    fn is_intact_after(&self, _error: &Self::Error) -> bool {
        false
    }

    /// Writes what helps to explain a failed update to the run folder; returns a note on it for the
    /// error message.
    fn keep_evidence(&self, _error: &Self::Error, _dir: &RunDir) -> String {
        String::new()
    }

    /// Formats the latest measures for the progress line.
    fn note(&self, progress: &Self::Progress) -> String;
}

/// Hooks that are due at a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Position up to which the hooks are done once these have run.
    pub position: u64,
    /// Evaluate the current weights.
    pub evaluation: bool,
    /// Record a video.
    pub video: bool,
    /// Write a log point.
    pub log: bool,
    /// Write a checkpoint.
    pub checkpoint: bool,
}

/// Files of a run in progress, and the flag that stops it.
pub struct RunFiles {
    /// Run folder.
    pub dir: RunDir,
    /// Writer of log points.
    pub recorder: Recorder,
    /// Raised by a signal.
    pub stop: StopFlag,
}

/// Clock of the time spent training.
#[derive(Debug)]
pub struct LapClock(Instant);

impl LapClock {
    /// Starts the first lap.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the seconds of this lap and starts the next.
    pub fn lap(&mut self) -> f64 {
        let secs = self.0.elapsed().as_secs_f64();
        self.restart();
        secs
    }

    /// Starts the lap again; time so far is not counted.
    pub fn restart(&mut self) {
        self.0 = Instant::now();
    }
}
