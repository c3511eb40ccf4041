//! Studies, as a sweep plans them.

use super::launch::{FREE_ON_RESUME, refused_on_resume};
use super::training::identity;
use super::{StudyProgress, StudyRunConfig};
use crate::metrics::LogAxis;
use crate::metrics::tags::{self, Tag};
use crate::run::checkpoint;
use crate::run::run_dir::RunDir;
use crate::sweep::planned::Planned;

impl Planned for StudyRunConfig {
    type Config = Self;

    const AXIS: LogAxis = LogAxis::Updates;
    const SPEED: &'static Tag = &tags::UPDATES_PER_SEC;

    fn config(&self) -> &Self {
        self
    }

    fn subcommand(&self) -> Vec<&str> {
        vec!["study", self.task.name]
    }

    fn subject(&self) -> String {
        format!("{} {}", self.task, self.split.name())
    }

    fn arm(&self) -> String {
        self.layer.clone()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn end(&self) -> u64 {
        // Data that cannot be read are reported by the run itself.
        let train_rows = (self.task.train_rows)(self.split, &self.study, &self.data_dir());
        let train_rows = train_rows.unwrap_or_default() as u64;
        u64::from(self.study.epochs) * train_rows.div_ceil(u64::from(self.study.batch_size))
    }

    fn scores(&self) -> &'static [&'static Tag] {
        std::slice::from_ref(&self.task.measures[0].test)
    }

    fn describe_score(&self, score: Option<f64>) -> String {
        match score {
            None => "not evaluated".to_owned(),
            Some(score) => {
                format!("{} {score:.4}", self.scores()[0].name.trim_start_matches("study/"))
            }
        }
    }

    fn refused_on_resume(&self, old: &Self, _updates: u64) -> Vec<String> {
        refused_on_resume(old, self)
    }

    fn is_complete(&self, run: &RunDir, _updates: Option<u64>) -> bool {
        // A damaged checkpoint is left to the process that resumes from it, which explains it.
        checkpoint::read_newest::<StudyProgress>(&run.checkpoints_dir(), &identity(self))
            .is_ok_and(|checkpoint| self.is_done(&checkpoint.progress))
    }

    fn may_change(&self, key: &str) -> bool {
        FREE_ON_RESUME.contains(&key)
    }
}
