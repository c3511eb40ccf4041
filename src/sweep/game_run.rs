//! Runs of games, as a sweep plans them.

use super::planned::Planned;
use super::record::CellRecord;
use crate::config::{Layered, RunConfig};
use crate::game::resume_rules::{FREE_ON_RESUME, refused_on_resume};
use crate::game::training::GameTraining;
use crate::metrics::LogAxis;
use crate::metrics::tags::{self, Tag};
use crate::run::run_dir::RunDir;
use crate::sweep::cell::Cell;

/// A planned run of a game: its resolved settings, with the origin of each.
pub type GameRunPlan = Layered<RunConfig>;

/// A cell of a sweep over games.
pub type GameCell = Cell<GameRunPlan>;

impl Planned for GameRunPlan {
    type Config = RunConfig;

    const AXIS: LogAxis = LogAxis::Frames;
    const SPEED: &'static Tag = &tags::FRAMES_PER_SEC;

    fn config(&self) -> &RunConfig {
        &self.config
    }

    fn subcommand(&self) -> Vec<&str> {
        vec!["train"]
    }

    fn subject(&self) -> String {
        self.config.game.clone()
    }

    /// Returns algorithm and torso, as in run folders.
    fn arm(&self) -> String {
        format!("{}-{}", self.config.algo.name(), self.config.torso)
    }

    fn seed(&self) -> u64 {
        self.config.seed
    }

    fn end(&self) -> u64 {
        self.config.frames
    }

    /// Returns the evaluations, as reports compare; without any, the training games.
    fn scores(&self) -> &'static [&'static Tag] {
        match self.config.is_evaluated() {
            true => &[&tags::EVAL_FINAL_RETURN, &tags::EVAL_RETURN],
            false => &[&tags::EPISODE_RETURN],
        }
    }

    fn describe_score(&self, score: Option<f64>) -> String {
        match score {
            None => "no full game has ended".to_owned(),
            Some(mean) => format!("mean return {mean:.2}"),
        }
    }

    fn refused_on_resume(&self, old: &RunConfig, frames: u64) -> Vec<String> {
        refused_on_resume(old, &self.config, frames)
    }

    fn is_complete(&self, run: &RunDir, frames: Option<u64>) -> bool {
        match frames {
            Some(frames) => {
                frames >= self.end() && !GameTraining::lacks_its_end(run, &self.config, frames)
            }
            // The checkpoints of a finished run were removed, but its metrics are complete.
            None => {
                run.last_logged_frames() >= self.end()
                    || run.evaluated_frames().is_some_and(|frames| frames >= self.end())
            }
        }
    }

    fn may_change(&self, key: &str) -> bool {
        key == "frames" || FREE_ON_RESUME.contains(&key)
    }
}

impl GameCell {
    /// Returns the entry for `sweep.json`.
    pub fn to_record(&self) -> CellRecord {
        let RunConfig { game, algo, torso, seed, frames, .. } = self.config().clone();
        CellRecord { game, algo, torso, seed, frames, run: self.run.clone(), failure: None }
    }
}
