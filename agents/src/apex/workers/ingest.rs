//! Ingestion thread: moves experience from the actors into the replay.

use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, Sender};

use super::{Workers, lock};
use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::learning::ingest;
use crate::apex::report::IngestStats;
use crate::error::Worker;

impl Workers {
    /// Starts the thread that inserts experience into the replay, as fast as the limiter allows.
    pub(super) fn start_ingest(
        &mut self,
        experience: Receiver<Experience>,
        stats: Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let thread = self.shared.failure.spawn(Worker::Ingest, move || {
            for experience in experience {
                let count = experience.transitions();
                // Outside the lock of the replay: only further draws can end this wait, and they
                // need that lock.
                shared.limiter.wait_to_insert(count);
                let updates = shared.updates.load(Ordering::Relaxed);
                let ingested = ingest(&mut lock(&shared.replay), experience, updates)?;
                // After the insertion, because counted transitions may be sampled at once.
                shared.limiter.inserted(count);
                let _ = stats.send(ingested); // read until everything is paused
            }
            Ok(())
        })?;

        self.replay_threads.push(thread);
        Ok(())
    }
}
