//! Everything that runs beside the learner: actors, the way into the replay, batches drawn ahead.
//!
//! ```text
//! actor 0 ─┐ experience (bounded)              batches (bounded)
//! actor 1 ─┼──────────────▶ ingest ─▶ replay ─▶ prefetch ─────────▶ learner, in the caller's thread
//!   …      ┘                            ▲                              │
//!    ▲                                  └────── new priorities ────────┤
//!    └──────────────── weights (the latest, on a board) ───────────────┘
//! ```
//!
//! All waits end when the other side of a channel is gone, the limiter rests, or the network that
//! actors share comes back (which whoever has it sees to, whatever happens), so that stopping, for a
//! checkpoint or after a failure, needs no signal that a thread could miss.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use coordrl_envs::{Role, derive_rng};
use crossbeam::channel::{Receiver, RecvTimeoutError, SendError, Sender, bounded, unbounded};
use rayon::ThreadPool;
use tch::Device;

use super::actor::{Actor, QSource};
use super::batch::ReadyBatch;
use super::config::{ApexConfig, Inference};
use super::experience::{Experience, Weights};
use super::failure::FirstError;
use super::inference::{InferenceBatcher, InferenceClient, InferenceNetwork, QSpec, SharedInference};
use super::learning::ingest;
use super::limiter::{Limiter, Rates, Turn};
use super::link::{LatestWeights, Link, LocalLink};
use super::report::IngestStats;
use crate::AgentError;
use crate::error::Worker;
use crate::replay::{Batch, Replay};
use crate::threads::start_pool;

/// What is taken apart to run, and comes back when it rests.
pub(super) struct AgentParts {
    pub actors: Vec<Actor>,
    pub replay: Replay,
    pub rates: Rates,
    pub pool: WorkerPool,
}

/// What outlives a rest beside them: threads that act, the networks that infer, the board, and the
/// buffers of batches. They are megabytes each, and libtorch keeps memory by thread: made anew after
/// every checkpoint they would leave holes in the heap, and a run would grow.
pub(super) struct WorkerPool {
    actors: Vec<ActorSlot>,
    /// The network of central inference, while actors rest.
    central: Option<Box<InferenceBatcher>>,
    latest_weights: LatestWeights,
    /// Batches whose buffers can be used again, in turn.
    used: Sender<Batch>,
    to_reuse: Receiver<Batch>,
}

/// An actor's.
struct ActorSlot {
    pool: Arc<ThreadPool>,
    /// Its own network, while it is not with the actor's thread.
    network: Option<Box<InferenceNetwork>>,
}

impl WorkerPool {
    /// With as many batches as can be under way at once, so that none has to be made later.
    pub fn new(config: &ApexConfig) -> Self {
        let (used, to_reuse) = unbounded();
        let batches = config.prefetch_batches + config.prefetch_threads;
        (0..batches).for_each(|_| drop(used.send(Batch::default())));
        Self { actors: Vec::new(), central: None, latest_weights: LatestWeights::default(), used, to_reuse }
    }

    /// Where weights are shown to whoever asks for newer ones.
    pub fn latest_weights(&self) -> &LatestWeights {
        &self.latest_weights
    }

    fn of_actor(&mut self, index: usize) -> Result<&mut ActorSlot, AgentError> {
        while self.actors.len() <= index {
            self.actors.push(ActorSlot::new(self.actors.len())?);
        }
        Ok(&mut self.actors[index])
    }

    /// One network for all actors, on the weights of the moment.
    fn central(&mut self, spec: &WorkerSpec<'_>) -> Result<SharedInference, AgentError> {
        let weights = self.latest_weights.latest();
        let batcher = match self.central.take() {
            Some(mut batcher) => batcher.load(&weights).map(|()| batcher)?,
            None => {
                Box::new(InferenceBatcher::new(InferenceNetwork::build(spec.q_spec, spec.device, &weights)?))
            }
        };
        Ok(SharedInference::new(batcher))
    }
}

