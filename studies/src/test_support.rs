//! The formula and the comparisons of the golden files.

use coordrl_agents::nn::ParamStore;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::layer::UnderStudy;
use crate::{LayerKind, LayerStart, find_layer};

/// Number i of a tensor, as in `golden/propose.py`.
pub fn wave(shape: &[i64], phase: f64, scale: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    let numbers: Vec<f32> =
        (0..count).map(|index| ((0.7 * index as f64 + phase).sin() * scale) as f32).collect();
    Tensor::from_slice(&numbers).view(shape)
}

/// The same with numbers that look random, as in `golden/gan.py`: a wave's rows all lie in one plane,
/// which a normalisation over few pictures blows up.
pub fn noise(shape: &[i64], phase: f64, scale: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    let numbers: Vec<f32> = (0..count)
        .map(|index| {
            let large = 43_758.545_3 * (12.989_8 * index as f64 + phase).sin();
            ((2.0 * (large - large.floor()) - 1.0) * scale) as f32
        })
        .collect();
    Tensor::from_slice(&numbers).view(shape)
}

/// Overwrites weights and biases, which take turns, as the golden files have them.
pub fn fill_with_waves(leaves: &[Tensor]) {
    fill(leaves, wave);
}

/// The same with [`noise`].
pub fn fill_with_noise(leaves: &[Tensor]) {
    fill(leaves, noise);
}

fn fill(leaves: &[Tensor], formula: fn(&[i64], f64, f64) -> Tensor) {
    for (index, leaf) in leaves.iter().enumerate() {
        let shape = leaf.size();
        let fan_in = shape[1..].iter().product::<i64>() as f64;
        let (phase, scale) = match index % 2 {
            0 => ((index / 2) as f64, (2.0 / fan_in).sqrt()),
            _ => ((index / 2) as f64 + 0.5, 0.1),
        };
        tch::no_grad(|| leaf.shallow_clone().copy_(&formula(&shape, phase, scale)));
    }
}

/// A store of f64, as the golden numbers are: in f32 an activation next to a kink may come out on its
/// other side, on one model of processor and not on another.
pub fn store_of_doubles() -> ParamStore {
    ParamStore::of_kind(Kind::Double, 1, Device::Cpu)
}

pub fn under_study(layer: &str) -> Option<UnderStudy> {
    match find_layer(layer).unwrap().kind {
        LayerKind::Baseline => None,
        LayerKind::InPlace(build) => {
            Some(UnderStudy { build, start: LayerStart::Drawn, amplitude: 1.0 })
        }
    }
}

pub fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

pub fn indices(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|number| number as usize).collect()
}

pub fn assert_close(found: f64, expected: &Value, scale: f64, what: &str) {
    assert_within(1e-4, found, expected, scale, what);
}

fn assert_within(share: f64, found: f64, expected: &Value, scale: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= share * scale, "{what}: {found} instead of {expected}");
}

/// Compares the norm, and the product with the formula's numbers, to 1e-4.
pub fn assert_gradient(gradient: &Tensor, expected: &Value, name: &str) {
    assert_gradient_within(1e-4, gradient, expected, name);
}

/// Compares them to this share of them.
pub fn assert_gradient_within(share: f64, gradient: &Tensor, expected: &Value, name: &str) {
    let norm = gradient.norm().double_value(&[]);
    let [of_norm, of_product] = [0, 1].map(|index| expected[index].as_f64().unwrap().abs());
    assert_within(share, norm, &expected[0], of_norm, name);
    let product = (gradient * wave(&gradient.size(), 0.0, 1.0)).sum(Kind::Double);
    let product = product.double_value(&[]);
    assert_within(share, product, &expected[1], of_norm.max(of_product), name);
}

/// Compares a tensor with all its numbers, or with its norm and product: to `share` of the largest of
/// them, or of `least` where they are smaller.
pub fn assert_near([share, least]: [f64; 2], found: &Tensor, expected: &Value, name: &str) {
    let product = (found * wave(&found.size(), 0.0, 1.0)).sum(Kind::Double).double_value(&[]);
    let expected = numbers(expected);
    let found: Vec<f32> = match expected.len() == found.numel() {
        true => Vec::try_from(found.reshape([-1])).unwrap(),
        false => vec![found.norm().double_value(&[]) as f32, product as f32],
    };
    let scale = expected.iter().fold(least, |most, number| most.max(number.abs().into()));
    for (found, expected) in found.iter().zip(&expected) {
        let off = f64::from((found - expected).abs());
        assert!(off <= share * scale, "{name}: {found}, not {expected}");
    }
}

/// Multiply-adds of a picture in millions, to one place: every weight times the places at which it
/// is used.
pub fn multiply_adds(named: &[(String, Tensor)], places: impl Fn(&str) -> usize) -> f64 {
    let weights = named.iter().filter(|(_, values)| values.dim() > 1);
    let used: usize = weights.map(|(name, values)| values.numel() * places(name)).sum();
    (used as f64 / 1e5).round() / 10.0
}
