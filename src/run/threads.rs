//! Worker threads of a run.

use anyhow::Context;
use rayon::ThreadPool;

/// Builds the worker threads, each with `torch_threads` libtorch threads, and sets the same number
/// for the calling thread.
///
/// # Errors
/// If the system refuses the threads.
pub fn build_pool(threads: Option<u32>, torch_threads: u32) -> anyhow::Result<ThreadPool> {
    let torch_threads = i32::try_from(torch_threads).unwrap_or(i32::MAX);
    // libtorch stores this setting per calling thread.
    tch::set_num_threads(torch_threads);
    coordrl_agents::build_pool(threads.map_or(0, |threads| threads as usize), torch_threads)
        .context("cannot start the worker threads; ask for fewer")
}
