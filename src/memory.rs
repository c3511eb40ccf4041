//! Whether a run fits into free memory, asked before anything large is allocated.

use coordrl_envs::EnvSpec;
use tch::Device;

use crate::config::RunConfig;

/// An emulator with its state, roughly.
const ENV_BYTES: u64 = 1 << 20;
/// Bytes that forward and backward need for each byte of the observations learnt from: pixels as
/// `f32` (4), the conv torso's results (3) and their gradients (3), rounded up.
const LEARN_FACTOR: u64 = 12;

/// A run that cannot fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{envs} environments × {steps} agent steps need about {} of memory, {} are free; \
     lower `a2c.envs` (`--envs`) or `a2c.rollout_agent_steps`",
    gib(*.needed), gib(*.free)
)]
pub struct TooLarge {
    /// Environments asked for.
    pub envs: u32,
    /// Rollout length asked for.
    pub steps: u32,
    /// Bytes needed, roughly.
    pub needed: u64,
    /// Bytes free.
    pub free: u64,
}

/// Refuses a run that is bound to be killed for want of memory. Where the system does not tell how
/// much is free, anything is let through.
pub fn check(config: &RunConfig, spec: &EnvSpec, device: Device) -> Result<(), TooLarge> {
    match free_bytes() {
        Some(free) => check_against(config, spec, device, free),
        None => Ok(()),
    }
}

fn check_against(config: &RunConfig, spec: &EnvSpec, device: Device, free: u64) -> Result<(), TooLarge> {
    let (envs, steps) = (config.a2c.envs, config.a2c.rollout_agent_steps);
    // With a GPU the host only holds the observations.
    let learn_factor = if device == Device::Cpu { LEARN_FACTOR } else { 0 };
    let needed = forecast(u64::from(envs), u64::from(steps), spec.obs_len() as u64, learn_factor);
    if needed <= free { Ok(()) } else { Err(TooLarge { envs, steps, needed, free }) }
}

/// Environments, the rollout (a row more than steps), and what learning from it takes.
fn forecast(envs: u64, steps: u64, obs_len: u64, learn_factor: u64) -> u64 {
    let rows = envs.saturating_mul(steps.saturating_add(1));
    let obs = rows.saturating_mul(obs_len);
    envs.saturating_mul(ENV_BYTES).saturating_add(obs.saturating_mul(1 + learn_factor))
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

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
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
        config.a2c.envs = 100_000_000;
        let text = check_against(&config, &spec(), Device::Cpu, 8 << 30).unwrap_err().to_string();
        assert!(text.starts_with("100000000 environments × 5 agent steps need about "), "{text}");
        assert!(text.contains("8.0 GiB are free; lower `a2c.envs`"), "{text}");
        config.a2c.rollout_agent_steps = u32::MAX;
        assert!(check_against(&config, &spec(), Device::Cpu, u64::MAX - 1).is_err(), "no overflow");
    }
}
