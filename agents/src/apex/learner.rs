//! Networks, loss and optimiser step: the only place where weights change.

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::LearnBatch;
use super::batch::TransitionTensors;
use super::experience::Weights;
use super::learner_config::{LEARNER_TABLE, LearnerConfig};
use super::shard::{LearnerShard, differentiate, sum};
use crate::AgentError;
use crate::nn::{
    LiveFeatures, NamedTensors, NetworkError, Optimizer, ParamStore, QHead, QNetwork, TorsoEntry,
};

/// Learns action values from batches of transitions; independent of environments and replay.
///
/// Shards and the optimiser step are spread over the ambient rayon pool, without affecting results.
pub struct ApexLearner {
    config: LearnerConfig,
    obs_shape: [usize; 3],
    num_actions: usize,
    online: Replicas,
    /// A copy of `online`, frozen between two copies.
    target: Replicas,
    optimizer: Optimizer,
    updates: u64,
}

/// Parameters, and one network per shard that reads them.
struct Replicas {
    store: ParamStore,
    /// All parameters, flat `[P]`, in the store's memory.
    params: Tensor,
    networks: Vec<QNetwork>,
}

/// Statistics of one update.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnStats {
    /// |target − Q| of each transition before the update, in batch order: the new priorities.
    pub td_errors: Vec<f32>,
    /// Mean of importance weight · loss.
    pub loss: f64,
    /// Euclidean norm of the whole gradient, before clipping.
    pub grad_norm: f64,
    /// Mean Q of the actions taken.
    pub mean_q: f64,
    /// Mean of `td_errors`, unweighted.
    pub mean_abs_td: f64,
    /// Share of the torso's features that are 0 on every row of the batch.
    pub dead_share: f64,
    /// Number of updates made, including this one.
    pub updates: u64,
    /// `true` if the weights were copied into the target network after this update.
    pub target_copied: bool,
}

/// All state that later updates depend on; tensors by name, on the CPU.
#[derive(Debug)]
pub struct LearnerState {
    /// Weights of the online network.
    pub online: NamedTensors,
    /// Weights of the target network.
    pub target: NamedTensors,
    /// Moments and step counter of the optimiser.
    pub optimizer: NamedTensors,
    /// Number of updates made.
    pub updates: u64,
}

