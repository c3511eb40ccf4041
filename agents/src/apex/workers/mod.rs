//! Worker threads beside the learner: actors, ingestion into the replay, and prefetching.
//!
//! ```text
//! actor 0 ─┐ experience (bounded)              batches (bounded)
//! actor 1 ─┼──────────────▶ ingest ─▶ replay ─▶ prefetch ─────────▶ learner, in the caller's thread
//!   …      ┘                            ▲                              │
//!    ▲                                  └────── new priorities ────────┤
//!    └─────────────────────── the latest weights ──────────────────────┘
//! ```
//!
//! Every wait ends when the other side of a channel is dropped, the limiter is paused, or the
//! shared network is returned (its guard returns it even on a panic). Stopping, for a checkpoint or
//! after a failure, therefore needs no signal that a thread could miss.

mod actor_loop;
mod ingest;
mod pool;
mod prefetch;

pub(super) use actor_loop::{ActorExit, ActorInference, ActorLoop};
pub(super) use pool::{ActorSlot, WorkerPool};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use coordrl_fleet::{Account, ProcessId};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded, unbounded};
use tch::Device;

use super::actor::Actor;
use super::batch::ReadyBatch;
use super::config::{ApexConfig, Inference};
use super::experience::Weights;
use super::failure::FirstError;
use super::fleet::{Arrival, FleetState};
use super::inference::{InferenceClient, QSpec, SharedInference};
use super::limiter::{Limiter, Rates};
use super::link::{LatestWeights, LocalLink};
use super::report::{IngestStats, RemoteBatches};
use crate::AgentError;
use crate::error::Worker;
use crate::replay::{Batch, Replay};

/// Parts that the threads own while they run, and return when they pause.
pub(super) struct AgentParts {
    pub actors: Vec<Actor>,
    pub replay: Replay,
    pub rates: Rates,
    pub fleet: FleetState,
    pub pool: WorkerPool,
}

/// Everything needed to start the threads.
pub(super) struct WorkerSpec<'a> {
    pub config: &'a ApexConfig,
    pub q_spec: QSpec,
    pub device: Device,
    pub seed: u64,
    /// Version of the latest weights: the learner's update count.
    pub updates: u64,
    /// Number of agent steps, over all environments of this process, that may still be taken.
    pub agent_steps_left: u64,
    /// Experience from other processes.
    pub arrivals: Receiver<Arrival>,
}

/// The running threads.
pub(super) struct Workers {
    shared: Shared,
    pool: WorkerPool,
    batches: Receiver<ReadyBatch>,
    ingested: Receiver<IngestStats>,
    actor_threads: Vec<JoinHandle<Option<ActorExit>>>,
    central: Option<SharedInference>,
    replay_threads: Vec<JoinHandle<Option<()>>>,
    /// Keeps the channel of experience open until a pause, also if no actor of this process acts.
    link: LocalLink,
}

/// State shared by all threads.
#[derive(Clone)]
struct Shared {
    replay: Arc<Mutex<Replay>>,
    fleet: Arc<Mutex<FleetState>>,
    limiter: Arc<Limiter>,
    latest_weights: LatestWeights,
    failure: FirstError,
    pausing: Arc<AtomicBool>,
    /// Number of updates so far.
    updates: Arc<AtomicU64>,
}

impl Workers {
    /// Starts all threads.
    pub fn start(parts: AgentParts, spec: &WorkerSpec<'_>) -> Result<Self, AgentError> {
        let AgentParts { actors, replay, rates, fleet, pool } = parts;
        let config = spec.config;
        let shared = Shared {
            replay: Arc::new(Mutex::new(replay)),
            fleet: Arc::new(Mutex::new(fleet)),
            limiter: Arc::new(Limiter::new(rates)),
            latest_weights: pool.latest_weights().clone(),
            failure: FirstError::default(),
            pausing: Arc::default(),
            updates: Arc::new(AtomicU64::new(spec.updates)),
        };

        let (link, experience) =
            LocalLink::new(config.experience_queue as usize, shared.latest_weights.clone());
        // Bounded: batches drawn long before they are used were drawn by outdated priorities.
        let (to_learner, batches) = bounded(config.prefetch_batches as usize);
        // Unbounded: the learner reads it with every update, and ingestion must not wait for that.
        let (stats, ingested) = unbounded();
        let mut workers = Self {
            shared,
            pool,
            batches,
            ingested,
            actor_threads: Vec::new(),
            central: None,
            replay_threads: Vec::new(),
            link: link.clone(),
        };

        let started = workers
            .start_actors(actors, spec, &link)
            .and_then(|()| {
                workers.start_ingest(experience, spec.arrivals.clone(), spec.q_spec, stats)
            })
            .and_then(|()| {
                (0..config.prefetch_threads)
                    .try_for_each(|index| workers.start_prefetch(index, spec, to_learner.clone()))
            });
        // Only the threads keep senders now, and `link`: ingestion ends with the last actor of a
        // pause, and the channel of batches with the last prefetcher.
        drop(link);
        drop(to_learner);
        match started {
            Ok(()) => Ok(workers),
            Err(error) => {
                let _ = workers.pause(); // stop the threads that did start
                Err(error)
            }
        }
    }

