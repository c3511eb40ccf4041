//! Compares each rule with a scalar `f64` loop.

use super::*;

/// Returns three gradients for 40 steps: one changes sign, one is 0 at times, one is tiny.
fn gradient(step: usize) -> [f64; 3] {
    let t = step as f64;
    [(t * 0.7).sin() * 2.0, if step.is_multiple_of(3) { 0.0 } else { -0.3 }, 1e-4 * (t - 20.0)]
}

const FIRST: [f64; 3] = [1.0, -2.0, 0.5];
const STEPS_MADE: usize = 40;

/// Returns a changing rate, so that momentum with the rate inside and outside differ.
fn rate(step: usize) -> f64 {
    0.01 * (1.0 - step as f64 / 80.0)
}

/// Returns the parameters after all steps in `f64`, which are made by the rules on tensors; those in
/// `f32`, most of which are made in one pass, must agree with them.
fn run(config: &OptimizerConfig) -> Vec<f64> {
    let [double, single] = [Kind::Double, Kind::Float].map(|kind| {
        let params = Tensor::from_slice(&FIRST).to_kind(kind);
        let mut optimizer = Optimizer::new(config, &params);
        for step in 0..STEPS_MADE {
            let gradient = Tensor::from_slice(&gradient(step)).to_kind(kind);
            optimizer.step(&params, &gradient, rate(step));
        }
        Vec::<f64>::try_from(params.to_kind(Kind::Double)).unwrap()
    });

    for (single, double) in single.iter().zip(&double) {
        assert!((single - double).abs() < 1e-5, "{config:?}: {single} and {double}");
    }
    double
}

/// Runs a scalar loop in which `change(g, step, rate, memory)` is the change of one parameter.
fn by_hand(
    mut memory: [f64; 3],
    change: impl Fn(f64, usize, f64, &mut [f64; 3]) -> f64,
) -> Vec<f64> {
    let fresh = memory;
    let mut numbers = FIRST;
    for (i, number) in numbers.iter_mut().enumerate() {
        memory = fresh;
        for step in 0..STEPS_MADE {
            *number -= change(gradient(step)[i], step, rate(step), &mut memory);
        }
    }
    numbers.to_vec()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-9, "{found:?} for {expected:?}");
    }
}

fn config(kind: OptimizerKind, momentum: f64, centered: bool) -> OptimizerConfig {
    OptimizerConfig { kind, momentum, centered, ..Default::default() }
}

#[test]
fn rmsprop_with_bias_correction() {
    for momentum in [0.0, 0.9] {
        let expected = by_hand([0.0; 3], |g, step, rate, [s, _, b]| {
            *s = 0.99 * *s + 0.01 * g * g;
            let corrected = *s / (1.0 - 0.99f64.powi(step as i32 + 1));
            *b = momentum * *b + g / (corrected.sqrt() + 1e-5);
            rate * *b
        });
        assert_close(&run(&config(OptimizerKind::RmspropCorrected, momentum, false)), &expected);
    }
}

#[test]
fn rmsprop_with_bias_correction_is_adam_without_a_mean() {
    let adam =
        OptimizerConfig { beta1: 0.0, beta2: 0.99, ..config(OptimizerKind::Adam, 0.0, false) };
    assert_close(&run(&config(OptimizerKind::RmspropCorrected, 0.0, false)), &run(&adam));
}

/// Returns the first step's change in multiples of the learning rate.
fn first_change(config: &OptimizerConfig, gradient: f64) -> f64 {
    let params = Tensor::zeros([1], (Kind::Double, Device::Cpu));
    Optimizer::new(config, &params).step(
        &params,
        &Tensor::from_slice(&[gradient]),
        config.learning_rate,
    );

    -params.double_value(&[0]) * gradient.signum() / config.learning_rate
}

#[test]
fn the_first_step_is_no_longer_than_the_learning_rate_but_where_it_says_so() {
    for exponent in -3..=3 {
        for sign in [-1.0, 1.0] {
            let gradient = sign * 10f64.powi(exponent);
            let change = |kind, momentum| first_change(&config(kind, momentum, false), gradient);

            for momentum in [0.0, 0.9] {
                let corrected = change(OptimizerKind::RmspropCorrected, momentum);
                assert!((0.98..=1.001).contains(&corrected), "{corrected} at {gradient}");

                // PyTorch's form: 1 / √(1 − 0.99) times the rate, whatever the gradient.
                let pytorch = change(OptimizerKind::Rmsprop, momentum);
                assert!((9.0..=10.0 + 1e-9).contains(&pytorch), "{pytorch} at {gradient}");

                // TensorFlow's form: tiny for small gradients, nearly as long as PyTorch's for
                // large ones.
                let tensorflow = change(OptimizerKind::RmspropTf, momentum);
                let expected = gradient.abs() / (0.99 + 0.01 * gradient * gradient + 1e-5).sqrt();
                assert!((tensorflow - expected).abs() < 1e-9, "{tensorflow} at {gradient}");
                assert!(tensorflow <= 1.01 || gradient.abs() > 1.0);
            }

            let adam = change(OptimizerKind::Adam, 0.0);
            assert!((0.98..=1.001).contains(&adam), "{adam} at {gradient}");
        }
    }
}

