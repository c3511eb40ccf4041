//! `coordrl`, the application: everything that prints, reads files or knows the command line.
//!
//! - [`cli`]: one file per subcommand; parses, calls the modules below, prints results.
//! - [`report`]: compares finished runs on one page.
//! - [`sweep`]: grids of runs, each a process of its own; [`study`]: runs of the coordinate tasks.
//! - [`run`]: one training run: launch, loop, folder, checkpoints.
//! - [`eval`]: full games with a trained network, as scores or as pictures.
//! - [`metrics`]: tags, `metrics.jsonl`, TensorBoard, the console.
//! - [`config`]: every setting, the layers that set it, and all that is wrong with it at once.
//! - [`text`]: names, paths and tables as people and shells read them.
//! - [`machine`]: memory that a run needs; [`stop_flag`]: signals that end it; [`durable_file`]: files that
//!   survive a crash; [`exit_code`]: how a command ended.

pub mod cli;
pub mod config;
pub mod durable_file;
pub mod eval;
pub mod exit_code;
pub mod machine;
pub mod metrics;
pub mod report;
pub mod run;
pub mod stop_flag;
pub mod study;
pub mod sweep;
pub mod text;
