//! The scheduler: which process takes its turn, and what happens to it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use coordrl_fleet::{Broker, ProcessId};
use rand::RngExt;

use super::actor::Actor;
use super::learner::{Checkpoint, Learner, State};
use super::world::{Connection, Cut, World};

pub const ACTORS: usize = 8;
/// Time within which a run without faults must have inserted more.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest time between two faults.
const BETWEEN_FAULTS: Duration = Duration::from_secs(4);

/// Kind of run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub checkpoint_every: Duration,
    /// Bytes of a log from which its actor waits.
    pub log_bytes: u64,
    /// The broker keeps nothing on disk.
    pub forgetful: bool,
    /// Share of requests that go wrong.
    pub unreliable: f64,
}

/// Counts of what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub faults: u64,
    pub learners: u64,
    pub zombies_refused: u64,
    pub checkpoints: u64,
    pub inserted: u64,
    pub lost: u64,
    pub waits_for_learner: u64,
}

pub struct Simulation {
    scenario: Scenario,
    world: Rc<RefCell<World>>,
    actors: Vec<Actor>,
    /// The last one is the one that a cluster's scheduler takes for the learner.
    learners: Vec<(Learner, Folder)>,
    /// The run's folder, as of the learner that held the epoch last.
    folder: Folder,
    processes: u64,
    outcome: Outcome,
}

type Folder = Rc<RefCell<Checkpoint>>;

impl Scenario {
    /// Returns one of the eight kinds.
    pub fn of(seed: u64) -> Self {
        let often = seed.is_multiple_of(2);
        Self {
            checkpoint_every: Duration::from_secs(if often { 5 } else { 3600 }),
            log_bytes: if (seed / 2).is_multiple_of(2) { 20_000 } else { 4_000 },
            forgetful: (seed / 4).is_multiple_of(2),
            unreliable: 0.01,
        }
    }
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.faults += other.faults;
        self.learners += other.learners;
        self.zombies_refused += other.zombies_refused;
        self.checkpoints += other.checkpoints;
        self.inserted += other.inserted;
        self.lost += other.lost;
        self.waits_for_learner += other.waits_for_learner;
    }
}

impl Outcome {
    fn count(&mut self, actor: &Actor) {
        self.waits_for_learner += actor.waits_for_learner;
    }
}

