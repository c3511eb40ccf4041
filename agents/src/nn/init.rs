//! Initial weights.

use coordrl_envs::rng::{Rng, Role, derive_rng};
use rand::Rng as _;
use tch::{Kind, Tensor};

use super::NetworkError;

/// Initialisation of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// A random matrix with orthogonal rows or columns (whichever are fewer), times `gain`; all
    /// dimensions after the first are flattened. Source: Saxe et al. 2014 (arXiv:1312.6120).
    Orthogonal {
        /// Factor on the orthogonal matrix: √2 before a ReLU.
        gain: f64,
    },
    /// Truncated normal draws with variance 2 / fan-in: values beyond two standard deviations are
    /// redrawn and the rest rescaled to keep the variance, as in Keras. Source: He et al. 2015
    /// (arXiv:1502.01852). The fan-in is the product of all dimensions after the first: the number
    /// of inputs per output of a dense layer or convolution and, for a transposed convolution
    /// (`[in, out, k, k]`), Keras' convention.
    HeNormal,
    /// Uniform draws from ±√(6 / (fan-in + fan-out)), where the fans are the products of all
    /// dimensions but the first and all but the second. Source: Glorot and Bengio 2010.
    GlorotUniform,
    /// The first outputs pass the first inputs on, as many as `channels`; the others are drawn as
    /// by [`Init::HeNormal`].
    PassOn {
        /// Number of inputs passed on; at most that of inputs and of outputs.
        channels: i64,
    },
    /// Normal draws with this standard deviation.
    Normal {
        /// Standard deviation.
        deviation: f64,
    },
    /// All ones: scales of a batch normalisation.
    Ones,
    /// All zeros: biases.
    Zeros,
}

/// Standard deviation of a standard normal truncated at ±2.
const DEVIATION_OF_CUT_NORMAL: f64 = 0.879_625_661_034_239_8;

impl Init {
    /// Initialisation of a layer followed by a ReLU.
    pub const BEFORE_RELU: Self = Self::Orthogonal { gain: std::f64::consts::SQRT_2 };

    /// Computes the initial values of parameter `name`, `f32` on the CPU.
    ///
    /// The generator is derived from (seed, name), not from the order of creation: networks that
    /// share a layer (same name, same shape) initialise it identically, whatever their other layers
    /// are.
    pub(crate) fn values(
        self,
        seed: u64,
        name: &str,
        shape: &[i64],
    ) -> Result<Tensor, NetworkError> {
        match self {
            Self::Zeros => Ok(Tensor::f_zeros(shape, (Kind::Float, tch::Device::Cpu))?),
            Self::Ones => Ok(Tensor::f_ones(shape, (Kind::Float, tch::Device::Cpu))?),
            Self::HeNormal => he_normal(rng_of(seed, name), shape),
            Self::PassOn { channels } => pass_on(rng_of(seed, name), shape, channels),
            Self::GlorotUniform => glorot_uniform(&mut rng_of(seed, name), shape),
            Self::Normal { deviation } => {
                let count = shape.iter().product::<i64>() as usize;
                let draws = normal_draws(&mut rng_of(seed, name), count);
                Ok((Tensor::f_from_slice(&draws)? * deviation).f_view(shape)?)
            }
            Self::Orthogonal { gain } => {
                let rng = rng_of(seed, name);
                with_one_torch_thread(|| orthogonal(rng, shape, gain))
            }
        }
    }

    /// Computes [`Init::values`] with 0 for the last `zeros` inputs (along dimension 1), so that a
    /// CoordConv starts as a plain convolution. The other values are unchanged.
    pub(crate) fn values_with_zeros(
        self,
        seed: u64,
        name: &str,
        shape: &[i64],
        zeros: i64,
    ) -> Result<Tensor, NetworkError> {
        let values = self.values(seed, name, shape)?;
        if zeros > 0 {
            let _ = values.f_narrow(1, shape[1] - zeros, zeros)?.f_zero_()?;
        }
        Ok(values)
    }
}

/// Returns the generator of the parameter or buffer `name`.
pub(crate) fn rng_of(seed: u64, name: &str) -> Rng {
    derive_rng(seed, Role::Init, hash_name(name))
}

