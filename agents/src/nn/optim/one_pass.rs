//! The rules of [`rules`](super::rules) for `f32` on a CPU, in one pass over the data.
//!
//! As operations on tensors a rule takes about ten passes, and the roots of the many zeros among
//! the moments take libtorch's slow path. Centring, momentum and SGD are left to those.

use tch::{Device, Kind, Tensor};

use super::super::elements::{floats, floats_mut};
use super::rules::{LEAST_MEAN, LEAST_MEAN_SQUARE, exponent};
use super::{Moments, OptimizerConfig, OptimizerKind};

/// Returns `true` if [`step`] implements `config` for these tensors.
pub(super) fn applies(config: &OptimizerConfig, params: &Tensor, gradient: &Tensor) -> bool {
    let plain = match config.kind {
        OptimizerKind::Adam => true,
        OptimizerKind::Sgd => false,
        _ => !config.centered && config.momentum == 0.0,
    };
    plain
        && [params, gradient].iter().all(|tensor| {
            tensor.device() == Device::Cpu
                && tensor.kind() == Kind::Float
                && tensor.is_contiguous()
                && tensor.numel() > 0
        })
}

/// Computes and applies step number `steps` for the gradient `g` · `scale` with learning rate
/// `rate`. `p`, `g` and the moments must not share memory.
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
    assert_ne!(p.data_ptr(), g.data_ptr(), "the parameters are their own gradient");
    // SAFETY: each is taken once and they do not share memory; nothing else uses them during a step.
    let [p, v] = unsafe { [floats_mut(p), floats_mut(moments.mean_square())] };
    let numbers = p.iter_mut().zip(floats(g)).zip(v);
    // √(1 − decayᵗ), factored out of the denominator
    let correction_of = |decay: f64| (1.0 - decay.powi(exponent(steps))).sqrt();

    match config.kind {
        OptimizerKind::Adam => {
            let Some(mean) = &moments.mean else { unreachable!("Adam's moments have a mean") };
            // SAFETY: as above.
            let mean = unsafe { floats_mut(mean) };
            let (lerp1, lerp2) = (Lerp::new(1.0 - config.beta1), Lerp::new(1.0 - config.beta2));
            let correction = correction_of(config.beta2);
            let epsilon = (config.epsilon * correction) as f32;
            let rate = rate * correction / (1.0 - config.beta1.powi(exponent(steps)));
            let rate = rate as f32;
            for (((p, g), v), m) in numbers.zip(mean) {
                let g = *g * scale;
                *v = without_tiny(lerp2.between(*v, g * g), LEAST_MEAN_SQUARE);
                *m = without_tiny(lerp1.between(*m, g), LEAST_MEAN);
                *p -= *m / (v.sqrt() + epsilon) * rate;
            }
        }
        OptimizerKind::RmspropCorrected | OptimizerKind::Rmsprop => {
            let corrected = config.kind == OptimizerKind::RmspropCorrected;
            let correction = if corrected { correction_of(config.decay) } else { 1.0 };
            let epsilon = (config.epsilon * correction) as f32;
            let (lerp, rate) = (Lerp::new(1.0 - config.decay), rate as f32);
            let correction = correction as f32;
            for ((p, g), v) in numbers {
                let g = *g * scale;
                *v = without_tiny(lerp.between(*v, g * g), LEAST_MEAN_SQUARE);
                *p -= g / (v.sqrt() + epsilon) * correction * rate;
            }
        }
        OptimizerKind::RmspropTf => {
            let (lerp, rate) = (Lerp::new(1.0 - config.decay), rate as f32);
            let epsilon = config.epsilon as f32;
            for ((p, g), v) in numbers {
                let g = *g * scale;
                *v = without_tiny(lerp.between(*v, g * g), LEAST_MEAN_SQUARE);
                *p -= g / (*v + epsilon).sqrt() * rate;
            }
        }
        OptimizerKind::Sgd => unreachable!("SGD is left to the rules on tensors"),
    }
}

/// Moves a number by a share of its way to another, as libtorch's `lerp`: from the nearer end, so
/// that a share of 1 arrives.
#[derive(Clone, Copy)]
struct Lerp {
    share: f32,
    rest: f32,
    from_start: bool,
}

impl Lerp {
    fn new(share: f64) -> Self {
        Self { share: share as f32, rest: (1.0 - share) as f32, from_start: share < 0.5 }
    }

    fn between(self, from: f32, to: f32) -> f32 {
        let way = to - from;
        if self.from_start { from + self.share * way } else { to - self.rest * way }
    }
}

fn without_tiny(number: f32, least: f64) -> f32 {
    if number.abs() <= least as f32 { 0.0 } else { number }
}
