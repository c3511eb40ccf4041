//! Two updates of the Q-learner against PyTorch: see `golden/one_q_update.py`, which made the
//! numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::apex::{LearnBatch, Learned, Learner, LearnerConfig};
use coordrl_agents::nn::QHead;
use coordrl_agents::{OptimizerConfig, OptimizerKind, find_torso};
use serde_json::Value;
use support::scripted::{mix, noise};
use tch::{Device, Kind, Tensor};

const OBS_SHAPE: [usize; 3] = [2, 40, 44];
const ROWS: u64 = 12;
const ACTIONS: u64 = 4;
const DISCOUNT: f64 = 0.97;
const TOLERANCE: f64 = 1e-4;

/// Numbers in [−1, 1): the hash's upper 24 bits, exact in `f32`.
fn noise_in_one(start: u64, index: u64) -> f64 {
    (mix(start + index) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

/// The script's case of that name, and the factor on its rewards.
fn case(name: &str) -> (LearnerConfig, f32) {
    let base = LearnerConfig::default();
    let paper = OptimizerConfig { learning_rate: 2e-4, ..base.optimizer.clone() };
    match name {
        "paper" => (LearnerConfig { max_grad_norm: Some(2.0), optimizer: paper, ..base }, 1.0),
        "uber" => {
            let kind = OptimizerKind::Adam;
            let adam = OptimizerConfig { kind, learning_rate: 1e-3, epsilon: 1.5e-4, ..Default::default() };
            let config = LearnerConfig {
                huber_delta: Some(1.0),
                value_rescaling_epsilon: Some(0.01),
                target_copy_updates: 1,
                optimizer: adam,
                ..base
            };
            (config, 30.0)
        }
        "plain" => {
            let head = QHead::Plain;
            (LearnerConfig { double_q: false, head, max_grad_norm: None, optimizer: paper, ..base }, 1.0)
        }
        _ => unreachable!("there are three"),
    }
}

/// The parts of a batch.
struct Parts {
    obs: Vec<u8>,
    next_obs: Vec<u8>,
    actions: Vec<i64>,
    rewards: Vec<f32>,
    discounts: Vec<f32>,
    importance_weights: Vec<f32>,
}

impl Parts {
    fn of_update(update: u64, reward_scale: f32) -> Self {
        let pixels = OBS_SHAPE.iter().product::<usize>() as u64;
        let obs =
            |shown| (0..ROWS).flat_map(|i| (0..pixels).map(move |p| noise(i, shown, p))).collect::<Vec<u8>>();
        let discount = |i: u64| [DISCOUNT.powi(3), 0.0, DISCOUNT, DISCOUNT.powi(3)][i as usize % 4] as f32;
        Self {
            obs: obs(2 * update),
            next_obs: obs(2 * update + 1),
            actions: (0..ROWS).map(|i| ((i * 5 + update * 3) % ACTIONS) as i64).collect(),
            rewards: (0..ROWS).map(|i| reward_scale * (((i * 7 + update * 3) % 5) as f32 - 2.0)).collect(),
            discounts: (0..ROWS).map(discount).collect(),
            importance_weights: (0..ROWS).map(|i| 0.25 + 0.25 * (i % 3) as f32).collect(),
        }
    }

    fn batch(&self) -> LearnBatch<'_> {
        let Self { obs, next_obs, actions, rewards, discounts, importance_weights } = self;
        LearnBatch { obs, next_obs, actions, rewards, discounts, importance_weights }
    }
}

/// The same first weights as the script's, in the store's order, which is the script's too.
fn fill(weights: &mut [(String, Tensor)], mut start: u64) {
    for (_, values) in weights {
        let shape = values.size();
        let fan_in = if shape.len() > 1 { shape[1..].iter().product() } else { 100 };
        let scale = (6.0 / fan_in as f64).sqrt();
        let count = values.numel() as u64;
        let fresh: Vec<f32> = (0..count).map(|i| (noise_in_one(start, i) * scale) as f32).collect();
        *values = Tensor::from_slice(&fresh).view(&shape[..]);
        start += count;
    }
}

fn start(torso: &str, config: &LearnerConfig) -> Learner {
    let torso = find_torso(torso).unwrap();
    let mut learner = Learner::build(torso, OBS_SHAPE, ACTIONS as usize, Device::Cpu, 1, config).unwrap();
    let mut state = learner.save().unwrap();
    fill(&mut state.online, 1 << 40);
    fill(&mut state.target, 1 << 41);
    learner.load(&state).unwrap();
    learner
}

fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= TOLERANCE * scale, "{what}: {found} instead of {expected}, {error:.2e} off");
}

