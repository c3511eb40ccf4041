//! Records the first error of any thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::AgentError;
use crate::error::{Worker, catch_panic};
use crate::threads::use_torch_threads;

/// Records the first worker error; later ones are dropped as consequences.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstError(Arc<Mutex<Option<AgentError>>>);

impl FirstError {
    /// Records `error` if it is the first, or replaces a mere [`AgentError::WorkersGone`], which is
    /// only a consequence.
    pub fn report(&self, error: AgentError) {
        let mut first = self.lock();
        if matches!(*first, None | Some(AgentError::WorkersGone)) {
            *first = Some(error);
        }
    }

    /// Returns `true` if an error was recorded.
    pub fn is_set(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes the recorded error.
    pub fn take(&self) -> Option<AgentError> {
        self.lock().take()
    }

    /// Spawns a thread whose error or panic is recorded here; joining it yields its result.
    pub fn spawn<R: Send + 'static>(
        &self,
        worker: Worker,
        body: impl FnOnce() -> Result<R, AgentError> + Send + 'static,
    ) -> Result<JoinHandle<Option<R>>, AgentError> {
        let failure = self.clone();
        let started = thread::Builder::new().name(worker.to_string()).spawn(move || {
            // libtorch stores this setting per thread; more threads would only compete for the
            // cores.
            use_torch_threads(1);
            catch_panic(worker, body).map_err(|error| failure.report(error)).ok()
        });
        started.map_err(|cause| AgentError::NoThread { worker, cause })
    }

    fn lock(&self) -> MutexGuard<'_, Option<AgentError>> {
        // Poisoning is ignored: the slot is only ever replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
