//! Whether a run fits into free memory, asked before anything large is allocated.

use coordrl_agents::replay::Replay;
use coordrl_agents::{ApexConfig, ApexReplayConfig};
use coordrl_envs::EnvSpec;
use tch::Device;

use crate::config::{Algo, RunConfig};

/// An emulator with its state, roughly.
const ENV_BYTES: u64 = 1 << 20;
/// Bytes that forward and backward need for each byte of the observations learnt from: pixels as
/// `f32` (4), the conv torso's results (3) and their gradients (3), rounded up.
const LEARN_FACTOR: u64 = 12;

/// Bytes that an LZ4-compressed frame takes, as a share of its pixels. Atari's take a tenth to a
/// quarter; dense ones more.
const COMPRESSED_SHARE: f64 = 0.25;

/// A run that cannot fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// A2C's environments and rollout.
    #[error(
        "{envs} environments × {steps} agent steps need about {} of memory, {} are free; \
         lower `a2c.envs` or `a2c.rollout_agent_steps`",
        size(*.needed), size(*.free)
    )]
    Rollout {
        /// Environments asked for.
        envs: u32,
        /// Rollout length asked for.
        steps: u32,
        /// Bytes needed, roughly.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Ape-X's replay and what else it needs.
    #[error("{}", replay_text(*.capacity, *.needed, *.free, *.fitting))]
    Replay {
        /// Transitions asked for.
        capacity: u64,
        /// Bytes that everything needs, roughly.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Transitions that would fit.
        fitting: u64,
    },
}

/// What a run is expected to take at most, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Bytes of the replay; 0 without one.
    pub replay_bytes: u64,
    /// Bytes of everything else that grows with settings.
    pub other_bytes: u64,
}

/// Refuses a run that is bound to be killed for want of memory. Where the system does not tell how
/// much is free, anything is let through.
pub fn check(config: &RunConfig, spec: &EnvSpec, device: Device) -> Result<(), TooLarge> {
    match free_bytes() {
        Some(free) => check_against(config, spec, device, free),
        None => Ok(()),
    }
}

/// What a run will take.
pub fn forecast(config: &RunConfig, spec: &EnvSpec, device: Device) -> MemoryEstimate {
    // With a GPU the host only holds the observations.
    let learn_factor = if device == Device::Cpu { LEARN_FACTOR } else { 0 };
    let obs_len = spec.obs_len() as u64;
    match config.algo {
        Algo::A2c => {
            let (envs, steps) = (config.a2c.envs.into(), config.a2c.rollout_agent_steps.into());
            MemoryEstimate { replay_bytes: 0, other_bytes: rollout_bytes(envs, steps, obs_len, learn_factor) }
        }
        Algo::Apex => {
            let capacity = config.apex.replay.capacity;
            let replay_bytes = replay_bytes(config, spec, capacity);
            MemoryEstimate { replay_bytes, other_bytes: apex_bytes(config, spec, learn_factor) }
        }
    }
}

fn check_against(config: &RunConfig, spec: &EnvSpec, device: Device, free: u64) -> Result<(), TooLarge> {
    let MemoryEstimate { replay_bytes: replay, other_bytes: other } = forecast(config, spec, device);
    let needed = replay.saturating_add(other);
    if needed <= free {
        return Ok(());
    }
    Err(match config.algo {
        Algo::A2c => {
            let (envs, steps) = (config.a2c.envs, config.a2c.rollout_agent_steps);
            TooLarge::Rollout { envs, steps, needed, free }
        }
        Algo::Apex => {
            let capacity = config.apex.replay.capacity;
            let fitting = fitting_capacity(config, spec, replay, free.saturating_sub(other));
            TooLarge::Replay { capacity, needed, free, fitting }
        }
    })
}

/// The capacity whose replay takes no more than `room`: in proportion, and less by hundredths for what
/// does not grow with it.
fn fitting_capacity(config: &RunConfig, spec: &EnvSpec, replay: u64, room: u64) -> u64 {
    let each = (replay / config.apex.replay.capacity.max(1)).max(1);
    let mut capacity = room / each;
    while capacity > 0 && replay_bytes(config, spec, capacity) > room {
        capacity -= capacity.div_ceil(100);
    }
    capacity
}

/// Environments, the rollout (a row more than steps), and what learning from it takes.
fn rollout_bytes(envs: u64, steps: u64, obs_len: u64, learn_factor: u64) -> u64 {
    let rows = envs.saturating_mul(steps.saturating_add(1));
    let obs = rows.saturating_mul(obs_len);
    envs.saturating_mul(ENV_BYTES).saturating_add(obs.saturating_mul(1 + learn_factor))
}

fn replay_bytes(config: &RunConfig, spec: &EnvSpec, capacity: u64) -> u64 {
    let replay = &config.apex.replay;
    let max_len = ApexReplayConfig { capacity, ..replay.clone() }.for_obs(spec.obs_shape).max_len() as u64;
    let whole = Replay::bytes_forecast(max_len, spec.obs_shape, config.apex.envs.into());
    if replay.compress { share(whole, COMPRESSED_SHARE) } else { whole }
}

