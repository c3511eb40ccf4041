//! Memory check: refuses a run that cannot fit before anything large is allocated.

use coordrl_agents::MemoryAdvice;
use tch::Device;

use crate::config::RunConfig;

/// A run that does not fit into memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// The environments and rollout of an on-policy algorithm.
    #[error(
        "{envs} environments × {steps} agent steps need about {} of memory, {} are free; \
         lower `{table}.envs` or `{table}.rollout_agent_steps`",
        size(*.needed), size(*.free)
    )]
    Rollout {
        /// Table of the algorithm's settings.
        table: &'static str,
        /// Environments requested.
        envs: u32,
        /// Rollout length requested.
        steps: u32,
        /// Approximate bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The replay of an off-policy algorithm and everything beside it.
    #[error("{}", replay_text(.table, *.capacity, *.needed, *.free, *.fitting))]
    Replay {
        /// Table of the algorithm's settings.
        table: &'static str,
        /// Transitions requested.
        capacity: u64,
        /// Approximate bytes needed in total.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Number of transitions that would fit.
        fitting: u64,
    },
}

/// Refuses a run that would be killed for lack of memory. Accepts every run if the system does not
/// report free memory.
pub fn check(config: &RunConfig, obs_shape: [usize; 3], device: Device) -> Result<(), TooLarge> {
    match free_bytes() {
        Some(free) => check_against(config, obs_shape, device, free),
        None => Ok(()),
    }
}

fn check_against(
    config: &RunConfig,
    obs_shape: [usize; 3],
    device: Device,
    free: u64,
) -> Result<(), TooLarge> {
    let algorithm = config.algorithm();
    let estimate = algorithm.memory(obs_shape, device);
    let needed = estimate.replay_bytes.saturating_add(estimate.other_bytes);
    if needed <= free {
        return Ok(());
    }

    let table = algorithm.algorithm().name;
    Err(match algorithm.memory_advice(obs_shape, estimate, free) {
        MemoryAdvice::Rollout { envs, steps } => {
            TooLarge::Rollout { table, envs, steps, needed, free }
        }
        MemoryAdvice::Replay { capacity, fitting } => {
            TooLarge::Replay { table, capacity, needed, free, fitting }
        }
    })
}

fn replay_text(table: &str, capacity: u64, needed: u64, free: u64, fitting: u64) -> String {
    let needed = size(needed);
    let free = size(free);
    let start = format!(
        "a replay of {capacity} transitions and what goes with it need about {needed} of memory, \
         {free} are free"
    );
    match fitting {
        0 => format!("{start}; lower `{table}.envs` or `{table}.prefetch_batches`"),
        _ => format!(
            "{start}; `--set {table}.replay.capacity={fitting}` would fit, \
             `--set {table}.replay.compress=true` takes about a quarter a transition"
        ),
    }
}

/// Makes the C allocator keep freed blocks for the next update; for the start of the process. Does
/// nothing with other C libraries.
///
/// Every update allocates and frees the same tensors of some megabytes. By default glibc gives free
/// memory at the end of a heap back after a few megabytes, and the system zeroes each page again: a
/// tenth of A2C's time on a CPU. [`give_back_unused`] still returns it.
pub fn keep_freed_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The most that glibc accepts. Larger blocks are rare, and stay mappings of their own.
        const LARGEST_IN_HEAP: libc::c_int = 32 << 20;
        /// More than the heaps of a worker thread, which glibc limits to 64 MiB each.
        const KEPT_FREE: libc::c_int = 256 << 20;
        // SAFETY: `mallopt` only sets numbers, and no other thread runs yet. A refused value leaves
        // the default, which is slower but right.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_IN_HEAP);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
        }
    }
}

/// Returns unused heap memory to the system. A checkpoint briefly needs several times the size of
/// the weights; glibc would keep that memory, too fragmented to reuse, and a long run would appear
/// to leak. Does nothing with other C libraries.
pub fn give_back_unused() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no memory from the caller and is safe on any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Returns the smaller of the machine's free memory and what the process's control group allows.
fn free_bytes() -> Option<u64> {
    [machine_free_bytes(), group_free_bytes()].into_iter().flatten().min()
}

/// Reads the memory available without swapping from the line `MemAvailable:   123456 kB`.
fn machine_free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Reads the memory left in a container from control groups (version 2).
fn group_free_bytes() -> Option<u64> {
    // Without a limit the file says `max`, which is no number.
    let most = group_number("memory.max")?;
    Some(most.saturating_sub(group_number("memory.current")?))
}

fn group_number(file: &str) -> Option<u64> {
    // In a container this is its own group; the root group of a bare machine has no such files.
    std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
}

/// Formats bytes for display.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    let gib = bytes as f64 / f64::from(1 << 30);
    if gib < 1.0 { format!("{mib:.0} MiB") } else { format!("{gib:.1} GiB") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algo;

    const SHAPE: [usize; 3] = [4, 84, 84];

    #[test]
    fn usual_runs_fit_and_absurd_ones_are_told_the_arithmetic() {
        let mut config = RunConfig::default();
        assert_eq!(check_against(&config, SHAPE, Device::Cpu, 1 << 30), Ok(()));
        assert_eq!([size(1 << 30), size(3 << 20)], ["1.0 GiB", "3 MiB"]);
        config.a2c.envs = 100_000_000;
        let text = check_against(&config, SHAPE, Device::Cpu, 8 << 30).unwrap_err().to_string();
        assert!(text.starts_with("100000000 environments × 5 agent steps need about "), "{text}");
        assert!(text.contains("8.0 GiB are free; lower `a2c.envs`"), "{text}");
        config.a2c.rollout_agent_steps = u32::MAX;
        assert!(check_against(&config, SHAPE, Device::Cpu, u64::MAX - 1).is_err(), "no overflow");
    }

    #[test]
    fn a_replay_that_does_not_fit_is_told_how_large_one_would() {
        let mut config = RunConfig { algo: Algo::Apex, ..RunConfig::default() };
        let text = check_against(&config, SHAPE, Device::Cpu, 8 << 30).unwrap_err().to_string();
        assert!(
            text.starts_with("a replay of 2000000 transitions and what goes with it need"),
            "{text}"
        );
        let fitting =
            text.split("apex.replay.capacity=").nth(1).and_then(|rest| rest.split('`').next());
        config.apex.replay.capacity = fitting.unwrap().parse().unwrap();
        assert!(config.apex.replay.capacity > 900_000);
        assert_eq!(check_against(&config, SHAPE, Device::Cpu, 8 << 30), Ok(()));
        config.apex.replay.capacity = u64::MAX;
        assert!(check_against(&config, SHAPE, Device::Cpu, u64::MAX - 1).is_err(), "no overflow");
    }
}
