//! The command line, driven as a process in temporary folders.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod apex;
mod bad_input;
mod bench;
mod cluster;
mod commands;
mod determinism;
mod fleet;
mod fleet_faults;
mod full_disk;
mod help;
mod odd_paths;
mod play;
mod proxy;
#[path = "../../fleet/tests/support/mod.rs"]
mod redis;
mod report;
mod resume;
mod study;
mod support;
mod sweep;
