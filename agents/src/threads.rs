//! Threads that step environments and take gradients.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// `count` things split among `among` as evenly as possible, the first ones one more.
pub(crate) fn shares(count: usize, among: usize) -> Vec<usize> {
    let among = among.max(1);
    (0..among).map(|one| count / among + usize::from(one < count % among)).collect()
}

/// A pool of `threads` (0: as many as there are cores), each with `torch_threads` libtorch threads.
///
/// One libtorch thread is right for actors: their batches are small, and two processes of one
/// thread do half again as much as one of two. libtorch keeps that number for each thread of ours,
/// so it is set as each one starts, and on the calling thread, which draws first weights and loads
/// saved ones: left at several threads there, runs of one seed differed in their last bits.
pub fn build_pool(threads: usize, torch_threads: i32) -> Result<ThreadPool, ThreadPoolBuildError> {
    tch::set_num_threads(torch_threads);
    start_pool(threads, torch_threads)
}

/// The same, with the calling thread left as it is.
pub(crate) fn start_pool(threads: usize, torch_threads: i32) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("worker-{index}"))
        .start_handler(move |_| tch::set_num_threads(torch_threads))
        .build()
}
