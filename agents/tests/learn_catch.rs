//! The whole agent learns a game from pixels.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{
    A2cConfig, ActMode, OptimizerConfig, OptimizerKind, Policy, Schedule, find_torso,
};
use coordrl_envs::{Role, derive_rng};
use support::{HOW, How, catch, catch_agent, device, updates};

/// Returns settings that learn Catch. A game lasts nine agent steps, so rollouts of ten cover the
/// fall of a ball and its reward.
fn recipe() -> A2cConfig {
    let optimizer = OptimizerConfig {
        kind: OptimizerKind::Adam,
        learning_rate: 2e-3,
        schedule: Schedule::Linear,
        ..Default::default()
    };
    A2cConfig { rollout_agent_steps: 10, optimizer, ..Default::default() }
}

/// Returns the mean return of 100 games in a fresh environment, with a sampled policy.
fn evaluate(agent: &coordrl_agents::A2c, torso: &str) -> f64 {
    let mut env = catch(1000, 0);
    let spec = env.spec().clone();
    let weights = agent.save().unwrap().weights;
    let policy = Policy::build(find_torso(torso).unwrap(), &spec, &weights, device()).unwrap();
    let mut rng = derive_rng(1000, Role::EvalPolicy, 0);
    let mut obs = vec![0; spec.obs_len()];
    let mut sum = 0.0;
    for _ in 0..100 {
        env.reset(&mut obs).unwrap();
        sum += loop {
            let action = policy.act(&obs, ActMode::Sampled, &mut [&mut rng]).unwrap()[0];
            let step = env.step(action, &mut obs).unwrap();
            if let Some(game) = step.episode {
                break game.episode_return;
            }
        };
    }

    sum / 100.0
}

/// Frame limit; one frame is one agent step in this game.
const FRAMES: u64 = 60_000;

fn learn(torso: &'static str) {
    let config = recipe();
    let mut agent = catch_agent(&config, How { torso, total_frames: FRAMES, ..HOW });
    let before = evaluate(&agent, torso);
    assert!(before < 0.0, "untrained it already scores {before}");
    updates(&mut agent, (FRAMES / config.rows_per_update()) as usize);
    assert_eq!(agent.counters().frames, FRAMES);
    let after = evaluate(&agent, torso);
    assert!(after >= 0.9, "{torso} scores {after} after {FRAMES} frames");
}

#[test]
fn conv_learns_catch() {
    learn("conv");
}

#[test]
fn coordconv_learns_catch() {
    learn("coordconv");
}