/// Environments, batches drawn ahead (two observations a transition), experience on its way, and what
/// learning from a batch takes.
fn apex_bytes(config: &RunConfig, spec: &EnvSpec, learn_factor: u64) -> u64 {
    let apex = &config.apex;
    let batch = u64::from(apex.learner.batch_size).saturating_mul(2 * spec.obs_len() as u64);
    let ahead = u64::from(apex.prefetch_batches).saturating_add(u64::from(apex.prefetch_threads) + 1);
    u64::from(apex.envs)
        .saturating_mul(ENV_BYTES)
        .saturating_add(batch.saturating_mul(ahead.saturating_add(learn_factor)))
        .saturating_add(experience_bytes(&config.apex, spec))
}

/// Experience on its way: what every actor gathers, and messages of one actor each, in the queue and in
/// the hands that empty it. A frame a step, for stacks are built later.
fn experience_bytes(apex: &ApexConfig, spec: &EnvSpec) -> u64 {
    let [_, height, width] = spec.obs_shape;
    let largest = apex.envs_per_actor().first().copied().unwrap_or(0) as u64;
    let messages = largest.saturating_mul(u64::from(apex.experience_queue).saturating_add(1));
    messages
        .saturating_add(apex.envs.into())
        .saturating_mul(apex.send_every_agent_steps.into())
        .saturating_mul((height * width) as u64)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rough share of a count"
)]
fn share(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

fn replay_text(capacity: u64, needed: u64, free: u64, fitting: u64) -> String {
    let (needed, free) = (size(needed), size(free));
    let start = format!(
        "a replay of {capacity} transitions and what goes with it need about {needed} of memory, \
         {free} are free"
    );
    match fitting {
        0 => format!("{start}; lower `apex.envs` or `apex.prefetch_batches`"),
        _ => format!(
            "{start}; `--set apex.replay.capacity={fitting}` would fit, \
             `--set apex.replay.compress=true` takes about a quarter a transition"
        ),
    }
}

/// Gives memory that is not in use back to the system. A checkpoint needs several times the weights for a
/// moment; glibc would keep that for later, in holes that rarely fit again, and a long run would seem to
/// grow. Does nothing with another C library.
pub fn give_back_unused() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no memory is handed over; it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the machine has free, or what the process's group may still take, whichever is less.
fn free_bytes() -> Option<u64> {
    [machine_free_bytes(), group_free_bytes()].into_iter().flatten().min()
}

/// Linux tells what can be had without swapping in a line `MemAvailable:   123456 kB`.
fn machine_free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The limit of a container, as control groups (version 2) tell it from inside.
fn group_free_bytes() -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn size(bytes: u64) -> String {
    let (mib, gib) = (bytes as f64 / f64::from(1 << 20), bytes as f64 / f64::from(1 << 30));
    if gib < 1.0 { format!("{mib:.0} MiB") } else { format!("{gib:.1} GiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> EnvSpec {
        EnvSpec { name: "x".into(), obs_shape: [4, 84, 84], actions: vec!["A".into()], frame_skip: 4 }
    }

    #[test]
    fn usual_runs_fit_and_absurd_ones_are_told_the_arithmetic() {
        let mut config = RunConfig::default();
        assert_eq!(check_against(&config, &spec(), Device::Cpu, 1 << 30), Ok(()));
        assert_eq!([size(1 << 30), size(3 << 20)], ["1.0 GiB", "3 MiB"]);
        config.a2c.envs = 100_000_000;
        let text = check_against(&config, &spec(), Device::Cpu, 8 << 30).unwrap_err().to_string();
        assert!(text.starts_with("100000000 environments × 5 agent steps need about "), "{text}");
        assert!(text.contains("8.0 GiB are free; lower `a2c.envs`"), "{text}");
        config.a2c.rollout_agent_steps = u32::MAX;
        assert!(check_against(&config, &spec(), Device::Cpu, u64::MAX - 1).is_err(), "no overflow");
    }

    #[test]
    fn a_replay_that_does_not_fit_is_told_how_large_one_would() {
        let mut config = RunConfig { algo: Algo::Apex, ..RunConfig::default() };
        let text = check_against(&config, &spec(), Device::Cpu, 8 << 30).unwrap_err().to_string();
        assert!(text.starts_with("a replay of 2000000 transitions and what goes with it need"), "{text}");
        let fitting = text.split("apex.replay.capacity=").nth(1).and_then(|rest| rest.split('`').next());
        config.apex.replay.capacity = fitting.unwrap().parse().unwrap();
        assert!(config.apex.replay.capacity > 900_000);
        assert_eq!(check_against(&config, &spec(), Device::Cpu, 8 << 30), Ok(()));
        let paper = RunConfig {
            apex: ApexConfig { envs: 360, actors: Some(16), ..config.apex.clone() },
            ..config.clone()
        };
        let on_the_way = experience_bytes(&paper.apex, &spec());
        assert_eq!(
            on_the_way,
            (23 * 17 + 360) * 50 * 84 * 84,
            "messages are one actor's, frames are not stacks"
        );
        config.apex.replay.capacity = u64::MAX;
        assert!(check_against(&config, &spec(), Device::Cpu, u64::MAX - 1).is_err(), "no overflow");
    }
}