/// Computes the orthogonal factor of a matrix of normal draws. Fixing the signs by R's diagonal
/// makes the result uniform over orthogonal matrices (Mezzadri 2007, arXiv:math-ph/0609050).
fn orthogonal(mut rng: Rng, shape: &[i64], gain: f64) -> Result<Tensor, NetworkError> {
    let rows = shape[0];
    let columns: i64 = shape[1..].iter().product();
    // A wide matrix would yield a square Q, so it is drawn tall and transposed at the end.
    let tall = rows.max(columns);
    let wide = rows.min(columns);
    let draws = normal_draws(&mut rng, (tall * wide) as usize);
    let matrix = Tensor::f_from_slice(&draws)?.f_view([tall, wide])?; // [tall, wide]
    let (q, r) = Tensor::f_linalg_qr(&matrix, "reduced")?;
    let q = q * r.diagonal(0, 0, 1).sign(); // [tall, wide]
    let q = if rows < columns { q.transpose(0, 1) } else { q }; // [rows, columns]
    Ok((q * gain).f_contiguous()?.f_view(shape)?)
}

fn he_normal(mut rng: Rng, shape: &[i64]) -> Result<Tensor, NetworkError> {
    let fan_in: i64 = shape[1..].iter().product();
    let count = shape.iter().product::<i64>() as usize;
    let scale = ((2.0 / fan_in as f64).sqrt() / DEVIATION_OF_CUT_NORMAL) as f32;
    let mut draws = Vec::with_capacity(count);
    while draws.len() < count {
        let more = normal_draws(&mut rng, count - draws.len());
        draws.extend(more.into_iter().filter(|draw| draw.abs() <= 2.0).map(|draw| draw * scale));
    }
    Ok(Tensor::f_from_slice(&draws)?.f_view(shape)?)
}

/// Passes inputs on at the middle of the window.
fn pass_on(rng: Rng, shape: &[i64], channels: i64) -> Result<Tensor, NetworkError> {
    let weight = he_normal(rng, shape)?;
    let _ = weight.f_narrow(0, 0, channels)?.f_zero_()?;
    for channel in 0..channels {
        let mut tap = weight.f_get(channel)?.f_get(channel)?;
        for &window in &shape[2..] {
            tap = tap.f_get(window / 2)?;
        }
        let _ = tap.f_fill_(1.0)?;
    }
    Ok(weight)
}

fn glorot_uniform(rng: &mut Rng, shape: &[i64]) -> Result<Tensor, NetworkError> {
    let window: i64 = shape[2..].iter().product();
    let limit = (6.0 / ((shape[0] + shape[1]) * window) as f64).sqrt();
    let count = shape.iter().product::<i64>();
    let draws: Vec<f32> = (0..count).map(|_| (limit * (2.0 * uniform(rng) - 1.0)) as f32).collect();
    Ok(Tensor::f_from_slice(&draws)?.f_view(shape)?)
}

