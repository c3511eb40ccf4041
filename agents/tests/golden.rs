//! Compares one whole update with PyTorch: see `golden/one_update.py`, which generated the values.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{A2c, A2cConfig, Gradients, OptimizerConfig, OptimizerKind};
use serde_json::Value;
use support::golden::{assert_changes, assert_close, assert_gradients, fill, number};
use support::scripted::{End, Scripted};
use support::{How, agent};

const STEPS: u32 = 6;

fn end(env: u64, step: u64) -> Option<End> {
    match (env, step) {
        (0, 0) | (0, 5) | (1, 1) | (1, 3) => Some(End::Terminated),
        (2, 2) | (2, 4) | (3, 5) => Some(End::Truncated),
        _ => None,
    }
}

fn environment(index: u64) -> Box<dyn coordrl_envs::Env> {
    let mut env = Scripted::new(index, [2, 40, 44], 4);
    env.end = end;
    env.reward = |env, step, action| ((env * 7 + step * 3 + action as u64 * 5) % 5) as f32 - 2.0;
    Box::new(env)
}

fn start(torso: &'static str, gradients: Gradients, optimizer: OptimizerConfig) -> A2c {
    let config = A2cConfig {
        envs: 5,
        actors: Some(2),
        rollout_agent_steps: STEPS,
        discount: 0.97,
        entropy_coef: 0.02,
        gradients,
        // Adam shows the gradient here, which clipping would scale.
        max_grad_norm: (optimizer.kind != OptimizerKind::Adam).then_some(0.5),
        optimizer,
        ..Default::default()
    };

    let how = How { torso, seed: 11, threads: 2, total_frames: 1000 };
    let mut agent = agent(&config, how, environment);
    let mut weights = agent.save().unwrap().weights;
    fill(&mut weights, 1 << 40);
    agent.load_weights(&weights).unwrap();
    agent
}

/// Checks the gradient before clipping: with β₁ = 0 it equals Adam's mean.
fn check_losses_and_gradients(torso: &'static str, gradients: Gradients, golden: &Value) {
    let adam = OptimizerConfig { kind: OptimizerKind::Adam, beta1: 0.0, ..Default::default() };
    let mut agent = start(torso, gradients, adam);
    let report = agent.update().unwrap();
    for (key, found) in [
        ("policy_loss", report.policy_loss),
        ("value_loss", report.value_loss),
        ("entropy", report.entropy),
        ("total_loss", report.total_loss),
        ("grad_norm", report.grad_norm),
    ] {
        let expected = number(golden, key);
        assert_close(found, expected, expected.abs(), key);
    }

    let state = agent.save().unwrap();
    let flat = support::numbers(&state.optimizer, "mean");
    assert_gradients(flat, &state.weights, &golden["gradients"], torso);
}

fn check_weights(
    torso: &'static str,
    gradients: Gradients,
    optimizer: OptimizerConfig,
    golden: &Value,
) {
    let kind = optimizer.kind;
    let mut agent = start(torso, gradients, optimizer);
    let before = agent.save().unwrap().weights;
    agent.update().unwrap();
    let after = agent.save().unwrap().weights;
    assert_changes(&before, &after, golden, &format!("{torso}, {kind:?}"));
}

#[test]
fn one_whole_update_equals_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("../golden/one_update.json")).unwrap();
    for torso in ["conv", "coordconv"] {
        for gradients in [Gradients::Actors, Gradients::Central] {
            let golden = &golden[torso];
            check_losses_and_gradients(torso, gradients, golden);
            // The first changes of the TensorFlow form are small: a large rate makes them stand out
            // from rounding. The first step of the corrected form is g / (|g| + ε): with a small ε,
            // gradients that are little more than rounding would become whole steps.
            for (kind, learning_rate, epsilon, changes) in [
                (OptimizerKind::RmspropCorrected, 7e-4, 1e-3, "changes_rmsprop_corrected"),
                (OptimizerKind::Rmsprop, 7e-4, 1e-5, "changes_rmsprop"),
                (OptimizerKind::RmspropTf, 0.7, 1e-5, "changes_rmsprop_tf"),
            ] {
                let optimizer =
                    OptimizerConfig { kind, learning_rate, epsilon, ..Default::default() };
                check_weights(torso, gradients, optimizer, &golden[changes]);
            }
        }
    }
}
