//! An actor process of the simulation: the real end of the link, with made-up experience.

use std::time::Duration;

use coordrl_fleet::{ActorEnd, ActorLimits, ActorTurn, Attendance, Batch, ProcessId, Waiting};
use rand::RngExt;

use super::world::Connection;

/// Bytes of a batch before compression; made so that they do not compress.
const BATCH_BYTES: usize = 400;

pub struct Actor {
    pub connection: Connection,
    pub end: ActorEnd,
    /// Time of the next turn.
    pub wake: Duration,
    /// By which its clock is ahead.
    pub ahead: Duration,
    epoch: u64,
    generation: u32,
    opens: bool,
    places: Vec<u32>,
    /// Number of batches made.
    made: u64,
    pub waits_for_learner: u64,
    /// Version and epoch of the weights it acts with.
    pub acts_with: Option<(u64, u64)>,
    pub ended: bool,
}

impl Actor {
    pub fn new(actor: ProcessId, connection: Connection, log_bytes: u64) -> Self {
        let attendance = Attendance {
            actor,
            places: 1,
            places_in_run: super::simulation::ACTORS as u32 + 1,
            lease: Duration::from_secs(10),
            about: String::new(),
        };
        let limits = ActorLimits { attend_every: Duration::from_secs(2), log_bytes, unread: 2 };
        let wake = connection.world.borrow().now;
        Self {
            connection,
            end: ActorEnd::new(attendance, limits),
            wake,
            ahead: Duration::ZERO,
            epoch: 0,
            generation: 0,
            opens: false,
            places: Vec::new(),
            made: 0,
            waits_for_learner: 0,
            acts_with: None,
            ended: false,
        }
    }

    pub fn step(&mut self) {
        let now = self.connection.world.borrow().now;
        self.wake = now;
        match self.end.turn(&mut self.connection, now + self.ahead) {
            ActorTurn::Joined { epoch, places } => {
                self.epoch = epoch;
                self.places = places;
                self.generation += 1;
                self.opens = true;
                self.acts_with = None;
            }
            ActorTurn::Moved { places } => {
                self.places = places;
                self.generation += 1;
                self.opens = true;
            }
            ActorTurn::Weights { id, bytes } => {
                assert_eq!(bytes, id.version.to_le_bytes(), "weights of another name");
                let newer = (id.epoch, id.version);
                assert!(self.acts_with.is_none_or(|old| old < newer), "older weights");
                self.acts_with = Some(newer);
            }
            ActorTurn::Sent => {}
            ActorTurn::Idle { until, why } => {
                self.waits_for_learner += u64::from(why == Some(Waiting::Learner));
                self.act(until.saturating_sub(self.ahead).max(now));
            }
            ActorTurn::Stop => self.ended = true,
            ActorTurn::Refused(why) => panic!("an actor was refused: {why}"),
        }
    }

    /// Makes a batch if the end takes one, else sleeps until `until`.
    fn act(&mut self, until: Duration) {
        // Without a place on the ladder there is no exploration rate to act with.
        let can_act = self.acts_with.is_some() && !self.places.is_empty();
        if !self.end.takes_batch() || !can_act {
            self.wake = until;
            return;
        }

        let mut world = self.connection.world.borrow_mut();
        self.made += 1;
        let mut content = self.end.actor().0.to_le_bytes().to_vec();
        content.extend(self.made.to_le_bytes());
        content.extend((content.len()..BATCH_BYTES).map(|_| world.rng.random::<u8>()));
        let transitions = world.rng.random_range(20..60);
        let Self { epoch, generation, opens, .. } = *self;
        let batch = Batch { epoch, generation, opens, transitions, content };
        self.end.give(batch.encode().unwrap());
        self.opens = false;
        self.wake += world.below(Duration::from_millis(400));
    }
}

/// Reads who made a batch, and its number.
pub fn maker(content: &[u8]) -> (ProcessId, u64) {
    let number = |at: usize| u64::from_le_bytes(content[at..at + 8].try_into().unwrap());
    (ProcessId(number(0)), number(8))
}
