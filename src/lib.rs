//! `coordrl`, the application: everything that prints, reads files or knows the command line.
//!
//! - [`cli`]: one subcommand a file; parses, calls the modules below, prints results.
//! - [`config`]: what can be set, which layer wins, and everything wrong with it at once.
//! - [`agent`]: whatever learns, as the training loop sees it.
//! - [`assemble`]: from resolved settings to environments, worker threads and an agent.
//! - [`launch`]: a new run, a resumed one, or a fork, with what may change between them.
//! - [`training`]: the loop of update, report and checkpoint.
//! - [`evaluation`]: full games with a finished network; [`video`]: one of them as pictures.
//! - [`sweep`]: grids of runs, each a process of its own.
//! - [`report`]: runs compared, as one page.
//! - [`study`]: runs of the coordinate tasks.
//! - [`run_dir`]: the run folder, its lock, and the only code that knows its files.
//! - [`checkpoint`]: everything needed to go on exactly; [`progress`] is the loop's own part of it.
//! - [`weights_file`]: named tensors as safetensors bytes.
//! - [`metrics`]: tags, sums between log points, `metrics.jsonl`, TensorBoard, the console.
//! - [`logging`]: log lines, if asked for.
//! - [`memory`]: whether a run fits before it starts.
//! - [`interrupt`]: Ctrl-C, termination and hang-up signals.
//! - [`names`]: whether names that users choose fit; [`path_text`]: paths as text from which they come back, for JSON and shells.
//! - [`exit_code`]: how a command ended; [`suggest`]: "did you mean"; [`table`]: columns of text.

pub mod agent;
pub mod assemble;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod evaluation;
pub mod exit_code;
pub mod interrupt;
pub mod known_scores;
pub mod launch;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod path_text;
pub mod progress;
pub mod report;
pub mod run_dir;
pub mod study;
pub mod suggest;
pub mod sweep;
pub mod table;
pub mod training;
pub mod video;
pub mod weights_file;
