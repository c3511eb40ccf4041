//! The first thing that went wrong in any thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::AgentError;
use crate::error::{Worker, catch_panic};
use crate::threads::use_torch_threads;

/// Where threads leave the error that ends them. What follows from the first one is not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstError(Arc<Mutex<Option<AgentError>>>);

impl FirstError {
    /// Keeps `error` if it is the first. One that only says that others have gone gives way to
    /// their own.
    pub fn report(&self, error: AgentError) {
        let mut first = self.lock();
        if matches!(*first, None | Some(AgentError::WorkersGone)) {
            *first = Some(error);
        }
    }

    /// Whether anything went wrong.
    pub fn is_set(&self) -> bool {
        self.lock().is_some()
    }

    /// What went wrong, once.
    pub fn take(&self) -> Option<AgentError> {
        self.lock().take()
    }

    /// Starts a thread whose error or panic is reported here; joining it gives its result.
    pub fn spawn<R: Send + 'static>(
        &self,
        worker: Worker,
        body: impl FnOnce() -> Result<R, AgentError> + Send + 'static,
    ) -> Result<JoinHandle<Option<R>>, AgentError> {
        let failure = self.clone();
        let run = move || {
            // libtorch keeps this number per thread; more would only fight over the cores.
            use_torch_threads(1);
            catch_panic(worker, body).map_err(|error| failure.report(error)).ok()
        };
        let started = thread::Builder::new().name(worker.to_string()).spawn(run);
        started.map_err(|cause| AgentError::NoThread { worker, cause })
    }

    fn lock(&self) -> MutexGuard<'_, Option<AgentError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
