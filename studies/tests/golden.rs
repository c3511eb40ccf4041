//! The first update of every kind of study against PyTorch; the values come from
//! `golden/one_update.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_studies::{
    Inputs, LayerStart, RateSchedule, Split, Study, StudyConfig, StudyLoss, Task, find_task,
};
use serde_json::Value;
use support::{How, study};
use tch::Tensor;

const TOLERANCE: f64 = 2e-4;

/// Computes the 64-bit finaliser of MurmurHash3.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Returns noise in [−1, 1): the hash's upper 24 bits, exact in `f32`.
fn noise_in_one(start: u64, index: u64) -> f64 {
    (mix(start + index) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

fn parse(case: &str) -> (How, u32) {
    let words: Vec<&str> = case.split(' ').collect();
    let task = find_task(words[0]).unwrap();
    let split = Split::ALL.into_iter().find(|split| split.name() == words[1]).unwrap();
    let layer = if words[2] == "conv" { "conv" } else { "coordconv" };
    (How { task, split, layer, seed: 5, threads: 2 }, words[3].parse().unwrap())
}

fn config(task: &Task, filter_size: u32) -> StudyConfig {
    StudyConfig {
        batch_size: 5,
        learning_rate: 1e-3,
        schedule: RateSchedule::Constant,
        l2: 1e-3,
        loss: match task.name {
            "classify" => StudyLoss::CrossEntropy,
            "render" => StudyLoss::Bce,
            _ => StudyLoss::Mse,
        },
        map_loss: 0.5,
        map_scale: 7.0,
        inputs: if task.name == "render" { Inputs::Coordinates } else { Inputs::Pixels },
        layer_start: LayerStart::Drawn,
        channel_mul: 1,
        filter_size,
        shards: 2,
        ..Default::default()
    }
}

/// Sets the script's initial weights, in the store's order, which the script shares.
fn set_first_weights(study: &mut Study) {
    let mut start = 1 << 40;
    let mut weights = study.save().unwrap().weights;
    for (name, values) in &mut weights {
        if name.contains("running") {
            continue;
        }
        let shape = values.size();
        let fan_in = if shape.len() > 1 { shape[1..].iter().product() } else { 100 };
        let scale = (6.0 / fan_in as f64).sqrt();
        let count = values.numel() as u64;
        let fresh: Vec<f32> = (0..count).map(|i| (noise_in_one(start, i) * scale) as f32).collect();
        *values = Tensor::from_slice(&fresh).view(&shape[..]);
        start += count;
    }

    study.load_weights(weights).unwrap();
}

fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= TOLERANCE * scale, "{what}: {found} instead of {expected}, {error:.2e} off");
}

/// Compares the norm, and a dot product with fixed noise that involves every entry. Errors are
/// relative to `scale`.
fn assert_like(found: &[f64], golden: &Value, scale: f64, what: &str) {
    let norm = found.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert_close(norm, golden[0].as_f64().expect("norm"), scale, what);
    let product: f64 = found.iter().enumerate().map(|(i, x)| x * noise_in_one(0, i as u64)).sum();
    assert_close(product, golden[1].as_f64().expect("product"), scale, what);
}

fn check(case: &str, golden: &Value) {
    let (how, filter_size) = parse(case);
    let mut study = study(&config(how.task, filter_size), how);
    set_first_weights(&mut study);
    let report = study.update().unwrap();
    let found =
        [("loss", report.loss), ("l2_loss", report.l2_loss), ("grad_norm", report.grad_norm)];
    for (key, found) in found {
        let expected = golden[key].as_f64().expect(key);
        assert_close(found, expected, expected, &format!("{case}: {key}"));
    }

    let state = study.save().unwrap();
    let (_, mean) = state.optimizer.iter().find(|(name, _)| name == "mean").unwrap();
    // Adam's first moment after one step is a tenth of the gradient.
    let flat: Vec<f64> =
        Vec::<f32>::try_from(mean).unwrap().iter().map(|&x| f64::from(x) * 10.0).collect();
    let mut rest = &flat[..];
    for (name, values) in &state.weights {
        let what = format!("{case}: {name}");
        if name.contains("running") {
            let numbers: Vec<f64> =
                Vec::<f32>::try_from(values).unwrap().into_iter().map(f64::from).collect();
            let golden = &golden["running"][name];
            assert_like(&numbers, golden, golden[0].as_f64().expect("norm"), &what);
            continue;
        }
        let (gradient, others) = rest.split_at(values.numel());
        // Biases before a normalisation layer have only rounding noise as gradient: errors are
        // relative to the whole gradient.
        let golden = &golden["gradients"][name];
        let scale = golden[0].as_f64().expect("norm").max(0.01 * report.grad_norm);
        assert_like(gradient, golden, scale, &what);
        rest = others;
    }

    assert!(rest.is_empty());
}

#[test]
fn one_whole_update_equals_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("../golden/one_update.json")).unwrap();
    let cases = golden.as_object().unwrap();
    assert_eq!(cases.len(), 8);
    for (case, golden) in cases {
        check(case, golden);
    }
}
