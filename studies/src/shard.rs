//! One thread's network on the shared parameters, and its computations.

use coordrl_agents::nn::{Mode, ParamScope, ParamStore, flatten_gradients};
use tch::{Device, Kind, Tensor};

use crate::config::{Inputs, Loss};
use crate::data::Centre;
use crate::networks::{self, FirstMap, NetworkSpec, StudyNetwork};
use crate::rows::{input_of, loss_sum, map_target, target_of};
use crate::{StudyError, Task};

/// A network for use by one thread.
pub(crate) struct Shard {
    pub network: Box<dyn StudyNetwork>,
    leaves: Vec<Tensor>,
    shard_spec: ShardSpec,
}

/// Settings common to all shards of a study.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardSpec {
    pub task: Task,
    pub inputs: Inputs,
    pub loss: Loss,
    pub map_loss: f64,
    pub device: Device,
}

/// Gradient and loss of part of a batch; parts add up.
pub(crate) struct Gradient {
    /// Flat `[P]`.
    pub flat: Tensor,
    /// Loss without the L2 term.
    pub loss: f64,
}

impl Gradient {
    pub fn add(&mut self, other: &Self) -> Result<(), StudyError> {
        let _ = self.flat.f_add_(&other.flat)?;
        self.loss += other.loss;
        Ok(())
    }
}

impl Shard {
    /// Builds a network on the parameters of `store`, drawing any that do not exist yet.
    pub fn build(
        spec: NetworkSpec<'_>,
        shard_spec: ShardSpec,
        store: &mut ParamStore,
    ) -> Result<Self, StudyError> {
        let mut scope = ParamScope::new(store);
        let network = networks::build(spec, &mut scope)?;
        Ok(Self { network, leaves: scope.into_leaves()?, shard_spec })
    }

    /// Computes these rows' part of the gradient of the mean loss over a batch of `batch_rows`.
    ///
    /// Runs forward and backward over a few rows at a time, so that their activations stay in the
    /// cache.
    pub fn gradient(&self, centres: &[Centre], batch_rows: usize) -> Result<Gradient, StudyError> {
        let rows = self.rows_at_a_time(self.network.row_split().train_rows());
        let count: i64 = self.leaves.iter().map(|leaf| leaf.numel() as i64).sum();
        let mut sum = Gradient {
            flat: Tensor::f_zeros([count], (Kind::Float, self.shard_spec.device))?,
            loss: 0.0,
        };
        for part in centres.chunks(rows) {
            let gradient = self.gradient_of_part(part, batch_rows)?;
            sum.add(&gradient)?;
        }
        Ok(sum)
    }

    fn gradient_of_part(
        &self,
        centres: &[Centre],
        batch_rows: usize,
    ) -> Result<Gradient, StudyError> {
        let ShardSpec { task, inputs, loss, map_loss, device } = self.shard_spec;
        let input = input_of(task, inputs, centres, device)?;
        let (output, map) = self.network.forward_with_map(&input, Mode::Train);
        let drawn = loss_sum(loss, &output, &target_of(task, loss, centres, device)?);
        let sum = match map.filter(|_| map_loss > 0.0) {
            None => drawn,
            Some(FirstMap { logits, holds }) => {
                let target = map_target(holds, centres, device)?;
                drawn + loss_sum(Loss::CrossEntropy, &logits, &target) * map_loss
            }
        };

        // Divided by the rows of the whole batch, not of this part, so that parts add up to the
        // mean.
        let loss = sum / batch_rows as f64;
        // Returned, not accumulated in the leaves, where those of earlier parts would remain.
        let gradients = Tensor::f_run_backward(&[&loss], &self.leaves, false, false)?;
        let loss = loss.f_double_value(&[])?;
        Ok(Gradient { flat: flatten_gradients(&gradients, &self.leaves), loss })
    }

    /// Passes the network's output for a few centres at a time to `see`, without gradients.
    pub fn look(
        &self,
        centres: &[Centre],
        mut see: impl FnMut(&[Centre], &Tensor) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let _no_graph = tch::no_grad_guard();
        let ShardSpec { task, inputs, device, .. } = self.shard_spec;
        for part in centres.chunks(self.rows_at_a_time(self.network.row_split().evaluate_rows())) {
            see(
                part,
                &self.network.forward(&input_of(task, inputs, part, device)?, Mode::Evaluate),
            )?;
        }
        Ok(())
    }

    /// Returns the number of rows per pass. A GPU has no such cache and benefits from large
    /// batches.
    fn rows_at_a_time(&self, on_cpu: usize) -> usize {
        match self.shard_spec.device {
            Device::Cpu => on_cpu,
            _ => on_cpu.max(64),
        }
    }
}
