//! Small built-in games, for tests and quick experiments.

pub mod catch;
