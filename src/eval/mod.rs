//! Full games with a trained network.
//!
//! - [`evaluation`]: games played for their scores; [`known_scores`]: published scores for
//!   comparison.
//! - [`video`]: a game recorded as images.

pub mod evaluation;
pub mod known_scores;
pub mod video;
