//! The prioritised replay.

use std::collections::VecDeque;
use std::ops::Range;

use super::alloc::queue_for;
use super::plane_store::PlaneStore;
use super::{ObsRef, ReplayConfig, ReplayError, StreamPart, SumTree, Transition};

/// The most recent transitions of all actors, sampled in proportion to priority.
///
/// Transitions have ids in the order of insertion, from 0. Eviction is first in, first out:
/// insertions may exceed the capacity by the slack, and [`Replay::trim`], called by the learner
/// every few updates, drops the oldest. This is a soft limit, as in Horgan et al. 2018
/// (arXiv:1803.00933): insertion never waits for space. Without trims, a full replay drops one
/// transition per insertion.
#[derive(Debug)]
pub struct Replay {
    pub(super) config: ReplayConfig,
    /// Tree leaves in use: transition `id` has leaf `id % max_len`.
    pub(super) max_len: usize,
    pub(super) tree: SumTree,
    /// Live transitions, oldest first.
    pub(super) records: VecDeque<Record>,
    /// One past the newest id.
    pub(super) next_id: u64,
    pub(super) planes: PlaneStore,
}

/// A stored transition; its priority is in the tree.
#[derive(Debug)]
pub(super) struct Record {
    pub obs: ObsRef,
    pub next_obs: ObsRef,
    pub stream: u32,
    pub reward: f32,
    pub discount: f32,
    pub action: u16,
}

impl Replay {
    /// Creates an empty replay. Tables are allocated immediately, planes on insertion.
    pub fn try_new(config: ReplayConfig) -> Result<Self, ReplayError> {
        config.check()?;
        let max_len = config.max_len();
        let tree = SumTree::try_new(max_len)?;
        let records = queue_for(max_len)?;
        let planes = PlaneStore::new(&config);
        Ok(Self { config, max_len, tree, records, next_id: 0, planes })
    }

    /// Inserts a part of a stream and returns the ids of its transitions. Beyond the limit with
    /// slack, the oldest transitions are dropped.
    ///
    /// # Errors
    /// If planes are missing, duplicated or of the wrong size, if a transition refers to planes
    /// that are not stored, or if a number is not finite. Nothing is inserted then.
    pub fn insert(&mut self, part: StreamPart) -> Result<Range<u64>, ReplayError> {
        let needed_from = self.planes.check(&part)?;
        let priorities = part
            .transitions
            .iter()
            .enumerate()
            .map(|(index, transition)| self.first_priority(index, transition))
            .collect::<Result<Vec<_>, _>>()?;
        let ids = self.next_id..self.next_id + part.transitions.len() as u64;
        let places: Vec<usize> = ids.clone().map(|id| self.place_of(id)).collect();
        // The last step that can fail comes before the first change to records and planes.
        self.tree.set_batch(&places, &priorities)?;
        let StreamPart { stream, first_plane, planes, transitions } = part;
        self.planes.append(stream, first_plane, planes, needed_from, transitions.len());
        for transition in transitions {
            if self.records.len() == self.max_len {
                // The new transition already owns the leaf of the dropped one.
                self.drop_oldest();
            }
            self.records.push_back(Record::new(stream, transition));
            self.next_id += 1;
        }

        Ok(ids)
    }

    /// Drops the oldest transitions down to the capacity and returns their number.
    pub fn trim(&mut self) -> u64 {
        let excess = self.records.len().saturating_sub(self.config.capacity);
        let ids = self.oldest_id()..self.oldest_id() + excess as u64;
        let places: Vec<usize> = ids.map(|id| self.place_of(id)).collect();
        // Together, because neighbouring leaves share the sums to be recomputed.
        self.tree.clear(&places);
        (0..excess).for_each(|_| self.drop_oldest());
        excess as u64
    }

    /// Declares that no parts will follow of the streams for which `has_ended` is true: their planes are
    /// freed with their last transitions.
    pub fn end_streams(&mut self, has_ended: impl Fn(u32) -> bool) {
        self.planes.end(has_ended);
    }

    /// Updates priorities from the learner's TD errors (of either sign).
    ///
    /// Transitions dropped since they were sampled are skipped; returns their number. For a
    /// repeated id the last TD error counts. On error, nothing is changed.
    pub fn update_priorities(
        &mut self,
        ids: &[u64],
        td_errors: &[f32],
    ) -> Result<u64, ReplayError> {
        if ids.len() != td_errors.len() {
            return Err(ReplayError::UpdateLength { ids: ids.len(), td_errors: td_errors.len() });
        }

        let mut places = Vec::with_capacity(ids.len());
        let mut priorities = Vec::with_capacity(ids.len());
        for (&id, &td_error) in ids.iter().zip(td_errors) {
            check_finite("td_error", id, td_error)?;
            if id >= self.next_id {
                return Err(ReplayError::UnknownId { id, inserted: self.next_id });
            }
            // By id, since the leaf may belong to a newer transition by now.
            if self.is_live(id) {
                places.push(self.place_of(id));
                priorities.push(self.config.priority(td_error));
            }
        }

        self.tree.set_batch(&places, &priorities)?;
        Ok((ids.len() - places.len()) as u64)
    }

