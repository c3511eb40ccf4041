//! One whole update against PyTorch: see `golden/one_update.py`, which made the numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{A2c, A2cConfig, Gradients, OptimizerConfig, OptimizerKind};
use serde_json::Value;
use support::scripted::{End, Scripted, mix};
use support::{How, agent};
use tch::{Kind, Tensor};

const STEPS: u32 = 6;
const TOLERANCE: f64 = 1e-4;

/// Numbers in [−1, 1): the hash's upper 24 bits, exact in `f32`.
fn noise_in_one(start: u64, index: u64) -> f64 {
    (mix(start + index) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

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

/// The same first weights as the script's, in the store's order, which is the script's too.
fn set_first_weights(agent: &mut A2c) {
    let mut start = 1 << 40;
    let mut weights = agent.save().unwrap().weights;
    for (_, values) in &mut weights {
        let shape = values.size();
        let fan_in = if shape.len() > 1 { shape[1..].iter().product() } else { 100 };
        let scale = (6.0 / fan_in as f64).sqrt();
        let count = values.numel() as u64;
        let fresh: Vec<f32> = (0..count).map(|i| (noise_in_one(start, i) * scale) as f32).collect();
        *values = Tensor::from_slice(&fresh).view(&shape[..]);
        start += count;
    }
    agent.load_weights(&weights).unwrap();
}

fn start(torso: &'static str, gradients: Gradients, optimizer: OptimizerConfig) -> A2c {
    let config = A2cConfig {
        envs: 5,
        actors: Some(2),
        rollout_agent_steps: STEPS,
        discount: 0.97,
        entropy_coef: 0.02,
        gradients,
        max_grad_norm: (optimizer.kind != OptimizerKind::Adam).then_some(0.5),
        optimizer,
        ..Default::default()
    };
    let how = How { torso, seed: 11, threads: 2, total_frames: 1000 };
    let mut agent = agent(&config, how, environment);
    set_first_weights(&mut agent);
    agent
}

fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= TOLERANCE * scale, "{what}: {found} instead of {expected}, {error:.2e} off");
}

fn number(golden: &Value, key: &str) -> f64 {
    golden[key].as_f64().expect(key)
}

/// Compares norm, product with noise, and entries, relative to what is typical of the tensor.
fn assert_like(found: &[f64], golden: &Value, what: &str) {
    let norm = number(golden, "norm");
    let typical = norm / (found.len() as f64).sqrt();
    assert_close(found.iter().map(|x| x * x).sum::<f64>().sqrt(), norm, norm, what);
    let terms = found.iter().enumerate().map(|(i, x)| x * noise_in_one(0, i as u64));
    assert_close(terms.sum(), number(golden, "product"), norm, what);
    let entries = golden["entries"].as_array().expect("entries");
    for (i, expected) in entries.iter().enumerate() {
        let expected = expected.as_f64().unwrap();
        let place = i * found.len() / entries.len();
        assert_close(found[place], expected, expected.abs().max(typical), &format!("{what}[{place}]"));
    }
}

/// The gradient before clipping, cut up by parameter: with β₁ = 0 it is Adam's mean.
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
    let flat: Vec<f64> = flat.into_iter().map(f64::from).collect();
    let mut rest = &flat[..];
    for (name, values) in &state.weights {
        let (gradient, others) = rest.split_at(values.numel());
        assert_like(gradient, &golden["gradients"][name], &format!("{torso}: gradient of {name}"));
        rest = others;
    }
    assert!(rest.is_empty());
}

/// The change says more than the weight: a step is small beside it.
fn check_weights(torso: &'static str, gradients: Gradients, optimizer: OptimizerConfig, golden: &Value) {
    let kind = optimizer.kind;
    let mut agent = start(torso, gradients, optimizer);
    let before = agent.save().unwrap().weights;
    agent.update().unwrap();
    let after = agent.save().unwrap().weights;
    assert_eq!(after.len(), golden.as_object().expect("weights by name").len());
    for ((name, values), (_, first)) in after.iter().zip(&before) {
        let change = (values.to_kind(Kind::Double) - first).reshape([-1]);
        let change: Vec<f64> = Vec::try_from(change).unwrap();
        assert_like(&change, &golden[name], &format!("{torso}: change of {name} by {kind:?}"));
    }
}

#[test]
fn one_whole_update_equals_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("../golden/one_update.json")).unwrap();
    for torso in ["conv", "coordconv"] {
        for gradients in [Gradients::Actors, Gradients::Central] {
            let golden = &golden[torso];
            check_losses_and_gradients(torso, gradients, golden);
            let rmsprop = OptimizerConfig::default();
            check_weights(torso, gradients, rmsprop, &golden["changes_rmsprop"]);
            let kind = OptimizerKind::RmspropTf;
            let tf = OptimizerConfig { kind, learning_rate: 0.7, ..Default::default() };
            check_weights(torso, gradients, tf, &golden["changes_rmsprop_tf"]);
        }
    }
}
