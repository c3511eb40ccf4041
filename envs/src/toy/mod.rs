//! Small games of our own, for tests and first tries.

pub mod catch;
