//! The learner's use of a broker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::broker::{
    Broker, BrokerError, Claimed, Entry, Epoch, Member, ProcessId, Renewed, Standing,
};
use crate::ledger::Ledger;

/// Pauses between attempts while the broker does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// Least time between two reports of what was read.
const REPORT_EVERY: Duration = Duration::from_millis(20);
/// Time between two looks for new actors.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Largest number of batches of one log read at once.
const READ_AT_ONCE: usize = 2;

/// Times and sizes at the learner's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leasing {
    /// Time without a renewal after which another may take the epoch.
    pub lease: Duration,
    /// Time between two renewals.
    pub renew_every: Duration,
    /// Time without an attendance after which an actor whose log is empty is forgotten.
    pub forget_after: Duration,
    /// Longest wait for batches in one turn.
    pub read_wait: Duration,
    /// Bytes in a log, not covered by a finished checkpoint, from which its actor waits.
    pub log_bytes: u64,
}

/// The learner's end of the link: holds the epoch, publishes, reads all logs and removes what a
/// checkpoint covers. Makes at most one request to the broker per turn.
#[derive(Debug)]
pub struct LearnerEnd {
    me: ProcessId,
    leasing: Leasing,
    /// Number of the epoch held, or before the claim the last one that the run's folder knows of.
    epoch: u64,
    held: bool,
    /// The checkpoint to go on from is known.
    started: bool,
    renew_at: Duration,
    retry_at: Duration,
    record: Vec<u8>,
    /// Description of the learner that is to be written.
    about: Option<String>,
    weights: Option<(u64, Vec<u8>)>,
    owes_reset: bool,
    owes_record: bool,
    owes_weights: bool,
    /// No publication before: the broker had no room for the last.
    weights_at: Duration,
    /// Actors that have logs.
    members: BTreeSet<ProcessId>,
    members_at: Duration,
    gone: Vec<ProcessId>,
    /// Last batch read of each log.
    read: BTreeMap<ProcessId, u64>,
    /// The actors have not been told yet.
    owes_read: bool,
    report_at: Duration,
    /// Bytes read of each log and not removed from it.
    unremoved: BTreeMap<ProcessId, Vec<(u64, usize)>>,
    /// Last batch of each log that a finished checkpoint covers, if the broker has not been asked
    /// yet to remove them.
    to_trim: Option<Vec<(ProcessId, u64)>>,
}

/// Result of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnerTurn {
    /// The learner holds the epoch: the first time, or again after the broker had lost it. Its
    /// number belongs in the next checkpoint.
    Holds(u64),
    /// Batches, in order within each log.
    Read(Vec<Entry>),
    /// Actor processes that are gone: if one comes back, it begins its streams of frames anew.
    Forgot(Vec<ProcessId>),
    /// Done, or nothing to do before `until`.
    Idle {
        /// Time of the next turn.
        until: Duration,
        /// Error of the last request, if it failed.
        why: Option<BrokerError>,
    },
    /// Another learner's lease has not lapsed; only before the first [`LearnerTurn::Holds`].
    Taken {
        /// The other.
        by: Epoch,
        /// Time until its lease lapses, if it is not renewed.
        lapses_in: Duration,
    },
    /// Somebody asks the whole run to end.
    Stop,
    /// Another learner has taken a later epoch: this one must end.
    Lost(Epoch),
    /// The broker refuses, and would again.
    Refused(String),
}

impl LearnerEnd {
    /// Creates the end of a learner. `known` is the epoch that the run's last checkpoint knows of, 0
    /// in a new run or if it will be read later; `record` is for the actors.
    pub fn new(me: ProcessId, leasing: Leasing, known: u64, record: Vec<u8>) -> Self {
        Self {
            me,
            leasing,
            epoch: known,
            held: false,
            started: false,
            renew_at: Duration::ZERO,
            retry_at: Duration::ZERO,
            record,
            about: None,
            weights: None,
            owes_reset: false,
            owes_record: false,
            owes_weights: false,
            weights_at: Duration::ZERO,
            members: BTreeSet::new(),
            members_at: Duration::ZERO,
            gone: Vec::new(),
            read: BTreeMap::new(),
            owes_read: false,
            report_at: Duration::ZERO,
            unremoved: BTreeMap::new(),
            to_trim: None,
        }
    }