#[test]
fn the_rate_rises_in_even_steps_over_the_warm_up() {
    let config = OptimizerConfig { warmup_updates: 4, ..Default::default() };
    let factors: Vec<f64> = (0..6).map(|update| config.warmup_factor(update)).collect();
    assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    assert_eq!(OptimizerConfig::default().warmup_factor(0), 1.0, "no warm-up");
}

#[test]
fn a_corrected_mean_square_cannot_be_centred() {
    let problems = config(OptimizerKind::RmspropCorrected, 0.0, true).check("a2c.optimizer");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "a2c.optimizer.centered");
    assert!(problems[0].message.contains("its variance is 0"), "{}", problems[0].message);

    for kind in [OptimizerKind::Rmsprop, OptimizerKind::RmspropTf] {
        assert_eq!(config(kind, 0.0, true).check("a2c.optimizer"), vec![]);
    }
}

#[test]
fn rmsprop_in_the_libtorch_form() {
    for (momentum, centered) in [(0.0, false), (0.9, false), (0.0, true), (0.9, true)] {
        let expected = by_hand([0.0; 3], |g, _, rate, [v, m, b]| {
            *v = 0.99 * *v + 0.01 * g * g;
            *m = 0.99 * *m + 0.01 * g;
            let spread = if centered { (*v - *m * *m).max(0.0) } else { *v };
            *b = momentum * *b + g / (spread.sqrt() + 1e-5);
            rate * *b
        });
        assert_close(&run(&config(OptimizerKind::Rmsprop, momentum, centered)), &expected);
    }
}

#[test]
fn rmsprop_in_the_tensorflow_form() {
    for (momentum, centered) in [(0.0, false), (0.9, false), (0.0, true), (0.9, true)] {
        let expected = by_hand([1.0, 0.0, 0.0], |g, _, rate, [v, m, b]| {
            *v = 0.99 * *v + 0.01 * g * g;
            *m = 0.99 * *m + 0.01 * g;
            let spread = if centered { (*v - *m * *m).max(0.0) } else { *v };
            *b = momentum * *b + rate * g / (spread + 1e-5).sqrt();
            *b
        });
        assert_close(&run(&config(OptimizerKind::RmspropTf, momentum, centered)), &expected);
    }
}

#[test]
fn adam_corrects_the_bias_of_its_first_steps() {
    let expected = by_hand([0.0; 3], |g, step, rate, [v, m, _]| {
        let t = step as i32 + 1;
        *v = 0.999 * *v + 0.001 * g * g;
        *m = 0.9 * *m + 0.1 * g;
        let m = *m / (1.0 - 0.9f64.powi(t));
        let v = *v / (1.0 - 0.999f64.powi(t));
        rate * m / (v.sqrt() + 1e-5)
    });
    assert_close(&run(&config(OptimizerKind::Adam, 0.0, false)), &expected);
}

#[test]
fn sgd_repeats_a_share_of_its_last_change() {
    for momentum in [0.0, 0.9] {
        let expected = by_hand([0.0; 3], |g, _, rate, memory| {
            memory[0] = momentum * memory[0] + g;
            rate * memory[0]
        });
        assert_close(&run(&config(OptimizerKind::Sgd, momentum, false)), &expected);
    }
}

#[test]
fn centred_rmsprop_meets_no_root_of_a_negative() {
    // A constant gradient: mean square and squared mean are equal up to rounding.
    for kind in [OptimizerKind::Rmsprop, OptimizerKind::RmspropTf] {
        let params = Tensor::zeros([1000], (Kind::Float, Device::Cpu));
        let mut optimizer = Optimizer::new(&config(kind, 0.0, true), &params);
        let gradient = Tensor::linspace(-3.0, 3.0, 1000, (Kind::Float, Device::Cpu));
        for _ in 0..3000 {
            optimizer.step(&params, &gradient, 1e-9);
        }
        assert_eq!(params.isfinite().all().int64_value(&[]), 1, "{kind:?}");
    }
}

