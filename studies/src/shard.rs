//! One thread's network on the shared parameters, and its computations.

use std::ops::Range;

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

/// A shard's share of a batch.
pub(crate) struct Share<'a> {
    pub rows: &'a [usize],
    /// Rows of the whole batch.
    pub batch_rows: usize,
    pub draws: Draws,
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

    /// Computes a share of the gradient of an objective's mean loss, in the parameters of `leaves`.
    ///
    /// Runs forward and backward over a few rows at a time, so that their activations stay in the
    /// cache.
    pub fn gradient(
        &self,
        objective: usize,
        leaves: Range<usize>,
        share: Share<'_>,
    ) -> Result<Gradient, StudyError> {
        let leaves = &self.leaves[leaves];
        let at_a_time = self.rows_at_a_time(self.learner.row_split().train_rows());
        let count: i64 = leaves.iter().map(|leaf| leaf.numel() as i64).sum();
        let mut sum =
            Gradient { flat: Tensor::f_zeros([count], (Kind::Float, self.device))?, loss: 0.0 };
        for rows in share.rows.chunks(at_a_time) {
            let loss = self.learner.loss(objective, rows, share.draws)?;
            // Divided by the rows of the whole batch, not of this part, so that parts add up to the
            // mean.
            let loss = loss / share.batch_rows as f64;
            // Returned, not accumulated in the leaves, where those of earlier parts would remain.
            let gradients = Tensor::f_run_backward(&[&loss], leaves, false, false)?;
            let loss = loss.f_double_value(&[])?;
            sum.add(&Gradient { flat: flatten_gradients(&gradients, leaves), loss })?;
        }
        Ok(sum)
    }

    /// Scores a few rows at a time, without gradients; one result per pass, in order.
    pub fn scores(&self, rows: &[usize]) -> Result<Vec<ScoreSums>, StudyError> {
        let _no_graph = tch::no_grad_guard();
        let at_a_time = self.rows_at_a_time(self.learner.row_split().evaluate_rows());
        let mut next = rows.chunks(at_a_time);
        self.learner.expect(next.next().unwrap_or_default(), None);
        let score = |part| {
            self.learner.expect(next.next().unwrap_or_default(), None);
            self.learner.score(part)
        };
        rows.chunks(at_a_time).map(score).collect()
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
