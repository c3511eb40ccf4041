//! From resolved settings to things that run: environments, threads, agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordrl_agents::{Agent, AgentSetup, find_torso};
use coordrl_envs::{Assets, Env, EnvSeed, EnvSpec, Role, VecEnv, make_env};
use rayon::ThreadPool;
use rayon::prelude::*;
use tch::Device;

use crate::config::RunConfig;
use crate::machine;

/// Overrides where ROMs are looked for, for every command.
const ROM_DIR_VARIABLE: &str = "COORDRL_ROM_DIR";

/// An agent ready to train.
pub struct Assembled {
    /// Agent with its environments.
    pub agent: Box<dyn Agent>,
    /// Device of its networks.
    pub device: Device,
    /// Number of worker threads: those of the pool, and those that the algorithm starts besides.
    pub threads: usize,
    /// Bytes of a full replay, if there is one.
    pub replay_bytes: Option<u64>,
}

/// Builds environments, thread pool and agent. Writes nothing.
///
/// # Errors
/// If the run does not fit into memory, or a part of it cannot be built.
pub fn assemble(config: &RunConfig) -> anyhow::Result<Assembled> {
    let device = config.device.resolve()?;
    tracing::debug!(asked = ?config.device, ?device, "device");
    let spec = check_parts(config)?;
    machine::check(config, spec.obs_shape, device)?;

    let algorithm = config.algorithm();
    let setup = agent_setup(config, device)?;
    let threads = setup.pool.current_num_threads() + algorithm.own_threads();
    let agent = algorithm.build(setup)?;
    let replay_bytes = algorithm.memory(spec.obs_shape, device).replay_bytes;
    Ok(Assembled {
        agent,
        device,
        threads,
        replay_bytes: (replay_bytes > 0).then_some(replay_bytes),
    })
}

/// Builds everything that an agent is built from besides its settings.
///
/// # Errors
/// If threads cannot be started, or the game cannot be loaded.
pub fn agent_setup(config: &RunConfig, device: Device) -> anyhow::Result<AgentSetup<'static>> {
    let pool = Arc::new(build_pool(config.threads, config.torch_threads)?);
    let actors = build_actors(config, &config.algorithm().envs_per_actor(), &pool)?;
    Ok(AgentSetup {
        torso: find_torso(&config.torso)?,
        device,
        seed: config.seed,
        total_frames: config.frames,
        actors,
        pool,
    })
}

/// Checks that the game can be loaded as set and that the network can be built for its
/// observations. Returns the facts of the environment.
///
/// # Errors
/// If either cannot.
pub fn check_parts(config: &RunConfig) -> anyhow::Result<EnvSpec> {
    let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index: 0 };
    let env = make_env(&config.game, &config.env, &assets(config.rom_dir.as_deref()), seed)?;
    let spec = env.spec().clone();
    let torso = find_torso(&config.torso)?;
    config.algorithm().check_network(torso, spec.obs_shape, spec.num_actions())?;
    Ok(spec)
}

/// Where ROMs are: the setting, else the environment variable, else where set-up put them.
pub fn assets(rom_dir: Option<&Path>) -> Assets {
    let chosen = rom_dir
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(ROM_DIR_VARIABLE).map(PathBuf::from));
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

/// One vector of environments an actor. Environment `i` of the run has stream `i`, whoever holds
/// it.
///
/// Loading a game and playing its start takes a tenth of a second: `pool` loads them side by side.
fn build_actors(
    config: &RunConfig,
    sizes: &[usize],
    pool: &ThreadPool,
) -> anyhow::Result<Vec<VecEnv>> {
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
