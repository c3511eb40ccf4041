//! Prefetch threads: assemble batches from the replay for the learner.

use coordrl_envs::{Role, derive_rng};
use crossbeam::channel::{SendError, Sender};

use super::{WorkerSpec, Workers, lock};
use crate::AgentError;
use crate::apex::batch::ReadyBatch;
use crate::apex::limiter::LimiterTurn;
use crate::error::Worker;

impl Workers {
    /// Starts a thread that prefetches batches for the learner, as fast as the limiter allows.
    pub(super) fn start_prefetch(
        &mut self,
        index: u32,
        spec: &WorkerSpec<'_>,
        to_learner: Sender<ReadyBatch>,
    ) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        let batch_size = spec.config.learner.batch_size;
        let obs_shape = spec.q_spec.obs_shape;
        let device = spec.device;
        // A random stream of its own for every thread and count of updates, so that a resumed run
        // does not repeat the samples of its beginning.
        let stream = spec.updates * u64::from(spec.config.prefetch_threads) + u64::from(index);
        let mut rng = derive_rng(spec.seed, Role::ReplayDraws, stream);
        let used = self.pool.used.clone();
        let to_reuse = self.pool.to_reuse.clone();
        let worker = Worker::Prefetch(index as usize);
        let thread = self.shared.failure.spawn(worker, move || {
            while shared.limiter.wait_to_sample(batch_size.into()) == LimiterTurn::Granted {
                // The lock is held only for sampling: planes are shared, and copied outside it.
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
        })?;

        self.replay_threads.push(thread);
        Ok(())
    }
}
