//! A broker in memory: the reference for what each operation does.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::broker::{
    Appended, Attendance, Attended, Broker, BrokerError, Claimed, Entry, Epoch, Member, ProcessId,
    Renewed, Standing, WeightsId,
};

/// Number of published weights that are kept: the newest, and those before for readers that are
/// about to fetch them.
pub(crate) const WEIGHTS_KEPT: usize = 2;

/// All operations of a [`Broker`] on plain maps. Time passes only by [`MemoryBroker::advance`], so
/// whatever is run on it can be repeated.
#[derive(Debug, Default)]
pub struct MemoryBroker {
    now: Duration,
    /// Bytes of batches and weights above which nothing more is taken.
    limit: Option<usize>,
    run: Run,
}

/// State that is lost when the broker dies without having written it to disk.
#[derive(Debug, Default)]
struct Run {
    epoch: Option<Epoch>,
    lease_until: Duration,
    /// Number of the epoch that is asked to end.
    stop: Option<u64>,
    /// With the epoch that wrote it.
    record: Option<(Epoch, Vec<u8>)>,
    /// The learner's description of itself.
    about: Option<String>,
    weights: BTreeMap<WeightsId, Vec<u8>>,
    logs: BTreeMap<ProcessId, Log>,
    read: BTreeMap<ProcessId, u64>,
    places: BTreeMap<u32, Place>,
    members: BTreeMap<ProcessId, Attendee>,
    /// Number of processes that joined.
    joined: u64,
}

#[derive(Debug, Default)]
struct Log {
    batches: VecDeque<(u64, Vec<u8>)>,
    /// Number of the last batch ever appended.
    last: u64,
}

#[derive(Debug)]
struct Place {
    actor: ProcessId,
    until: Duration,
}

#[derive(Debug)]
struct Attendee {
    at: Duration,
    /// Number of processes that had joined when it had.
    joined: u64,
    about: String,
}

impl MemoryBroker {
    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Sets the number of bytes above which batches and weights are refused, as a broker does that
    /// has reached its `maxmemory`.
    pub fn set_limit(&mut self, bytes: Option<usize>) {
        self.limit = bytes;
    }

    /// Forgets everything, as a broker does that is killed and keeps nothing on disk.
    pub fn lose_everything(&mut self) {
        self.run = Run::default();
    }

    /// Returns the bytes of all batches and weights.
    pub fn bytes(&self) -> usize {
        let batches = self.run.logs.values().flat_map(|log| &log.batches);
        let batches: usize = batches.map(|(_, bytes)| bytes.len()).sum();
        batches + self.run.weights.values().map(Vec::len).sum::<usize>()
    }

    fn check_room(&self, for_bytes: usize) -> Result<(), BrokerError> {
        match self.limit {
            Some(limit) if self.bytes() + for_bytes > limit => {
                Err(BrokerError::Full(format!("{limit} bytes")))
            }
            _ => Ok(()),
        }
    }

    /// Makes a change that only the holder of the epoch may make.
    fn as_holder(
        &mut self,
        learner: ProcessId,
        change: impl FnOnce(&mut Self, Epoch) -> Result<(), BrokerError>,
    ) -> Result<Standing, BrokerError> {
        match self.run.epoch.filter(|epoch| epoch.holder == learner) {
            Some(epoch) => change(self, epoch).map(|()| Standing::Held),
            None => Ok(Standing::NotHeld),
        }
    }

    fn take(&mut self, learner: ProcessId, number: u64, lease: Duration) -> u64 {
        self.run.epoch = Some(Epoch { number, holder: learner });
        self.run.lease_until = self.now + lease;
        number
    }

    /// Extends the actor's leases on places, and leases free ones until it has enough.
    fn lease_places(&mut self, attendance: &Attendance) -> Vec<u32> {
        let Attendance { actor, places, places_in_run, lease, .. } = *attendance;
        let now = self.now;
        let until = now + lease;
        self.run.places.retain(|_, place| place.until > now);

        let mut leased: Vec<u32> = self
            .run
            .places
            .iter()
            .filter(|(_, place)| place.actor == actor)
            .map(|(number, _)| *number)
            .collect();
        let free = (0..places_in_run).filter(|number| !self.run.places.contains_key(number));
        let missing = (places as usize).saturating_sub(leased.len());
        leased.extend(free.take(missing));
        leased.sort_unstable();
        for number in &leased {
            self.run.places.insert(*number, Place { actor, until });
        }
        leased
    }
}

impl Broker for MemoryBroker {
    fn claim(
        &mut self,
        learner: ProcessId,
        known: u64,
        lease: Duration,
    ) -> Result<Claimed, BrokerError> {
        let number = match self.run.epoch {
            Some(own) if own.holder == learner && own.number > known => own.number,
            // One at or below what the run's folder knows was put there by an older learner.
            Some(by) if by.number > known && self.run.lease_until > self.now => {
                return Ok(Claimed::Taken { by, lapses_in: self.run.lease_until - self.now });
            }
            Some(before) => before.number.max(known) + 1,
            None => known + 1,
        };
        Ok(Claimed::Held(self.take(learner, number, lease)))
    }

    fn renew(
        &mut self,
        learner: ProcessId,
        held: u64,
        lease: Duration,
    ) -> Result<Renewed, BrokerError> {
        let number = match self.run.epoch {
            Some(epoch) if epoch.holder == learner => epoch.number,
            Some(later) if later.number > held => return Ok(Renewed::Lost(later)),
            _ => held + 1,
        };
        self.take(learner, number, lease);
        let stop = self.run.stop.is_some_and(|stop| stop >= number);
        Ok(Renewed::Held { number, stop })
    }