    /// Returns the number of live transitions.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns `true` if no transition is live.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the number of transitions ever inserted: one past the newest id.
    pub fn inserted(&self) -> u64 {
        self.next_id
    }

    /// Returns the oldest live id; [`Replay::inserted`] if there is none.
    pub fn oldest_id(&self) -> u64 {
        self.next_id - self.records.len() as u64
    }

    /// Returns `true` if the transition `id` is live.
    pub fn is_live(&self, id: u64) -> bool {
        (self.oldest_id()..self.next_id).contains(&id)
    }

    /// Returns the sampling priority of the transition `id`, if it is live.
    pub fn priority(&self, id: u64) -> Option<f64> {
        self.is_live(id).then(|| self.tree.get(self.place_of(id)))
    }

    /// Returns the settings.
    pub fn config(&self) -> &ReplayConfig {
        &self.config
    }

    /// Returns the tree leaf of a transition.
    pub(super) fn place_of(&self, id: u64) -> usize {
        (id % self.max_len as u64) as usize
    }

    /// Converts a leaf with a priority above 0 to its rank among live transitions, 0 being the
    /// oldest.
    pub(super) fn rank_at(&self, place: usize) -> usize {
        let oldest = self.place_of(self.oldest_id());
        if place >= oldest { place - oldest } else { place + self.max_len - oldest }
    }

    /// Drops the oldest transition and the planes that no other transition of its stream can need.
    ///
    /// Later transitions need no plane before the first one needed by this one. Using the dropped
    /// transition rather than its successor keeps one agent step's planes a little longer, but
    /// avoids a queue of transitions per stream.
    fn drop_oldest(&mut self) {
        let Some(record) = self.records.pop_front() else { return };
        if let Some(needs) = self.planes.needs(&record.obs, &record.next_obs) {
            self.planes.drop_transition(record.stream, needs.start);
        }
    }

    fn first_priority(&self, index: usize, transition: &Transition) -> Result<f64, ReplayError> {
        let Transition { reward, discount, td_error_abs, .. } = *transition;
        for (what, value) in
            [("td_error", td_error_abs), ("reward", reward), ("discount", discount)]
        {
            check_finite(what, index as u64, value)?;
        }
        Ok(self.config.priority(td_error_abs))
    }
}

impl Record {
    fn new(stream: u32, transition: Transition) -> Self {
        let Transition { obs, next_obs, action, reward, discount, td_error_abs: _ } = transition;
        Self { obs, next_obs, stream, reward, discount, action }
    }
}

fn check_finite(what: &'static str, index: u64, value: f32) -> Result<(), ReplayError> {
    if value.is_finite() { Ok(()) } else { Err(ReplayError::NonFinite { what, index, value }) }
}

#[cfg(test)]
pub(super) mod tests {
    use coordrl_envs::{Role, derive_rng};

    use super::super::config::tests::small;
    use super::super::{Plane, PlaneForm, PlaneWriter};
    use super::*;

    /// Builds one-step transitions of a long episode of stream 0 from agent step `start`: frames
    /// are 1, 2, 3, …, actions are agent steps, rewards half of them.
    pub fn small_part(start: u64, td_errors: &[f32]) -> StreamPart {
        let mut writer = PlaneWriter::try_new([2, 1, 2], PlaneForm::Raw).unwrap();
        let frame = |t: u64| [t as u8; 2];
        let mut refs = vec![writer.begin_episode(&[[0; 2], frame(1)].concat()).unwrap()];
        for t in 1..=start + td_errors.len() as u64 {
            refs.push(writer.follow(&[frame(t), frame(t + 1)].concat()).unwrap());
        }

        let transition = |(t, &td_error_abs): (u64, &f32)| Transition {
            obs: refs[t as usize],
            next_obs: refs[t as usize + 1],
            action: t as u16,
            reward: t as f32 / 2.0,
            discount: 0.75,
            td_error_abs,
        };

        let transitions = (start..).zip(td_errors).map(transition).collect();
        // A part ends with the observation after its last transition.
        let first_plane = if start == 0 { 0 } else { start + 1 };
        let planes = writer.take_planes().split_off(first_plane as usize);
        StreamPart { stream: 0, first_plane, planes, transitions }
    }

    /// Builds a replay of capacity 8 (at most 12) with these priorities.
    pub fn filled(td_errors: &[f32]) -> Replay {
        let mut replay = Replay::try_new(small(8)).unwrap();
        replay.insert(small_part(0, td_errors)).unwrap();
        replay
    }

