//! Parameters of one objective, with their optimiser.

use std::ops::Range;

use coordrl_agents::nn::{NamedTensors, Optimizer, ParamStore};
use tch::{Device, Kind, Tensor};

use crate::config::StudyConfig;
use crate::task::Objective;
use crate::{StudyError, Task};

/// The parameters that one of a task's objectives changes.
pub(crate) struct ParamGroup {
    objective: &'static Objective,
    /// Positions of its parameters among all.
    pub leaves: Range<usize>,
    /// Its parameters, flat `[P]`, in memory shared with every shard.
    params: Tensor,
    /// 1 for each convolution weight, else 0; flat `[P]`.
    kernels: Tensor,
    optimizer: Optimizer,
}

impl ParamGroup {
    /// Splits `params`, all parameters of the store, among the objectives of the task.
    ///
    /// # Errors
    /// [`StudyError::Objective`] if the parameters of an objective are none, do not stand next to each
    /// other, or are also another's.
    pub fn all(
        task: &Task,
        config: &StudyConfig,
        store: &ParamStore,
        params: &Tensor,
    ) -> Result<Vec<Self>, StudyError> {
        let named = store.to_named();
        let mut groups: Vec<Self> = Vec::new();
        for objective in task.objectives {
            let group = Self::new(objective, config, &named, params)?;
            let leaves = &group.leaves;
            // In whatever order: two ranges overlap if either begins before the other ends.
            let overlaps =
                |other: &Self| other.leaves.start < leaves.end && leaves.start < other.leaves.end;
            if groups.iter().any(overlaps) {
                return Err(StudyError::Objective { parameters: objective.parameters });
            }
            groups.push(group);
        }
        Ok(groups)
    }

    fn new(
        objective: &'static Objective,
        config: &StudyConfig,
        named: &[(String, Tensor)],
        params: &Tensor,
    ) -> Result<Self, StudyError> {
        // Running statistics come after the parameters; no optimiser changes them.
        let mut starts = vec![0];
        let mut pieces = Vec::new();
        let count = params.numel() as i64;
        for (_, values) in named {
            let end = starts[starts.len() - 1] + values.numel() as i64;
            if end > count {
                break;
            }
            starts.push(end);
            // Convolutions, transposed or not, have weights of four dimensions.
            let value = if values.dim() == 4 { 1.0 } else { 0.0 };
            pieces.push(Tensor::f_full(
                [values.numel() as i64],
                value,
                (Kind::Float, Device::Cpu),
            )?);
        }

        let leaves = leaves_of(objective, &named[..pieces.len()])?;
        let from = starts[leaves.start];
        let length = starts[leaves.end] - from;
        let kernels = Tensor::f_cat(&pieces[leaves.clone()], 0)?.f_to_device(params.device())?;
        let params = params.f_narrow(0, from, length)?;
        let optimizer = Optimizer::new(&config.optimizer(), &params);
        Ok(Self { objective, leaves, params, kernels, optimizer })
    }

    /// Optimiser steps per update.
    pub fn steps(&self) -> u32 {
        self.objective.steps
    }

    /// Adds the gradient of l2 · Σw² over the convolution weights and returns that loss.
    pub fn add_l2(&self, gradient: &mut Tensor, l2: f64) -> Result<f64, StudyError> {
        if l2 == 0.0 {
            return Ok(0.0);
        }
        // Without a graph: only the leaves of the networks require gradients, not the flat tensor.
        let kernels = self.params.f_mul(&self.kernels)?;
        let _ = gradient.f_add_(&kernels.f_mul_scalar(2.0 * l2)?)?;
        // Summed in f64, because the largest networks have more than a million weights.
        let squares = kernels.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        Ok(l2 * squares)
    }

    /// Adds `factor` times the parameters to their gradient.
    pub fn add_weight_decay(&self, gradient: &mut Tensor, factor: f64) -> Result<(), StudyError> {
        if factor != 0.0 {
            let _ = gradient.f_add_(&self.params.f_mul_scalar(factor)?)?;
        }
        Ok(())
    }

    /// Makes one step, at this learning rate of the whole study.
    pub fn step(&mut self, gradient: &Tensor, config: &StudyConfig, learning_rate: f64) {
        let rate = learning_rate * (self.objective.rate_factor)(config);
        self.optimizer.step(&self.params, gradient, rate);
    }

    /// Returns the state of the optimiser, with names of its own.
    pub fn to_named(&self) -> NamedTensors {
        let prefix = self.objective.parameters;
        let named = self.optimizer.to_named().into_iter();
        named.map(|(name, moment)| (format!("{prefix}{name}"), moment)).collect()
    }

    /// Restores the state among that of all objectives; changes nothing if that fails.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<(), StudyError> {
        Ok(self.optimizer.load(&self.own(state))?)
    }

    /// Checks that [`ParamGroup::load`] would accept the state.
    pub fn check(&self, state: &[(String, Tensor)]) -> Result<(), StudyError> {
        Ok(self.optimizer.check(&self.own(state))?)
    }

    /// Returns its own part of the state of all objectives, with the optimiser's names.
    fn own(&self, state: &[(String, Tensor)]) -> NamedTensors {
        let prefix = self.objective.parameters;
        state
            .iter()
            .filter_map(|(name, moment)| {
                let name = name.strip_prefix(prefix)?;
                Some((name.to_owned(), moment.shallow_clone()))
            })
            .collect()
    }
}

/// Returns the positions of an objective's parameters.
fn leaves_of(
    objective: &Objective,
    named: &[(String, Tensor)],
) -> Result<Range<usize>, StudyError> {
    let prefix = objective.parameters;
    let is_its = |(name, _): &(String, Tensor)| name.starts_with(prefix);
    let first = named.iter().position(is_its).unwrap_or(named.len());
    let count = named.iter().filter(|param| is_its(param)).count();
    let leaves = first..first + count;
    if count == 0 || !named[leaves.clone()].iter().all(is_its) {
        return Err(StudyError::Objective { parameters: prefix });
    }
    Ok(leaves)
}
