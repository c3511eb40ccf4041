//! Threads that step environments and take gradients.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// `count` things split among `among` as evenly as possible, the first ones one more.
pub(crate) fn split_evenly(count: usize, among: usize) -> Vec<usize> {
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
    use_torch_threads(torch_threads);
    start_pool(threads, torch_threads)
}

/// The same, with the calling thread left as it is.
pub(crate) fn start_pool(threads: usize, torch_threads: i32) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("worker-{index}"))
        .start_handler(move |_| use_torch_threads(torch_threads))
        .build()
}

/// Lets libtorch use so many threads inside one operation of the calling thread, whatever others do.
///
/// libtorch keeps the number for each thread *and* for the process, and a thread's first parallel
/// operation takes the process's over its own. Asking for the number gets that over with.
pub(crate) fn use_torch_threads(count: i32) {
    tch::set_num_threads(count);
    let _ = tch::get_num_threads();
    tch::set_num_threads(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn a_pool_keeps_its_number_of_libtorch_threads_whatever_other_threads_ask_for() {
        let pool = build_pool(1, 3).unwrap();
        std::thread::spawn(|| use_torch_threads(1)).join().unwrap();
        let work = || {
            let _ = Tensor::rand([400, 400], (Kind::Float, Device::Cpu))
                .matmul(&Tensor::rand([400, 400], (Kind::Float, Device::Cpu)));
            tch::get_num_threads()
        };
        assert_eq!(pool.install(work), 3);
        use_torch_threads(1);
        assert_eq!(pool.install(work), 3);
    }
}