impl ActorSlot {
    /// With a pool of one thread, which has one libtorch thread.
    fn new(actor: usize) -> Result<Self, AgentError> {
        let cannot = |cause| AgentError::NoThread {
            worker: Worker::Actor(actor),
            cause: std::io::Error::other(cause),
        };
        Ok(Self { pool: Arc::new(start_pool(1, 1).map_err(cannot)?), network: None })
    }

    /// A network of the actor's own, on the weights of the moment.
    fn network(&mut self, spec: QSpec, weights: &Weights) -> Result<Box<InferenceNetwork>, AgentError> {
        match self.network.take() {
            Some(mut network) => network.load(weights).map(|()| network),
            None => Ok(Box::new(InferenceNetwork::build(spec, Device::Cpu, weights)?)),
        }
    }
}

/// What threads are started with.
pub(super) struct WorkerSpec<'a> {
    pub config: &'a ApexConfig,
    pub q_spec: QSpec,
    pub device: Device,
    pub seed: u64,
    /// Updates behind the weights that are on the board.
    pub updates: u64,
    /// Agent steps, over all environments, that may still be taken.
    pub agent_steps_left: u64,
}

/// Threads at work.
pub(super) struct Workers {
    shared: Shared,
    pool: WorkerPool,
    batches: Receiver<ReadyBatch>,
    ingested: Receiver<IngestStats>,
    actors: Vec<JoinHandle<Option<ActorExit>>>,
    central: Option<SharedInference>,
    others: Vec<JoinHandle<Option<()>>>,
}

/// What all threads see.
#[derive(Clone)]
struct Shared {
    replay: Arc<Mutex<Replay>>,
    limiter: Arc<Limiter>,
    latest_weights: LatestWeights,
    failure: FirstError,
    pausing: Arc<AtomicBool>,
    /// Where the learner stands.
    updates: Arc<AtomicU64>,
}

impl Workers {
    /// Starts all threads.
    pub fn start(parts: AgentParts, spec: &WorkerSpec<'_>) -> Result<Self, AgentError> {
        let AgentParts { actors, replay, rates, pool } = parts;
        let config = spec.config;
        let shared = Shared {
            replay: Arc::new(Mutex::new(replay)),
            limiter: Arc::new(Limiter::new(rates)),
            latest_weights: pool.latest_weights().clone(),
            failure: FirstError::default(),
            pausing: Arc::default(),
            updates: Arc::new(AtomicU64::new(spec.updates)),
        };
        let (link, experience) =
            LocalLink::new(config.experience_queue as usize, shared.latest_weights.clone());
        let (to_learner, batches) = bounded(config.prefetch_batches as usize);
        let (tell, ingested) = unbounded();
        let mut workers =
            Self { shared, pool, batches, ingested, actors: Vec::new(), central: None, others: Vec::new() };
        let start = || {
            workers.start_actors(actors, spec, &link)?;
            workers.start_ingest(experience, tell)?;
            (0..config.prefetch_threads)
                .try_for_each(|index| workers.start_prefetch(index, spec, to_learner.clone()))
        };
        let started = start();
        drop(link);
        match started {
            Ok(()) => Ok(workers),
            Err(error) => {
                let _ = workers.pause(); // those that did start end
                Err(error)
            }
        }
    }

