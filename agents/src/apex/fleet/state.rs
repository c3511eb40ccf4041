//! The learner's account of experience from other processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coordrl_fleet::{Accepted, Account, Batch, Entry, Ledger, ProcessId};
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::inference::QSpec;
use crate::apex::report::RemoteBatches;
use crate::replay::StreamPart;
use crate::versioned::bad;

/// First number of a stream of frames of another process; those below are the learner's own
/// environments'.
const FIRST_STREAM: u32 = 1 << 20;
/// Numbers set apart for the environments of one process.
const STREAMS: u32 = 1 << 12;

/// Part of a checkpoint: which batches the replay contains, and under which numbers its streams of
/// frames run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::apex) struct FleetState {
    /// Number of the epoch held last.
    pub epoch: u64,
    /// Number of the epoch in which the run began: what was made before is another run's.
    first_epoch: u64,
    pub ledger: Ledger,
    /// Experience of entered batches that is not in the replay yet, in order.
    pub pending: VecDeque<Pending>,
    /// Number of the first stream of each process's last generation.
    first_streams: BTreeMap<ProcessId, u32>,
    /// Number of generations so far.
    generations: u32,
    /// Generations have ended whose streams the replay may still have, as far as a checkpoint tells.
    #[serde(skip, default = "yes")]
    has_ended: bool,
}

fn yes() -> bool {
    true
}

/// One message of a batch that was entered as inserted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::apex) struct Pending {
    pub actor: ProcessId,
    pub seq: u64,
    pub experience: Experience,
}

/// A batch as it came, or the reason why it cannot be used.
pub(in crate::apex) struct DecodedEntry {
    actor: ProcessId,
    seq: u64,
    decoded: Result<(Batch, Vec<Experience>), String>,
}

impl DecodedEntry {
    /// Decodes a batch: milliseconds of work, not to be done under a lock that the learner needs.
    pub fn of(entry: &Entry, spec: &QSpec) -> Self {
        let Entry { actor, seq, bytes } = entry;
        let decoded = Batch::decode(bytes).map_err(|error| error.to_string()).and_then(|batch| {
            let experience = Experience::split(&batch.content);
            let experience = experience.map_err(|error| error.to_string())?;
            let mut parts = experience.iter().flat_map(|message| &message.parts);
            parts.try_for_each(|part| check(part, spec))?;
            Ok((batch, experience))
        });
        Self { actor: *actor, seq: *seq, decoded }
    }
}

/// Checks what a part alone can show to be wrong.
fn check(part: &StreamPart, spec: &QSpec) -> Result<(), String> {
    if part.stream >= STREAMS {
        return Err("too many environments".to_owned());
    }
    match part.transitions.iter().find(|one| usize::from(one.action) >= spec.num_actions) {
        Some(one) => Err(format!("action {} of {} actions", one.action, spec.num_actions)),
        None => Ok(()),
    }
}

impl FleetState {
    /// Returns the counts for a report.
    pub fn counts(&self) -> RemoteBatches {
        RemoteBatches {
            inserted: self.ledger.inserted(),
            lost: self.ledger.lost(),
            duplicates: self.ledger.duplicates(),
            processes: self.first_streams.len() as u64,
        }
    }

    /// Returns the accounts of the processes that are not gone.
    pub fn accounts(&self) -> Vec<(ProcessId, Account)> {
        let all = self.ledger.accounts().map(|(actor, account)| (actor, *account));
        all.filter(|(actor, _)| self.first_streams.contains_key(actor)).collect()
    }

    /// Begins the run in this epoch, unless it has begun before.
    pub fn begin_in(&mut self, epoch: u64) {
        if self.first_epoch == 0 {
            self.first_epoch = epoch;
        }
    }

    /// Forgets everything that builds upon frames of the past: the replay has none of them.
    pub fn forget_frames(&mut self) {
        self.ledger.break_all();
        self.pending.clear();
    }

