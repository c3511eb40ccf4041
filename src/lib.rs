//! The `coordrl` application: everything that prints, reads files or parses the command line.
//!
//! - [`cli`]: one file per subcommand; parses, calls the modules below, prints results.
//! - [`report`]: compares finished runs on one page.
//! - [`sweep`]: grids of runs, one process each; [`study`]: the paper's other experiments.
//! - [`fleet`]: runs over several machines.
//! - [`game`]: runs of games; [`mod@bench`]: their speed.
//! - [`run`]: one run of either kind: loop, folder, checkpoints.
//! - [`eval`]: full games with a trained network, scored or recorded; [`zoo`]: agents to keep.
//! - [`metrics`]: tags, `metrics.jsonl`, TensorBoard, the console.
//! - [`config`]: all settings, their layers, and a check that reports every problem at once.
//! - [`text`]: names, paths and tables for users and shells.
//! - [`machine`]: memory check; [`stop_flag`]: stop signals; [`durable_file`]: crash-safe writes;
//!   [`exit_code`]: process exit codes.

pub mod bench;
pub mod cli;
pub mod config;
pub mod durable_file;
pub mod eval;
pub mod exit_code;
pub mod fleet;
pub mod game;
pub mod machine;
pub mod metrics;
pub mod report;
pub mod run;
pub mod stop_flag;
pub mod study;
pub mod sweep;
pub mod text;
pub mod zoo;
