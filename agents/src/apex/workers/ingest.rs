//! Ingestion thread: moves experience from the actors into the replay.

use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, Sender, select};

use super::{Shared, Workers, lock};
use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::fleet::{Arrival, DecodedEntry, Pending};
use crate::apex::inference::QSpec;
use crate::apex::learning::ingest;
use crate::apex::limiter::LimiterTurn;
use crate::apex::report::IngestStats;
use crate::error::Worker;

impl Workers {
    /// Starts the thread that inserts experience into the replay, as fast as the limiter allows:
    /// that of this process until its channel closes, and meanwhile that of others.
    pub(super) fn start_ingest(
        &mut self,
        experience: Receiver<Experience>,
        arrivals: Receiver<Arrival>,
        spec: QSpec,
        stats: Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let thread = self.shared.failure.spawn(Worker::Ingest, move || {
            while shared.insert_remote(&stats)? {
                select! {
                    recv(experience) -> own => match own {
                        Ok(own) => shared.insert(own, &stats)?,
                        Err(_) => return Ok(()),
                    },
                    recv(arrivals) -> arrival => match arrival {
                        Ok(Arrival::Batch(entry)) => {
                            let decoded = DecodedEntry::of(&entry, &spec);
                            lock(&shared.fleet).enter(decoded)?;
                        }
                        Ok(Arrival::Gone(actor)) => lock(&shared.fleet).forget(actor),
                        // The link's thread has ended: the agent's next update reports why.
                        Err(_) => break,
                    },
                }
            }

            experience.iter().try_for_each(|own| shared.insert(own, &stats))
        })?;

        self.replay_threads.push(thread);
        Ok(())
    }
}

impl Shared {
    /// Inserts what is left of batches of other processes. Returns `false` if the agent pauses: the
    /// rest stays for later, because the limiter does not hold during a pause, and a process far
    /// away may have sent more than the tolerance allows.
    fn insert_remote(&self, stats: &Sender<IngestStats>) -> Result<bool, AgentError> {
        loop {
            let Some(next) = lock(&self.fleet).pending.pop_front() else { break };
            if self.limiter.wait_to_insert(next.experience.transitions()) == LimiterTurn::Over {
                lock(&self.fleet).pending.push_front(next);
                return Ok(false);
            }
            let Pending { actor, seq, experience } = next;
            match self.insert_now(experience, stats) {
                // The run must not end of what another process sent.
                Err(AgentError::Replay(error)) => {
                    tracing::warn!(%actor, seq, %error, "a batch cannot be inserted");
                    lock(&self.fleet).withdraw(actor, seq);
                }
                inserted => inserted?,
            }
        }
        let ended = lock(&self.fleet).take_ended();
        if let Some(has_ended) = ended {
            lock(&self.replay).end_streams(has_ended);
        }
        Ok(true)
    }

    fn insert(&self, own: Experience, stats: &Sender<IngestStats>) -> Result<(), AgentError> {
        // Outside the lock of the replay: only further draws can end this wait, and they need that
        // lock. During a pause it does not wait: what this process's actors have sent is inserted.
        let _ = self.limiter.wait_to_insert(own.transitions());
        self.insert_now(own, stats)
    }

    fn insert_now(
        &self,
        experience: Experience,
        stats: &Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let count = experience.transitions();
        let updates = self.updates.load(Ordering::Relaxed);
        let ingested = ingest(&mut lock(&self.replay), experience, updates)?;
        // After the insertion, because counted transitions may be sampled at once.
        self.limiter.inserted(count);
        let _ = stats.send(ingested); // read until everything is paused
        Ok(())
    }
}
