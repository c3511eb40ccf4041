//! Full games with a trained network.
//!
//! - [`evaluation`]: games played for their scores; [`known_scores`]: published scores to compare with.
//! - [`video`]: one game as pictures.

pub mod evaluation;
pub mod known_scores;
pub mod video;
