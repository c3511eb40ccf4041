//! Ape-X agents on small games.

use std::sync::Arc;

use coordrl_agents::{
    AgentSetup, Apex, ApexConfig, ApexReport, OptimizerConfig, OptimizerKind, TorsoEntry,
    build_pool, find_torso,
};
use coordrl_envs::{Env, VecEnv};

use super::{How, catch, device};

/// Returns settings that learn Catch.
pub fn recipe() -> ApexConfig {
    let mut config = ApexConfig {
        envs: 8,
        actors: Some(2),
        samples_per_insert: Some(8.0),
        send_every_agent_steps: 5,
        weights_every_agent_steps: 20,
        prefetch_batches: 4,
        ..Default::default()
    };

    config.replay.capacity = 10_000;
    config.replay.warmup_transitions = 1_000;
    config.learner.batch_size = 32;
    config.learner.target_copy_updates = 250;
    config.learner.optimizer = OptimizerConfig {
        kind: OptimizerKind::Adam,
        learning_rate: 1e-3,
        epsilon: 1e-4,
        ..Default::default()
    };

    config
}

/// Returns settings for a few fast updates.
pub fn quick() -> ApexConfig {
    let mut config = ApexConfig {
        envs: 3,
        send_every_agent_steps: 2,
        samples_per_insert: Some(1.0),
        ..recipe()
    };

    config.replay.capacity = 150;
    config.replay.warmup_transitions = 40;
    config.replay.trim_every_updates = 5;
    config.learner.batch_size = 4;
    config.learner.target_copy_updates = 7;
    config
}

pub fn apex(config: &ApexConfig, how: How, make: impl Fn(u64) -> Box<dyn Env>) -> Apex {
    apex_with(find_torso(how.torso).unwrap(), config, how, make)
}

/// Builds the same agent with a torso outside the registry.
pub fn apex_with(
    torso: &TorsoEntry,
    config: &ApexConfig,
    how: How,
    make: impl Fn(u64) -> Box<dyn Env>,
) -> Apex {
    let mut indices = 0..;
    let sizes = config.envs_per_actor().into_iter();
    let group = |n| VecEnv::try_new(indices.by_ref().take(n).map(&make).collect()).unwrap();
    Apex::build(
        config,
        AgentSetup {
            torso,
            device: device(),
            seed: how.seed,
            total_frames: how.total_frames,
            actors: sizes.map(group).collect(),
            pool: Arc::new(build_pool(how.threads, 1).unwrap()),
        },
    )
    .unwrap()
}

pub fn catch_apex(config: &ApexConfig, how: How) -> Apex {
    apex(config, how, |index| catch(how.seed, index))
}

/// Trains up to `frames`; returns the reports of the updates made.
pub fn train_to(agent: &mut Apex, frames: u64) -> Vec<ApexReport> {
    let mut reports = Vec::new();
    while agent.counters().frames < frames {
        reports.push(agent.update().unwrap());
    }
    reports
}

/// Returns `count` reports without the times.
pub fn reports(agent: &mut Apex, count: usize) -> Vec<ApexReport> {
    (0..count)
        .map(|_| ApexReport { timing: Default::default(), ..agent.update().unwrap() })
        .collect()
}

/// Returns the replay's bytes.
pub fn replay_bytes(agent: &Apex) -> Vec<u8> {
    let mut bytes = Vec::new();
    agent.write_replay(&mut bytes).unwrap();
    bytes
}
