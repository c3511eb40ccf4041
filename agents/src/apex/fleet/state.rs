//! The learner's account of experience from other processes.

use std::collections::{BTreeMap, VecDeque};

use coordrl_fleet::{Accepted, Batch, Entry, Ledger, ProcessId};
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::apex::experience::Experience;
use crate::apex::report::RemoteBatches;
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
    pub pending: VecDeque<Experience>,
    /// Number of the first stream of each process's last generation.
    first_streams: BTreeMap<ProcessId, u32>,
    /// Number of generations so far.
    generations: u32,
}

/// A batch as it came, or the reason why it cannot be used.
pub(in crate::apex) struct DecodedEntry {
    actor: ProcessId,
    seq: u64,
    decoded: Result<(Batch, Vec<Experience>), String>,
}

impl DecodedEntry {
    /// Decodes a batch: milliseconds of work, not to be done under a lock that the learner needs.
    pub fn of(entry: &Entry) -> Self {
        let Entry { actor, seq, bytes } = entry;
        let decoded = Batch::decode(bytes).map_err(|error| error.to_string()).and_then(|batch| {
            let experience = Experience::split(&batch.content);
            let experience = experience.map_err(|error| error.to_string())?;
            let mut parts = experience.iter().flat_map(|message| &message.parts);
            let fits = parts.all(|part| part.stream < STREAMS);
            fits.then_some((batch, experience)).ok_or_else(|| "too many environments".to_owned())
        });
        Self { actor: *actor, seq: *seq, decoded }
    }
}

impl FleetState {
    /// Returns the counts for a report.
    pub fn counts(&self) -> RemoteBatches {
        RemoteBatches { inserted: self.ledger.inserted(), lost: self.ledger.lost() }
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
                self.pending.extend(experience);
            }
            Accepted::Useless | Accepted::Duplicate => {}
        }
        Ok(())
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
            self.first_streams.insert(actor, first);
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
    use crate::replay::StreamPart;

    const ACTOR: ProcessId = ProcessId(5);

    fn entry(seq: u64, generation: u32, streams: &[u32]) -> Entry {
        let part = |stream| StreamPart {
            stream,
            first_plane: 0,
            planes: Vec::new(),
            transitions: Vec::new(),
        };
        let parts = streams.iter().copied().map(part).collect();
        let message = Experience { parts, ..Default::default() }.to_bytes().unwrap();
        let content = Experience::join(&[message.into()]).unwrap();
        let batch = Batch { epoch: 4, generation, opens: true, transitions: 0, content };
        Entry { actor: ACTOR, seq, bytes: batch.encode().unwrap() }
    }

    fn streams(state: &mut FleetState, entry: &Entry) -> Option<Vec<u32>> {
        state.enter(DecodedEntry::of(entry)).unwrap();
        let parts = state.pending.pop_front()?.parts;
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
    }
}