#[test]
fn chunks_do_not_show() {
    // More than one chunk, and not a multiple of it.
    let count = CHUNK * 2 + 5;
    let whole = Tensor::linspace(-1.0, 1.0, count, (Kind::Float, Device::Cpu));
    let gradient = whole.sin();
    for (kind, momentum, centered) in
        [(OptimizerKind::Rmsprop, 0.5, true), (OptimizerKind::RmspropCorrected, 0.0, false)]
    {
        let config = config(kind, momentum, centered);
        let left = whole.copy();
        let right = whole.narrow(0, count - 9, 9).copy();
        let mut optimizer = Optimizer::new(&config, &left);
        let mut small = Optimizer::new(&config, &right);
        for _ in 0..3 {
            optimizer.step(&left, &gradient, 0.1);
            small.step(&right, &gradient.narrow(0, count - 9, 9), 0.1);
        }

        assert_eq!(left.narrow(0, count - 9, 9), right);
        assert_ne!(left, whole);
    }
}

#[test]
fn saved_and_restored_steps_on_to_the_last_bit() {
    use OptimizerKind::{Adam, Rmsprop, RmspropCorrected, RmspropTf};
    for (kind, momentum, centered) in [
        (RmspropCorrected, 0.0, false),
        (RmspropCorrected, 0.9, false),
        (Rmsprop, 0.9, true),
        (RmspropTf, 0.0, false),
        (RmspropTf, 0.9, true),
        (Adam, 0.9, true),
    ] {
        let config = config(kind, momentum, centered);
        let params = Tensor::from_slice(&[1f32, -2.0, 0.5]);
        let gradient = |k: f32| Tensor::from_slice(&[k, 0.3, -1e-3 * k]);
        let mut optimizer = Optimizer::new(&config, &params);
        (1..5).for_each(|k| optimizer.step(&params, &gradient(k as f32), 0.01));
        let saved_params = params.copy();
        let saved = optimizer.to_named();
        (5..9).for_each(|k| optimizer.step(&params, &gradient(k as f32), 0.01));

        let mut restored = Optimizer::new(&config, &saved_params);
        restored.load(&saved).unwrap();
        (5..9).for_each(|k| restored.step(&saved_params, &gradient(k as f32), 0.01));
        assert_eq!(restored.steps(), 8);
        assert_eq!(saved_params, params, "{kind:?}");
    }
}

#[test]
fn state_of_another_optimiser_is_refused() {
    let params = Tensor::from_slice(&[1f32, 2.0]);
    let mut rmsprop = Optimizer::new(&config(OptimizerKind::Rmsprop, 0.0, false), &params);
    let adam = Optimizer::new(&config(OptimizerKind::Adam, 0.0, false), &params);
    let error = rmsprop.load(&adam.to_named()).unwrap_err().to_string();
    assert_eq!(error, "parameter `mean` is not one of this network's");
    let mut adam = adam;
    let error = adam.load(&rmsprop.to_named()).unwrap_err().to_string();
    assert_eq!(error, "parameter `mean` is missing");
    let other = Optimizer::new(&OptimizerConfig::default(), &Tensor::from_slice(&[1f32]));
    let error = rmsprop.load(&other.to_named()).unwrap_err().to_string();
    assert_eq!(error, "parameter `mean_square` is [1], not [2]");
    assert_eq!(rmsprop.steps(), 0);
}

#[test]
fn one_pass_gives_what_operations_on_tensors_give() {
    use OptimizerKind::{Adam, Rmsprop, RmspropCorrected, RmspropTf};
    for kind in [RmspropCorrected, Rmsprop, RmspropTf, Adam] {
        // The smaller ones are followed from the other end.
        for decay in [0.99, 0.3, 0.0] {
            let config = OptimizerConfig { decay, beta2: decay, ..config(kind, 0.0, false) };
            let params = Tensor::linspace(-1.0, 1.0, 1001, (Kind::Float, Device::Cpu));
            let mut moments = [Moments::fresh(&config, &params), Moments::fresh(&config, &params)];
            let [mut found, mut expected] = [params.copy(), params.copy()];
            for step in 1..=40 {
                // Some elements stay without a gradient, some are large, some tiny.
                let gradient = (&params * step as f64).sin().relu() * (&params * 9.0).exp();
                let scaled = &gradient * 0.25;
                let [of_found, of_expected] = &mut moments;
                one_pass::step(&config, &mut found, &gradient, of_found, 0.25, step, 0.01);
                rules::step(&config, &mut expected, &scaled, of_expected, step, 0.01);
            }

            assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{kind:?}, {decay}");
            assert!(!found.allclose(&params, 1e-2, 1e-2, false), "{kind:?} changed nothing");
            let [of_found, of_expected] = moments.each_ref().map(Moments::named);
            for ((name, found), (_, expected)) in of_found.iter().zip(&of_expected) {
                assert!(found.allclose(expected, 1e-4, 1e-7, false), "{kind:?}, {decay}: {name}");
            }
        }
    }
}