    /// The next batch, if one comes within `patience`.
    pub fn next(&self, patience: Duration) -> Option<ReadyBatch> {
        match self.batches.recv_timeout(patience) {
            Ok(ready) => Some(ready),
            Err(RecvTimeoutError::Timeout) => None,
            // The threads that draw have ended. Not the learner's to say why: wait, do not spin.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                None
            }
        }
    }

    /// Whether a thread has failed: time to come to rest.
    pub fn has_failed(&self) -> bool {
        self.shared.failure.is_set()
    }

    /// What has arrived since the last call.
    pub fn take_ingested(&self) -> IngestStats {
        let mut all = IngestStats::default();
        self.ingested.try_iter().for_each(|arrived| all.add(arrived));
        all
    }

    /// The replay, for a moment: actors do not wait for it.
    pub fn replay(&self) -> MutexGuard<'_, Replay> {
        lock(&self.shared.replay)
    }

    /// What the limiter has counted.
    pub fn rates(&self) -> Rates {
        self.shared.limiter.rates()
    }

    /// Tells how far the learner is.
    pub fn set_updates(&self, updates: u64) {
        self.shared.updates.store(updates, Ordering::Relaxed);
    }

    /// Shows weights to whoever asks for newer ones.
    pub fn publish(&self, weights: Weights) {
        self.shared.latest_weights.publish(weights);
    }

    /// Room to write the next weights into, see [`LatestWeights::take_buffer`].
    pub fn weights_buffer(&self) -> Vec<f32> {
        self.shared.latest_weights.take_buffer()
    }

    /// Gives the buffers of a batch back.
    pub fn reuse(&self, batch: Batch) {
        let _ = self.pool.used.send(batch); // it holds the other end too
    }

    /// Ends all threads with nothing lost: actors stop between two agent steps, and what they have
    /// sent or are about to send reaches the replay. Batches drawn ahead are given up.
    ///
    /// # Errors
    /// The first failure of any thread; what it worked on is lost.
    pub fn pause(self) -> Result<(AgentParts, IngestStats), AgentError> {
        let Self { shared, mut pool, batches, ingested, actors, central, others } = self;
        shared.pausing.store(true, Ordering::SeqCst);
        shared.limiter.pause();
        let mut waiting = 0;
        for ready in batches.try_iter() {
            let _ = pool.used.send(ready.batch);
            waiting += 1;
        }
        drop(batches);
        let actors: Vec<Option<_>> = actors.into_iter().map(join).collect();
        others.into_iter().map(join).for_each(drop);
        tracing::debug!(given_up = waiting, "at rest");
        if let Some(error) = shared.failure.take() {
            return Err(error);
        }
        let rates = shared.limiter.rates();
        let replay = Arc::into_inner(shared.replay).map(Mutex::into_inner).ok_or(AgentError::WorkersGone)?;
        let replay = replay.unwrap_or_else(PoisonError::into_inner);
        let actors = actors.into_iter().collect::<Option<Vec<_>>>().ok_or(AgentError::WorkersGone)?;
        let actors = actors.into_iter().zip(&mut pool.actors).map(|((actor, network), slot)| {
            slot.network = network;
            actor
        });
        let actors = actors.collect();
        pool.central = central.and_then(SharedInference::into_batcher);
        let mut last = IngestStats::default();
        ingested.try_iter().for_each(|arrived| last.add(arrived));
        Ok((AgentParts { actors, replay, rates, pool }, last))
    }

    fn start_actors(
        &mut self,
        actors: Vec<Actor>,
        spec: &WorkerSpec<'_>,
        link: &LocalLink,
    ) -> Result<(), AgentError> {
        if spec.config.inference == Inference::Central {
            self.central = Some(self.pool.central(spec)?);
        }
        let left = Arc::new(AtomicU64::new(spec.agent_steps_left));
        let weights = self.shared.latest_weights.latest();
        for (index, actor) in actors.into_iter().enumerate() {
            // A pool of one thread: environments are stepped in it, not in somebody else's.
            let slot = self.pool.of_actor(index)?;
            let pool = Arc::clone(&slot.pool);
            let q = match &self.central {
                Some(central) => {
                    ActorInference::Central(InferenceClient::new(central.clone(), Box::new(link.clone())))
                }
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
            let body = move || pool.install(|| actor_loop.run(actor));
            self.actors.push(self.shared.failure.spawn(Worker::Actor(index), body)?);
        }
        Ok(())
    }

    fn start_ingest(
        &mut self,
        experience: Receiver<Experience>,
        tell: Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let body = move || {
            for experience in experience {
                let count = experience.transitions();
                shared.limiter.wait_to_insert(count);
                let updates = shared.updates.load(Ordering::Relaxed);
                let arrived = ingest(&mut lock(&shared.replay), experience, updates)?;
                shared.limiter.inserted(count);
                let _ = tell.send(arrived); // read until everything rests
            }
            Ok(())
        };
        self.others.push(self.shared.failure.spawn(Worker::Ingest, body)?);
        Ok(())
    }

    fn start_prefetch(
        &mut self,
        index: u32,
        spec: &WorkerSpec<'_>,
        to_learner: Sender<ReadyBatch>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let batch_size = spec.config.learner.batch_size;
        let (obs_shape, device) = (spec.q_spec.obs_shape, spec.device);
        // Another stream after every rest: batches given up must not come again as they were.
        let stream = spec.updates * u64::from(spec.config.prefetch_threads) + u64::from(index);
        let mut rng = derive_rng(spec.seed, Role::ReplayDraws, stream);
        let (used, to_reuse) = (self.pool.used.clone(), self.pool.to_reuse.clone());
        let body = move || {
            while shared.limiter.wait_to_sample(batch_size.into()) == Turn::Granted {
                let drawn = lock(&shared.replay).draw(batch_size as usize, &mut rng)?;
                let mut batch = to_reuse.try_recv().unwrap_or_default();
                drawn.assemble_into(&mut batch)?;
                let ready = ReadyBatch::new(batch, obs_shape, device);
                if let Err(SendError(ready)) = to_learner.send(ready) {
                    let _ = used.send(ready.batch);
                    break;
                }
            }
            Ok(())
        };
        self.others.push(self.shared.failure.spawn(Worker::Prefetch(index as usize), body)?);
        Ok(())
    }
}

