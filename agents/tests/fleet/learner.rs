//! A learner process of the simulation: the real end of the link, the real ledger and the real
//! limiter, with a replay that remembers what it was given and a network that is a number.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use coordrl_agents::apex::Rates;
use coordrl_fleet::{Accepted, Batch, Entry, LearnerEnd, LearnerTurn, Leasing, Ledger, ProcessId};
use rand::RngExt;

use super::actor::maker;
use super::world::Connection;

const BATCH: u64 = 32;
/// Batches read and not inserted yet, from which no more are read.
const ROOM: usize = 2;
const UPDATES_PER_PUBLICATION: u64 = 4;

/// The run's folder: its last checkpoint.
#[derive(Clone)]
pub struct Checkpoint {
    pub epoch: u64,
    pub ledger: Ledger,
    pub rates: Rates,
    pub updates: u64,
    replay: Replay,
}

/// Stand-in for a replay: of each actor, the last batch and the number of batches.
#[derive(Clone, Default)]
struct Replay {
    actors: BTreeMap<ProcessId, Held>,
    /// Number of times that a process was forgotten.
    forgotten: u64,
}

#[derive(Clone, Copy)]
struct Held {
    last: u64,
    /// The frames of this generation are there.
    generation: Option<u32>,
    batches: u64,
}

pub struct Learner {
    pub connection: Connection,
    end: LearnerEnd,
    pub run: Checkpoint,
    read: VecDeque<Entry>,
    pub wake: Duration,
    pub ahead: Duration,
    checkpoint_every: Duration,
    checkpoint_at: Duration,
    pub state: State,
    /// Number of checkpoints written.
    pub checkpoints: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Claiming,
    Running,
    /// Asked to stop: ended with a checkpoint.
    Stopped,
    /// Another learner has taken over.
    Lost,
}

impl Checkpoint {
    pub fn of_new_run() -> Self {
        let rates = Rates {
            warmup_transitions: 500,
            samples_per_insert: Some(4.0),
            tolerance: Rates::least_tolerance(4.0, BATCH, 60),
            inserted: 0,
            sampled: 0,
        };
        let ledger = Ledger::default();
        Self { epoch: 0, ledger, rates, updates: 0, replay: Replay::default() }
    }

    /// Checks that every batch is accounted for: in the replay, or counted as lost.
    pub fn check(&self) {
        for (actor, account) in self.ledger.accounts() {
            assert_eq!(account.inserted + account.lost, account.up_to, "{actor}: {account:?}");
            let held = self.replay.actors.get(&actor).map_or(0, |held| held.batches);
            assert_eq!(held, account.inserted, "{actor}: {account:?}");
        }
    }

    /// Returns how often a process was forgotten.
    pub fn forgotten(&self) -> u64 {
        self.replay.forgotten
    }
}

impl Replay {
    /// Inserts a batch as the real one would, which refuses one whose frames are missing.
    fn insert(&mut self, seq: u64, batch: &Batch, opens: bool) {
        let (actor, made) = maker(&batch.content);
        assert_eq!(made, seq, "{actor}: another batch under this number");
        let generation = Some(batch.generation);
        match self.actors.get_mut(&actor) {
            Some(held) => {
                assert!(seq > held.last, "{actor}: batch {seq} after {}", held.last);
                let follows = seq == held.last + 1 && generation == held.generation;
                assert!(opens || follows, "{actor}: batch {seq} builds upon one that is missing");
                *held = Held { last: seq, generation, batches: held.batches + 1 };
            }
            None => {
                assert!(opens, "{actor}: batch {seq} builds upon one that is missing");
                self.actors.insert(actor, Held { last: seq, generation, batches: 1 });
            }
        }
    }

    /// Frees the frames of a process that is gone.
    fn forget(&mut self, actor: ProcessId) {
        self.forgotten += 1;
        if let Some(held) = self.actors.get_mut(&actor) {
            held.generation = None;
        }
    }
}

impl Learner {
    /// Starts a learner in the run's folder.
    pub fn new(
        me: ProcessId,
        connection: Connection,
        folder: &Checkpoint,
        checkpoint_every: Duration,
        log_bytes: u64,
    ) -> Self {
        let leasing = Leasing {
            lease: Duration::from_secs(10),
            renew_every: Duration::from_secs(3),
            forget_after: Duration::from_secs(20),
            read_wait: Duration::ZERO,
            log_bytes,
        };
        let now = connection.world.borrow().now;
        Self {
            connection,
            end: LearnerEnd::new(me, leasing, folder.epoch, b"record".to_vec()),
            run: folder.clone(),
            read: VecDeque::new(),
            wake: now,
            ahead: Duration::ZERO,
            checkpoint_every,
            checkpoint_at: now + checkpoint_every,
            state: State::Claiming,
            checkpoints: 0,
        }
    }

