//! Helpers shared by the whole-agent tests.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod apex;
pub mod golden;
pub mod scripted;

use std::sync::Arc;

use coordrl_agents::device::DeviceChoice;
use coordrl_agents::{
    A2c, A2cConfig, A2cReport, AgentError, AgentSetup, AgentState, build_pool, find_torso,
};
use coordrl_envs::{Assets, Env, EnvConfig, EnvSeed, Role, VecEnv, make_env};
use tch::Device;

/// Returns the networks' device: the CPU, or the one in `COORDRL_TEST_DEVICE=cuda:0`.
pub fn device() -> Device {
    let name = std::env::var("COORDRL_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let choice = name.parse::<DeviceChoice>().and_then(DeviceChoice::resolve);
    choice.unwrap_or_else(|error| panic!("COORDRL_TEST_DEVICE: {error}"))
}

/// Returns `true` if results are reproducible: on a GPU those of A2C were not, probably because
/// convolutions sum their gradients in varying order.
pub fn repeats_itself() -> bool {
    device() == Device::Cpu
}

/// Builds one Catch environment of 40×40 pixels.
pub fn catch(seed: u64, index: u64) -> Box<dyn Env> {
    let config = EnvConfig { screen_size: Some(40), frame_stack: Some(2), ..Default::default() };
    let assets = Assets { rom_dir: "none".into() };
    make_env("catch", &config, &assets, EnvSeed { seed, role: Role::TrainEnv, index }).unwrap()
}

/// Splits environments `make(0)`, `make(1)`, … among actors as set in `config`.
pub fn group(config: &A2cConfig, make: impl Fn(u64) -> Box<dyn Env>) -> Vec<VecEnv> {
    let mut indices = 0..;
    let sizes = config.envs_per_actor().into_iter();
    sizes.map(|n| VecEnv::try_new(indices.by_ref().take(n).map(&make).collect()).unwrap()).collect()
}

/// Construction parameters of an agent other than settings and environments.
#[derive(Clone, Copy)]
pub struct How {
    pub torso: &'static str,
    pub seed: u64,
    pub threads: usize,
    pub total_frames: u64,
}

pub const HOW: How = How { torso: "conv", seed: 1, threads: 2, total_frames: 10_000 };

pub fn try_agent(
    config: &A2cConfig,
    how: How,
    make: impl Fn(u64) -> Box<dyn Env>,
) -> Result<A2c, AgentError> {
    A2c::build(
        config,
        AgentSetup {
            torso: find_torso(how.torso).unwrap(),
            device: device(),
            seed: how.seed,
            total_frames: how.total_frames,
            actors: group(config, make),
            pool: Arc::new(build_pool(how.threads, 1).unwrap()),
        },
    )
}

pub fn agent(config: &A2cConfig, how: How, make: impl Fn(u64) -> Box<dyn Env>) -> A2c {
    try_agent(config, how, make).unwrap()
}

/// Builds an agent on Catch.
pub fn catch_agent(config: &A2cConfig, how: How) -> A2c {
    agent(config, how, |index| catch(how.seed, index))
}

/// Makes `count` updates; returns their reports without the times.
pub fn updates(agent: &mut A2c, count: usize) -> Vec<A2cReport> {
    let update = |_| A2cReport { timing: Default::default(), ..agent.update().unwrap() };
    (0..count).map(update).collect()
}

/// Asserts bitwise equality.
pub fn assert_same_state(a: &AgentState, b: &AgentState) {
    for (left, right) in
        [(&a.weights, &b.weights), (&a.optimizer, &b.optimizer), (&a.target, &b.target)]
    {
        assert_eq!(left.len(), right.len());
        for ((name, x), (other, y)) in left.iter().zip(right) {
            assert_eq!(name, other);
            assert_eq!(x, y, "{name}");
        }
    }
    assert!(a.trainer == b.trainer, "trainer states differ");
}

/// Returns the values of the named tensor.
pub fn numbers(named: &[(String, tch::Tensor)], name: &str) -> Vec<f32> {
    let (_, tensor) = named.iter().find(|(known, _)| known == name).expect(name);
    Vec::try_from(tensor.reshape([-1])).unwrap()
}