    /// Returns the next batch if one arrives within `patience`.
    pub fn next(&self, patience: Duration) -> Option<ReadyBatch> {
        match self.batches.recv_timeout(patience) {
            Ok(ready) => Some(ready),
            Err(RecvTimeoutError::Timeout) => None,
            // The worker reports its own error; back off instead of spinning.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                None
            }
        }
    }

    /// Returns `true` if a thread has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failure.is_set()
    }

    /// Returns the statistics of experience ingested since the last call.
    pub fn take_ingested(&self) -> IngestStats {
        let mut all = IngestStats::default();
        self.ingested.try_iter().for_each(|stats| all.add(stats));
        all
    }

    /// Locks the replay. Actors never wait for this lock; ingestion and prefetching do.
    pub fn replay(&self) -> MutexGuard<'_, Replay> {
        lock(&self.shared.replay)
    }

    /// Returns the batches of other processes so far.
    pub fn remote(&self) -> RemoteBatches {
        lock(&self.shared.fleet).counts()
    }

    /// Returns the accounts of the other processes that are not gone.
    pub fn accounts(&self) -> Vec<(ProcessId, Account)> {
        lock(&self.shared.fleet).accounts()
    }

    /// Returns insertions and samples so far.
    pub fn rates(&self) -> Rates {
        self.shared.limiter.rates()
    }

    /// Sets the number of updates so far.
    pub fn set_updates(&self, updates: u64) {
        // Relaxed is enough: ingestion only computes the reported policy lag from it.
        self.shared.updates.store(updates, Ordering::Relaxed);
    }

    /// Publishes weights to the actors.
    pub fn publish(&self, weights: Weights) {
        self.shared.latest_weights.publish(weights);
    }

    /// Returns a buffer for the next weights; see [`LatestWeights::take_buffer`].
    pub fn weights_buffer(&self) -> Vec<f32> {
        self.shared.latest_weights.take_buffer()
    }

    /// Returns the buffers of a batch to the prefetchers.
    pub fn reuse(&self, batch: Batch) {
        let _ = self.pool.used.send(batch); // cannot fail: the pool holds the receiver
    }

    /// Stops all threads without losing experience: actors stop between two agent steps, and all
    /// experience sent or still to be sent is inserted. Prefetched batches are dropped.
    ///
    /// # Errors
    /// The first error of any thread; its data is lost.
    pub fn pause(self) -> Result<(AgentParts, IngestStats), AgentError> {
        let Self { shared, mut pool, batches, ingested, actor_threads, central, .. } = self;
        let (replay_threads, link) = (self.replay_threads, self.link);
        drop(link);
        // The actors first: once the limiter lets everything through, nothing else would slow them
        // down.
        shared.pausing.store(true, Ordering::SeqCst);
        shared.limiter.pause();

        // Ends when the last prefetcher has: the limiter grants nothing more, and this makes room
        // for a batch that one of them still holds.
        let mut dropped = 0;
        for ready in &batches {
            let _ = pool.used.send(ready.batch);
            dropped += 1;
        }

        // Actors first: ingestion ends once the last of them has dropped its link.
        let exits: Vec<Option<ActorExit>> = actor_threads.into_iter().map(join).collect();
        replay_threads.into_iter().map(join).for_each(drop);
        tracing::debug!(dropped_batches = dropped, "paused");
        // Only after the last join, since a thread can still fail while it is being stopped.
        if let Some(error) = shared.failure.take() {
            return Err(error);
        }

        // Every thread has ended, so these are the last references.
        let rates = shared.limiter.rates();
        let replay =
            Arc::into_inner(shared.replay).map(Mutex::into_inner).ok_or(AgentError::WorkersGone)?;
        let replay = replay.unwrap_or_else(PoisonError::into_inner);
        let fleet = Arc::into_inner(shared.fleet).map(Mutex::into_inner);
        let fleet = fleet.ok_or(AgentError::WorkersGone)?.unwrap_or_else(PoisonError::into_inner);

        let exits: Option<Vec<ActorExit>> = exits.into_iter().collect();
        let mut actors = Vec::new();
        for ((actor, network), slot) in
            exits.ok_or(AgentError::WorkersGone)?.into_iter().zip(&mut pool.actors)
        {
            slot.network = network;
            actors.push(actor);
        }

        pool.central = central.and_then(SharedInference::into_batcher);
        // Messages still queued when the pause began have been ingested by now, so this is
        // complete.
        let mut last = IngestStats::default();
        ingested.try_iter().for_each(|stats| last.add(stats));
        Ok((AgentParts { actors, replay, rates, fleet, pool }, last))
    }

    /// Starts one thread per actor, and the network that they share if there is one.
    fn start_actors(
        &mut self,
        actors: Vec<Actor>,
        spec: &WorkerSpec<'_>,
        link: &LocalLink,
    ) -> Result<(), AgentError> {
        if spec.config.inference == Inference::Central {
            self.central = Some(self.pool.shared_inference(spec)?);
        }

        let left = Arc::new(AtomicU64::new(spec.agent_steps_left));
        let weights = self.shared.latest_weights.latest();
        for (index, actor) in actors.into_iter().enumerate() {
            // Environments are stepped in the actor's own pool, never in the ambient one.
            let slot = self.pool.slot(index)?;
            let pool = Arc::clone(&slot.pool);
            let q = match &self.central {
                Some(central) => ActorInference::Central(InferenceClient::new(
                    central.clone(),
                    Box::new(link.clone()),
                )),
                None => ActorInference::Own(slot.network(spec.q_spec, &weights)?),
            };
            let actor_loop = ActorLoop {
                link: Box::new(link.clone()),
                q,
                left: Arc::clone(&left),
                pausing: Arc::clone(&self.shared.pausing),
                send_every: spec.config.send_every_agent_steps.into(),
                weights_every: spec.config.weights_every_agent_steps.into(),
            };
            // This thread ends with every pause. The work runs in the slot's thread, which stays
            // and keeps libtorch's cached memory.
            let thread = self
                .shared
                .failure
                .spawn(Worker::Actor(index), move || pool.install(|| actor_loop.run(actor)))?;
            self.actor_threads.push(thread);
        }

        Ok(())
    }
}