    /// Returns the number of the epoch held, or known before.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Begins to read the logs from where a checkpoint left them. The checkpoint is to be loaded
    /// after the first [`LearnerTurn::Holds`]: before the claim another learner may have written a
    /// later one, and removed what that one covers. Returns `false` if the checkpoint knows a later
    /// epoch than the one held, which another learner held at a broker that has lost it since: the
    /// learner claims again then, and must load again.
    ///
    /// A new run, of epoch 0, begins at a broker without anything that another of its name left.
    pub fn start_from(&mut self, epoch: u64, ledger: &Ledger) -> bool {
        self.started = true;
        self.owes_reset = epoch == 0;
        self.held = epoch < self.epoch;
        self.epoch = self.epoch.max(epoch);
        self.read = ledger.positions().into_iter().collect();
        self.held
    }

    /// Sets what a table of processes shows of the learner.
    pub fn set_about(&mut self, about: String) {
        self.about = Some(about);
    }

    /// Sets the newest weights. Those not published by then are skipped.
    pub fn set_weights(&mut self, version: u64, bytes: Vec<u8>) {
        self.weights = Some((version, bytes));
        self.owes_weights = true;
    }

    /// Lets the batches that a finished checkpoint covers be removed.
    pub fn checkpointed(&mut self, ledger: &Ledger) {
        self.to_trim = Some(ledger.positions());
    }

    /// Returns `true` if a log holds more than half of what it may, all of it read: without a
    /// checkpoint its actor would soon wait for the learner, which might wait for the actor.
    pub fn wants_checkpoint(&self) -> bool {
        self.to_trim.is_none()
            && self.unremoved.values().any(|batches| {
                let bytes: usize = batches.iter().map(|(_, bytes)| bytes).sum();
                2 * bytes as u64 > self.leasing.log_bytes
            })
    }

    /// Makes at most one request. `now` is any clock that does not go back; batches are read only
    /// if there is `room` for them.
    pub fn turn(&mut self, broker: &mut dyn Broker, now: Duration, room: bool) -> LearnerTurn {
        if now < self.retry_at {
            return LearnerTurn::Idle { until: self.retry_at, why: None };
        }

        let result = match self.due(now, room) {
            Due::Claim => self.claim(broker, now),
            Due::Renew => self.renew(broker, now),
            Due::Reset => {
                let standing = broker.reset(self.me);
                self.after_request(standing, now, |end| end.owes_reset = false)
            }
            Due::Record => {
                let standing = broker.publish_record(self.me, &self.record);
                self.after_request(standing, now, |end| end.owes_record = false)
            }
            Due::Weights => self.publish_weights(broker, now),
            Due::Trim => self.trim(broker, now),
            Due::Report => self.report_read(broker, now),
            Due::Describe => {
                let standing = broker.describe(self.me, self.about.as_deref().unwrap_or_default());
                self.after_request(standing, now, |end| end.about = None)
            }
            Due::Members => self.look_for_members(broker, now),
            Due::Forget => self.forget(broker, now),
            Due::Read => self.read(broker, now),
            Due::Nothing => Ok(LearnerTurn::Idle { until: self.renew_at, why: None }),
        };
        result.unwrap_or_else(|error| self.failed(error, now))
    }

    /// Releases the lease.
    ///
    /// # Errors
    /// If the broker does not answer; the lease lapses by itself then.
    pub fn release(&mut self, broker: &mut dyn Broker) -> Result<Standing, BrokerError> {
        self.held = false;
        broker.release(self.me)
    }

    fn due(&self, now: Duration, room: bool) -> Due {
        match self {
            Self { held: false, .. } => Due::Claim,
            _ if now >= self.renew_at => Due::Renew,
            // Actors are to find a run that reads what they send.
            Self { started: false, .. } => Due::Nothing,
            Self { owes_reset: true, .. } => Due::Reset,
            // Before anything that a full broker may refuse.
            Self { to_trim: Some(_), .. } => Due::Trim,
            Self { owes_record: true, .. } => Due::Record,
            Self { owes_weights: true, .. } if now >= self.weights_at => Due::Weights,
            Self { owes_read: true, .. } if now >= self.report_at => Due::Report,
            Self { about: Some(_), .. } => Due::Describe,
            // Before the next look, which would not find those of which only the answer was lost.
            _ if !self.gone.is_empty() => Due::Forget,
            _ if now >= self.members_at => Due::Members,
            _ if room => Due::Read,
            _ => Due::Nothing,
        }
    }

