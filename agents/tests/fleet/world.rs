//! The broker, the network between it and the processes, and what goes wrong there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use coordrl_fleet::{
    Appended, Attendance, Attended, Broker, BrokerError, Claimed, Entry, Member, MemoryBroker,
    ProcessId, Renewed, Standing, WeightsId,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest time for which a request may linger in the network before it reaches the broker.
const LATEST: Duration = Duration::from_secs(30);

/// A request on its way to the broker; its answer will reach nobody.
type Late = Box<dyn FnOnce(&mut MemoryBroker)>;

/// All that the processes share.
pub struct World {
    pub rng: ChaCha8Rng,
    pub now: Duration,
    pub broker: MemoryBroker,
    /// The broker does not answer until then.
    pub down_until: Duration,
    /// Share of requests that go wrong.
    pub unreliable: f64,
    /// Number of faults so far.
    pub faults: u64,
    late: Vec<(Duration, Late)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Duration::from_secs(1),
            broker: MemoryBroker::default(),
            down_until: Duration::ZERO,
            unreliable: 0.0,
            faults: 0,
            late: Vec::new(),
        }
    }

    /// Draws a duration below `most`.
    pub fn below(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.random())
    }

    /// Lets time pass, and late requests reach the broker.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        self.broker.advance(by);
        let now = self.now;
        // In the order in which they arrive, not in which they were sent.
        self.late.sort_by_key(|(at, _)| *at);
        let arrived = self.late.partition_point(|(at, _)| *at <= now);
        for (_, request) in self.late.drain(..arrived) {
            request(&mut self.broker);
        }
    }

    /// Ends the broker, with all connections to it; it is up again after `for_`.
    pub fn kill_broker(&mut self, for_: Duration, keeps_data: bool) {
        self.down_until = self.now + for_;
        self.late.clear();
        if !keeps_data {
            self.broker.lose_everything();
        }
    }
}

/// A process's connection to the broker.
#[derive(Clone)]
pub struct Connection {
    pub world: Rc<RefCell<World>>,
    pub cut: Rc<Cell<Cut>>,
}

/// A broken connection.
#[derive(Clone, Copy, Default)]
pub struct Cut {
    pub until: Duration,
    /// Requests still reach the broker, but no answer comes back.
    pub half_open: bool,
}

/// Fate of a request.
enum Fate {
    Arrives,
    /// It never reaches the broker.
    Lost,
    /// It reaches the broker, and the answer is lost.
    Unanswered,
    /// The sender gives up waiting, and it reaches the broker later.
    Late,
}

impl Connection {
    pub fn new(world: &Rc<RefCell<World>>) -> Self {
        Self { world: Rc::clone(world), cut: Rc::default() }
    }

    fn request<T>(
        &self,
        operation: impl FnOnce(&mut MemoryBroker) -> Result<T, BrokerError> + 'static,
    ) -> Result<T, BrokerError> {
        let mut world = self.world.borrow_mut();
        let no_answer = |why: &str| Err(BrokerError::NoAnswer(why.to_owned()));
        if world.now < world.down_until {
            return no_answer("it is down");
        }

        let fate = match self.cut.get() {
            Cut { until, half_open: false } if world.now < until => Fate::Lost,
            Cut { until, .. } if world.now < until => Fate::Unanswered,
            _ => world.fate(),
        };
        match fate {
            Fate::Arrives => operation(&mut world.broker),
            Fate::Lost => no_answer("the request was lost"),
            Fate::Unanswered => {
                let _ = operation(&mut world.broker);
                no_answer("the answer was lost")
            }
            Fate::Late => {
                let at = world.now + world.below(LATEST);
                world.late.push((at, Box::new(|broker| drop(operation(broker)))));
                no_answer("it was late")
            }
        }
    }
}

impl World {
    fn fate(&mut self) -> Fate {
        if !self.rng.random_bool(self.unreliable) {
            return Fate::Arrives;
        }
        self.faults += 1;
        match self.rng.random_range(0..3) {
            0 => Fate::Lost,
            1 => Fate::Unanswered,
            _ => Fate::Late,
        }
    }
}

impl Broker for Connection {
    fn claim(
        &mut self,
        learner: ProcessId,
        known: u64,
        lease: Duration,
    ) -> Result<Claimed, BrokerError> {
        self.request(move |broker| broker.claim(learner, known, lease))
    }

    fn renew(
        &mut self,
        learner: ProcessId,
        held: u64,
        lease: Duration,
    ) -> Result<Renewed, BrokerError> {
        self.request(move |broker| broker.renew(learner, held, lease))
    }

    fn release(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        self.request(move |broker| broker.release(learner))
    }

    fn reset(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        self.request(move |broker| broker.reset(learner))
    }

    fn publish_record(
        &mut self,
        learner: ProcessId,
        record: &[u8],
    ) -> Result<Standing, BrokerError> {
        let record = record.to_vec();
        self.request(move |broker| broker.publish_record(learner, &record))
    }

    fn publish_weights(
        &mut self,
        learner: ProcessId,
        version: u64,
        weights: &[u8],
    ) -> Result<Standing, BrokerError> {
        let weights = weights.to_vec();
        self.request(move |broker| broker.publish_weights(learner, version, &weights))
    }

    fn describe(&mut self, learner: ProcessId, about: &str) -> Result<Standing, BrokerError> {
        let about = about.to_owned();
        self.request(move |broker| broker.describe(learner, &about))
    }

    fn description(&mut self) -> Result<Option<String>, BrokerError> {
        self.request(|broker| broker.description())
    }

    fn trim(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        let up_to = up_to.to_vec();
        self.request(move |broker| broker.trim(learner, &up_to))
    }

    fn report_read(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        let up_to = up_to.to_vec();
        self.request(move |broker| broker.report_read(learner, &up_to))
    }

    fn forget(
        &mut self,
        learner: ProcessId,
        actors: &[ProcessId],
    ) -> Result<Option<Vec<ProcessId>>, BrokerError> {
        let actors = actors.to_vec();
        self.request(move |broker| broker.forget(learner, &actors))
    }

    fn members(&mut self) -> Result<Vec<Member>, BrokerError> {
        self.request(|broker| broker.members())
    }

    fn read(
        &mut self,
        after: &[(ProcessId, u64)],
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        let after = after.to_vec();
        self.request(move |broker| broker.read(&after, most, wait))
    }

    fn request_stop(&mut self, epoch: u64) -> Result<(), BrokerError> {
        self.request(move |broker| broker.request_stop(epoch))
    }

    fn record(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        self.request(|broker| broker.record())
    }

    fn attend(&mut self, attendance: &Attendance) -> Result<Option<Attended>, BrokerError> {
        let attendance = attendance.clone();
        self.request(move |broker| broker.attend(&attendance))
    }

    fn append(
        &mut self,
        actor: ProcessId,
        seq: u64,
        batch: &[u8],
    ) -> Result<Appended, BrokerError> {
        let batch = batch.to_vec();
        self.request(move |broker| broker.append(actor, seq, &batch))
    }

    fn weights(&mut self, id: WeightsId) -> Result<Option<Vec<u8>>, BrokerError> {
        self.request(move |broker| broker.weights(id))
    }
}