    /// Enters a batch in the ledger, and its experience in `pending` if it is to be inserted.
    ///
    /// # Errors
    /// If there were more generations than numbers for their streams.
    pub fn enter(&mut self, entry: DecodedEntry) -> Result<(), AgentError> {
        let DecodedEntry { actor, seq, decoded } = entry;
        let of_this_run = decoded.and_then(|(batch, experience)| {
            let is_ours = batch.epoch >= self.first_epoch;
            is_ours.then_some((batch, experience)).ok_or_else(|| "it is of another run".to_owned())
        });

        // Of a process that only looks like one of our actors: the run must not end of it.
        let (batch, experience) = match of_this_run {
            Ok(decoded) => decoded,
            Err(reason) => {
                tracing::warn!(%actor, seq, reason, "a batch is left out");
                self.ledger.reject(actor, seq);
                return Ok(());
            }
        };

        match self.ledger.accept(actor, seq, &batch) {
            Accepted::Insert { opens } => {
                let experience = self.renumber(actor, opens, experience)?;
                let pending = experience.into_iter();
                self.pending.extend(pending.map(|experience| Pending { actor, seq, experience }));
            }
            Accepted::Useless | Accepted::Duplicate => {}
        }
        Ok(())
    }

    /// Enters batches as lost that could not be inserted: that of this message and those of the same
    /// process after it.
    pub fn withdraw(&mut self, actor: ProcessId, seq: u64) {
        let after = self.pending.iter().filter(|pending| pending.actor == actor);
        let batches: BTreeSet<u64> = after.map(|pending| pending.seq).chain([seq]).collect();
        self.pending.retain(|pending| pending.actor != actor);
        self.ledger.withdraw(actor, batches.len() as u64);
    }

    /// Ends the generation of a process that is gone; if it comes back, it begins another.
    pub fn forget(&mut self, actor: ProcessId) {
        self.ledger.withdraw(actor, 0);
        self.has_ended |= self.first_streams.remove(&actor).is_some();
    }

    /// Returns, once, whether a stream is of a generation that has ended; `None` if none has since the
    /// last call. Nothing may be pending.
    pub fn take_ended(&mut self) -> Option<impl Fn(u32) -> bool + use<>> {
        if !std::mem::take(&mut self.has_ended) {
            return None;
        }
        let generation = |stream: u32| stream / STREAMS;
        let open: BTreeSet<u32> = self.first_streams.values().copied().map(generation).collect();
        Some(move |stream| stream >= FIRST_STREAM && !open.contains(&generation(stream)))
    }

