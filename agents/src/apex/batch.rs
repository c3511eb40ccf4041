//! Training batch of one update.

use std::ops::Range;

use tch::{Device, Tensor};

use crate::AgentError;
use crate::policy::obs_tensor;
use crate::replay::Batch;
use crate::threads::split_evenly;

/// B transitions sampled from the replay, each part contiguous in memory.
#[derive(Clone, Copy, Debug)]
pub struct LearnBatch<'a> {
    /// Observations acted on, `u8 [B, C, H, W]`.
    pub obs: &'a [u8],
    /// Observations after the accumulated steps, `u8 [B, C, H, W]`; arbitrary where the discount is
    /// 0.
    pub next_obs: &'a [u8],
    /// Actions taken, `[B]`.
    pub actions: &'a [i64],
    /// Rewards of the accumulated steps, Σ γᵏ·r, `[B]`.
    pub rewards: &'a [f32],
    /// Bootstrap factor, `[B]`: γ to the number of accumulated steps, 0 at a true end.
    pub discounts: &'a [f32],
    /// Weight of each loss, `[B]`: 1, or less for transitions sampled more often than others.
    pub importance_weights: &'a [f32],
}

/// The same batch as tensors on the learner's device.
pub(super) struct TransitionTensors {
    pub obs: Tensor,
    pub next_obs: Tensor,
    pub actions: Tensor,
    pub rewards: Tensor,
    pub discounts: Tensor,
    pub importance_weights: Tensor,
}

/// A batch ready for the learner. For a GPU it is already on the device: the prefetching thread has
/// waited for the copy.
pub(super) struct ReadyBatch {
    pub batch: Batch,
    pub rows: Option<TransitionTensors>,
}

impl ReadyBatch {
    /// Prepares a batch for a learner on this device.
    pub fn new(batch: Batch, obs_shape: [usize; 3], device: Device) -> Self {
        let rows =
            (device != Device::Cpu).then(|| LearnBatch::from(&batch).to_tensors(obs_shape, device));
        Self { batch, rows }
    }
}

impl<'a> From<&'a Batch> for LearnBatch<'a> {
    fn from(Batch { rows, obs, next_obs }: &'a Batch) -> Self {
        Self {
            obs,
            next_obs,
            actions: &rows.actions,
            rewards: &rows.rewards,
            discounts: &rows.discounts,
            importance_weights: &rows.importance_weights,
        }
    }
}

impl LearnBatch<'_> {
    /// Checks that all parts have equal length and all actions are in range.
    pub(super) fn check(
        &self,
        obs_shape: [usize; 3],
        num_actions: usize,
    ) -> Result<(), AgentError> {
        let rows = self.actions.len();
        let bytes = rows * obs_shape.iter().product::<usize>();
        for (what, found, expected) in [
            // Fails only for an empty batch.
            ("actions", rows, rows.max(1)),
            ("rewards", self.rewards.len(), rows),
            ("discounts", self.discounts.len(), rows),
            ("importance weights", self.importance_weights.len(), rows),
            ("bytes of observations", self.obs.len(), bytes),
            ("bytes of following observations", self.next_obs.len(), bytes),
        ] {
            if found != expected {
                return Err(AgentError::BatchLength { what, found, expected: rows.max(1) });
            }
        }

        // On a GPU, `gather` would fail later, with an assertion that makes the device unusable for
        // the process.
        let known = 0..num_actions as i64;
        match self.actions.iter().position(|action| !known.contains(action)) {
            Some(row) => {
                Err(AgentError::ActionRange { row, action: self.actions[row], num_actions })
            }
            None => Ok(()),
        }
    }

    /// Splits the rows into `parts` contiguous shards, as even as possible, the first ones a row
    /// longer.
    pub(super) fn split(&self, parts: usize, obs_shape: [usize; 3]) -> Vec<Self> {
        let pixels = obs_shape.iter().product::<usize>();
        let mut shards = Vec::with_capacity(parts);
        let mut start = 0;
        for len in split_evenly(self.actions.len(), parts) {
            // The mean loss of an empty shard would be NaN.
            if len > 0 {
                shards.push(self.shard(start..start + len, pixels));
            }
            start += len;
        }
        shards
    }

    /// Returns some rows as a batch of their own, given the pixels per observation.
    fn shard(&self, rows: Range<usize>, pixels: usize) -> Self {
        let bytes = rows.start * pixels..rows.end * pixels;
        Self {
            obs: &self.obs[bytes.clone()],
            next_obs: &self.next_obs[bytes],
            actions: &self.actions[rows.clone()],
            rewards: &self.rewards[rows.clone()],
            discounts: &self.discounts[rows.clone()],
            importance_weights: &self.importance_weights[rows],
        }
    }

    pub(super) fn to_tensors(self, obs_shape: [usize; 3], device: Device) -> TransitionTensors {
        let rows = self.actions.len();
        let pixels = |obs| obs_tensor(obs, rows, obs_shape).to_device(device); // [B, C, H, W]
        let numbers = |numbers| Tensor::from_slice::<f32>(numbers).to_device(device); // [B]
        TransitionTensors {
            obs: pixels(self.obs),
            next_obs: pixels(self.next_obs),
            actions: Tensor::from_slice(self.actions).to_device(device),
            rewards: numbers(self.rewards),
            discounts: numbers(self.discounts),
            importance_weights: numbers(self.importance_weights),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_all_rows_in_order_and_none_is_empty() {
        let numbers: Vec<f32> = (0..5u8).map(f32::from).collect();
        let obs = (0..10).collect::<Vec<u8>>();
        let actions = [0, 1, 2, 3, 4];
        let batch = LearnBatch {
            obs: &obs,
            next_obs: &obs,
            actions: &actions,
            rewards: &numbers,
            discounts: &numbers,
            importance_weights: &numbers,
        };

        for (parts, expected) in [(1, vec![5]), (2, vec![3, 2]), (5, vec![1; 5]), (9, vec![1; 5])] {
            let split = batch.split(parts, [2, 1, 1]);
            assert_eq!(split.iter().map(|part| part.actions.len()).collect::<Vec<_>>(), expected);
            let joined =
                |of: fn(&LearnBatch<'_>) -> Vec<f64>| split.iter().flat_map(of).collect::<Vec<_>>();
            let bytes: Vec<f64> = obs.iter().map(|&byte| byte.into()).collect();
            assert_eq!(joined(|part| part.obs.iter().map(|&byte| byte.into()).collect()), bytes);
            assert_eq!(
                joined(|part| part.next_obs.iter().map(|&byte| byte.into()).collect()),
                bytes
            );
            let rewards: Vec<f32> = split.iter().flat_map(|part| part.rewards).copied().collect();
            assert_eq!(rewards, numbers);
            assert!(split.iter().all(|part| part.discounts == part.rewards));
            assert!(split.iter().all(|part| part.importance_weights == part.rewards));
        }
    }
}
