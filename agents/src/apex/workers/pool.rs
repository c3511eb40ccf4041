//! Threads, networks and buffers that outlive a pause.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, unbounded};
use rayon::ThreadPool;
use tch::Device;

use super::WorkerSpec;
use crate::AgentError;
use crate::apex::config::ApexConfig;
use crate::apex::experience::Weights;
use crate::apex::inference::{InferenceBatcher, InferenceNetwork, QSpec, SharedInference};
use crate::apex::link::LatestWeights;
use crate::error::Worker;
use crate::replay::Batch;
use crate::threads::start_pool;

/// Resources reused across pauses: actor threads, inference networks, weight and batch buffers.
/// They are megabytes each, and libtorch caches memory per thread: rebuilt after every checkpoint
/// they would fragment the heap, and a run would grow.
pub(in crate::apex) struct WorkerPool {
    pub(super) actors: Vec<ActorSlot>,
    /// Network of central inference, while the actors are paused.
    pub(super) central: Option<Box<InferenceBatcher>>,
    latest_weights: LatestWeights,
    /// Batches whose buffers are free, first in, first out.
    pub(super) used: Sender<Batch>,
    pub(super) to_reuse: Receiver<Batch>,
}

/// Resources of one actor.
pub(in crate::apex) struct ActorSlot {
    pub pool: Arc<ThreadPool>,
    /// The actor's own network, while its thread does not hold it.
    pub network: Option<Box<InferenceNetwork>>,
}

impl WorkerPool {
    /// Allocates as many batches as can be in flight at once, so that none is allocated later.
    pub fn new(config: &ApexConfig) -> Self {
        // Unbounded, so that returning a batch never blocks; it holds only batches in circulation.
        let (used, to_reuse) = unbounded();
        // Those in the channel, and one in the hands of each prefetcher. The agent holds one more,
        // which enters circulation with its first update.
        let batches = config.prefetch_batches + config.prefetch_threads;
        (0..batches).for_each(|_| drop(used.send(Batch::default())));
        Self {
            actors: Vec::new(),
            central: None,
            latest_weights: LatestWeights::default(),
            used,
            to_reuse,
        }
    }

    /// Returns the slot that holds the latest published weights.
    pub fn latest_weights(&self) -> &LatestWeights {
        &self.latest_weights
    }

    /// Returns an actor's slot, created on first use.
    pub(super) fn slot(&mut self, index: usize) -> Result<&mut ActorSlot, AgentError> {
        while self.actors.len() <= index {
            self.actors.push(ActorSlot::new(self.actors.len())?);
        }
        Ok(&mut self.actors[index])
    }

    /// Returns one network for all actors, with the latest weights.
    pub(super) fn shared_inference(
        &mut self,
        spec: &WorkerSpec<'_>,
    ) -> Result<SharedInference, AgentError> {
        let weights = self.latest_weights.latest();
        let batcher = match self.central.take() {
            Some(mut batcher) => batcher.load(&weights).map(|()| batcher)?,
            None => Box::new(InferenceBatcher::new(InferenceNetwork::build(
                spec.q_spec,
                spec.device,
                &weights,
            )?)),
        };
        Ok(SharedInference::new(batcher))
    }
}

impl ActorSlot {
    /// Starts a single-threaded pool with one libtorch thread.
    pub fn new(actor: usize) -> Result<Self, AgentError> {
        let pool = start_pool(1, 1).map_err(|cause| AgentError::NoThread {
            worker: Worker::Actor(actor),
            cause: std::io::Error::other(cause),
        })?;
        Ok(Self { pool: Arc::new(pool), network: None })
    }

    /// Returns the actor's own network, with these weights.
    pub fn network(
        &mut self,
        spec: QSpec,
        weights: &Weights,
    ) -> Result<Box<InferenceNetwork>, AgentError> {
        match self.network.take() {
            Some(mut network) => network.load(weights).map(|()| network),
            None => Ok(Box::new(InferenceNetwork::build(spec, Device::Cpu, weights)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{q_spec, weights};
    use super::*;

    #[test]
    fn a_slot_keeps_its_network_and_takes_the_weights_of_the_moment() {
        let spec = q_spec();
        let mut slot = ActorSlot::new(0).unwrap();
        let first = slot.network(spec, &weights(1)).unwrap();
        let place: *const InferenceNetwork = &raw const *first;
        slot.network = Some(first);
        let again = slot.network(spec, &weights(2)).unwrap();
        assert!(std::ptr::eq(place, &raw const *again), "it was made anew");
        assert_eq!(again.weights().unwrap(), weights(2));
    }
}
