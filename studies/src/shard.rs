//! One thread's network on the shared parameters, and its computations.

use coordrl_agents::nn::{ParamScope, ParamStore, flatten_gradients};
use tch::{Device, Kind, Tensor};

use crate::StudyError;
use crate::task::{BuildLearner, Draws, ScoreSums, TaskLearner};

/// A learner for use by one thread.
pub(crate) struct StudyShard {
    pub learner: Box<dyn TaskLearner>,
    leaves: Vec<Tensor>,
    device: Device,
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

impl StudyShard {
    /// Builds a network on the parameters of `store`, drawing any that do not exist yet.
    pub fn build(build: &BuildLearner, store: &mut ParamStore) -> Result<Self, StudyError> {
        let device = store.device();
        let mut scope = ParamScope::new(store);
        let learner = build(&mut scope)?;
        Ok(Self { learner, leaves: scope.into_leaves()?, device })
    }

    /// Computes these rows' part of the gradient of the mean loss over a batch of `batch_rows`.
    ///
    /// Runs forward and backward over a few rows at a time, so that their activations stay in the
    /// cache.
    pub fn gradient(
        &self,
        rows: &[usize],
        batch_rows: usize,
        draws: Draws,
    ) -> Result<Gradient, StudyError> {
        let at_a_time = self.rows_at_a_time(self.learner.row_split().train_rows());
        let count: i64 = self.leaves.iter().map(|leaf| leaf.numel() as i64).sum();
        let mut sum =
            Gradient { flat: Tensor::f_zeros([count], (Kind::Float, self.device))?, loss: 0.0 };
        for part in rows.chunks(at_a_time) {
            let gradient = self.gradient_of_part(part, batch_rows, draws)?;
            sum.add(&gradient)?;
        }
        Ok(sum)
    }

    fn gradient_of_part(
        &self,
        rows: &[usize],
        batch_rows: usize,
        draws: Draws,
    ) -> Result<Gradient, StudyError> {
        // Divided by the rows of the whole batch, not of this part, so that parts add up to the
        // mean.
        let loss = self.learner.loss(rows, draws)? / batch_rows as f64;
        // Returned, not accumulated in the leaves, where those of earlier parts would remain.
        let gradients = Tensor::f_run_backward(&[&loss], &self.leaves, false, false)?;
        let loss = loss.f_double_value(&[])?;
        Ok(Gradient { flat: flatten_gradients(&gradients, &self.leaves), loss })
    }

    /// Scores a few rows at a time, without gradients; one result per pass, in order.
    pub fn scores(&self, rows: &[usize]) -> Result<Vec<ScoreSums>, StudyError> {
        let _no_graph = tch::no_grad_guard();
        let at_a_time = self.rows_at_a_time(self.learner.row_split().evaluate_rows());
        rows.chunks(at_a_time).map(|part| self.learner.score(part)).collect()
    }

    /// Returns the number of rows per pass. A GPU has no such cache and benefits from large
    /// batches.
    fn rows_at_a_time(&self, on_cpu: usize) -> usize {
        match self.device {
            Device::Cpu => on_cpu,
            _ => on_cpu.max(64),
        }
    }
}
