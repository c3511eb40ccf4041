//! Numbers shared with the scripts in `golden/`, and comparisons with their results.
#![allow(dead_code, reason = "every test uses some of it")]

use serde_json::Value;
use tch::{Kind, Tensor};

use super::scripted::mix;

const TOLERANCE: f64 = 1e-4;

/// Returns noise in [−1, 1) from the hash's upper 24 bits, exact in `f32`.
pub fn noise_in_one(start: u64, index: u64) -> f64 {
    (mix(start + index) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

/// Fills in the scripts' initial weights, in the store's order, which the scripts share.
pub fn fill(weights: &mut [(String, Tensor)], mut start: u64) {
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

pub fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= TOLERANCE * scale, "{what}: {found} instead of {expected}, {error:.2e} off");
}

pub fn number(golden: &Value, key: &str) -> f64 {
    golden[key].as_f64().expect(key)
}

pub fn numbers(golden: &Value, key: &str) -> Vec<f64> {
    golden[key].as_array().expect(key).iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Compares norm, dot product with noise, and entries, relative to the tensor's typical magnitude.
fn assert_like(found: &[f64], golden: &Value, what: &str) {
    let norm = number(golden, "norm");
    let typical = norm / (found.len() as f64).sqrt();
    assert_close(found.iter().map(|x| x * x).sum::<f64>().sqrt(), norm, norm, what);
    // A norm alone would not notice entries with another sign or in another order.
    let terms = found.iter().enumerate().map(|(i, x)| x * noise_in_one(0, i as u64));
    assert_close(terms.sum(), number(golden, "product"), norm, what);
    let entries = numbers(golden, "entries");
    for (i, expected) in entries.iter().enumerate() {
        let place = i * found.len() / entries.len();
        assert_close(
            found[place],
            *expected,
            expected.abs().max(typical),
            &format!("{what}[{place}]"),
        );
    }
}

/// Checks a flat gradient, split by parameter.
pub fn assert_gradients(flat: Vec<f32>, weights: &[(String, Tensor)], golden: &Value, what: &str) {
    let flat: Vec<f64> = flat.into_iter().map(f64::from).collect();
    let mut rest = &flat[..];
    for (name, values) in weights {
        let (gradient, others) = rest.split_at(values.numel());
        assert_like(gradient, &golden[name], &format!("{what}: gradient of {name}"));
        rest = others;
    }
    assert!(rest.is_empty());
}

/// Compares changes rather than weights, because a step is small relative to a weight.
pub fn assert_changes(
    before: &[(String, Tensor)],
    after: &[(String, Tensor)],
    golden: &Value,
    what: &str,
) {
    assert_eq!(after.len(), golden.as_object().expect("weights by name").len());
    for ((name, values), (_, first)) in after.iter().zip(before) {
        let change = (values.to_kind(Kind::Double) - first).reshape([-1]);
        let change: Vec<f64> = Vec::try_from(change).unwrap();
        assert_like(&change, &golden[name], &format!("{what}: change of {name}"));
    }
}
