//! Speed of environments under random actions.

use std::time::Instant;

use coordrl_agents::{Counters, Timing};
use coordrl_envs::trace::RandomActions;
use coordrl_envs::{EnvSeed, Role, VecEnv, VecStep, make_env};
use rayon::ThreadPool;

use super::{Benched, WorkDone};
use crate::config::{RunConfig, assets};
use crate::run::threads::build_pool;

/// Environments and the threads that step them.
pub struct EnvBench {
    envs: VecEnv,
    pool: ThreadPool,
    choices: RandomActions,
    obs: Vec<u8>,
    actions: Vec<usize>,
    steps: Vec<VecStep>,
    taken: u64,
    since: Instant,
}

impl EnvBench {
    /// Builds `count` environments with the settings of a run and resets them.
    ///
    /// # Errors
    /// If the game cannot be loaded, or threads cannot be started.
    pub fn start(config: &RunConfig, count: usize) -> anyhow::Result<Self> {
        let mut envs = build_envs(config, count)?;
        let pool = build_pool(config.threads, config.torch_threads)?;
        let mut obs = vec![0; envs.obs_len()];
        pool.install(|| envs.reset(&mut obs))?;
        Ok(Self {
            choices: RandomActions::new(config.seed, envs.spec().num_actions()),
            envs,
            pool,
            obs,
            actions: vec![0; count],
            steps: vec![VecStep::default(); count],
            taken: 0,
            since: Instant::now(),
        })
    }

    /// Returns the number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Builds `count` environments with the settings of a run.
pub(super) fn build_envs(config: &RunConfig, count: usize) -> anyhow::Result<VecEnv> {
    let assets = assets(config.rom_dir.as_deref());
    let envs = (0..count as u64).map(|index| {
        let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index };
        make_env(&config.game, &config.env, &assets, seed)
    });
    Ok(VecEnv::try_new(envs.collect::<Result<_, _>>()?)?)
}

impl Benched for EnvBench {
    fn step(&mut self) -> anyhow::Result<()> {
        let Self { envs, pool, choices, obs, actions, steps, taken, .. } = self;
        actions.iter_mut().zip(choices).for_each(|(action, choice)| *action = choice);
        pool.install(|| envs.step(actions, obs, steps))?;
        *taken += actions.len() as u64;
        Ok(())
    }

    fn take_work(&mut self) -> WorkDone {
        let agent_steps = std::mem::take(&mut self.taken);
        let envs = self.envs.take_timing();
        // Summed over threads, so the wall time counts once for each of them.
        let busy = envs.emulate_nanos + envs.preprocess_nanos;
        let wall = std::mem::replace(&mut self.since, Instant::now()).elapsed().as_nanos() as u64;
        WorkDone {
            counters: Counters {
                updates: 0,
                agent_steps,
                frames: agent_steps * u64::from(self.envs.spec().frame_skip),
            },
            timing: Timing {
                emulate_nanos: envs.emulate_nanos,
                preprocess_nanos: envs.preprocess_nanos,
                wait_nanos: (wall * self.threads() as u64).saturating_sub(busy),
                ..Timing::default()
            },
        }
    }
}
