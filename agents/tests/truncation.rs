//! A truncation is not an end: the value of the missing continuation counts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{A2c, A2cConfig, Gradients, OptimizerConfig, OptimizerKind};
use support::scripted::{End, Scripted};
use support::{HOW, agent, device, updates};
use tch::{Kind, Tensor};

const DISCOUNT: f64 = 0.8;
const EPISODE: u64 = 3;

/// Trains with reward 1 at every step, identical observations and episodes of three steps; returns
/// V.
fn learn(gradients: Gradients, gae_lambda: f64, end: fn(u64, u64) -> Option<End>) -> f64 {
    let optimizer = OptimizerConfig {
        kind: OptimizerKind::Adam,
        learning_rate: 3e-3,
        schedule: coordrl_agents::Schedule::Linear,
        ..Default::default()
    };

    let config = A2cConfig {
        envs: 4,
        discount: DISCOUNT,
        gae_lambda,
        gradients,
        optimizer,
        max_grad_norm: None,
        ..Default::default()
    };

    const UPDATES: usize = 150;
    // Environments · agent steps · frames of a step · updates.
    let how = support::How { total_frames: 4 * 5 * 4 * UPDATES as u64, ..HOW };
    let mut agent = agent(&config, how, |index| {
        let mut env = Scripted::new(index, [1, 36, 36], 2);
        env.end = end;
        env.pixel = |_, _, _| 128;
        Box::new(env)
    });

    updates(&mut agent, UPDATES);
    value(&agent)
}

fn value(agent: &A2c) -> f64 {
    let obs = Tensor::full([1, 1, 36, 36], 128, (Kind::Uint8, device()));
    agent.network().forward(&obs).value.double_value(&[0])
}

fn cut(_: u64, step: u64) -> Option<End> {
    (step % EPISODE == EPISODE - 1).then_some(End::Truncated)
}

fn ended(_: u64, step: u64) -> Option<End> {
    (step % EPISODE == EPISODE - 1).then_some(End::Terminated)
}

#[test]
fn cut_episodes_are_worth_what_endless_ones_are() {
    let endless = 1.0 / (1.0 - DISCOUNT); // 5
    for (gradients, lambda) in
        [(Gradients::Actors, 1.0), (Gradients::Central, 1.0), (Gradients::Actors, 0.9)]
    {
        let found = learn(gradients, lambda, cut);
        assert!((found - endless).abs() < 0.05, "V = {found} instead of {endless}");
    }
}

#[test]
fn ended_episodes_are_worth_what_is_left_of_them() {
    // The three steps look identical, so V is the mean of their returns.
    let worth = |left: i32| (1.0 - DISCOUNT.powi(left)) / (1.0 - DISCOUNT);
    // Rollouts of five steps end inside an episode of three and bootstrap from V there.
    let found = learn(Gradients::Actors, 1.0, ended);
    assert!(found > worth(1) && found < worth(3), "V = {found}");
}
