//! Ape-X learns a game from pixels, in one thread and in many.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{ActMode, Apex, ApexConfig, Policy, find_torso};
use coordrl_envs::{Role, derive_rng};
use support::apex::{catch_apex, recipe, train_to};
use support::{HOW, How, catch};
use tch::Device;

/// Frames are agent steps in this game.
const FRAMES: u64 = 24_000;

/// Mean return of 100 games of a fresh environment.
fn evaluate(agent: &mut Apex, torso: &str) -> f64 {
    agent.rest().unwrap();
    let mut env = catch(1000, 0);
    let spec = env.spec().clone();
    let weights = agent.save().unwrap().weights;
    let (torso, head) = (find_torso(torso).unwrap(), ApexConfig::default().learner.head);
    let policy = Policy::build_q(torso, head, &spec, &weights, Device::Cpu).unwrap();
    let mut rng = derive_rng(1000, Role::EvalPolicy, 0);
    let (mut obs, mut sum) = (vec![0; spec.obs_len()], 0.0);
    let mode = ActMode::EpsilonGreedy { epsilon: 0.001 };
    for _ in 0..100 {
        env.reset(&mut obs).unwrap();
        sum += loop {
            let action = policy.act(&obs, mode, &mut [&mut rng]).unwrap()[0];
            if let Some(game) = env.step(action, &mut obs).unwrap().episode {
                break game.episode_return;
            }
        };
    }
    sum / 100.0
}

fn learn(torso: &'static str, serial: bool) {
    let config = ApexConfig { serial, ..recipe() };
    let mut agent = catch_apex(&config, How { torso, total_frames: FRAMES, ..HOW });
    let before = evaluate(&mut agent, torso);
    assert!(before < 0.5, "untrained it already scores {before}");
    train_to(&mut agent, FRAMES);
    let after = evaluate(&mut agent, torso);
    assert!(after >= 0.9, "{torso}, serial {serial}: {after} after {FRAMES} frames");
}

#[test]
fn conv_learns_catch_in_threads() {
    learn("conv", false);
}

#[test]
fn coordconv_learns_catch_in_threads() {
    learn("coordconv", false);
}

#[test]
fn conv_learns_catch_in_one_thread() {
    learn("conv", true);
}

#[test]
fn coordconv_learns_catch_in_one_thread() {
    learn("coordconv", true);
}
