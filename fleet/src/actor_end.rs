//! An actor process's use of a broker.

use std::collections::VecDeque;
use std::time::Duration;

use crate::broker::{Attendance, Attended, Broker, BrokerError, ProcessId, WeightsId};

/// Pauses between attempts while the broker does not answer.
const RETRY: Duration = Duration::from_millis(500);
/// Pause between two looks at the log while the actor waits for room in it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Limits of an actor process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorLimits {
    /// Time between two attendances.
    pub attend_every: Duration,
    /// Bytes in the log, not covered by a finished checkpoint, from which the actor waits.
    pub log_bytes: u64,
    /// Batches in the log that the learner has not read, from which the actor waits: what it
    /// reads late was made with old weights.
    pub unread: u64,
}

/// An actor process's end of the link: holds one batch until it is in the log, notices new epochs
/// and new weights. Makes at most one request to the broker per turn.
#[derive(Debug)]
pub struct ActorEnd {
    attendance: Attendance,
    limits: ActorLimits,
    /// State of the run at the last attendance that was answered.
    run: Option<Attended>,
    attend_at: Duration,
    /// No requests before this time: the last one was not answered.
    retry_at: Duration,
    /// Weights handed over last.
    weights: Option<WeightsId>,
    /// Number of the next batch.
    seq: u64,
    pending: Option<Vec<u8>>,
    /// Bytes of the newest batches in the log, as many as it holds.
    in_log: VecDeque<usize>,
}

/// Result of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorTurn {
    /// The batch is in the log; the next one may be given.
    Sent,
    /// Another learner, or another filling of the broker: begin streams of frames anew, and take
    /// these places on the ladder. Also the first thing that happens.
    Joined {
        /// Number of the epoch.
        epoch: u64,
        /// Places, ascending; there may be fewer than asked for.
        places: Vec<u32>,
    },
    /// Begin streams of frames anew, and take these places on the ladder: the leases had lapsed, or
    /// the run had forgotten this process.
    Moved {
        /// Places, ascending; there may be fewer than asked for.
        places: Vec<u32>,
    },
    /// Newer weights.
    Weights {
        /// Their name.
        id: WeightsId,
        /// As published.
        bytes: Vec<u8>,
    },
    /// Nothing to do until then, or until there is a batch.
    Idle {
        /// Time of the next turn.
        until: Duration,
        /// Reason for waiting, if there is one.
        why: Option<Waiting>,
    },
    /// The run ends.
    Stop,
    /// The broker refuses, and would again.
    Refused(String),
}

/// Reason for an actor process to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The broker knows no such run (any more): its learner has not started, or will fill it again.
    Run,
    /// The log is full: the learner must write a checkpoint first.
    Room,
    /// The learner reads more slowly than the actor acts, as its limiter wants.
    Learner,
    /// The broker's memory is full.
    Memory(String),
    /// The broker does not answer.
    Broker(String),
}

impl ActorEnd {
    /// Creates the end of the process that `attendance` names.
    pub fn new(attendance: Attendance, limits: ActorLimits) -> Self {
        Self {
            attendance,
            limits,
            run: None,
            attend_at: Duration::ZERO,
            retry_at: Duration::ZERO,
            weights: None,
            seq: 1,
            pending: None,
            in_log: VecDeque::new(),
        }
    }

    /// Returns the process's name.
    pub fn actor(&self) -> ProcessId {
        self.attendance.actor
    }

    /// Sets what a table of actors shows of this process, from the next attendance on.
    pub fn set_about(&mut self, about: String) {
        self.attendance.about = about;
    }

    /// Returns `true` if a batch may be given: the one before is in the log.
    pub fn takes_batch(&self) -> bool {
        self.run.is_some() && self.pending.is_none()
    }

    /// Hands over the next batch, encoded.
    ///
    /// # Panics
    /// If the one before is not in the log yet.
    pub fn give(&mut self, batch: Vec<u8>) {
        assert!(self.pending.is_none(), "the batch before is not in the log yet");
        self.pending = Some(batch);
    }

    /// Returns the number of the last batch that is in the log.
    pub fn sent(&self) -> u64 {
        self.seq - 1
    }

    /// Makes at most one request. `now` is any clock that does not go back.
    pub fn turn(&mut self, broker: &mut dyn Broker, now: Duration) -> ActorTurn {
        if now < self.retry_at {
            return ActorTurn::Idle { until: self.retry_at, why: None };
        }

        let result = match self.due(now) {
            Due::Attend => self.attend(broker, now),
            Due::Weights(id) => self.fetch(broker, id),
            Due::Append => self.append(broker),
            Due::Nothing(why) => {
                if matches!(why, Some(Waiting::Room | Waiting::Learner)) {
                    self.attend_at = self.attend_at.min(now + LOOK_EVERY);
                }
                Ok(ActorTurn::Idle { until: self.attend_at, why })
            }
        };
        result.unwrap_or_else(|error| self.failed(error, now))
    }

    /// Chooses the request. Attendance comes first, because the leases depend on it; then weights,
    /// because experience of old ones is worth less.
    fn due(&self, now: Duration) -> Due {
        let Some(run) = &self.run else {
            let waits = now < self.attend_at;
            return if waits { Due::Nothing(Some(Waiting::Run)) } else { Due::Attend };
        };
        if now >= self.attend_at {
            return Due::Attend;
        }
        // Whichever are the newest at the broker, also if their version is lower: the learner may
        // have gone back to a checkpoint.
        if let Some(id) = run.weights
            && self.weights != Some(id)
        {
            return Due::Weights(id);
        }
        match self.pending {
            Some(_) if self.is_full() => Due::Nothing(Some(Waiting::Room)),
            Some(_) if self.unread() >= self.limits.unread => Due::Nothing(Some(Waiting::Learner)),
            Some(_) => Due::Append,
            None => Due::Nothing(None),
        }
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.in_log.iter().sum();
        bytes as u64 >= self.limits.log_bytes
    }