impl ApexLearner {
    /// Draws the initial weights, shared by both networks.
    ///
    /// # Errors
    /// If the settings are invalid or the torso does not support such observations.
    pub fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        device: Device,
        seed: u64,
        config: &LearnerConfig,
    ) -> Result<Self, AgentError> {
        let problems = config.check(LEARNER_TABLE);
        if !problems.is_empty() {
            return Err(AgentError::Config(problems));
        }

        // On a GPU the batch is not split.
        let shards = if device == Device::Cpu { config.shards } else { 1 };
        let build =
            |store| Replicas::build(torso, obs_shape, num_actions, config.head, shards, store);
        let online = build(ParamStore::new(seed, device))?;
        // Its weights are copied from the online network, so none are drawn.
        let mut target = build(ParamStore::of_shapes(device))?;
        target.store.copy_from(&online.store)?;
        let optimizer = Optimizer::new(&config.optimizer, &online.params);
        Ok(Self {
            config: config.clone(),
            obs_shape,
            num_actions,
            online,
            target,
            optimizer,
            updates: 0,
        })
    }

    /// Makes one update towards the targets of `batch`, then, if due, copies the weights into the
    /// target network. Source: Horgan et al. 2018, algorithm 2.
    ///
    /// # Errors
    /// If the parts of the batch do not match, or the loss or the gradient is not finite; nothing
    /// is changed then.
    pub fn learn(&mut self, batch: &LearnBatch<'_>) -> Result<LearnStats, AgentError> {
        self.learn_rows(batch, None)
    }

    /// Like [`ApexLearner::learn`], with rows that may already be on the device.
    pub(super) fn learn_rows(
        &mut self,
        batch: &LearnBatch<'_>,
        on_device: Option<TransitionTensors>,
    ) -> Result<LearnStats, AgentError> {
        batch.check(self.obs_shape, self.num_actions)?;
        let shards = match on_device {
            Some(rows) => vec![self.one_shard(&rows)?],
            None => self.shards(batch)?,
        };

        let loss = shards.iter().map(|shard| shard.loss).sum();
        let td_errors: Vec<f32> =
            shards.iter().flat_map(|shard| &shard.td_errors).map(|e| e.abs()).collect();
        let rows = td_errors.len();
        // Over the rows of all shards in order, not over the means of shards, which may differ in
        // size.
        let mean_abs_td = mean(td_errors.iter(), rows);
        let mean_q = mean(shards.iter().flat_map(|shard| &shard.q), rows);
        let mut live = LiveFeatures::default();
        shards.iter().for_each(|shard| live.merge(&shard.live));
        let dead_share = live.dead_share();
        let grad_norm = self.apply(sum(shards), loss)?;
        let target_copied = self.updates.is_multiple_of(self.config.target_copy_updates);
        if target_copied {
            self.target.store.copy_from(&self.online.store)?;
        }

        let updates = self.updates;
        Ok(LearnStats {
            td_errors,
            loss,
            grad_norm,
            mean_q,
            mean_abs_td,
            dead_share,
            updates,
            target_copied,
        })
    }

    /// Returns the number of updates made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns the number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.online.store.parameter_count()
    }

    /// Returns the online network, whose output changes with every update.
    pub fn network(&self) -> &QNetwork {
        &self.online.networks[0]
    }

    /// Returns the learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        let optimizer = &self.config.optimizer;
        optimizer.learning_rate * optimizer.warmup_factor(self.updates)
    }

    /// Loads other initial weights into both networks, leaving everything else as built.
    ///
    /// # Errors
    /// If names or shapes differ from this network's; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        self.online.store.load(weights)?;
        Ok(self.target.store.copy_from(&self.online.store)?)
    }

    /// Returns the current weights, for actors.
    pub fn weights(&self) -> Result<Weights, AgentError> {
        self.weights_in(Vec::new())
    }

    /// Like [`ApexLearner::weights`], reusing the capacity of a vector.
    pub fn weights_in(&self, mut numbers: Vec<f32>) -> Result<Weights, AgentError> {
        self.online.store.write_flat(&mut numbers)?;
        Ok(Weights { version: self.updates, numbers })
    }

    /// Returns the online network's parameters by name, on the CPU.
    pub fn to_named(&self) -> NamedTensors {
        self.online.store.to_named()
    }

    /// Returns all state that later updates depend on.
    ///
    /// # Errors
    /// If a weight or a moment of the optimiser is not finite: such a state is useless and must not
    /// replace a good one.
    pub fn save(&self) -> Result<LearnerState, AgentError> {
        for (fine, what) in [
            (self.online.store.is_finite(), "weights"),
            (self.target.store.is_finite(), "the target network's weights"),
            (self.optimizer.is_finite(), "the optimiser's moments"),
        ] {
            if !fine {
                return Err(self.not_finite(what));
            }
        }

        Ok(LearnerState {
            online: self.online.store.to_named(),
            target: self.target.store.to_named(),
            optimizer: self.optimizer.to_named(),
            updates: self.updates,
        })
    }

    /// Restores the state returned by [`ApexLearner::save`], from this process or another; on a CPU,
    /// learning continues bit for bit.
    ///
    /// # Errors
    /// If the state is for another network or optimiser. Nothing is changed then.
    pub fn load(&mut self, state: &LearnerState) -> Result<(), AgentError> {
        // All checks before the first change, so that a state that fits in part changes nothing.
        self.online.store.check(&state.online)?;
        self.target.store.check(&state.target)?;
        self.optimizer.check(&state.optimizer)?;
        self.online.store.load(&state.online)?;
        self.target.store.load(&state.target)?;
        self.optimizer.load(&state.optimizer)?;
        self.updates = state.updates;
        Ok(())
    }

    /// Computes gradient and errors of all rows at once.
    fn one_shard(&mut self, rows: &TransitionTensors) -> Result<LearnerShard, AgentError> {
        let [online, target] = [&self.online, &self.target].map(|side| &side.networks[0]);
        differentiate(&self.config, online, target, rows, rows.actions.size()[0] as f64)
    }

    /// Computes gradient and errors of every shard, in row order.
    fn shards(&mut self, batch: &LearnBatch<'_>) -> Result<Vec<LearnerShard>, AgentError> {
        let Self { config, obs_shape, online, target, .. } = self;
        let device = online.store.device();
        let parts = batch.split(online.networks.len(), *obs_shape);
        let networks = online.networks.par_iter_mut().zip(&mut target.networks);
        let rows = batch.actions.len() as f64;
        // Collected in row order before an error is returned: which shard's it is must not depend
        // on scheduling.
        let shards: Vec<Result<LearnerShard, AgentError>> = networks
            .zip(parts)
            // One shard per job: rayon must not run two in sequence while another thread idles.
            .with_max_len(1)
            .map(|((online, target), part)| {
                differentiate(config, online, target, &part.to_tensors(*obs_shape, device), rows)
            })
            .collect();
        shards.into_iter().collect()
    }

    /// Clips the gradient and makes one optimiser step; returns the norm before clipping.
    fn apply(&mut self, gradient: Tensor, loss: f64) -> Result<f64, AgentError> {
        if !loss.is_finite() {
            return Err(self.not_finite("loss"));
        }
        let rate = self.learning_rate();
        let max_norm = self.config.max_grad_norm;
        let stepped = self.optimizer.clipped_step(&self.online.params, gradient, max_norm, rate);
        let grad_norm = stepped.ok_or_else(|| self.not_finite("gradient"))?;
        self.updates += 1;
        Ok(grad_norm)
    }

    fn not_finite(&self, what: &'static str) -> AgentError {
        AgentError::NonFinite { what, update: self.updates, table: LEARNER_TABLE }
    }
}

impl std::fmt::Debug for ApexLearner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("config", &self.config)
            .field("updates", &self.updates)
            .finish_non_exhaustive()
    }
}

impl Replicas {
    fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        head: QHead,
        shards: u32,
        mut store: ParamStore,
    ) -> Result<Self, NetworkError> {
        let (params, networks) = store.build_packed(shards as usize, |store| {
            QNetwork::build(torso, obs_shape, num_actions, head, store)
        })?;
        Ok(Self { networks, params, store })
    }
}

/// Computes the mean of `count` numbers in `f64`, summed in the given order.
fn mean<'a>(numbers: impl Iterator<Item = &'a f32>, count: usize) -> f64 {
    numbers.map(|&number| f64::from(number)).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests;