    fn release(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, _| {
            broker.run.lease_until = broker.now;
            Ok(())
        })
    }

    fn reset(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, epoch| {
            // This request lingered in the network, and one after it has done it.
            if broker.run.record.as_ref().is_some_and(|(of, _)| *of == epoch) {
                return Ok(());
            }
            let Run { lease_until, mut logs, members, .. } = std::mem::take(&mut broker.run);
            logs.retain(|actor, _| !members.contains_key(actor));
            broker.run = Run { epoch: Some(epoch), lease_until, logs, ..Run::default() };
            Ok(())
        })
    }

    fn publish_record(
        &mut self,
        learner: ProcessId,
        record: &[u8],
    ) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, epoch| {
            broker.run.record = Some((epoch, record.to_vec()));
            Ok(())
        })
    }

    fn publish_weights(
        &mut self,
        learner: ProcessId,
        version: u64,
        weights: &[u8],
    ) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, epoch| {
            let id = WeightsId { epoch: epoch.number, version };
            // A request that lingered in the network, or comes a second time.
            if broker.run.weights.last_key_value().is_some_and(|(newest, _)| *newest >= id) {
                return Ok(());
            }
            broker.check_room(weights.len())?;
            broker.run.weights.insert(id, weights.to_vec());
            while broker.run.weights.len() > WEIGHTS_KEPT {
                broker.run.weights.pop_first();
            }
            Ok(())
        })
    }

    fn describe(&mut self, learner: ProcessId, about: &str) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, _| {
            broker.run.about = Some(about.to_owned());
            Ok(())
        })
    }

    fn description(&mut self) -> Result<Option<String>, BrokerError> {
        Ok(self.run.about.clone())
    }

    fn trim(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, _| {
            for (actor, seq) in up_to {
                if let Some(log) = broker.run.logs.get_mut(actor) {
                    log.batches.retain(|(kept, _)| kept > seq);
                }
            }
            Ok(())
        })
    }

    fn report_read(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        self.as_holder(learner, |broker, _| {
            broker.run.read.extend(up_to.iter().copied());
            Ok(())
        })
    }

    fn forget(
        &mut self,
        learner: ProcessId,
        actors: &[ProcessId],
    ) -> Result<Option<Vec<ProcessId>>, BrokerError> {
        let mut forgotten = Vec::new();
        let standing = self.as_holder(learner, |broker, _| {
            let run = &mut broker.run;
            for actor in actors {
                if run.logs.get(actor).is_none_or(|log| log.batches.is_empty()) {
                    run.members.remove(actor);
                    run.read.remove(actor);
                    run.logs.remove(actor);
                    forgotten.push(*actor);
                }
            }
            Ok(())
        })?;
        Ok((standing == Standing::Held).then_some(forgotten))
    }

    fn members(&mut self) -> Result<Vec<Member>, BrokerError> {
        let members = self.run.members.iter().map(|(actor, attendee)| Member {
            actor: *actor,
            silent_for: self.now - attendee.at,
            log_len: self.run.logs.get(actor).map_or(0, |log| log.batches.len() as u64),
            about: attendee.about.clone(),
        });
        Ok(members.collect())
    }

    fn read(
        &mut self,
        after: &[(ProcessId, u64)],
        most: usize,
        _wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        let mut entries = Vec::new();
        for (actor, seq) in after {
            let Some(log) = self.run.logs.get(actor) else { continue };
            let unread = log.batches.iter().filter(|(number, _)| number > seq).take(most);
            entries.extend(unread.map(|(number, bytes)| Entry {
                actor: *actor,
                seq: *number,
                bytes: bytes.clone(),
            }));
        }
        Ok(entries)
    }

    fn request_stop(&mut self, epoch: u64) -> Result<(), BrokerError> {
        if self.run.epoch.is_some_and(|current| current.number == epoch) {
            self.run.stop = Some(epoch);
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        let record = self.run.record.as_ref();
        let current = record.filter(|(epoch, _)| Some(*epoch) == self.run.epoch);
        Ok(current.map(|(_, record)| record.clone()))
    }

    fn attend(&mut self, attendance: &Attendance) -> Result<Option<Attended>, BrokerError> {
        let record = self.run.record.as_ref();
        let Some(epoch) = self.run.epoch.filter(|epoch| record.is_some_and(|(of, _)| of == epoch))
        else {
            return Ok(None);
        };
        let joined = match self.run.members.get(&attendance.actor) {
            Some(attendee) => attendee.joined,
            None => {
                self.run.joined += 1;
                self.run.joined
            }
        };
        let attendee = Attendee { at: self.now, joined, about: attendance.about.clone() };
        self.run.members.insert(attendance.actor, attendee);
        let log = self.run.logs.get(&attendance.actor);
        Ok(Some(Attended {
            epoch,
            joined,
            log_len: log.map_or(0, |log| log.batches.len() as u64),
            read: self.run.read.get(&attendance.actor).copied().unwrap_or_default(),
            weights: self.run.weights.keys().next_back().copied(),
            stop: self.run.stop.is_some_and(|stop| stop >= epoch.number),
            places: self.lease_places(attendance),
        }))
    }

    fn append(
        &mut self,
        actor: ProcessId,
        seq: u64,
        batch: &[u8],
    ) -> Result<Appended, BrokerError> {
        if self.run.logs.get(&actor).is_some_and(|log| seq <= log.last) {
            return Ok(Appended::AlreadyThere);
        }
        self.check_room(batch.len())?;
        let log = self.run.logs.entry(actor).or_default();
        log.last = seq;
        log.batches.push_back((seq, batch.to_vec()));
        Ok(Appended::Added)
    }

    fn weights(&mut self, id: WeightsId) -> Result<Option<Vec<u8>>, BrokerError> {
        Ok(self.run.weights.get(&id).cloned())
    }
}
