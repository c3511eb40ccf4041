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
pub(super) struct Idle {
    pub actor: Actor,
    pub slot: ActorSlot,
}

/// Actors that act.
pub(super) struct Crew {
    pub experience: Receiver<Experience>,
    threads: Vec<(JoinHandle<Option<ActorExit>>, ActorSlot)>,
    pausing: Arc<AtomicBool>,
    failure: FirstError,
}

impl Crew {
    /// Starts one thread per actor, with these weights and those that the slot will get.
    pub fn start(
        idle: Vec<Idle>,
        config: &ApexConfig,
        q_spec: QSpec,
        weights: &LatestWeights,
    ) -> Result<Self, AgentError> {
        let (link, experience) = LocalLink::new(QUEUE, weights.clone());
        let mut crew = Self {
            experience,
            threads: Vec::new(),
            pausing: Arc::default(),
            failure: FirstError::default(),
        };
        let newest = weights.latest();
        for (index, Idle { actor, mut slot }) in idle.into_iter().enumerate() {
            let actor_loop = ActorLoop {
                link: Box::new(link.clone()),
                q: ActorInference::Own(slot.network(q_spec, &newest)?),
                left: Arc::new(AtomicU64::new(u64::MAX)),
                pausing: Arc::clone(&crew.pausing),
                send_every: config.send_every_agent_steps.into(),
                weights_every: config.weights_every_agent_steps.into(),
            };
            let pool = Arc::clone(&slot.pool);
            let thread = crew
                .failure
                .spawn(Worker::Actor(index), move || pool.install(|| actor_loop.run(actor)))?;
            crew.threads.push((thread, slot));
        }
        Ok(crew)
    }

    /// Returns `true` if a thread has failed; [`Crew::stop`] returns the error.
    pub fn has_failed(&self) -> bool {
        self.failure.is_set()
    }

    /// Stops the threads. Experience not taken yet is dropped: the actors' streams must begin anew.
    ///
    /// # Errors
    /// The first error of a thread.
    pub fn stop(self) -> Result<Vec<Idle>, AgentError> {
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
        let idle = exits.into_iter().map(|(exit, slot)| {
            exit.map(|(actor, network)| Idle { actor, slot: ActorSlot { network, ..slot } })
        });
        idle.collect::<Option<_>>().ok_or(AgentError::WorkersGone)
    }
}