    /// Replaces the process's own numbers of its streams by numbers within the run.
    fn renumber(
        &mut self,
        actor: ProcessId,
        opens: bool,
        mut experience: Vec<Experience>,
    ) -> Result<Vec<Experience>, AgentError> {
        if opens {
            let first = self.generations.checked_mul(STREAMS);
            let first = first.and_then(|offset| FIRST_STREAM.checked_add(offset));
            let first = first.ok_or_else(|| bad("no numbers for streams are left".to_owned()))?;
            self.generations += 1;
            self.has_ended |= self.first_streams.insert(actor, first).is_some();
        }
        let first = self.first_streams.get(&actor).copied().unwrap_or(FIRST_STREAM);
        let parts = experience.iter_mut().flat_map(|message| &mut message.parts);
        parts.for_each(|part| part.stream += first);
        Ok(experience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{QHead, find_torso};
    use crate::replay::{PlaneForm, PlaneWriter, Transition};

    const ACTOR: ProcessId = ProcessId(5);

    fn spec() -> QSpec {
        let torso = *find_torso("conv").unwrap();
        QSpec { torso, head: QHead::Plain, obs_shape: [1, 2, 2], num_actions: 3 }
    }

    fn part(stream: u32) -> StreamPart {
        StreamPart { stream, first_plane: 0, planes: Vec::new(), transitions: Vec::new() }
    }

    fn entry(seq: u64, generation: u32, streams: &[u32]) -> Entry {
        let parts = streams.iter().copied().map(part).collect();
        let message = Experience { parts, ..Default::default() }.to_bytes().unwrap();
        let content = Experience::join(&[message.into()]).unwrap();
        let batch = Batch { epoch: 4, generation, opens: true, transitions: 0, content };
        Entry { actor: ACTOR, seq, bytes: batch.encode().unwrap() }
    }

    fn streams(state: &mut FleetState, entry: &Entry) -> Option<Vec<u32>> {
        state.enter(DecodedEntry::of(entry, &spec())).unwrap();
        let parts = state.pending.pop_front()?.experience.parts;
        Some(parts.iter().map(|part| part.stream).collect())
    }

    #[test]
    fn each_generation_of_a_process_has_streams_of_its_own() {
        let mut state = FleetState::default();
        let [first, second] = [FIRST_STREAM, FIRST_STREAM + STREAMS];
        assert_eq!(streams(&mut state, &entry(1, 1, &[0, 3])), Some(vec![first, first + 3]));
        assert_eq!(streams(&mut state, &entry(2, 2, &[3])), Some(vec![second + 3]));
        let other = Entry { actor: ProcessId(6), ..entry(1, 1, &[0]) };
        assert_eq!(streams(&mut state, &other), Some(vec![second + STREAMS]));
    }

    #[test]
    fn generations_end_when_a_process_begins_another_or_is_gone() {
        let mut state = FleetState::default();
        let [first, second] = [FIRST_STREAM, FIRST_STREAM + STREAMS];
        let ended = |state: &mut FleetState| {
            let has_ended = state.take_ended()?;
            Some([0, first, first + 3, second].map(has_ended))
        };
        streams(&mut state, &entry(1, 1, &[0]));
        assert_eq!(ended(&mut state), None);
        streams(&mut state, &entry(2, 2, &[0]));
        assert_eq!(ended(&mut state), Some([false, true, true, false]));
        assert_eq!(ended(&mut state), None);

        state.forget(ACTOR);
        let saved = serde_json::to_string(&state).unwrap();
        let mut loaded: FleetState = serde_json::from_str(&saved).unwrap();
        for state in [&mut state, &mut loaded] {
            assert_eq!(ended(state), Some([false, true, true, true]));
        }
        // Sent before it was forgotten, and of no use without what was freed.
        let late = Batch { opens: false, ..Batch::decode(&entry(3, 2, &[0]).bytes).unwrap() };
        let late = Entry { bytes: late.encode().unwrap(), ..entry(3, 2, &[0]) };
        assert_eq!(streams(&mut state, &late), None);
        assert_eq!(streams(&mut state, &entry(4, 3, &[0])), Some(vec![second + STREAMS]));
    }

    #[test]
    fn a_batch_that_cannot_be_inserted_is_lost_with_those_after_it() {
        let mut state = FleetState::default();
        for seq in 1..=3 {
            state.enter(DecodedEntry::of(&entry(seq, seq as u32, &[0]), &spec())).unwrap();
        }
        state.pending.pop_front();
        let failed = state.pending.pop_front().unwrap();
        state.withdraw(failed.actor, failed.seq);
        assert!(state.pending.is_empty());
        assert_eq!((state.ledger.inserted(), state.ledger.lost()), (1, 2));
        assert_eq!(streams(&mut state, &entry(4, 4, &[0])).map(|streams| streams.len()), Some(1));
    }

    #[test]
    fn what_another_run_of_this_name_left_is_not_inserted() {
        let mut state = FleetState::default();
        state.begin_in(5);
        state.begin_in(3);
        assert_eq!(streams(&mut state, &entry(1, 1, &[0])), None);
        assert_eq!(state.ledger.lost(), 1);
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_counted_as_lost() {
        let mut state = FleetState::default();
        let damaged = Entry { bytes: b"something else".to_vec(), ..entry(1, 1, &[0]) };
        assert_eq!(streams(&mut state, &damaged), None);
        assert_eq!(streams(&mut state, &entry(2, 2, &[STREAMS])), None);
        assert_eq!((state.ledger.inserted(), state.ledger.lost()), (0, 2));
        assert_eq!(streams(&mut state, &entry(3, 3, &[0])), Some(vec![FIRST_STREAM]));
        let obs = PlaneWriter::try_new([1, 2, 2], PlaneForm::Raw).unwrap().begin_episode(&[0; 4]);
        let obs = obs.unwrap();
        let [reward, discount, td_error_abs] = [0.0; 3];
        let unknown = Transition { obs, next_obs: obs, action: 3, reward, discount, td_error_abs };
        let part = StreamPart { transitions: vec![unknown], ..part(0) };
        assert_eq!(check(&part, &spec()), Err("action 3 of 3 actions".to_owned()));
    }
}
