//! Compares `examples/serial_a2c.rs` with the agent after every update: equal weights, up to
//! rounding, because the agent's optimiser takes one pass where the example has ten operations.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

#[path = "../../examples/serial_a2c.rs"]
#[allow(dead_code, reason = "its own `main` is not called")]
mod serial_a2c;
mod support;

use coordrl_agents::nn::NamedTensors;
use coordrl_agents::{A2cConfig, Gradients, build_pool};
use coordrl_envs::{Env, VecEnv};
use serial_a2c::{SerialA2c, Torso};
use support::scripted::{End, Scripted};
use support::{HOW, How, agent, catch, repeats_itself};
use tch::Tensor;

const ENVS: u32 = 6;
const UPDATES: usize = 8;
/// Weights are changed by about 7e-4 in an update.
const MOST_ERROR: f64 = 1e-5;

/// Concatenates all parameters, `[P]`.
fn flat(weights: NamedTensors) -> Tensor {
    let pieces: Vec<Tensor> = weights.iter().map(|(_, values)| values.reshape([-1])).collect();
    Tensor::cat(&pieces, 0)
}

/// Returns the parameters of the serial form after each of some updates, and the number of games
/// that ended.
fn serial_weights(
    config: &A2cConfig,
    torso: Torso,
    make: fn(u64) -> Box<dyn Env>,
) -> (Vec<Tensor>, usize) {
    let train = || {
        let envs = VecEnv::try_new((0..ENVS.into()).map(make).collect()).unwrap();
        let mut agent = SerialA2c::build(config, envs, torso, HOW.seed).unwrap();
        let mut games = 0;
        let mut weights = vec![agent.params.copy()];
        for _ in 0..UPDATES {
            games += agent.update().unwrap().len();
            weights.push(agent.params.copy());
        }
        (weights, games)
    };
    build_pool(1, 1).unwrap().install(train)
}

fn assert_same(config: &A2cConfig, torso: Torso, make: fn(u64) -> Box<dyn Env>) {
    if !repeats_itself() {
        return;
    }

    let (serial, games) = serial_weights(config, torso, make);
    assert!(games > 0, "no episode ended");
    let torso = match torso {
        Torso::Conv => "conv",
        Torso::CoordConv => "coordconv",
    };

    for gradients in [Gradients::Actors, Gradients::Central] {
        let config = A2cConfig { gradients, ..config.clone() };
        let mut agent = agent(&config, How { torso, threads: 3, ..HOW }, make);
        assert_eq!(flat(agent.weights()), serial[0], "initial weights of {torso}");
        for (update, pair) in serial.windows(2).enumerate() {
            agent.update().unwrap();
            let weights = flat(agent.weights());
            assert_ne!(weights, pair[0], "update {update} changed nothing");
            let error = (&weights - &pair[1]).abs().max().double_value(&[]);
            assert!(error <= MOST_ERROR, "{torso}, {gradients:?}, {update}: {error}");
        }
    }
}

/// With one actor, because the gradients of several are added up, which rounds differently.
fn config() -> A2cConfig {
    A2cConfig { envs: ENVS, actors: Some(1), ..Default::default() }
}

fn catch_with_the_agents_seed(index: u64) -> Box<dyn Env> {
    catch(HOW.seed, index)
}

#[test]
fn weights_are_equal_on_catch() {
    for torso in [Torso::Conv, Torso::CoordConv] {
        assert_same(&config(), torso, catch_with_the_agents_seed);
    }
}

/// Ends episodes in every way, also twice within a rollout and at its last step.
fn ends_often(index: u64) -> Box<dyn Env> {
    let mut env = Scripted::new(index, [2, 40, 44], 4);
    env.reward = |index, step, action| (index + step * 2 + action as u64) as f32 % 5.0 - 2.0;
    env.end = |index, step| match (index + step) % 4 {
        0 => Some(End::Terminated),
        1 => Some(End::Truncated),
        _ => None,
    };
    Box::new(env)
}

#[test]
fn weights_are_equal_where_episodes_are_truncated() {
    let config = A2cConfig { discount: 0.9, entropy_coef: 0.03, ..config() };
    assert_same(&config, Torso::CoordConv, ends_often);
    assert_same(&A2cConfig { max_grad_norm: None, ..config }, Torso::Conv, ends_often);
}
