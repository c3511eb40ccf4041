//! The learner's end of the link, in a thread of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use coordrl_fleet::{
    Broker, BrokerError, Entry, Epoch, LearnerEnd, LearnerTurn, Leasing, Ledger, ProcessId,
};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::{FleetError, FleetSetup, LEASE, LearnerProgress};
use crate::apex::link::LatestWeights;

/// Longest wait for batches, and for orders.
const WAIT: Duration = Duration::from_millis(20);
/// Least time between two publications of weights.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Time without a sign of an actor process after which it is forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// Time between two descriptions of the learner.
const DESCRIBE_EVERY: Duration = Duration::from_secs(2);
/// Batches read and not inserted yet, from which no more are read.
const ROOM: usize = 2;
/// Longest wait for the broker's first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Lives as long as the agent, also while it pauses: the lease must not lapse while a replay is
/// written.
pub(in crate::apex) struct Downlink {
    orders: Sender<Order>,
    arrivals: Receiver<Arrival>,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
    about: Box<dyn FnMut(&LearnerProgress) -> String + Send>,
    described: Option<Instant>,
}

/// News from the link.
pub(in crate::apex) enum Arrival {
    /// A batch.
    Batch(Entry),
    /// An actor process is gone.
    Gone(ProcessId),
}

enum Order {
    /// Read on from a checkpoint: its epoch and ledger.
    Start(u64, Ledger),
    /// A checkpoint with this ledger is complete.
    Checkpointed(Ledger),
    /// End; the run is complete if `true`, so its actors end too.
    End(bool),
}

#[derive(Debug, Default)]
struct Status {
    /// Description of the learner that the thread has not seen yet.
    about: Option<String>,
    epoch: u64,
    held: bool,
    stop: bool,
    wants_checkpoint: bool,
    /// Number of complete checkpoints that the thread has not heard of yet.
    unheard: u32,
    /// The broker does not answer, since then.
    no_answer: Option<(Instant, BrokerError)>,
    failure: Option<FleetError>,
}

impl Downlink {
    /// Starts the thread and waits until this process is the run's learner.
    ///
    /// # Errors
    /// If the broker does not answer or refuses, or another learner's lease does not lapse.
    pub fn start(
        setup: FleetSetup,
        log_bytes: u64,
        weights: LatestWeights,
    ) -> Result<Self, FleetError> {
        let FleetSetup { broker, me, record, about } = setup;
        let leasing = Leasing {
            lease: LEASE,
            renew_every: LEASE / 5,
            forget_after: FORGET,
            read_wait: WAIT,
            log_bytes,
        };
        let (orders, ordered) = unbounded();
        let (to_learner, arrivals) = unbounded();
        let status = Arc::<Mutex<Status>>::default();
        let service = Service {
            broker,
            end: LearnerEnd::new(me, leasing, 0, record),
            weights,
            published: None,
            rival: Rival::default(),
            arrivals: to_learner,
            status: Arc::clone(&status),
            clock: Instant::now(),
        };
        let thread = thread::Builder::new().name("link".to_owned());
        let thread =
            thread.spawn(move || service.run(&ordered)).map_err(|_| FleetError::NoThread)?;
        let downlink =
            Self { orders, arrivals, status, thread: Some(thread), about, described: None };
        downlink.wait_for_claim()?;
        Ok(downlink)
    }

    fn wait_for_claim(&self) -> Result<(), FleetError> {
        loop {
            {
                let mut status = self.lock();
                if status.held {
                    return Ok(());
                }
                if let Some(failure) = status.failure.take() {
                    return Err(failure);
                }
                // The lease of a learner that was killed a moment ago lapses.
                if let Some((since, error)) = &status.no_answer
                    && since.elapsed() > FIRST_ANSWER
                {
                    return Err(error.clone().into());
                }
            }
            thread::sleep(WAIT);
        }
    }

    /// Returns what was read and not ingested yet.
    pub fn arrivals(&self) -> &Receiver<Arrival> {
        &self.arrivals
    }

    /// Starts to read, from where a checkpoint with this epoch and ledger left the logs.
    pub fn read_from(&self, epoch: u64, ledger: &Ledger) {
        let _ = self.orders.send(Order::Start(epoch, ledger.clone())); // a failure is in the status
    }

    /// Lets the batches be removed that a complete checkpoint covers.
    pub fn checkpointed(&self, ledger: &Ledger) {
        let mut status = self.lock();
        // Else the run loop would write another until the thread has heard of this one.
        status.wants_checkpoint = false;
        status.unheard += 1;
        let _ = self.orders.send(Order::Checkpointed(ledger.clone()));
    }

    /// Describes the learner at the broker, unless it has done so a moment ago.
    pub fn describe(&mut self, progress: impl FnOnce() -> LearnerProgress) {
        if self.described.is_none_or(|at| at.elapsed() >= DESCRIBE_EVERY) {
            self.described = Some(Instant::now());
            let about = (self.about)(&progress());
            self.lock().about = Some(about);
        }
    }

    /// Returns the number of the epoch held.
    pub fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Returns `true` if somebody asks the whole run to end.
    pub fn is_asked_to_stop(&self) -> bool {
        self.lock().stop
    }

    /// Returns `true` if actors wait, or soon will, for a checkpoint.
    pub fn wants_checkpoint(&self) -> bool {
        self.lock().wants_checkpoint
    }

    /// Takes the error that ended the thread.
    pub fn take_failure(&self) -> Option<FleetError> {
        // In this order: the thread sets its error before it ends.
        let has_ended = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        self.lock().failure.take().or_else(|| has_ended.then_some(FleetError::ThreadEnded))
    }

