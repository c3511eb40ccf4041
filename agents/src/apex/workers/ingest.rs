//! Ingestion thread: moves experience from the actors into the replay.

use std::sync::atomic::Ordering;

use coordrl_fleet::Entry;
use crossbeam::channel::{Receiver, Sender, select};

use super::{Shared, Workers, lock};
use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::learning::ingest;
use crate::apex::report::IngestStats;
use crate::error::Worker;

impl Workers {
    /// Starts the thread that inserts experience into the replay, as fast as the limiter allows:
    /// that of this process until its channel closes, and meanwhile that of others.
    pub(super) fn start_ingest(
        &mut self,
        experience: Receiver<Experience>,
        entries: Receiver<Entry>,
        stats: Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let thread = self.shared.failure.spawn(Worker::Ingest, move || {
            loop {
                let next = select! {
                    recv(experience) -> own => match own {
                        Ok(own) => Some(own),
                        Err(_) => return Ok(()),
                    },
                    recv(entries) -> entry => match entry {
                        Ok(entry) => lock(&shared.fleet).open(&entry)?,
                        // The link has failed, which the agent notices with its next update.
                        Err(_) => return experience.iter().try_for_each(|own| shared.insert(own, &stats)),
                    },
                };
                if let Some(next) = next {
                    shared.insert(next, &stats)?;
                }
            }
        })?;

        self.replay_threads.push(thread);
        Ok(())
    }
}

impl Shared {
    fn insert(
        &self,
        experience: Experience,
        stats: &Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let count = experience.transitions();
        // Outside the lock of the replay: only further draws can end this wait, and they need that
        // lock.
        self.limiter.wait_to_insert(count);
        let updates = self.updates.load(Ordering::Relaxed);
        let ingested = ingest(&mut lock(&self.replay), experience, updates)?;
        // After the insertion, because counted transitions may be sampled at once.
        self.limiter.inserted(count);
        let _ = stats.send(ingested); // read until everything is paused
        Ok(())
    }
}
