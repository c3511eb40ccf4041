//! Multi-threaded Ape-X: the steps of [`serial`](super::serial), with acting, ingestion and
//! prefetching beside the learner, which runs in the caller's thread.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, never};

use super::agent::{Apex, Work};
use super::batch::{ReadyBatch, TransitionTensors};
use super::fleet::{Arrival, Downlink, FleetState, LearnerProgress};
use super::learning::{learn, update_priorities};
use super::limiter::Rates;
use super::report::{ApexReport, IngestStats, LearnReport};
use super::workers::{WorkerSpec, Workers};
use crate::error::{Worker, catch_panic};
use crate::report::nanos_since;
use crate::{AgentError, Timing};

/// Longest time an update waits for a batch before it reports without one.
const PATIENCE: Duration = Duration::from_millis(100);

impl Apex {
    /// Makes one update if a batch arrives within [`PATIENCE`], and reports what was ingested
    /// meanwhile.
    pub(super) fn update_threaded(&mut self) -> Result<ApexReport, AgentError> {
        self.start_workers()?;
        match self.try_update_threaded() {
            Ok(report) if !self.workers()?.has_failed() => {
                self.describe();
                self.check_link().map(|()| report)
            }
            // A worker failed: pausing returns its error, which is set before its thread ends.
            Ok(_) => match self.pause_workers() {
                Err(error) => Err(error),
                Ok(()) => Err(AgentError::WorkersGone),
            },
            Err(own) => {
                // The threads stop either way; the learner's error came first.
                let _ = self.pause_workers();
                self.work = Work::Lost;
                Err(own)
            }
        }
    }

    fn try_update_threaded(&mut self) -> Result<ApexReport, AgentError> {
        let waiting = Instant::now();
        let next = self.workers()?.next(PATIENCE);
        let mut timing = Timing { wait_nanos: nanos_since(waiting), ..Timing::default() };

        let learning = Instant::now();
        let learned = match next {
            Some(ReadyBatch { batch, rows }) => {
                // The batch stays with the agent until the next one arrives, for `last_batch` after
                // a failure.
                let used = std::mem::replace(&mut self.batch, batch);
                self.workers()?.reuse(used);
                Some(self.learn_threaded(rows)?)
            }
            None => None,
        };

        timing.learn_nanos = nanos_since(learning);

        self.ingested.add(IngestStats { timing, ..IngestStats::default() });
        let ingested = self.workers()?.take_ingested();
        self.count_ingested(ingested);

        let replay_len = self.workers()?.replay().len() as u64;
        let rates = self.workers()?.rates();
        let remote = self.workers()?.remote();
        // The limiter also counts batches prefetched but not learnt from yet.
        let learned_from = Rates { sampled: self.sampled, ..rates };
        let report = std::mem::take(&mut self.ingested).into_report();
        Ok(ApexReport {
            learned,
            replay_len,
            remote,
            samples_per_insert: learned_from.measured(),
            ..report
        })
    }

    fn learn_threaded(
        &mut self,
        on_device: Option<TransitionTensors>,
    ) -> Result<LearnReport, AgentError> {
        let Self { learner, batch, pool, .. } = self;
        let mut report =
            pool.install(|| catch_panic(Worker::Learner, || learn(learner, batch, on_device)))?;
        let updates = report.learned.updates;
        let Work::Running(workers) = &self.work else { return Err(AgentError::WorkersGone) };
        update_priorities(
            // Locked only for this call; the update itself ran without the lock.
            &mut workers.replay(),
            &self.batch,
            &mut report,
            self.config.replay.trim_every_updates,
        )?;
        // Before publishing: an actor may use the new weights at once, and its lag must not be
        // negative.
        workers.set_updates(updates);
        if updates.is_multiple_of(self.config.publish_every_updates.into()) {
            workers.publish(self.learner.weights_in(workers.weights_buffer())?);
        }

        self.counters.updates = updates;
        self.sampled += u64::from(self.config.learner.batch_size);
        Ok(report)
    }

    /// Moves actors and replay to worker threads, unless they are running.
    fn start_workers(&mut self) -> Result<(), AgentError> {
        // Counts as lost until all threads run, so that no error leaves a half-started agent.
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Paused(mut parts) => {
                self.sampled = parts.rates.sampled;
                // The run is counted in frames, the actors claim agent steps.
                // Rounded up: with one agent step too few, the run would wait forever for its last
                // frames.
                let agent_steps_left = self
                    .total_frames
                    .saturating_sub(self.counters.frames)
                    .div_ceil(self.frame_skip);
                let spec = WorkerSpec {
                    config: &self.config,
                    q_spec: self.q_spec,
                    device: self.device,
                    seed: self.seed,
                    updates: self.counters.updates,
                    agent_steps_left,
                    arrivals: self.read_link(&mut parts.fleet),
                };
                // Published anew: weights may have been loaded during the pause, and with
                // `publish_every_updates` above 1 the last ones may never have been published.
                let latest_weights = parts.pool.latest_weights();
                latest_weights.publish(self.learner.weights_in(latest_weights.take_buffer())?);
                self.work = Work::Running(Workers::start(parts, &spec)?);
                self.reading = self.downlink.is_some();
                Ok(())
            }
            Work::Running(workers) => {
                self.work = Work::Running(workers);
                Ok(())
            }
            Work::Lost => Err(AgentError::WorkersGone),
        }
    }

    /// Returns the channel of experience from other processes; the first time, lets the link read
    /// from where the state left it.
    fn read_link(&self, state: &mut FleetState) -> Receiver<Arrival> {
        let Some(downlink) = &self.downlink else { return never() };
        if !self.reading {
            state.begin_in(downlink.epoch());
            downlink.read_from(state.epoch, &state.ledger);
        }
        downlink.arrivals().clone()
    }

    /// Describes the learner for a table of processes.
    fn describe(&mut self) {
        if let (Some(downlink), Work::Running(workers)) = (&mut self.downlink, &self.work) {
            let counters = self.counters;
            downlink.describe(|| LearnerProgress { counters, accounts: workers.accounts() });
        }
    }

    fn check_link(&self) -> Result<(), AgentError> {
        let failure = self.downlink.as_ref().and_then(Downlink::take_failure);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Stops all threads, recovers actors and replay, and counts experience still in flight.
    pub(super) fn pause_workers(&mut self) -> Result<(), AgentError> {
        // If a thread has failed, actors and replay are lost with it.
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Running(workers) => {
                let (mut parts, last) = workers.pause()?;
                // The limiter also counted prefetched batches that were dropped.
                parts.rates.sampled = self.sampled;
                self.count_ingested(last);
                self.work = Work::Paused(parts);
                Ok(())
            }
            other => {
                self.work = other;
                Ok(())
            }
        }
    }

    fn workers(&self) -> Result<&Workers, AgentError> {
        match &self.work {
            Work::Running(workers) => Ok(workers),
            _ => Err(AgentError::WorkersGone),
        }
    }
}
