//! Optimisers whose state can be saved.
//!
//! libtorch's own keep their moments to themselves, and have RMSProp in one of its two forms only.

mod config;
mod moments;
mod rules;
#[cfg(test)]
mod tests;

pub use config::{OptimizerConfig, OptimizerKind};

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{NamedTensors, NetworkError, is_finite};
use moments::Moments;

/// Numbers handled at a time on a CPU, so that what a step needs of them (about five arrays of
/// `f32`) stays in the cache. For 1.7 M parameters on one core: 2.5 ms instead of 10 ms.
const CHUNK: i64 = 1 << 17;
/// Name of the step counter among the saved tensors.
const STEPS: &str = "steps";

/// Changes a flat parameter tensor against its gradient, and remembers moments of the gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    moments: Moments,
    steps: u64,
}

impl Optimizer {
    /// An optimiser that has made no step yet, for parameters shaped and placed as `params`.
    pub fn new(config: &OptimizerConfig, params: &Tensor) -> Self {
        Self { config: config.clone(), moments: Moments::fresh(config, params), steps: 0 }
    }

    /// Changes `params` in place, once, with learning rate `rate`; both tensors are flat `[P]`.
    ///
    /// Each number is handled on its own, so the chunks, spread over the ambient rayon pool, do
    /// not change the result.
    pub fn step(&mut self, params: &Tensor, gradient: &Tensor, rate: f64) {
        self.steps += 1;
        let chunk = if params.device() == Device::Cpu { CHUNK } else { params.numel() as i64 };
        let tensors = params.split(chunk, 0).into_iter().zip(gradient.split(chunk, 0));
        let chunks: Vec<_> = tensors.zip(self.moments.split(chunk)).collect();
        let (config, steps) = (&self.config, self.steps);
        chunks.into_par_iter().for_each(|((mut params, gradient), mut moments)| {
            let _no_graph = tch::no_grad_guard();
            rules::step(config, &mut params, &gradient, &mut moments, steps, rate);
        });
    }

    /// Number of steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether every number remembered is finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.moments.named().into_iter().all(|(_, moment)| is_finite(moment))
    }

    /// Copies of everything that later steps depend on, on the CPU.
    pub fn to_named(&self) -> NamedTensors {
        let copy = |(name, moment): (&str, &Tensor)| (name.to_owned(), moment.to_device(Device::Cpu).copy());
        let steps = (STEPS.to_owned(), Tensor::from_slice(&[self.steps as i64]));
        self.moments.named().into_iter().map(copy).chain([steps]).collect()
    }

    /// Goes on from what [`Optimizer::to_named`] gave.
    ///
    /// # Errors
    /// If `state` is that of another kind of optimiser or of other parameters; nothing is changed.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<(), NetworkError> {
        self.check(state)?;
        for (name, moment) in self.moments.named() {
            moment.shallow_clone().f_copy_(find(state, name)?)?;
        }
        self.steps = find(state, STEPS)?.f_int64_value(&[0])? as u64;
        Ok(())
    }

    /// Whether [`Optimizer::load`] would take `state`.
    pub(crate) fn check(&self, state: &[(String, Tensor)]) -> Result<(), NetworkError> {
        let moments = self.moments.named();
        let mut expected: Vec<_> = moments.iter().map(|(name, m)| (*name, m.size())).collect();
        expected.push((STEPS, vec![1]));
        for (name, shape) in &expected {
            let found = find(state, name)?.size();
            if found != *shape {
                let (name, expected) = ((*name).to_owned(), shape.clone());
                return Err(NetworkError::WrongShape { name, expected, found });
            }
        }
        match state.iter().find(|(name, _)| expected.iter().all(|(known, _)| known != name)) {
            Some((name, _)) => Err(NetworkError::UnknownParameter { name: name.clone() }),
            None => Ok(()),
        }
    }
}

fn find<'a>(state: &'a [(String, Tensor)], name: &str) -> Result<&'a Tensor, NetworkError> {
    let found = state.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    found.ok_or_else(|| NetworkError::MissingParameter { name: name.to_owned() })
}

/// Scales `gradient` in place so that its Euclidean norm is at most `max_norm`, as PyTorch does:
/// times min(1, max_norm / (norm + 1e-6)). `norm` is the gradient's own.
pub(crate) fn clip_to_norm(gradient: &mut Tensor, norm: f64, max_norm: f64) {
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 {
        let _ = gradient.g_mul_scalar_(factor);
    }
}

/// Euclidean norm of all numbers in `gradient`; not finite if one of them is not.
pub(crate) fn norm_of(gradient: &Tensor) -> f64 {
    gradient.norm().to_kind(Kind::Double).double_value(&[])
}
