//! The rules of [`rules`](super::rules) for `f32` on a CPU, in one pass over the data.
//!
//! As operations on tensors a rule takes about ten passes, and the roots of the many zeros among
//! the moments take libtorch's slow path. Centring and momentum are left to those.

use tch::{Device, Kind, Tensor};

use super::super::elements::floats;
use super::rules::{LEAST_MEAN, LEAST_MEAN_SQUARE, exponent};
use super::{Moments, OptimizerConfig, OptimizerKind};

/// Whether [`step`] has the rule of `config` for such parameters.
pub(super) fn applies(config: &OptimizerConfig, params: &Tensor) -> bool {
    let plain = config.kind == OptimizerKind::Adam || (!config.centered && config.momentum == 0.0);
    plain && params.device() == Device::Cpu && params.kind() == Kind::Float
}

/// Computes and applies step number `steps` for the gradient `g` · `scale` with learning rate
/// `rate`.
///
/// Equals the tensor rule up to rounding.
pub(super) fn step(
    config: &OptimizerConfig,
    p: &mut Tensor,
    g: &Tensor,
    moments: &mut Moments,
    scale: f64,
    steps: u64,
    rate: f64,
) {
    let scale = scale as f32;
    let numbers = floats(p).iter_mut().zip(floats(g)).zip(floats(&moments.mean_square));
    // √(1 − decayᵗ), factored out of the denominator
    let correction_of = |decay: f64| (1.0 - decay.powi(exponent(steps))).sqrt();

    match config.kind {
        OptimizerKind::Adam => {
            let Some(mean) = &moments.mean else { return }; // unreachable: Adam has a mean
            let [keep1, keep2] = [config.beta1, config.beta2].map(|beta| (1.0 - beta) as f32);
            let correction = correction_of(config.beta2);
            let epsilon = (config.epsilon * correction) as f32;
            let rate = rate * correction / (1.0 - config.beta1.powi(exponent(steps)));
            let rate = rate as f32;
            for (((p, g), v), m) in numbers.zip(floats(mean)) {
                let g = *g * scale;
                *v = without_tiny(lerp(*v, g * g, keep2), LEAST_MEAN_SQUARE);
                *m = without_tiny(lerp(*m, g, keep1), LEAST_MEAN);
                *p -= *m / (v.sqrt() + epsilon) * rate;
            }
        }
        OptimizerKind::RmspropCorrected | OptimizerKind::Rmsprop => {
            let corrected = config.kind == OptimizerKind::RmspropCorrected;
            let correction = if corrected { correction_of(config.decay) } else { 1.0 };
            let epsilon = (config.epsilon * correction) as f32;
            let (keep, rate) = ((1.0 - config.decay) as f32, rate as f32);
            let correction = correction as f32;
            for ((p, g), v) in numbers {
                let g = *g * scale;
                *v = without_tiny(lerp(*v, g * g, keep), LEAST_MEAN_SQUARE);
                *p -= g / (v.sqrt() + epsilon) * correction * rate;
            }
        }
        OptimizerKind::RmspropTf => {
            let (keep, rate) = ((1.0 - config.decay) as f32, rate as f32);
            let epsilon = config.epsilon as f32;
            for ((p, g), v) in numbers {
                let g = *g * scale;
                *v = without_tiny(lerp(*v, g * g, keep), LEAST_MEAN_SQUARE);
                *p -= g / (*v + epsilon).sqrt() * rate;
            }
        }
    }
}

fn lerp(from: f32, to: f32, share: f32) -> f32 {
    from + share * (to - from)
}

fn without_tiny(number: f32, least: f64) -> f32 {
    if number.abs() <= least as f32 { 0.0 } else { number }
}