impl Simulation {
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let mut simulation = Self {
            scenario,
            world: Rc::new(RefCell::new(World::new(seed))),
            actors: Vec::new(),
            learners: Vec::new(),
            folder: Rc::new(RefCell::new(Checkpoint::of_new_run())),
            processes: 0,
            outcome: Outcome::default(),
        };
        simulation.start_learner();
        (0..ACTORS).for_each(|_| simulation.start_actor());
        simulation
    }

    /// Runs until there were `faults`, then without any until everything read is inserted, and
    /// stops the run.
    pub fn run(mut self, faults: u64) -> Outcome {
        self.world.borrow_mut().unreliable =
            if faults > 0 { self.scenario.unreliable } else { 0.0 };
        let mut fault_at = Duration::from_secs(5);
        while self.world.borrow().faults < faults {
            self.turn();
            if self.now() >= fault_at {
                self.fault();
                fault_at = self.now() + self.world.borrow_mut().below(BETWEEN_FAULTS);
            }
        }

        self.calm();
        self.stop();
        self.outcome.faults = self.world.borrow().faults;
        self.outcome
    }

    fn now(&self) -> Duration {
        self.world.borrow().now
    }

    /// Lets the process whose time has come take its turn.
    fn turn(&mut self) {
        let wakes = self.actors.iter().map(|actor| actor.wake);
        let wakes = wakes.chain(self.learners.iter().map(|(learner, _)| learner.wake));
        let (chosen, wake) = wakes.enumerate().min_by_key(|(_, wake)| *wake).unwrap();
        // Every turn takes a little, so that no two things happen at once.
        let pause = wake.saturating_sub(self.now()) + Duration::from_micros(500);
        self.world.borrow_mut().advance(pause);

        match self.actors.get_mut(chosen) {
            Some(actor) => actor.step(),
            None => self.learner_turn(chosen - self.actors.len()),
        }
    }

    fn learner_turn(&mut self, index: usize) {
        let (learner, folder) = &mut self.learners[index];
        let was = learner.state;
        if was == State::Claiming {
            // It reads the run's folder after its claim, and has it for itself from then on: what a
            // learner writes that lost the epoch and has not noticed goes elsewhere.
            *folder = Rc::new(RefCell::new(self.folder.borrow().clone()));
        }
        learner.step(&mut folder.borrow_mut());
        match (was, learner.state) {
            // Whatever learner comes next finds the folder of the one that held the epoch last.
            (State::Claiming, State::Running) => self.folder = Rc::clone(folder),
            (_, State::Lost) => {
                self.outcome.zombies_refused += 1;
                self.end_learner(index);
            }
            _ => {}
        }
    }

    fn fault(&mut self) {
        let kind = self.world.borrow_mut().rng.random_range(0..11);
        self.world.borrow_mut().faults += 1;
        let (short, long) = (Duration::from_secs(5), Duration::from_secs(40));
        let pause = self.world.borrow_mut().below(if kind % 2 == 0 { short } else { long });
        match kind {
            0 | 1 => self.kill_actor(pause),
            2 => self.kill_learner(),
            3 => self.freeze_actor(pause),
            4 | 5 => self.freeze_learner(pause),
            6 => self.cut(pause),
            7 => {
                let keeps_data = !self.scenario.forgetful;
                self.world.borrow_mut().kill_broker(pause, keeps_data);
            }
            8 => {
                // Clocks leap: the broker's, and one of the processes'. A lease may lapse at once.
                self.start_another_learner();
                self.world.borrow_mut().broker.advance(pause);
                let index = self.any_actor();
                self.actors[index].ahead += pause;
                let (learner, _) = self.learners.last_mut().unwrap();
                learner.ahead += pause;
            }
            _ => {
                // Full now, or not any more.
                let mut world = self.world.borrow_mut();
                let full = world.rng.random_bool(0.5);
                let limit = world.broker.bytes() + 2000;
                world.broker.set_limit(full.then_some(limit));
            }
        }
    }

    fn any_actor(&self) -> usize {
        self.world.borrow_mut().rng.random_range(0..self.actors.len())
    }

    fn kill_actor(&mut self, pause: Duration) {
        let index = self.any_actor();
        let actor = self.actors.remove(index);
        self.outcome.count(&actor);
        self.start_actor();
        self.actors.last_mut().unwrap().wake += pause;
    }

    fn freeze_actor(&mut self, pause: Duration) {
        let index = self.any_actor();
        self.actors[index].wake += pause;
    }

    fn kill_learner(&mut self) {
        self.end_learner(self.learners.len() - 1);
    }

    /// The learner stands still. A cluster's scheduler that thinks it dead starts another, which
    /// takes over if the lease lapses, in a copy of the run's folder.
    fn freeze_learner(&mut self, pause: Duration) {
        let (learner, _) = self.learners.last_mut().unwrap();
        learner.wake += pause;
        self.start_another_learner();
    }

    /// Starts a learner beside the one there is, or not.
    fn start_another_learner(&mut self) {
        if self.learners.len() < 3 && self.world.borrow_mut().rng.random_bool(0.5) {
            self.start_learner();
        }
    }

    /// Cuts an actor or the learner off.
    fn cut(&mut self, pause: Duration) {
        let half_open = self.world.borrow_mut().rng.random_bool(0.5);
        let cut = Cut { until: self.now() + pause, half_open };
        if self.world.borrow_mut().rng.random_bool(0.5) {
            self.learners.last().unwrap().0.connection.cut.set(cut);
        } else {
            self.actors[self.any_actor()].connection.cut.set(cut);
        }
    }

    fn start_actor(&mut self) {
        let id = self.next_process();
        let connection = Connection::new(&self.world);
        self.actors.push(Actor::new(id, connection, self.scenario.log_bytes));
    }

    fn start_learner(&mut self) {
        let id = self.next_process();
        self.outcome.learners += 1;
        let connection = Connection::new(&self.world);
        let folder = Rc::new(RefCell::new(self.folder.borrow().clone()));
        let Scenario { checkpoint_every, log_bytes, .. } = self.scenario;
        let learner = Learner::new(id, connection, &folder.borrow(), checkpoint_every, log_bytes);
        self.learners.push((learner, folder));
    }

    /// Removes a learner, and starts another if there is none.
    fn end_learner(&mut self, index: usize) {
        let (learner, _) = self.learners.remove(index);
        self.outcome.checkpoints += learner.checkpoints;
        if self.learners.is_empty() {
            self.start_learner();
        }
    }

    fn next_process(&mut self) -> ProcessId {
        self.processes += 1;
        ProcessId(self.processes)
    }

    /// Without faults the run must go on: all clocks run, nothing is lost any more, and one learner
    /// is left.
    fn calm(&mut self) {
        {
            let mut world = self.world.borrow_mut();
            world.unreliable = 0.0;
            world.broker.set_limit(None);
        }
        let before = self.inserted();
        let until = self.now() + 3 * PATIENCE;
        let mut checked = self.now() + PATIENCE;
        let mut last = before;
        while self.now() < until {
            self.turn();
            if self.now() >= checked {
                assert!(self.inserted() > last, "nothing was inserted in {PATIENCE:?}");
                last = self.inserted();
                checked = self.now() + PATIENCE;
            }
        }
        self.check_settled();
    }

    /// Returns the batches inserted by the learner that holds the epoch.
    fn inserted(&self) -> u64 {
        self.learners
            .iter()
            .filter(|(learner, _)| learner.state == State::Running)
            .map(|(learner, _)| learner.run.ledger.inserted())
            .max()
            .unwrap_or_default()
    }

    /// Checks that all actors have the learner's weights, and that the limiter held.
    fn check_settled(&self) {
        let (learner, _) = self.running();
        for actor in &self.actors {
            let (epoch, version) = actor.acts_with.expect("an actor has no weights");
            let behind = learner.run.updates - version;
            assert!(epoch == learner.run.epoch && behind < 1000, "{epoch}, {behind} behind");
        }
        let ratio = learner.run.rates.measured().expect("the warm-up is over");
        assert!((ratio / 4.0 - 1.0).abs() < 0.01, "{ratio} samples per insert");
    }

    fn running(&self) -> &(Learner, Folder) {
        let mut running =
            self.learners.iter().filter(|(learner, _)| learner.state == State::Running);
        let one = running.next().expect("a learner runs");
        assert!(running.next().is_none(), "two learners run");
        one
    }

    /// Stops the run: all processes end.
    fn stop(&mut self) {
        let epoch = self.running().0.run.epoch;
        self.world.borrow_mut().broker.request_stop(epoch).unwrap();
        let until = self.now() + Duration::from_secs(60);
        while !self.all_ended() {
            self.turn();
            assert!(self.now() < until, "not everything has ended");
        }

        let (checkpoints, checkpoint) = self.stopped();
        checkpoint.check();
        let forgotten = checkpoint.forgotten();
        let ledger = checkpoint.ledger;
        self.outcome.inserted = ledger.inserted();
        self.outcome.lost = ledger.lost();
        self.outcome.checkpoints += checkpoints;
        self.actors.iter().for_each(|actor| self.outcome.count(actor));
        if !self.scenario.forgetful {
            // A process that was forgotten may hold a batch that builds upon what was freed.
            assert!(ledger.lost() <= forgotten, "the broker has kept everything");
        }
    }

    /// Returns the number of checkpoints that the stopped learner has written, and the last one.
    fn stopped(&self) -> (u64, Checkpoint) {
        let stopped = |(learner, _): &&(Learner, Folder)| learner.state == State::Stopped;
        let (learner, folder) = self.learners.iter().find(stopped).unwrap();
        (learner.checkpoints, folder.borrow().clone())
    }

    fn all_ended(&self) -> bool {
        self.actors.iter().all(|actor| actor.ended)
            && self.learners.iter().any(|(learner, _)| learner.state == State::Stopped)
    }
}