    /// Returns the number of batches in the log that the learner has not read.
    fn unread(&self) -> u64 {
        let read = self.run.as_ref().map_or(0, |run| run.read);
        // The log may have lost some with the broker.
        self.sent().saturating_sub(read).min(self.in_log.len() as u64)
    }

    fn attend(&mut self, broker: &mut dyn Broker, now: Duration) -> Result<ActorTurn, BrokerError> {
        let attended = broker.attend(&self.attendance)?;
        self.attend_at = now + self.limits.attend_every;
        let before = std::mem::replace(&mut self.run, attended);
        let Some(run) = &self.run else {
            let why = Some(Waiting::Run);
            return Ok(ActorTurn::Idle { until: self.attend_at, why });
        };
        // Batches leave the log at its front.
        while self.in_log.len() as u64 > run.log_len {
            self.in_log.pop_front();
        }

        if run.stop {
            return Ok(ActorTurn::Stop);
        }
        let places = run.places.clone();
        Ok(match before {
            Some(before)
                if before.epoch == run.epoch
                    && before.joined == run.joined
                    && before.places == places =>
            {
                ActorTurn::Idle { until: now, why: None }
            }
            Some(before) if before.epoch == run.epoch => ActorTurn::Moved { places },
            _ => {
                let epoch = run.epoch.number;
                // Another learner may have published others under the same name.
                self.weights = None;
                ActorTurn::Joined { epoch, places }
            }
        })
    }

    fn fetch(&mut self, broker: &mut dyn Broker, id: WeightsId) -> Result<ActorTurn, BrokerError> {
        match broker.weights(id)? {
            Some(bytes) => {
                self.weights = Some(id);
                Ok(ActorTurn::Weights { id, bytes })
            }
            None => {
                // Newer ones have come, which the next attendance names.
                self.attend_at = Duration::ZERO;
                Ok(ActorTurn::Idle { until: Duration::ZERO, why: None })
            }
        }
    }

    fn append(&mut self, broker: &mut dyn Broker) -> Result<ActorTurn, BrokerError> {
        let batch = self.pending.as_deref().unwrap_or_default();
        // Either answer means that the log has it.
        broker.append(self.attendance.actor, self.seq, batch)?;
        self.in_log.push_back(batch.len());
        self.pending = None;
        self.seq += 1;
        Ok(ActorTurn::Sent)
    }

    fn failed(&mut self, error: BrokerError, now: Duration) -> ActorTurn {
        self.retry_at = now + RETRY;
        let why = match error {
            BrokerError::NoAnswer(reason) => Waiting::Broker(reason),
            BrokerError::Full(reason) => Waiting::Memory(reason),
            BrokerError::Refused(reason) => return ActorTurn::Refused(reason),
        };
        ActorTurn::Idle { until: self.retry_at, why: Some(why) }
    }
}

/// The next request.
enum Due {
    Attend,
    Weights(WeightsId),
    Append,
    Nothing(Option<Waiting>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryBroker;

    const LEARNER: ProcessId = ProcessId(1);
    const ACTOR: ProcessId = ProcessId(2);
    const LONG: Duration = Duration::from_secs(600);

    fn attendance() -> Attendance {
        let about = String::new();
        Attendance { actor: ACTOR, places: 1, places_in_run: 1, lease: LONG, about }
    }

    /// Makes turns, a second apart, until one is not idle without a reason.
    fn next(end: &mut ActorEnd, broker: &mut MemoryBroker, now: &mut Duration) -> ActorTurn {
        loop {
            *now += Duration::from_secs(1);
            match end.turn(broker, *now) {
                ActorTurn::Idle { why: None, .. } => {}
                turn => return turn,
            }
        }
    }

    #[test]
    fn a_full_log_makes_the_actor_wait_until_a_checkpoint_covers_it() {
        let mut broker = MemoryBroker::default();
        broker.claim(LEARNER, 0, LONG).unwrap();
        broker.publish_record(LEARNER, b"record").unwrap();
        let limits =
            ActorLimits { attend_every: Duration::from_secs(10), log_bytes: 100, unread: 9 };
        let mut end = ActorEnd::new(attendance(), limits);
        let mut now = Duration::ZERO;
        let mut turn = |end: &mut ActorEnd, broker: &mut MemoryBroker| next(end, broker, &mut now);
        assert_eq!(turn(&mut end, &mut broker), ActorTurn::Joined { epoch: 1, places: vec![0] });

        for _ in 0..2 {
            end.give(vec![7; 60]);
            assert_eq!(turn(&mut end, &mut broker), ActorTurn::Sent);
        }
        broker.report_read(LEARNER, &[(ACTOR, 2)]).unwrap();
        end.give(vec![7; 60]);
        for _ in 0..3 {
            let waits = turn(&mut end, &mut broker);
            let for_room = matches!(waits, ActorTurn::Idle { why: Some(Waiting::Room), .. });
            assert!(for_room, "{waits:?}");
        }
        broker.trim(LEARNER, &[(ACTOR, 1)]).unwrap();
        let mut turns = (0..9).map(|_| turn(&mut end, &mut broker));
        assert!(turns.any(|turn| turn == ActorTurn::Sent), "it goes on");
    }
}