/// What an actor's thread gives back: the actor, and its own network if it has one.
type ActorExit = (Actor, Option<Box<InferenceNetwork>>);

/// What an actor's thread works with.
struct ActorLoop {
    link: Box<dyn Link>,
    q: ActorInference,
    left: Arc<AtomicU64>,
    pausing: Arc<AtomicBool>,
    send_every: u64,
    weights_every: u64,
}

enum ActorInference {
    Own(Box<InferenceNetwork>),
    Central(InferenceClient),
}

impl ActorLoop {
    /// Acts until told to rest, the agent steps are used up, or nobody takes experience any more.
    fn run(mut self, mut actor: Actor) -> Result<ActorExit, AgentError> {
        let envs = actor.len() as u64;
        while !self.pausing.load(Ordering::SeqCst) && self.take_steps(envs) {
            actor.step(self.q.source())?;
            if actor.agent_steps().is_multiple_of(self.weights_every) {
                self.q.refresh(self.link.as_ref())?;
            }
            let send = actor.agent_steps().is_multiple_of(self.send_every);
            if send && self.link.send(actor.take_experience(self.q.source().version())).is_err() {
                return Ok((actor, self.q.into_network()));
            }
        }
        let _ = self.link.send(actor.take_experience(self.q.source().version()));
        Ok((actor, self.q.into_network()))
    }

