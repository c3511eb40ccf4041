//! A rollout as tensors, and the gradient of a loss on it.

use tch::{Device, Tensor};

use super::rollout::{Rollout, Targets};
use crate::nn::{LiveFeatures, Network, NetworkError, Output, Pass, live_features};

/// Training batch: the rows of a rollout as tensors on the learner's device.
#[derive(Debug)]
pub struct ActorCriticBatch {
    /// Observations `u8 [B, C, H, W]`.
    pub obs: Tensor,
    /// Actions, advantages and returns.
    pub targets: BatchTargets,
}

/// Actions, advantages and returns of a batch, on the learner's device: the arguments of a loss
/// beside the network's output.
#[derive(Debug)]
pub struct BatchTargets {
    /// Actions `i64 [B]`.
    pub actions: Tensor,
    /// Advantages `[B]`.
    pub advantages: Tensor,
    /// Returns `[B]`.
    pub returns: Tensor,
    /// Number of rows of the whole update, of which this may be a shard. Losses are sums over the
    /// shard divided by it, so that the gradients of shards add up to that of the mean.
    pub update_rows: f64,
}

impl BatchTargets {
    /// Concatenates the rows of several actors.
    pub(super) fn of<'a>(
        parts: impl Iterator<Item = (&'a Rollout, &'a Targets)>,
        update_rows: f64,
        device: Device,
    ) -> Self {
        let mut actions = Vec::new();
        let mut advantages = Vec::new();
        let mut returns = Vec::new();
        for (rollout, targets) in parts {
            actions.extend_from_slice(rollout.actions());
            advantages.extend_from_slice(&targets.advantages);
            returns.extend_from_slice(&targets.returns);
        }

        Self {
            actions: Tensor::from_slice(&actions).to_device(device),
            advantages: Tensor::from_slice(&advantages).to_device(device),
            returns: Tensor::from_slice(&returns).to_device(device),
            update_rows,
        }
    }

    fn select(&self, index: &Tensor) -> Self {
        let pick = |tensor: &Tensor| tensor.index_select(0, index);
        Self {
            actions: pick(&self.actions), // [b]
            advantages: pick(&self.advantages),
            returns: pick(&self.returns),
            // A minibatch is an update of its own, with a mean over its own rows.
            update_rows: index.size()[0] as f64,
        }
    }
}

impl ActorCriticBatch {
    /// Returns the rows at `index`, `i64 [b]`, as a batch of its own: a minibatch.
    pub fn select(&self, index: &Tensor) -> Self {
        let obs = self.obs.index_select(0, index); // [b, C, H, W]
        Self { obs, targets: self.targets.select(index) }
    }
}

/// A loss and the sums that are reported of it.
#[derive(Debug)]
pub struct Loss {
    /// Scalar to differentiate.
    pub total: Tensor,
    /// Scalars to report, each a sum over the rows of the batch.
    pub sums: Vec<Tensor>,
}

/// Computes a loss from a network's output for a batch.
pub type LossFn<'a> = &'a (dyn Fn(&Output, &BatchTargets) -> Loss + Sync);

/// Gradient of an update or a shard of it.
#[derive(Debug)]
pub struct BatchGradient {
    /// Gradient, flat `[P]` in the order of [`ParamStore::pack`](crate::nn::ParamStore::pack).
    pub flat: Tensor,
    /// Means over the rows of the update, in the order of [`Loss::sums`]; of a shard its
    /// contribution to them.
    pub means: Vec<f64>,
    pub(crate) live: LiveFeatures,
}

impl BatchGradient {
    /// Runs forward and backward over `batch`.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn of(
        network: &Network,
        batch: &ActorCriticBatch,
        loss: LossFn<'_>,
    ) -> Result<Self, NetworkError> {
        Self::of_pass(network, network.pass(&batch.obs), &batch.targets, loss)
    }

    /// Runs backward from a forward pass over `batch`.
    pub(super) fn of_pass(
        network: &Network,
        mut pass: Pass<Output>,
        targets: &BatchTargets,
        loss: LossFn<'_>,
    ) -> Result<Self, NetworkError> {
        let Loss { total, sums } = loss(&pass.output, targets);
        let flat = pass.gradient(network.parameters(), &total)?; // [P]

        // One copy to the host: on a GPU each copy waits for all work queued before it.
        let parts = Tensor::stack(&sums, 0).detach(); // [S]
        let live = live_features(&pass.output.features); // [F]
        let mut numbers = Vec::<f32>::try_from(Tensor::f_cat(&[parts, live], 0)?)?;

        let live = LiveFeatures::from_marks(&numbers.split_off(sums.len()));
        let means = numbers.into_iter().map(|sum| f64::from(sum) / targets.update_rows).collect();
        Ok(Self { flat, means, live })
    }

    /// Adds up the shards of an update in the given order; `None` without any.
    pub(crate) fn sum(shards: Vec<Self>) -> Option<Self> {
        shards.into_iter().reduce(|mut sum, shard| {
            // In place, into the first shard's tensor, which is not needed by itself any more.
            sum.flat = sum.flat.g_add_(&shard.flat);
            sum.means.iter_mut().zip(&shard.means).for_each(|(mean, part)| *mean += part);
            sum.live.merge(&shard.live);
            sum
        })
    }

    /// Share of the torso's features that are 0 on every row.
    pub fn dead_share(&self) -> f64 {
        self.live.dead_share()
    }
}