    /// Makes a turn; `folder` is where checkpoints go.
    pub fn step(&mut self, folder: &mut Checkpoint) {
        let now = self.connection.world.borrow().now;
        self.wake = now;
        let room = self.read.len() < ROOM;
        match self.end.turn(&mut self.connection, now + self.ahead, room) {
            LearnerTurn::Holds(epoch) => self.hold(epoch, folder),
            LearnerTurn::Read(entries) => self.read.extend(entries),
            LearnerTurn::Forgot(actors) => {
                for actor in actors {
                    self.run.ledger.withdraw(actor, 0);
                    self.run.replay.forget(actor);
                }
            }
            LearnerTurn::Idle { until, .. } => {
                let idle = self.read.is_empty() && !self.may_sample();
                let pause = self.connection.world.borrow_mut().below(Duration::from_millis(50));
                let until = until.saturating_sub(self.ahead).max(now + pause);
                self.wake = if idle { until } else { now };
            }
            LearnerTurn::Taken { .. } => self.wake = now + Duration::from_millis(500),
            LearnerTurn::Stop => {
                self.checkpoint(folder);
                self.state = State::Stopped;
            }
            LearnerTurn::Lost(by) => {
                assert!(by.number > self.end.epoch(), "lost to an older learner");
                self.state = State::Lost;
            }
            LearnerTurn::Refused(why) => panic!("the learner was refused: {why}"),
        }

        if self.state == State::Running {
            self.work(folder);
        }
    }

    fn hold(&mut self, epoch: u64, folder: &mut Checkpoint) {
        let starts = self.state == State::Claiming;
        if self.state == State::Claiming {
            // Only now: until the claim another learner may have written a later one.
            self.run = folder.clone();
            self.run.check();
            if !self.end.start_from(self.run.epoch, &self.run.ledger) {
                return;
            }
            self.publish();
            self.state = State::Running;
        }
        assert!(epoch > self.run.epoch, "epoch {epoch} after {}", self.run.epoch);
        self.run.epoch = epoch;
        if starts {
            // Also the real one begins with a checkpoint, so that its number is known.
            self.checkpoint(folder);
        }
    }

    /// Inserts a batch or makes an update, whichever the limiter allows, and writes a checkpoint if
    /// one is due.
    fn work(&mut self, folder: &mut Checkpoint) {
        let next = self.read.front().map(|entry| Batch::decode(&entry.bytes).unwrap());
        match next {
            Some(batch) if self.run.rates.may_insert(batch.transitions.into()) => {
                let Entry { actor, seq, .. } = self.read.pop_front().unwrap();
                self.insert(actor, seq, &batch);
            }
            _ if self.may_sample() => self.update(),
            _ => {}
        }

        let now = self.connection.world.borrow().now;
        if now >= self.checkpoint_at || self.end.wants_checkpoint() {
            self.checkpoint(folder);
            // Sometimes the process would die here; the scheduler may kill it before its next
            // turn, in which the broker would be asked to remove what the checkpoint covers.
        }
    }

    fn insert(&mut self, actor: ProcessId, seq: u64, batch: &Batch) {
        assert_eq!(maker(&batch.content).0, actor, "a batch in the log of another");
        if let Accepted::Insert { opens } = self.run.ledger.accept(actor, seq, batch) {
            self.run.replay.insert(seq, batch, opens);
            self.run.rates.inserted += u64::from(batch.transitions);
        }
    }

    fn may_sample(&self) -> bool {
        self.state == State::Running && self.run.rates.may_sample(BATCH)
    }

    fn update(&mut self) {
        self.run.rates.sampled += BATCH;
        self.run.updates += 1;
        if self.run.updates.is_multiple_of(UPDATES_PER_PUBLICATION) {
            self.publish();
        }
        let mut world = self.connection.world.borrow_mut();
        let took = Duration::from_millis(world.rng.random_range(1..8));
        self.wake += took;
    }

    fn publish(&mut self) {
        self.end.set_about(self.run.updates.to_string());
        self.end.set_weights(self.run.updates, self.run.updates.to_le_bytes().to_vec());
    }

    fn checkpoint(&mut self, folder: &mut Checkpoint) {
        self.run.check();
        *folder = self.run.clone();
        self.end.checkpointed(&self.run.ledger);
        self.checkpoints += 1;
        self.checkpoint_at = self.connection.world.borrow().now + self.checkpoint_every;
    }
}
