//! The thread between the actors and the replay.

use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, Sender};

use super::{Workers, lock};
use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::learning::ingest;
use crate::apex::report::IngestStats;
use crate::error::Worker;

impl Workers {
    /// Starts the thread that inserts experience into the replay, as fast as the limiter lets it.
    pub(super) fn start_ingest(
        &mut self,
        experience: Receiver<Experience>,
        stats: Sender<IngestStats>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let body = move || {
            for experience in experience {
                let count = experience.transitions();
                shared.limiter.wait_to_insert(count);
                let updates = shared.updates.load(Ordering::Relaxed);
                let ingested = ingest(&mut lock(&shared.replay), experience, updates)?;
                shared.limiter.inserted(count);
                let _ = stats.send(ingested); // the other end is read until everything is paused
            }
            Ok(())
        };

        self.others.push(self.shared.failure.spawn(Worker::Ingest, body)?);
        Ok(())
    }
}