#[test]
fn what_one_pass_cannot_do_is_left_to_operations_on_tensors() {
    let single = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]);
    let double = single.to_kind(Kind::Double);
    let plain = config(OptimizerKind::Rmsprop, 0.0, false);
    assert!(one_pass::applies(&plain, &single, &single));
    for (momentum, centered) in [(0.9, false), (0.0, true)] {
        let config = config(OptimizerKind::Rmsprop, momentum, centered);
        assert!(!one_pass::applies(&config, &single, &single));
    }
    assert!(!one_pass::applies(&plain, &double, &single));

    let apart = Tensor::stack(&[&single, &single], 1).select(1, 0);
    assert!(!apart.is_contiguous() && !one_pass::applies(&plain, &single, &apart));
    let [found, expected] = [&apart, &single].map(|gradient| {
        let params = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        Optimizer::new(&plain, &params).step(&params, gradient, 0.1);
        params
    });
    assert!(found.allclose(&expected, 1e-6, 1e-7, false), "{found}");
}

#[test]
fn clipping_shortens_long_gradients_only() {
    assert_eq!(norm_of(&Tensor::from_slice(&[3f32, 4.0])), 5.0);
    assert_eq!(clip_factor(5.0, 6.0), 1.0);
    assert!((clip_factor(5.0, 0.5) - 0.1).abs() < 1e-6);

    // A clipped step is a step with the shorter gradient.
    for momentum in [0.0, 0.9] {
        let config = config(OptimizerKind::RmspropTf, momentum, false);
        let step = |gradient: [f32; 2], max_norm| {
            let params = Tensor::from_slice(&[1f32, 2.0]);
            let gradient = Tensor::from_slice(&gradient);
            let norm =
                Optimizer::new(&config, &params).clipped_step(&params, gradient, max_norm, 0.1);
            (params, norm.unwrap())
        };
        let (clipped, norm) = step([3.0, 4.0], Some(0.5));
        assert_eq!(norm, 5.0, "the norm before clipping");
        assert!(clipped.allclose(&step([0.3, 0.4], None).0, 1e-6, 1e-7, false), "{clipped:?}");
    }
}

/// Steps with denormal numbers take a hundred times as long: see `rules.rs`.
#[test]
fn moments_of_numbers_without_gradient_go_to_zero_and_never_linger_near_it() {
    for (kind, momentum, centered) in [
        (OptimizerKind::Adam, 0.0, false),
        (OptimizerKind::RmspropCorrected, 0.0, false),
        (OptimizerKind::Rmsprop, 0.0, false),
        (OptimizerKind::RmspropTf, 0.0, false),
        (OptimizerKind::Rmsprop, 0.9, true),
    ] {
        let params = Tensor::from_slice(&[1.0f32, 1.0]);
        let config = OptimizerConfig { beta2: 0.9, decay: 0.9, ..config(kind, momentum, centered) };
        let mut optimizer = Optimizer::new(&config, &params);
        optimizer.step(&params, &Tensor::from_slice(&[0.5f32, 0.5]), 1e-3);
        for _ in 0..2000 {
            optimizer.step(&params, &Tensor::from_slice(&[0.0f32, 0.5]), 1e-3);
            for (name, moment) in optimizer.moments.named() {
                let numbers = Vec::<f32>::try_from(moment).unwrap();
                assert!(numbers.iter().all(|number| !number.is_subnormal()), "{name}: {numbers:?}");
            }
        }
        for (name, moment) in optimizer.moments.named() {
            let numbers = Vec::<f32>::try_from(moment).unwrap();
            assert_eq!(numbers[0], 0.0, "{name}");
            assert!(numbers[1] > 0.2, "{name}: {numbers:?}");
        }
    }
}

#[test]
fn only_tiny_numbers_are_dropped() {
    // More elements than one SIMD operation processes.
    let one = [f32::INFINITY, -1e-31, 1e-31, -1.0, 1.1e-30, -1.1e-30, 0.0];
    let numbers = Tensor::from_slice(&one.repeat(30));
    rules::drop_tiny(&numbers, 1e-30);
    let expected = [f32::INFINITY, 0.0, 0.0, -1.0, 1.1e-30, -1.1e-30, 0.0].repeat(30);
    assert_eq!(Vec::<f32>::try_from(numbers).unwrap(), expected);
}
