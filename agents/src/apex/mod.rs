//! Ape-X DQN: deep Q-learning with dueling networks, double Q-learning, n-step targets and
//! prioritised replay. Source: Horgan et al. 2018 (arXiv:1803.00933).

mod batch;
mod config;
mod learner;

pub use batch::LearnBatch;
pub use config::LearnerConfig;
pub use learner::{Learned, Learner, LearnerState, Weights};