    fn claim(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        match broker.claim(self.me, self.epoch, self.leasing.lease)? {
            Claimed::Held(number) => Ok(self.holds(number, now)),
            Claimed::Taken { by, lapses_in } => Ok(LearnerTurn::Taken { by, lapses_in }),
        }
    }

    fn renew(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        match broker.renew(self.me, self.epoch, self.leasing.lease)? {
            Renewed::Lost(by) => {
                self.held = false;
                Ok(LearnerTurn::Lost(by))
            }
            Renewed::Held { number, .. } if number != self.epoch => Ok(self.holds(number, now)),
            Renewed::Held { stop, .. } => {
                self.renew_at = now + self.leasing.renew_every;
                // The broker may have gone back to an older copy of itself, or an older report have
                // come late.
                self.owes_read = true;
                Ok(if stop { LearnerTurn::Stop } else { done(now) })
            }
        }
    }

    fn holds(&mut self, number: u64, now: Duration) -> LearnerTurn {
        (self.epoch, self.held) = (number, true);
        self.renew_at = now + self.leasing.renew_every;
        // The broker has neither, or those of another learner.
        self.owes_record = true;
        self.owes_weights = self.weights.is_some();
        self.owes_read = true;
        LearnerTurn::Holds(number)
    }

    fn publish_weights(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        let Some((version, bytes)) = &self.weights else { return Ok(done(now)) };
        let standing = broker.publish_weights(self.me, *version, bytes);
        if let Err(BrokerError::Full(_)) = standing {
            self.weights_at = now + RETRY;
            return Ok(LearnerTurn::Idle { until: now, why: standing.err() });
        }
        self.after_request(standing, now, |end| end.owes_weights = false)
    }

    fn trim(&mut self, broker: &mut dyn Broker, now: Duration) -> Result<LearnerTurn, BrokerError> {
        let up_to = self.to_trim.clone().unwrap_or_default();
        let standing = broker.trim(self.me, &up_to);
        self.after_request(standing, now, |end| {
            end.to_trim = None;
            for (actor, seq) in up_to {
                if let Some(batches) = end.unremoved.get_mut(&actor) {
                    batches.retain(|(kept, _)| *kept > seq);
                }
            }
        })
    }

    /// Finds actors that have joined, and those that have gone for good.
    fn look_for_members(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        let members = broker.members()?;
        self.members_at = now + LOOK_EVERY;
        let is_gone =
            |member: &&Member| member.log_len == 0 && member.silent_for > self.leasing.forget_after;
        self.gone = members.iter().filter(is_gone).map(|member| member.actor).collect();
        let stays = |member: &&Member| !is_gone(member);
        self.members = members.iter().filter(stays).map(|member| member.actor).collect();
        self.unremoved.retain(|actor, batches| !batches.is_empty() || self.members.contains(actor));
        Ok(done(now))
    }

    fn forget(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        match broker.forget(self.me, &self.gone)? {
            Some(forgotten) => {
                self.gone.clear();
                Ok(LearnerTurn::Forgot(forgotten))
            }
            None => self.after_request(Ok(Standing::NotHeld), now, |_| ()),
        }
    }

    /// Returns the last batch read of each log there is.
    fn positions(&self) -> Vec<(ProcessId, u64)> {
        let position = |actor| self.read.get(actor).copied().unwrap_or_default();
        self.members.iter().map(|actor| (*actor, position(actor))).collect()
    }

    fn read(&mut self, broker: &mut dyn Broker, now: Duration) -> Result<LearnerTurn, BrokerError> {
        let entries = broker.read(&self.positions(), READ_AT_ONCE, self.leasing.read_wait)?;
        for Entry { actor, seq, bytes } in &entries {
            self.read.insert(*actor, *seq);
            self.unremoved.entry(*actor).or_default().push((*seq, bytes.len()));
        }
        self.owes_read |= !entries.is_empty();
        Ok(if entries.is_empty() { done(now) } else { LearnerTurn::Read(entries) })
    }

    fn report_read(
        &mut self,
        broker: &mut dyn Broker,
        now: Duration,
    ) -> Result<LearnerTurn, BrokerError> {
        self.report_at = now + REPORT_EVERY;
        let standing = broker.report_read(self.me, &self.positions());
        self.after_request(standing, now, |end| end.owes_read = false)
    }

