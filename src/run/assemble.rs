//! From resolved settings to things that run: environments, threads, agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordrl_agents::nn::QNetwork;
use coordrl_agents::{A2c, A2cSetup, Apex, ApexSetup, Network, find_torso};
use coordrl_envs::{Assets, Env, EnvSeed, EnvSpec, Role, VecEnv, make_env};
use rayon::ThreadPool;
use rayon::prelude::*;
use tch::Device;

use crate::config::{Algo, RunConfig};
use crate::machine;
use crate::run::agent::Agent;

/// Overrides where ROMs are looked for, for every command.
const ROM_DIR_VARIABLE: &str = "COORDRL_ROM_DIR";

/// An agent ready to train, and what was chosen for it.
pub struct Assembled {
    /// The agent with its environments.
    pub agent: Agent,
    /// Where its network is.
    pub device: Device,
    /// Worker threads: those that step environments, or all of Ape-X's with the learner's.
    pub threads: usize,
    /// What a full replay will take, if there is one.
    pub replay_bytes: Option<u64>,
}

/// Builds environments, thread pool and agent. Writes nothing.
pub fn assemble(config: &RunConfig) -> anyhow::Result<Assembled> {
    let device = config.device.resolve()?;
    tracing::debug!(asked = ?config.device, ?device, "device");
    let spec = check_parts(config)?;
    machine::check(config, &spec, device)?;
    match config.algo {
        Algo::A2c => assemble_a2c(config, device),
        Algo::Apex => assemble_apex(config, &spec, device),
    }
}

fn assemble_a2c(config: &RunConfig, device: Device) -> anyhow::Result<Assembled> {
    let pool = Arc::new(build_pool(config.threads, config.torch_threads)?);
    let actors = build_actors(config, &config.a2c.envs_per_actor(), &pool)?;
    let threads = pool.current_num_threads();
    let agent = A2c::build(A2cSetup {
        config: &config.a2c,
        torso: find_torso(&config.torso)?,
        device,
        seed: config.seed,
        total_frames: config.frames,
        actors,
        pool,
    })?;
    Ok(Assembled { agent: Agent::A2c(Box::new(agent)), device, threads, replay_bytes: None })
}

/// `threads` learn; actors and what fills and empties the replay have threads of their own.
fn assemble_apex(config: &RunConfig, spec: &EnvSpec, device: Device) -> anyhow::Result<Assembled> {
    let apex = &config.apex;
    let pool = Arc::new(build_pool(config.threads, config.torch_threads)?);
    let threads = apex.num_threads() + pool.current_num_threads();
    let agent = Apex::build(ApexSetup {
        config: apex,
        torso: find_torso(&config.torso)?,
        device,
        seed: config.seed,
        total_frames: config.frames,
        actors: build_actors(config, &apex.envs_per_actor(), &pool)?,
        pool,
    })?;
    let replay_bytes = Some(machine::forecast(config, spec, device).replay_bytes);
    Ok(Assembled { agent: Agent::Apex(Box::new(agent)), device, threads, replay_bytes })
}

/// Whether the game can be loaded as set and the network can be built for what it shows. Gives the
/// facts of the environment.
pub fn check_parts(config: &RunConfig) -> anyhow::Result<EnvSpec> {
    let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index: 0 };
    let env = make_env(&config.game, &config.env, &assets(config.rom_dir.as_deref()), seed)?;
    let spec = env.spec().clone();
    let (torso, actions) = (find_torso(&config.torso)?, spec.num_actions());
    match config.algo {
        Algo::A2c => Network::check(torso, spec.obs_shape, actions)?,
        Algo::Apex => QNetwork::check(torso, spec.obs_shape, actions, config.apex.learner.head)?,
    }
    Ok(spec)
}

/// Where ROMs are: the setting, else the environment variable, else where set-up put them.
pub fn assets(rom_dir: Option<&Path>) -> Assets {
    let chosen =
        rom_dir.map(Path::to_owned).or_else(|| std::env::var_os(ROM_DIR_VARIABLE).map(PathBuf::from));
    match chosen {
        Some(rom_dir) => Assets { rom_dir },
        None => Assets::in_deps(Path::new(env!("COORDRL_BUILD_DEPS_DIR"))),
    }
}

/// Worker threads, each with its own number of libtorch threads. The calling thread gets the same.
pub fn build_pool(threads: Option<u32>, torch_threads: u32) -> anyhow::Result<ThreadPool> {
    let torch_threads = i32::try_from(torch_threads).unwrap_or(i32::MAX);
    // libtorch keeps this number per thread of ours.
    tch::set_num_threads(torch_threads);
    coordrl_agents::build_pool(threads.map_or(0, |threads| threads as usize), torch_threads)
        .context("cannot start the worker threads; ask for fewer")
}

/// One vector of environments an actor. Environment `i` of the run has stream `i`, whoever holds it.
///
/// Loading a game and playing its start takes a tenth of a second: `pool` loads them side by side.
fn build_actors(config: &RunConfig, sizes: &[usize], pool: &ThreadPool) -> anyhow::Result<Vec<VecEnv>> {
    let assets = assets(config.rom_dir.as_deref());
    let load = |index: usize| {
        let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index: index as u64 };
        make_env(&config.game, &config.env, &assets, seed)
    };
    let count = sizes.iter().sum::<usize>();
    let envs: Vec<Box<dyn Env>> =
        pool.install(|| (0..count).into_par_iter().map(load).collect::<Result<_, _>>())?;
    let mut envs = envs.into_iter();
    sizes.iter().map(|&size| Ok(VecEnv::try_new(envs.by_ref().take(size).collect())?)).collect()
}
