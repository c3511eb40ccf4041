//! Optimisers with savable state.
//!
//! libtorch's own do not expose their moments and implement only one of the two forms of RMSProp.

mod config;
mod moments;
mod one_pass;
mod rules;
#[cfg(test)]
mod tests;

pub use config::{OptimizerConfig, OptimizerKind};

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{NamedTensors, NetworkError, is_finite};
use moments::Moments;

/// Values per chunk on a CPU: a share of one thread, and small enough that the working set of rules
/// in several passes (about five `f32` arrays) stays in the cache.
const CHUNK: i64 = 1 << 17;
/// Name of the step counter among the saved tensors.
const STEPS: &str = "steps";

/// Updates a flat parameter tensor from its gradient and keeps moments of the gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    moments: Moments,
    steps: u64,
}

impl Optimizer {
    /// Creates an optimiser at step 0 for parameters with the shape and device of `params`.
    pub fn new(config: &OptimizerConfig, params: &Tensor) -> Self {
        Self { config: config.clone(), moments: Moments::fresh(config, params), steps: 0 }
    }

    /// Updates `params` in place, once, with learning rate `rate`; both tensors are flat `[P]`.
    ///
    /// The update is elementwise, so splitting it into chunks on the ambient rayon pool does not
    /// change the result.
    pub fn step(&mut self, params: &Tensor, gradient: &Tensor, rate: f64) {
        self.step_scaled(params, gradient, 1.0, rate);
    }

    /// [`Optimizer::step`] for `gradient` times `scale`.
    fn step_scaled(&mut self, params: &Tensor, gradient: &Tensor, scale: f64, rate: f64) {
        // Counted first: the bias corrections divide by 1 − decayᵗ, which is 0 at t = 0.
        self.steps += 1;
        // On a GPU, chunks would only multiply the number of kernel launches.
        let chunk = if params.device() == Device::Cpu { CHUNK } else { params.numel() as i64 };
        // Chunks are views: the rules change the parameters and the moments themselves.
        let tensors = params.split(chunk, 0).into_iter().zip(gradient.split(chunk, 0));
        let moments = self.moments.split(chunk, tensors.len());
        let chunks: Vec<_> = tensors.zip(moments).collect();
        let config = &self.config;
        let steps = self.steps;
        let in_one_pass = one_pass::applies(config, params, gradient);
        chunks.into_par_iter().for_each(|((mut params, gradient), mut moments)| {
            // Thread-local, so each rayon job needs its own.
            let _no_graph = tch::no_grad_guard();
            if in_one_pass {
                one_pass::step(config, &mut params, &gradient, &mut moments, scale, steps, rate);
            } else {
                let gradient = if scale == 1.0 { gradient } else { gradient * scale };
                rules::step(config, &mut params, &gradient, &mut moments, steps, rate);
            }
        });
    }

    /// Clips `gradient`, flat `[P]`, to a Euclidean norm of at most `max_norm` and makes one step.
    /// Returns the norm before clipping; `None` if it is not finite, with nothing changed.
    pub fn clipped_step(
        &mut self,
        params: &Tensor,
        gradient: Tensor,
        max_norm: Option<f64>,
        rate: f64,
    ) -> Option<f64> {
        let norm = norm_of(&gradient);
        // A non-finite gradient must not reach the moments, which would carry it into every later
        // step.
        if !norm.is_finite() {
            return None;
        }
        let scale = max_norm.map_or(1.0, |max_norm| clip_factor(norm, max_norm));
        self.step_scaled(params, &gradient, scale, rate);
        Some(norm)
    }

    /// Returns the number of steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns `true` if every moment is finite.
    pub fn is_finite(&self) -> bool {
        self.moments.named().into_iter().all(|(_, moment)| is_finite(moment))
    }

    /// Copies all state that later steps depend on to the CPU.
    pub fn to_named(&self) -> NamedTensors {
        // Signed, because `tch` has no unsigned 64-bit tensors.
        let steps = (STEPS.to_owned(), Tensor::from_slice(&[self.steps as i64]));
        // `to_device` does not copy on a CPU: without `copy`, later steps would change the result.
        self.moments
            .named()
            .into_iter()
            .map(|(name, moment)| (name.to_owned(), moment.to_device(Device::Cpu).copy()))
            .chain([steps])
            .collect()
    }

    /// Restores the state saved by [`Optimizer::to_named`].
    ///
    /// # Errors
    /// If `state` belongs to another kind of optimiser or to other parameters; nothing is changed
    /// then.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<(), NetworkError> {
        self.check(state)?;
        for (name, moment) in self.moments.named() {
            // The clone shares the moment's memory; `f_copy_` only needs a mutable handle.
            moment.shallow_clone().f_copy_(find(state, name)?)?;
        }
        self.steps = find(state, STEPS)?.f_int64_value(&[0])? as u64;
        Ok(())
    }

    /// Checks that [`Optimizer::load`] would accept `state`.
    pub fn check(&self, state: &[(String, Tensor)]) -> Result<(), NetworkError> {
        let moments = self.moments.named();
        let mut expected: Vec<_> = moments.iter().map(|(name, m)| (*name, m.size())).collect();
        expected.push((STEPS, vec![1]));
        for (name, shape) in &expected {
            let found = find(state, name)?.size();
            if found != *shape {
                let name = (*name).to_owned();
                let expected = shape.clone();
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

/// Returns the factor that shortens a gradient of norm `norm` to at most `max_norm`, as in PyTorch:
/// min(1, max_norm / (norm + 1e-6)).
fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

/// Returns the Euclidean norm of `gradient`; not finite if any element is not.
fn norm_of(gradient: &Tensor) -> f64 {
    gradient.norm().to_kind(Kind::Double).double_value(&[])
}