    /// Ends the thread; actors end too if the run is `complete`, else they wait for the next
    /// learner.
    pub fn end(&mut self, complete: bool) {
        let _ = self.orders.send(Order::End(complete));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it reports failures in its status
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        lock(&self.status)
    }
}

impl Drop for Downlink {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Another learner's lease, while this process waits for it to lapse.
#[derive(Debug, Default)]
struct Rival {
    /// The other, and the time until its lease lapses.
    lease: Option<(Epoch, Duration)>,
    extensions: u32,
}

impl Rival {
    /// Takes note of the lease. Returns `true` if the other lives, because it extends it. Once does
    /// not count: the last request of a learner that was killed may come late.
    fn lives(&mut self, by: Epoch, lapses_in: Duration) -> bool {
        match self.lease.replace((by, lapses_in)) {
            Some((before, left)) if before == by => self.extensions += u32::from(left < lapses_in),
            _ => self.extensions = 0,
        }
        self.extensions >= 2
    }
}

/// The thread's part.
struct Service {
    broker: Box<dyn Broker + Send>,
    end: LearnerEnd,
    weights: LatestWeights,
    /// Version published last, and when.
    published: Option<(u64, Instant)>,
    rival: Rival,
    arrivals: Sender<Arrival>,
    status: Arc<Mutex<Status>>,
    clock: Instant,
}

impl Service {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut pause = Duration::ZERO;
        loop {
            match orders.recv_timeout(pause) {
                Ok(Order::Start(epoch, ledger)) => {
                    self.end.start_from(epoch, &ledger);
                }
                Ok(Order::Checkpointed(ledger)) => {
                    self.end.checkpointed(&ledger);
                    lock(&self.status).unheard -= 1;
                }
                Ok(Order::End(complete)) => return self.leave(complete),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.leave(false),
            }

            if let Some(about) = lock(&self.status).about.take() {
                self.end.set_about(about);
            }
            self.offer_weights();
            match self.turn() {
                Ok(next) => pause = next,
                Err(failure) => {
                    lock(&self.status).failure = Some(failure);
                    return;
                }
            }
        }
    }

    /// Makes one request, and returns the time to wait for orders before the next.
    fn turn(&mut self) -> Result<Duration, FleetError> {
        let now = self.clock.elapsed();
        let room = self.arrivals.len() < ROOM;
        let turn = self.end.turn(self.broker.as_mut(), now, room);
        let mut status = lock(&self.status);
        status.wants_checkpoint = status.unheard == 0 && self.end.wants_checkpoint();
        let pause = match turn {
            LearnerTurn::Holds(epoch) => {
                (status.epoch, status.held) = (epoch, true);
                Duration::ZERO
            }
            LearnerTurn::Read(entries) => {
                self.pass_on(entries.into_iter().map(Arrival::Batch));
                Duration::ZERO
            }
            LearnerTurn::Forgot(actors) => {
                self.pass_on(actors.into_iter().map(Arrival::Gone));
                Duration::ZERO
            }
            LearnerTurn::Idle { until, why } => {
                if let Some(error) = why {
                    tracing::warn!(%error, "link");
                    let since =
                        status.no_answer.take().map_or_else(Instant::now, |(since, _)| since);
                    status.no_answer = Some((since, error));
                }
                until.saturating_sub(self.clock.elapsed()).min(WAIT)
            }
            LearnerTurn::Taken { by, lapses_in } => {
                status.no_answer = None;
                if self.rival.lives(by, lapses_in) {
                    return Err(FleetError::Taken(by));
                }
                WAIT
            }
            LearnerTurn::Stop => {
                status.stop = true;
                Duration::ZERO
            }
            LearnerTurn::Lost(by) => return Err(FleetError::Lost(by)),
            LearnerTurn::Refused(reason) => return Err(BrokerError::Refused(reason).into()),
        };
        Ok(pause)
    }

    fn pass_on(&self, arrivals: impl Iterator<Item = Arrival>) {
        for arrival in arrivals {
            let _ = self.arrivals.send(arrival); // the agent's drop ends this thread
        }
    }

    /// Hands the newest weights to the end, if some time has passed since the last: their bytes,
    /// not those of experience, fill the network.
    fn offer_weights(&mut self) {
        let newest = self.weights.latest();
        let due = self
            .published
            .is_none_or(|(version, at)| newest.version != version && at.elapsed() >= PUBLISH_EVERY);
        // Before the learner's first publication there are none.
        if !due || newest.numbers.is_empty() {
            return;
        }
        match newest.to_bytes() {
            Ok(bytes) => self.end.set_weights(newest.version, bytes),
            Err(error) => tracing::warn!(%error, "weights are not published"),
        }
        self.published = Some((newest.version, Instant::now()));
    }

    fn leave(&mut self, complete: bool) {
        if complete && let Err(error) = self.broker.request_stop(self.end.epoch()) {
            tracing::warn!(%error, "the actors are not asked to end");
        }
        // The next learner need not wait then until the lease lapses.
        if let Err(error) = self.end.release(self.broker.as_mut()) {
            tracing::warn!(%error, "the lease is not given up");
        }
    }
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_was_extended_once_may_be_that_of_a_learner_killed_since() {
        let first = Epoch { number: 1, holder: ProcessId(1) };
        let second = Epoch { number: 2, holder: ProcessId(2) };
        let mut rival = Rival::default();
        let mut lives = |by, secs| rival.lives(by, Duration::from_secs(secs));
        assert!(!lives(first, 7) && !lives(first, 5));
        assert!(!lives(first, 10), "a late request");
        assert!(!lives(first, 1));
        assert!(!lives(second, 10) && !lives(second, 8), "another learner was faster");
        assert!(!lives(second, 10) && !lives(second, 9) && lives(second, 10));
    }
}
