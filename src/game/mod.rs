//! Runs of games.
//!
//! - [`launch`]: starts, resumes or forks a run; [`resume_rules`]: settings that may change then.
//! - [`assemble`]: builds environments, worker threads and an agent from resolved settings.
//! - [`training`]: the agent as the run loop trains it; [`progress`]: its state in a checkpoint.

pub mod assemble;
pub mod launch;
pub mod progress;
pub mod resume_rules;
pub mod training;

use crate::config::RunConfig;
use crate::run::run_dir::{Kind, RunConfiguration};

impl RunConfiguration for RunConfig {
    fn describes(kind: &Kind) -> bool {
        *kind == Kind::Game
    }
}
