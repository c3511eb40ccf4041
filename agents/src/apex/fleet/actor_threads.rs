//! The threads of an actor process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::AgentError;
use crate::apex::actor::Actor;
use crate::apex::config::ApexConfig;
use crate::apex::experience::Experience;
use crate::apex::failure::FirstError;
use crate::apex::inference::QSpec;
use crate::apex::link::{LatestWeights, LocalLink};
use crate::apex::workers::{ActorExit, ActorInference, ActorLoop, ActorSlot};
use crate::error::Worker;
use crossbeam::channel::Receiver;

/// Messages of experience between the actors' threads and the link's; actors wait when there are
/// more.
const QUEUE: usize = 2;

/// An actor that does not act, with its thread and its network.
pub(super) struct StoppedActor {
    pub actor: Actor,
    pub slot: ActorSlot,
}

/// Actors that act.
pub(super) struct ActorThreads {
    pub experience: Receiver<Experience>,
    threads: Vec<(JoinHandle<Option<ActorExit>>, ActorSlot)>,
    pausing: Arc<AtomicBool>,
    failure: FirstError,
}

impl ActorThreads {
    /// Starts one thread per actor, with these weights and those that the slot will get.
    pub fn start(
        stopped: Vec<StoppedActor>,
        config: &ApexConfig,
        q_spec: QSpec,
        weights: &LatestWeights,
    ) -> Result<Self, AgentError> {
        let (link, experience) = LocalLink::new(QUEUE, weights.clone());
        let mut started = Self {
            experience,
            threads: Vec::new(),
            pausing: Arc::default(),
            failure: FirstError::default(),
        };
        let newest = weights.latest();
        for (index, StoppedActor { actor, mut slot }) in stopped.into_iter().enumerate() {
            let actor_loop = ActorLoop {
                link: Box::new(link.clone()),
                q: ActorInference::Own(slot.network(q_spec, &newest)?),
                left: Arc::new(AtomicU64::new(u64::MAX)),
                pausing: Arc::clone(&started.pausing),
                send_every: config.send_every_agent_steps.into(),
                weights_every: config.weights_every_agent_steps.into(),
            };
            let pool = Arc::clone(&slot.pool);
            let thread = started
                .failure
                .spawn(Worker::Actor(index), move || pool.install(|| actor_loop.run(actor)))?;
            started.threads.push((thread, slot));
        }
        Ok(started)
    }

    /// Returns `true` if a thread has failed; [`ActorThreads::stop`] returns the error.
    pub fn has_failed(&self) -> bool {
        self.failure.is_set()
    }

    /// Stops the threads. Experience not taken yet is dropped: the actors' streams must begin anew.
    ///
    /// # Errors
    /// The first error of a thread.
    pub fn stop(self) -> Result<Vec<StoppedActor>, AgentError> {
        let Self { experience, threads, pausing, failure } = self;
        pausing.store(true, Ordering::SeqCst);
        // Ends with the last actor, which drops its link.
        experience.iter().for_each(drop);
        let exits: Vec<_> = threads
            .into_iter()
            .map(|(thread, slot)| (thread.join().ok().flatten(), slot))
            .collect();
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let stopped = exits.into_iter().map(|(exit, slot)| {
            exit.map(|(actor, network)| StoppedActor { actor, slot: ActorSlot { network, ..slot } })
        });
        stopped.collect::<Option<_>>().ok_or(AgentError::WorkersGone)
    }
}
