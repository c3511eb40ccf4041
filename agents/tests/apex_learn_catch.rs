//! Ape-X learns a game from pixels, in one thread and in many.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{ActMode, Apex, ApexConfig, Inference, Policy, find_torso};
use coordrl_envs::{Assets, Env, EnvConfig, EnvSeed, Role, derive_rng, make_env};
use support::apex::{apex, recipe, train_to};
use support::{HOW, How, device};

/// Frame limit; one frame is one agent step in this game.
///
/// Most runs succeed after 4 000 to 8 000; thread interleaving varies, so some take longer.
const FRAMES: u64 = 40_000;
const LOOK_EVERY_FRAMES: u64 = 4_000;

/// Builds Catch at 52×52 pixels: at 40, the last layer of the torso has a single position, and
/// learning where things are takes ten times as long.
fn large_catch(seed: u64, index: u64) -> Box<dyn Env> {
    let config = EnvConfig { screen_size: Some(52), frame_stack: Some(2), ..Default::default() };
    let assets = Assets { rom_dir: "none".into() };
    make_env("catch", &config, &assets, EnvSeed { seed, role: Role::TrainEnv, index }).unwrap()
}

/// Returns the mean return of 100 games in a fresh environment.
fn evaluate(agent: &mut Apex, torso: &str) -> f64 {
    agent.pause().unwrap();
    let mut env = large_catch(1000, 0);
    let spec = env.spec().clone();
    let weights = agent.save().unwrap().weights;
    let torso = find_torso(torso).unwrap();
    let head = ApexConfig::default().learner.head;
    let policy = Policy::build_q(torso, head, &spec, &weights, device()).unwrap();
    let mut rng = derive_rng(1000, Role::EvalPolicy, 0);
    let mut obs = vec![0; spec.obs_len()];
    let mut sum = 0.0;
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

fn in_threads() -> ApexConfig {
    recipe()
}

fn in_one_thread() -> ApexConfig {
    ApexConfig { serial: true, ..recipe() }
}

fn learn(torso: &'static str, config: &ApexConfig) {
    let how = How { torso, total_frames: FRAMES, ..HOW };
    let mut agent = apex(config, how, |index| large_catch(how.seed, index));
    let before = evaluate(&mut agent, torso);
    assert!(before < 0.5, "untrained it already scores {before}");
    let mut scores = Vec::new();
    while scores.last().is_none_or(|score| *score < 0.9) {
        assert!(agent.counters().frames < FRAMES, "{torso}: {scores:?}");
        let next = agent.counters().frames + LOOK_EVERY_FRAMES;
        train_to(&mut agent, next.min(FRAMES));
        scores.push(evaluate(&mut agent, torso));
    }
}

#[test]
fn conv_learns_catch_in_threads() {
    learn("conv", &in_threads());
}

#[test]
fn coordconv_learns_catch_in_threads() {
    learn("coordconv", &in_threads());
}

#[test]
fn conv_learns_catch_with_one_network_for_all_actors() {
    learn("conv", &ApexConfig { inference: Inference::Central, ..in_threads() });
}

#[test]
fn conv_learns_catch_in_one_thread() {
    learn("conv", &in_one_thread());
}

#[test]
fn coordconv_learns_catch_in_one_thread() {
    learn("coordconv", &in_one_thread());
}