    /// Handles the answer to a request that only the holder may make.
    fn after_request(
        &mut self,
        standing: Result<Standing, BrokerError>,
        now: Duration,
        on_success: impl FnOnce(&mut Self),
    ) -> Result<LearnerTurn, BrokerError> {
        match standing? {
            Standing::Held => on_success(self),
            // The next turn finds out why.
            Standing::NotHeld => self.renew_at = now,
        }
        Ok(done(now))
    }

    fn failed(&mut self, error: BrokerError, now: Duration) -> LearnerTurn {
        if let BrokerError::Refused(reason) = error {
            return LearnerTurn::Refused(reason);
        }
        self.retry_at = now + RETRY;
        LearnerTurn::Idle { until: self.retry_at, why: Some(error) }
    }
}

/// The next request.
enum Due {
    Claim,
    Renew,
    Reset,
    Record,
    Weights,
    Trim,
    Report,
    Describe,
    Members,
    Forget,
    Read,
    Nothing,
}

fn done(now: Duration) -> LearnerTurn {
    LearnerTurn::Idle { until: now, why: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::WeightsId;
    use crate::{Attendance, MemoryBroker};

    const LEARNER: ProcessId = ProcessId(1);
    const ACTOR: ProcessId = ProcessId(2);
    const LONG: Duration = Duration::from_secs(600);

    /// Returns a learner that holds the first epoch and has published version 3, and its broker.
    fn started() -> (LearnerEnd, MemoryBroker) {
        let leasing = Leasing {
            lease: LONG,
            renew_every: Duration::from_secs(2),
            forget_after: LONG,
            read_wait: Duration::ZERO,
            log_bytes: 1000,
        };
        let mut broker = MemoryBroker::default();
        let mut end = LearnerEnd::new(LEARNER, leasing, 0, b"record".to_vec());
        assert_eq!(end.turn(&mut broker, Duration::ZERO, true), LearnerTurn::Holds(1));
        assert!(end.start_from(0, &Ledger::default()));
        end.set_weights(3, b"weights".to_vec());
        (end, broker)
    }

    /// Makes ten turns a second from `from` on.
    fn turns(end: &mut LearnerEnd, broker: &mut MemoryBroker, from: u64) -> Vec<LearnerTurn> {
        let at = |turn: u64| Duration::from_secs(from) + Duration::from_millis(100 * turn);
        (0..60).map(|turn| end.turn(broker, at(turn), true)).collect()
    }

    #[test]
    fn a_broker_that_has_lost_everything_is_filled_again() {
        let (mut end, mut broker) = started();
        turns(&mut end, &mut broker, 0);
        assert_eq!(broker.record(), Ok(Some(b"record".to_vec())));

        broker.lose_everything();
        assert!(turns(&mut end, &mut broker, 10).contains(&LearnerTurn::Holds(2)));
        assert_eq!(broker.record(), Ok(Some(b"record".to_vec())));
        let weights = broker.weights(WeightsId { epoch: 2, version: 3 });
        assert_eq!(weights, Ok(Some(b"weights".to_vec())));
    }

    #[test]
    fn a_full_broker_does_not_keep_batches_from_being_read_and_removed() {
        let (mut end, mut broker) = started();
        turns(&mut end, &mut broker, 0);
        let about = String::new();
        let attendance =
            Attendance { actor: ACTOR, places: 1, places_in_run: 1, lease: LONG, about };
        broker.attend(&attendance).unwrap();
        broker.append(ACTOR, 1, &[7; 600]).unwrap();
        broker.set_limit(Some(broker.bytes()));
        end.set_weights(4, b"newer weights".to_vec());

        let read = turns(&mut end, &mut broker, 10);
        assert!(read.iter().any(|turn| matches!(turn, LearnerTurn::Read(_))), "{read:?}");
        assert!(end.wants_checkpoint());
        let mut ledger = Ledger::default();
        ledger.reject(ACTOR, 1);
        end.checkpointed(&ledger);
        turns(&mut end, &mut broker, 20);
        let newer = broker.weights(WeightsId { epoch: 1, version: 4 });
        assert_eq!(newer, Ok(Some(b"newer weights".to_vec())), "there is room for them now");
    }
}
