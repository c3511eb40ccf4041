//! Builds environments, threads and an agent from resolved settings.

use std::sync::Arc;

use coordrl_agents::{Agent, AgentSetup, find_torso};
use coordrl_envs::{Env, EnvSeed, EnvSpec, Role, VecEnv, make_env};
use rayon::ThreadPool;
use rayon::prelude::*;
use tch::Device;

use crate::config::{RunConfig, assets};
use crate::machine;
use crate::run::threads::build_pool;

/// An agent ready to train.
pub struct Assembled {
    /// Agent with its environments.
    pub agent: Box<dyn Agent>,
    /// Device of its networks.
    pub device: Device,
    /// Number of worker threads: the pool's, plus those the algorithm starts itself.
    pub threads: usize,
    /// Size of a full replay in bytes, if the agent has one.
    pub replay_bytes: Option<u64>,
}

/// Builds environments, thread pool and agent. Writes nothing.
///
/// # Errors
/// If the run does not fit in memory, or a part cannot be built.
pub fn assemble(config: &RunConfig) -> anyhow::Result<Assembled> {
    let device = config.device.resolve()?;
    tracing::debug!(asked = ?config.device, ?device, "device");
    let spec = check_parts(config)?;
    // Before anything large is allocated: the system kills a process without memory unannounced.
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

/// Builds everything an agent needs apart from its own settings.
///
/// # Errors
/// If threads cannot be started, or the game cannot be loaded.
pub fn agent_setup(config: &RunConfig, device: Device) -> anyhow::Result<AgentSetup<'static>> {
    let pool = Arc::new(build_pool(config.threads, config.torch_threads)?);
    let actors = build_envs(config, config.seed, &config.algorithm().envs_per_actor(), &pool)?;
    Ok(AgentSetup {
        torso: find_torso(&config.torso)?,
        device,
        seed: config.seed,
        total_frames: config.frames,
        actors,
        pool,
    })
}

/// Checks that the game loads with these settings and that the network accepts its observations.
/// Returns the environment's spec.
///
/// # Errors
/// If either check fails.
pub fn check_parts(config: &RunConfig) -> anyhow::Result<EnvSpec> {
    let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index: 0 };
    let env = make_env(&config.game, &config.env, &assets(config.rom_dir.as_deref()), seed)?;
    let spec = env.spec().clone();
    let torso = find_torso(&config.torso)?;
    config.algorithm().check_network(torso, spec.obs_shape, spec.num_actions())?;
    Ok(spec)
}

/// Builds one environment vector per actor. Environment `i` uses random stream `i` of the seed,
/// whichever actor holds it.
///
/// Loading a game and playing its opening takes 10 ms or more, so `pool` loads them in parallel.
///
/// # Errors
/// If the game cannot be loaded.
pub fn build_envs(
    config: &RunConfig,
    seed: u64,
    sizes: &[usize],
    pool: &ThreadPool,
) -> anyhow::Result<Vec<VecEnv>> {
    let assets = assets(config.rom_dir.as_deref());
    let count = sizes.iter().sum::<usize>();
    let envs: Vec<Box<dyn Env>> = pool.install(|| {
        (0..count)
            .into_par_iter()
            .map(|index| {
                let seed = EnvSeed { seed, role: Role::TrainEnv, index: index as u64 };
                make_env(&config.game, &config.env, &assets, seed)
            })
            .collect::<Result<_, _>>()
    })?;
    let mut envs = envs.into_iter();
    sizes.iter().map(|&size| Ok(VecEnv::try_new(envs.by_ref().take(size).collect())?)).collect()
}