    fn draw_ids(replay: &Replay, batch: usize) -> Vec<u64> {
        replay.draw(batch, &mut derive_rng(2, Role::TrainPolicy, 0)).unwrap().rows.ids
    }

    #[test]
    fn first_in_first_out_within_the_slack() {
        let mut replay = filled(&[1.0; 10]);
        assert_eq!((replay.len(), replay.oldest_id()), (10, 0));
        assert_eq!(replay.insert(small_part(10, &[1.0; 5])).unwrap(), 10..15);
        assert_eq!((replay.len(), replay.oldest_id(), replay.inserted()), (12, 3, 15));
        assert!(
            !replay.is_live(2) && replay.is_live(3) && replay.is_live(14) && !replay.is_live(15)
        );
        assert_eq!(replay.trim(), 4);
        assert_eq!((replay.len(), replay.oldest_id()), (8, 7));
        assert_eq!(replay.trim(), 0);
        assert_eq!(replay.tree.total(), 8.0);
        assert!(draw_ids(&replay, 200).iter().all(|id| (7..15).contains(id)));
        assert_eq!((replay.priority(6), replay.priority(7)), (None, Some(1.0)));
    }

    #[test]
    fn a_part_longer_than_the_replay_leaves_its_end() {
        let td_errors: Vec<f32> = (0..30).map(|t| t as f32).collect();
        let replay = filled(&td_errors);
        assert_eq!((replay.len(), replay.oldest_id(), replay.inserted()), (12, 18, 30));
        assert_eq!(replay.tree.total(), (18..30).sum::<u64>() as f64);
        assert!((18..30).all(|id| replay.priority(id) == Some(id as f64)));
    }

    #[test]
    fn an_ended_stream_goes_with_its_last_transition() {
        let of_stream =
            |stream, start, count| StreamPart { stream, ..small_part(start, &vec![1.0; count]) };
        let numbers = |replay: &Replay| -> Vec<u32> {
            replay.planes.streams().map(|(number, _)| number).collect()
        };
        let mut replay = filled(&[]);
        for (stream, count) in [(1, 0), (2, 3), (3, 2)] {
            replay.insert(of_stream(stream, 0, count)).unwrap();
        }
        replay.end_streams(|number| number < 3);
        assert_eq!(numbers(&replay), [2, 3], "the others have no transitions");
        let mut bytes = Vec::new();
        replay.write_to(&mut bytes).unwrap();
        let mut restored = Replay::read_from(small(8), bytes.as_slice()).unwrap();
        restored.end_streams(|number| number < 3);
        for replay in [&mut replay, &mut restored] {
            replay.insert(of_stream(3, 2, 9)).unwrap();
            assert_eq!(numbers(replay), [2, 3], "one transition of stream 2 is live");
            replay.insert(of_stream(3, 11, 1)).unwrap();
            assert_eq!(numbers(replay), [3]);
            replay.insert(of_stream(3, 12, 2)).unwrap();
            assert_eq!((replay.len(), numbers(replay)), (12, vec![3]));
        }
    }

    #[test]
    fn planes_go_with_the_transitions_that_need_them() {
        let mut replay = filled(&[1.0; 12]);
        let kept = |replay: &Replay| {
            let (_, stream) = replay.planes.streams().next().unwrap();
            (stream.first, stream.planes.len())
        };

        assert_eq!(kept(&replay), (0, 13));
        replay.trim();
        // Transition 4 needs planes 3 to 5; those from plane 2 stay for one more agent step.
        assert_eq!((replay.oldest_id(), kept(&replay)), (4, (2, 11)));
        for start in 12..100 {
            replay.insert(small_part(start, &[1.0])).unwrap();
        }

        assert_eq!((replay.len(), kept(&replay).1), (12, 15));
    }

    #[test]
    fn stale_updates_are_skipped_and_counted() {
        let mut replay = filled(&[1.0; 15]);
        assert_eq!(
            replay.update_priorities(&[0, 2, 3, 14, 14], &[9.0, 9.0, -2.0, 5.0, 0.5]).unwrap(),
            2
        );
        assert_eq!((replay.priority(3), replay.priority(14)), (Some(2.0), Some(0.5)));
        assert_eq!(replay.tree.total(), 10.0 + 2.0 + 0.5);
        assert_eq!(replay.update_priorities(&[], &[]).unwrap(), 0);
    }

    #[test]
    fn updates_are_all_or_nothing() {
        let mut replay = filled(&[1.0; 3]);
        let refused = |replay: &mut Replay, ids: &[u64], td_errors: &[f32]| {
            replay.update_priorities(ids, td_errors).unwrap_err().to_string()
        };
        let text = "the td_error of transition 2 is NaN: not finite";
        assert_eq!(refused(&mut replay, &[0, 2], &[5.0, f32::NAN]), text);
        let text = "there never was a transition 3: the replay has seen 3";
        assert_eq!(refused(&mut replay, &[0, 3], &[5.0, 5.0]), text);
        assert_eq!(refused(&mut replay, &[0], &[]), "0 TD errors were given for 1 transitions");
        assert_eq!(replay.tree.total(), 3.0);
    }