fn join<R>(handle: JoinHandle<Option<R>>) -> Option<R> {
    handle.join().ok().flatten()
}

/// Locks a shared part, ignoring poisoning: a panic under the lock is recorded and ends the run.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nn::{ParamStore, QHead, QNetwork, find_torso};

    pub fn q_spec() -> QSpec {
        let torso = *find_torso("conv").unwrap();
        QSpec { torso, head: QHead::Plain, obs_shape: [1, 36, 36], num_actions: 3 }
    }

    pub fn weights(version: u64) -> Weights {
        let QSpec { torso, head, obs_shape, num_actions } = q_spec();
        let mut store = ParamStore::new(version, Device::Cpu);
        QNetwork::build(&torso, obs_shape, num_actions, head, &mut store).unwrap();
        Weights { version, numbers: store.to_flat().unwrap() }
    }

    /// Runs without actors: only the shared network is tested.
    #[test]
    fn the_shared_network_outlives_a_pause_and_takes_the_weights_of_the_moment() {
        let config = ApexConfig { inference: Inference::Central, ..Default::default() };
        let spec = WorkerSpec {
            config: &config,
            q_spec: q_spec(),
            device: Device::Cpu,
            seed: 1,
            updates: 0,
            agent_steps_left: 0,
            arrivals: crossbeam::channel::never(),
        };

        let replay = Replay::try_new(config.replay.for_obs(q_spec().obs_shape)).unwrap();
        let pool = WorkerPool::new(&config);
        let mut parts = AgentParts {
            actors: Vec::new(),
            replay,
            rates: config.rates(),
            fleet: FleetState::default(),
            pool,
        };
        let mut places = Vec::new();
        for version in [1, 2] {
            parts.pool.latest_weights().publish(weights(version));
            (parts, _) = Workers::start(parts, &spec).unwrap().pause().unwrap();
            let network = parts.pool.central.as_deref().expect("it came back");
            assert_eq!(network.weights().unwrap(), weights(version));
            places.push(std::ptr::from_ref(network));
        }

        assert_eq!(places[0], places[1], "it was made anew");
    }
}