fn number(golden: &Value, key: &str) -> f64 {
    golden[key].as_f64().expect(key)
}

fn numbers(golden: &Value, key: &str) -> Vec<f64> {
    golden[key].as_array().expect(key).iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Compares norm, product with noise, and entries, relative to what is typical of the tensor.
fn assert_like(found: &[f64], golden: &Value, what: &str) {
    let norm = number(golden, "norm");
    let typical = norm / (found.len() as f64).sqrt();
    assert_close(found.iter().map(|x| x * x).sum::<f64>().sqrt(), norm, norm, what);
    let terms = found.iter().enumerate().map(|(i, x)| x * noise_in_one(0, i as u64));
    assert_close(terms.sum(), number(golden, "product"), norm, what);
    let entries = numbers(golden, "entries");
    for (i, expected) in entries.iter().enumerate() {
        let place = i * found.len() / entries.len();
        assert_close(found[place], *expected, expected.abs().max(typical), &format!("{what}[{place}]"));
    }
}

fn check_report(learned: &Learned, golden: &Value, what: &str) {
    for (key, found) in [("loss", learned.loss), ("grad_norm", learned.grad_norm), ("mean_q", learned.mean_q)]
    {
        let expected = number(golden, key);
        assert_close(found, expected, expected.abs(), &format!("{what}: {key}"));
    }
    let expected = numbers(golden, "td_errors");
    assert_eq!(learned.td_errors.len(), expected.len());
    let typical = expected.iter().sum::<f64>() / expected.len() as f64;
    for (&found, &expected) in learned.td_errors.iter().zip(&expected) {
        assert_close(f64::from(found), expected, expected.max(typical), &format!("{what}: a TD error"));
    }
    assert_close(learned.mean_abs_td, typical, typical, &format!("{what}: mean_abs_td"));
}

/// The gradient before clipping, cut up by parameter: with β₁ = 0 it is Adam's mean.
fn check_gradients(torso: &str, config: LearnerConfig, parts: &Parts, golden: &Value) {
    let adam = OptimizerConfig { kind: OptimizerKind::Adam, beta1: 0.0, ..Default::default() };
    let mut learner = start(torso, &LearnerConfig { optimizer: adam, max_grad_norm: None, ..config });
    learner.learn(&parts.batch()).unwrap();
    let state = learner.save().unwrap();
    let flat = support::numbers(&state.optimizer, "mean");
    let flat: Vec<f64> = flat.into_iter().map(f64::from).collect();
    let mut rest = &flat[..];
    for (name, values) in &state.online {
        let (gradient, others) = rest.split_at(values.numel());
        assert_like(gradient, &golden[name], &format!("{torso}: gradient of {name}"));
        rest = others;
    }
    assert!(rest.is_empty());
}

/// The change says more than the weight: a step is small beside it.
fn check_changes(learner: &Learner, first: &[(String, Tensor)], golden: &Value, what: &str) {
    let after = learner.save().unwrap().online;
    assert_eq!(after.len(), golden.as_object().expect("weights by name").len());
    for ((name, values), (_, first)) in after.iter().zip(first) {
        let change = (values.to_kind(Kind::Double) - first).reshape([-1]);
        let change: Vec<f64> = Vec::try_from(change).unwrap();
        assert_like(&change, &golden[name], &format!("{what}: change of {name}"));
    }
}

fn check_case(torso: &str, name: &str) {
    let golden: Value = serde_json::from_str(include_str!("../golden/one_q_update.json")).unwrap();
    let golden = &golden[torso][name];
    let (config, reward_scale) = case(name);
    check_gradients(torso, config.clone(), &Parts::of_update(0, reward_scale), &golden[0]["gradients"]);
    let mut learner = start(torso, &config);
    let first = learner.save().unwrap().online;
    for update in 0..2 {
        let what = format!("{torso}, {name}, update {update}");
        let learned = learner.learn(&Parts::of_update(update, reward_scale).batch()).unwrap();
        let golden = &golden[update as usize];
        check_report(&learned, golden, &what);
        check_changes(&learner, &first, &golden["changes"], &what);
    }
}

#[test]
fn the_papers_recipe_equals_pytorch() {
    for torso in ["conv", "coordconv"] {
        check_case(torso, "paper");
    }
}

#[test]
fn huber_adam_and_rescaled_values_equal_pytorch() {
    for torso in ["conv", "coordconv"] {
        check_case(torso, "uber");
    }
}

#[test]
fn plain_q_learning_equals_pytorch() {
    for torso in ["conv", "coordconv"] {
        check_case(torso, "plain");
    }
}