/// Draws from a standard normal by the Box–Muller transform.
pub fn normal_draws(rng: &mut Rng, count: usize) -> Vec<f32> {
    // The transform makes pairs, so that an odd count draws one number too many.
    let mut draws = Vec::with_capacity(count + 1);
    while draws.len() < count {
        // 1 − uniform lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * uniform(rng)).sin_cos();
        draws.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    draws.truncate(count);
    draws
}

/// Draws uniformly from [0, 1) with 53 random bits.
pub fn uniform(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Hashes with FNV-1a, which is stable across Rust versions, as stored seeds require.
fn hash_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Runs `job` on one libtorch thread: the last bits of a factorisation depend on the thread count.
fn with_one_torch_thread<R>(job: impl FnOnce() -> R) -> R {
    let before = tch::get_num_threads();
    tch::set_num_threads(1);
    let result = job();
    tch::set_num_threads(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, name: &str, shape: &[i64], gain: f64) -> Tensor {
        Init::Orthogonal { gain }.values(seed, name, shape).unwrap()
    }

    #[test]
    fn rows_or_columns_are_orthogonal_with_the_gain_as_length() {
        for shape in [[32i64, 4, 8, 8], [64, 1, 3, 3]] {
            let matrix = draw(1, "w", &shape, 2.0).view([shape[0], -1]);
            let gram = if matrix.size()[0] <= matrix.size()[1] {
                matrix.matmul(&matrix.transpose(0, 1))
            } else {
                matrix.transpose(0, 1).matmul(&matrix)
            };
            let identity = Tensor::eye(gram.size()[0], (Kind::Float, tch::Device::Cpu));
            let off = (gram - identity * 4.0).abs().max().double_value(&[]);
            assert!(off < 1e-4, "{shape:?}: off by {off}");
        }
    }

    #[test]
    fn draws_depend_on_seed_and_name_alone() {
        let base = draw(1, "torso.fc.weight", &[8, 8], 1.0);
        assert_eq!(base, draw(1, "torso.fc.weight", &[8, 8], 1.0));
        assert_ne!(base, draw(2, "torso.fc.weight", &[8, 8], 1.0));
        assert_ne!(base, draw(1, "torso.fd.weight", &[8, 8], 1.0));
        tch::manual_seed(3); // libtorch's own generator is not used
        assert_eq!(base, draw(1, "torso.fc.weight", &[8, 8], 1.0));
    }

    #[test]
    fn he_normal_has_variance_two_over_fan_in_and_no_far_draws() {
        let weights = Init::HeNormal.values(1, "w", &[500, 10, 2, 2]).unwrap(); // fan-in 40
        let deviation = weights.std(true).double_value(&[]);
        let expected = (2.0f64 / 40.0).sqrt();
        assert!((deviation / expected - 1.0).abs() < 0.02, "{deviation} instead of {expected}");
        let furthest = weights.abs().max().double_value(&[]);
        assert!(furthest <= 2.0 * expected / DEVIATION_OF_CUT_NORMAL + 1e-6, "{furthest}");
        assert!(weights.mean(Kind::Float).double_value(&[]).abs() < 0.01);
    }

    #[test]
    fn inputs_pass_through_the_middle_of_the_window() {
        let weight = Init::PassOn { channels: 2 }.values(1, "w", &[4, 3, 3, 3]).unwrap();
        let picture = Tensor::rand([1, 3, 5, 5], (Kind::Float, tch::Device::Cpu));
        let passed = picture.conv2d(&weight, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1);
        assert_eq!(passed.narrow(1, 0, 2), picture.narrow(1, 0, 2));
        assert!(passed.narrow(1, 2, 2).std(true).double_value(&[]) > 0.1, "the others are drawn");
    }

    #[test]
    fn glorot_uniform_fills_its_range_evenly() {
        let weights = Init::GlorotUniform.values(1, "w", &[500, 10, 2, 2]).unwrap(); // fans 40, 2000
        let limit = (6.0f64 / 2040.0).sqrt();
        let furthest = weights.abs().max().double_value(&[]);
        assert!(furthest <= limit && furthest > 0.999 * limit, "{furthest} of {limit}");
        let deviation = weights.std(true).double_value(&[]);
        assert!((deviation * 3f64.sqrt() / limit - 1.0).abs() < 0.02, "{deviation}");
        assert!(weights.mean(Kind::Float).double_value(&[]).abs() < 0.02 * limit);
    }

    #[test]
    fn zeros_take_the_last_channels_and_leave_the_others_as_drawn() {
        for init in [Init::HeNormal, Init::BEFORE_RELU] {
            let drawn = init.values(1, "w", &[5, 3, 2, 2]).unwrap();
            let zeroed = init.values_with_zeros(1, "w", &[5, 3, 2, 2], 2).unwrap();
            assert_eq!(zeroed.narrow(1, 0, 1), drawn.narrow(1, 0, 1));
            assert_eq!(zeroed.narrow(1, 1, 2).abs().max().double_value(&[]), 0.0);
            assert_eq!(init.values_with_zeros(1, "w", &[5, 3, 2, 2], 0).unwrap(), drawn);
        }
    }

    #[test]
    fn normal_draws_have_the_moments_of_a_normal() {
        let mut rng = derive_rng(5, Role::Init, 0);
        let draws = normal_draws(&mut rng, 100_001);
        assert_eq!(draws.len(), 100_001);
        let moment = |k| draws.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / 100_001.0;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.15, "{}", moment(4));
    }
}