    /// Whether any are left; the last ones may be a few too many.
    fn take_steps(&self, count: u64) -> bool {
        let take = |left: u64| (left > 0).then(|| left.saturating_sub(count));
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

impl ActorInference {
    /// What outlives a rest with the actor's seat.
    fn into_network(self) -> Option<Box<InferenceNetwork>> {
        match self {
            Self::Own(network) => Some(network),
            Self::Central(_) => None,
        }
    }

    fn source(&mut self) -> &mut dyn QSource {
        match self {
            Self::Own(network) => network.as_mut(),
            Self::Central(client) => client,
        }
    }

    fn refresh(&mut self, link: &dyn Link) -> Result<(), AgentError> {
        match self {
            Self::Own(network) => network.refresh(link),
            Self::Central(_) => Ok(()), // whoever answers sees to it
        }
    }
}

fn join<R>(handle: JoinHandle<Option<R>>) -> Option<R> {
    handle.join().ok().flatten()
}

/// A thread that panicked with the replay in hand has been reported; its error ends the run.
fn lock(replay: &Mutex<Replay>) -> MutexGuard<'_, Replay> {
    replay.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use coordrl_envs::{Assets, Env, EnvConfig, EnvSeed, VecEnv, make_env};

    use super::super::link::Closed;
    use super::*;
    use crate::actors::Place;
    use crate::maths::ValueRescaling;
    use crate::nn::{ParamStore, QHead, QNetwork, find_torso};

    fn q_spec() -> QSpec {
        let torso = *find_torso("conv").unwrap();
        QSpec { torso, head: QHead::Plain, obs_shape: [1, 36, 36], num_actions: 3 }
    }

    fn small_catch(index: u64) -> Box<dyn Env> {
        let config = EnvConfig { screen_size: Some(36), frame_stack: Some(1), ..Default::default() };
        let seed = EnvSeed { seed: 1, role: Role::TrainEnv, index };
        make_env("catch", &config, &Assets { rom_dir: "none".into() }, seed).unwrap()
    }

    fn weights(version: u64) -> Weights {
        let QSpec { torso, head, obs_shape, num_actions } = q_spec();
        let mut store = ParamStore::new(version, Device::Cpu);
        QNetwork::build(&torso, obs_shape, num_actions, head, &mut store).unwrap();
        Weights { version, numbers: store.to_flat().unwrap() }
    }

    /// Without actors: what is looked at is what lies between them.
    #[test]
    fn the_shared_network_outlives_a_rest_and_takes_the_weights_of_the_moment() {
        let config = ApexConfig { inference: Inference::Central, ..Default::default() };
        let spec = WorkerSpec {
            config: &config,
            q_spec: q_spec(),
            device: Device::Cpu,
            seed: 1,
            updates: 0,
            agent_steps_left: 0,
        };
        let replay = Replay::try_new(config.replay.for_obs(q_spec().obs_shape)).unwrap();
        let pool = WorkerPool::new(&config);
        let mut parts = AgentParts { actors: Vec::new(), replay, rates: config.rates(), pool };
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

    #[test]
    fn a_seat_keeps_its_network_and_takes_the_weights_of_the_moment() {
        let spec = q_spec();
        let mut slot = ActorSlot::new(0).unwrap();
        let first = slot.network(spec, &weights(1)).unwrap();
        let place: *const InferenceNetwork = &raw const *first;
        slot.network = Some(first);
        let again = slot.network(spec, &weights(2)).unwrap();
        assert!(std::ptr::eq(place, &raw const *again), "it was made anew");
        assert_eq!(again.weights().unwrap(), weights(2));
    }

    /// What an actor's link is asked for, in order.
    #[derive(Clone, Debug, PartialEq)]
    enum Asked {
        /// With the version of the weights that acted last.
        Send(u64),
        /// For weights newer than these.
        Weights(u64),
    }

    /// Newer weights whenever they are asked for.
    struct ScriptedLink(Arc<Mutex<Vec<Asked>>>);

    impl Link for ScriptedLink {
        fn send(&self, experience: Experience) -> Result<(), Closed> {
            self.0.lock().unwrap().push(Asked::Send(experience.weights_version));
            Ok(())
        }

        fn latest_weights(&self, version: u64) -> Option<Arc<Weights>> {
            self.0.lock().unwrap().push(Asked::Weights(version));
            Some(Arc::new(weights(version + 10)))
        }
    }

    #[test]
    fn an_actor_sends_and_looks_for_weights_by_its_own_agent_steps() {
        let mut config = ApexConfig { envs: 2, actors: Some(1), ..Default::default() };
        (config.replay.capacity, config.replay.warmup_transitions) = (100, 1);
        let envs = VecEnv::try_new((0..2).map(small_catch).collect()).unwrap();
        let place = Place { actor: 0, first_env: 0 };
        let actor = Actor::start(&config, ValueRescaling::Off, place, envs, 1).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let actor_loop = ActorLoop {
            link: Box::new(ScriptedLink(Arc::clone(&asked))),
            q: ActorInference::Own(Box::new(
                InferenceNetwork::build(q_spec(), Device::Cpu, &weights(1)).unwrap(),
            )),
            left: Arc::new(AtomicU64::new(2 * 14)),
            pausing: Arc::default(),
            send_every: 4,
            weights_every: 6,
        };
        let (actor, _) = actor_loop.run(actor).unwrap();
        assert_eq!(actor.agent_steps(), 14);
        use Asked::{Send, Weights};
        // After agent steps 4, 6, 8, 12 (weights first), and at the end.
        let expected = [Send(1), Weights(1), Send(11), Weights(11), Send(21), Send(21)];
        assert_eq!(*asked.lock().unwrap(), expected);
    }
}
