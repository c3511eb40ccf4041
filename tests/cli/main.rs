//! The command line, driven as a process in temporary folders.

mod bad_input;
mod commands;
mod determinism;
mod full_disk;
mod help;
mod resume;
mod support;
