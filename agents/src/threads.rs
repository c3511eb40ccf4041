//! Thread pools and libtorch thread counts.

use std::sync::Once;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tch::{Device, Kind, Tensor};

/// Splits `count` into `among` parts as evenly as possible; the first ones get one more.
pub(crate) fn split_evenly(count: usize, among: usize) -> Vec<usize> {
    let among = among.max(1);
    (0..among).map(|one| count / among + usize::from(one < count % among)).collect()
}

/// Builds a pool of `threads` (0: one per core), each with `torch_threads` libtorch threads.
///
/// One libtorch thread is right for actors: their batches are small, and two processes of one
/// thread have 1.5 times the throughput of one process of two. libtorch stores the number per
/// thread, so it is set when each thread starts, and also on the calling thread, which initialises
/// and loads weights: with several libtorch threads there, runs with the same seed differed in
/// their last bits.
pub fn build_pool(threads: usize, torch_threads: i32) -> Result<ThreadPool, ThreadPoolBuildError> {
    use_torch_threads(torch_threads);
    start_pool(threads, torch_threads)
}

/// Builds the same pool without changing the calling thread.
pub(crate) fn start_pool(
    threads: usize,
    torch_threads: i32,
) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("worker-{index}"))
        .start_handler(move |_| use_torch_threads(torch_threads))
        .build()
}

/// Sets the number of libtorch threads per operation on the calling thread, regardless of other
/// threads.
///
/// libtorch keeps the number per thread *and* per process, and a thread's first parallel operation
/// overwrites its own with the process's. Reading the number in between triggers that early.
pub(crate) fn use_torch_threads(count: i32) {
    choose_vector_maths();
    tch::set_num_threads(count);
    let _ = tch::get_num_threads();
    tch::set_num_threads(count);
}

/// Makes MKL choose its vector functions, of which we use these three, while only one thread calls them.
///
/// MKL 2024.2 chooses them by the processor at the first call of a process, without a lock: a
/// second thread in its first call can be given the function of half the precision, once. Two runs
/// of one seed then differ from the fourth digit of an exponential on.
/// Source: <https://github.com/pytorch/pytorch/issues/188792>.
fn choose_vector_maths() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        for kind in [Kind::Float, Kind::Double] {
            let ones = Tensor::ones([8], (kind, Device::Cpu));
            let _ = (ones.exp(), ones.log(), ones.sqrt());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

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