    #[test]
    fn zero_priorities_are_never_drawn() {
        let replay = filled(&[0.0, 3.0, 0.0, 0.0, 1.0, 0.0]);
        let ids = draw_ids(&replay, 5000);
        assert!(ids.iter().all(|id| [1, 4].contains(id)));
        let share = ids.iter().filter(|id| **id == 1).count() as f64 / 5000.0;
        assert!((share - 0.75).abs() < 0.025, "{share}"); // 4σ
    }

    #[test]
    fn a_bad_part_changes_nothing() {
        let mut replay = filled(&[1.0; 2]);
        let refused = |replay: &mut Replay, change: &dyn Fn(&mut StreamPart)| {
            let mut part = small_part(2, &[1.0, 1.0]);
            change(&mut part);
            let error = replay.insert(part).unwrap_err().to_string();
            assert_eq!((replay.len(), replay.planes.streams().next().unwrap().1.end()), (2, 3));
            assert_eq!(replay.tree.total(), 2.0);
            error
        };

        assert_eq!(
            refused(&mut replay, &|part| part.first_plane = 4),
            "stream 0 goes on at plane 3, but planes from 4 on were given"
        );
        let short = Plane::Raw(vec![1u8].into());
        assert_eq!(
            refused(&mut replay, &|part| part.planes[1] = short.clone()),
            "plane 4 of stream 0 has 1 bytes, but H · W is 2"
        );
        assert_eq!(
            refused(&mut replay, &|part| drop(part.planes.pop())),
            "transition 1 of stream 0 refers to planes 2..5, but such a transition may refer to 1..4 only"
        );
        assert_eq!(
            refused(&mut replay, &|part| part.transitions.reverse()),
            "transition 1 of stream 0 refers to planes 1..4, but such a transition may refer to 2..5 only"
        );
        assert_eq!(
            refused(&mut replay, &|part| part.stream = 1),
            "transition 0 of stream 1 refers to planes 1..4, but such a transition may refer to 3..5 only"
        );
        let nan = |what| format!("the {what} of transition 1 is NaN: not finite");
        let mut refused_number = |what, set: fn(&mut Transition)| {
            assert_eq!(refused(&mut replay, &|part| set(&mut part.transitions[1])), nan(what));
        };

        refused_number("td_error", |transition| transition.td_error_abs = f32::NAN);
        refused_number("reward", |transition| transition.reward = f32::NAN);
        refused_number("discount", |transition| transition.discount = f32::NAN);
        replay.insert(small_part(2, &[1.0, 1.0])).unwrap();
    }

    /// Checks that usage matches the forecast, except for queues grown to less than twice their
    /// need. An episode is truncated every 300 steps, which stores its final observation as well.
    #[test]
    fn a_full_replay_uses_what_was_forecast() {
        let config = ReplayConfig { obs_shape: [4, 84, 84], slack_share: 0.05, ..small(900) };
        let max_len = config.max_len() as u64;
        let mut replay = Replay::try_new(config).unwrap();
        let mut writer = PlaneWriter::try_new([4, 84, 84], PlaneForm::Raw).unwrap();
        let mut obs = vec![0; 4 * 84 * 84];
        let mut acted_on = writer.begin_episode(&obs).unwrap();
        for t in 0..2 * max_len {
            obs.drain(..84 * 84);
            obs.resize(4 * 84 * 84, t as u8 | 1);
            let next_obs = writer.follow(&obs).unwrap();
            let action = 0;
            let reward = 0.0;
            let discount = 0.9;
            let td_error_abs = 1.0;
            let transition =
                Transition { obs: acted_on, next_obs, action, reward, discount, td_error_abs };
            acted_on = next_obs;
            if t % 300 == 299 {
                obs.fill(0);
                obs[3 * 84 * 84..].fill(77);
                acted_on = writer.begin_episode(&obs).unwrap();
            }
            let first_plane = writer.first_pending();
            let planes = writer.take_planes();
            replay
                .insert(StreamPart {
                    stream: 0,
                    first_plane,
                    planes,
                    transitions: vec![transition],
                })
                .unwrap();
        }

        assert_eq!(replay.len() as u64, max_len);
        let used = replay.bytes_used();
        let forecast = Replay::bytes_forecast(max_len, [4, 84, 84], 1);
        assert!(
            used <= forecast && forecast < used + used / 20,
            "used {used}, forecast {forecast}"
        );
        assert!(used / max_len <= 7300, "{} bytes a transition", used / max_len);
    }
}
