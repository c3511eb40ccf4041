//! The update rules as operations on tensors, for any device, kind and setting. `p` are the
//! parameters and `g` is their gradient; all tensors have the same shape and are changed in place.

use tch::Tensor;

use super::{Moments, OptimizerConfig, OptimizerKind};

/// Moments below this size are set to 0. Those of weights without gradient decay into denormal
/// numbers, which a CPU processes a hundred times slower: after some thousand updates a step of
/// Adam took twice as long. Their roots and quotients are far below the rounding error of a weight.
pub(super) const LEAST_MEAN: f64 = 1e-30;
pub(super) const LEAST_MEAN_SQUARE: f64 = 1e-36;

/// Computes and applies step number `steps` with learning rate `rate`.
pub(super) fn step(
    config: &OptimizerConfig,
    p: &mut Tensor,
    g: &Tensor,
    moments: &mut Moments,
    steps: u64,
    rate: f64,
) {
    let change = match config.kind {
        OptimizerKind::Adam => adam(config, g, moments, steps, rate),
        OptimizerKind::RmspropCorrected => rmsprop_corrected(config, g, moments, steps, rate),
        OptimizerKind::Rmsprop => rmsprop(config, g, moments, rate),
        OptimizerKind::RmspropTf => rmsprop_tf(config, g, moments, rate),
        OptimizerKind::Sgd => with_momentum(config, moments, g.shallow_clone()) * rate,
    };
    // In place: `p` is a view of the flat tensor that every network reads.
    let _ = p.g_sub_(&change);
}

/// Sets elements of absolute value up to `least` to 0, in place. (The gradient of hard shrinkage,
/// applied to its own input, is the only such in-place operation with a threshold.) NaN may become
/// 0: gradients are checked by the caller.
pub(super) fn drop_tiny(numbers: &Tensor, least: f64) {
    // numbers[|x| ≤ least] = 0
    let _ = numbers.hardshrink_backward_grad_input(numbers, numbers, least);
}

/// Computes RMSProp with bias correction: p ← p − rate · b, b ← momentum · b + g / (√(s / (1 −
/// decayᵗ)) + ε), with s from 0 and t the number of steps including this one.
///
/// Only after the division is s a mean of the gradients so far, which is why [`rmsprop`] starts
/// with steps of rate / √(1 − decay). Without momentum this is Adam with β₁ = 0 and β₂ = decay.
/// Source: Kingma & Ba 2015 (arXiv:1412.6980), section 3, applied to Tieleman & Hinton 2012.
fn rmsprop_corrected(
    config: &OptimizerConfig,
    g: &Tensor,
    moments: &mut Moments,
    steps: u64,
    rate: f64,
) -> Tensor {
    // √(1 − decayᵗ) is factored out of the denominator, which saves one pass over the data.
    let correction = (1.0 - config.decay.powi(exponent(steps))).sqrt();
    let denominator =
        update_mean_square(config, g, moments).sqrt_().g_add_scalar_(config.epsilon * correction);
    let change = with_momentum(config, moments, g / denominator * correction);

    change * rate
}

/// Converts a step number to an exponent; beyond its range, a power of a number below 1 is 0
/// anyway.
pub(super) fn exponent(steps: u64) -> i32 {
    i32::try_from(steps).unwrap_or(i32::MAX)
}

/// Computes RMSProp as in PyTorch: p ← p − rate · b, b ← momentum · b + g / (√s + ε), with s from
/// 0. s is [`update_mean_square`], ε is outside the root. Source: Tieleman & Hinton 2012, lecture
/// 6.5.
fn rmsprop(config: &OptimizerConfig, g: &Tensor, moments: &mut Moments, rate: f64) -> Tensor {
    let denominator = update_mean_square(config, g, moments).sqrt_().g_add_scalar_(config.epsilon);
    let change = with_momentum(config, moments, g / denominator);
    change * rate
}

/// Computes RMSProp as in TensorFlow 1: p ← p − b, b ← momentum · b + rate · g / √(s + ε), with s
/// from 1. s is [`update_mean_square`], ε is inside the root and the rate inside the momentum,
/// which differs from [`rmsprop`] only while the rate changes. Source: `ApplyRMSProp`, `ApplyCenteredRMSProp`.
fn rmsprop_tf(config: &OptimizerConfig, g: &Tensor, moments: &mut Moments, rate: f64) -> Tensor {
    let denominator = update_mean_square(config, g, moments).g_add_scalar_(config.epsilon).sqrt_();
    with_momentum(config, moments, g / denominator * rate)
}

/// Updates the mean square v ← decay · v + (1 − decay) · g² and returns a copy; if centred, minus
/// the squared mean m ← decay · m + (1 − decay) · g.
///
/// v − m² is a variance, but rounding can make it slightly negative, and its root NaN: it is
/// clamped at 0.
fn update_mean_square(config: &OptimizerConfig, g: &Tensor, moments: &mut Moments) -> Tensor {
    // `lerp_` is one pass over the data, where a product and a sum would be two.
    let mean_square = moments.mean_square().shallow_clone().lerp_(&g.square(), 1.0 - config.decay);
    drop_tiny(&mean_square, LEAST_MEAN_SQUARE);
    match &mut moments.mean {
        // Copied, because the caller turns the result into a denominator in place.
        None => mean_square.copy(),
        Some(mean) => {
            let _ = mean.lerp_(g, 1.0 - config.decay);
            drop_tiny(mean, LEAST_MEAN);
            (&mean_square - mean.square()).clamp_min_(0.0)
        }
    }
}

/// Accumulates `change` with momentum, b ← momentum · b + change, and returns b; without momentum,
/// `change`. The result may be the stored moment itself, so callers must not change it in place.
fn with_momentum(config: &OptimizerConfig, moments: &mut Moments, change: Tensor) -> Tensor {
    match &mut moments.momentum {
        None => change,
        Some(momentum) => {
            let sum = momentum.g_mul_scalar_(config.momentum).g_add_(&change);
            drop_tiny(&sum, LEAST_MEAN);
            sum
        }
    }
}

/// Computes Adam: p ← p − rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε), m ← β₁ · m + (1 − β₁) · g,
/// v ← β₂ · v + (1 − β₂) · g², with t the number of steps including this one. Source: Kingma & Ba
/// 2015 (arXiv:1412.6980), with ε as in PyTorch.
fn adam(
    config: &OptimizerConfig,
    g: &Tensor,
    moments: &mut Moments,
    steps: u64,
    rate: f64,
) -> Tensor {
    let mean_square = moments.mean_square().shallow_clone().lerp_(&g.square(), 1.0 - config.beta2);
    drop_tiny(&mean_square, LEAST_MEAN_SQUARE);
    // `lerp_` returns the moment itself, so dropping its tiny elements changes the stored one.
    let mean = match &mut moments.mean {
        Some(mean) => mean.lerp_(g, 1.0 - config.beta1),
        None => g.shallow_clone(), // unreachable: Adam's moments always have a mean
    };

    drop_tiny(&mean, LEAST_MEAN);
    let steps = exponent(steps);
    let correct1 = 1.0 - config.beta1.powi(steps);
    let correct2 = 1.0 - config.beta2.powi(steps);
    // √(1 − β₂ᵗ) is factored out of the denominator, which saves one pass over the data.
    let correct2 = correct2.sqrt();
    // Not in place: the next step needs the mean square itself.
    let denominator = mean_square.sqrt().g_add_scalar_(config.epsilon * correct2);
    mean / denominator * (rate * correct2 / correct1)
}
