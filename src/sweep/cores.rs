//! The machine's cores, shared among concurrent runs.

/// Returns the number of concurrent runs and the threads of each, for `cells` runs on this machine.
/// By default all cores are used: one run per core, or per group of `threads` cores.
pub fn share_cores(cells: usize, jobs: Option<u64>, threads: Option<u64>) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    share(cores, cells, jobs.map(as_usize), threads.map(as_usize))
}

fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn share(
    cores: usize,
    cells: usize,
    jobs: Option<usize>,
    threads: Option<usize>,
) -> (usize, usize) {
    // At least one job, even if each wants more threads than there are cores.
    let jobs = jobs.unwrap_or_else(|| cores / threads.unwrap_or(1).min(cores));
    let jobs = jobs.min(cells.max(1));
    (jobs, threads.unwrap_or_else(|| (cores / jobs).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_their_threads_fill_the_cores() {
        assert_eq!(share(16, 100, None, None), (16, 1));
        assert_eq!(share(16, 4, None, None), (4, 4), "few runs have more threads");
        assert_eq!(share(16, 100, None, Some(4)), (4, 4));
        assert_eq!(share(16, 100, None, Some(32)), (1, 32));
        assert_eq!(share(16, 100, Some(2), None), (2, 8));
        assert_eq!(share(2, 1, Some(1), None), (1, 2));
    }
}
