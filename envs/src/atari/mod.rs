//! Atari 2600 games on the Arcade Learning Environment.

pub mod ale;
mod atari_env;
mod game;
pub mod preprocess;

pub use atari_env::AtariEnv;
