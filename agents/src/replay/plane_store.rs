//! Storage and lifetime of the planes of all streams.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::alloc::{STREAM_TABLE, allocated, plane_heap};
use super::{ObsRef, Plane, ReplayConfig, ReplayError, StreamPart};

/// The planes that a live or future transition may need, for all streams.
#[derive(Debug)]
pub(super) struct PlaneStore {
    pub channels: usize,
    pub plane_len: usize,
    /// Ordered by number, so that equal replays write equal snapshots.
    streams: BTreeMap<u32, Stream>,
    /// Heap bytes of the planes.
    heap_bytes: u64,
    /// Allocations of freed raw planes, kept for reuse. Planes are allocated by other threads; left
    /// to an allocator with per-thread arenas, and mixed with those threads' short-lived
    /// allocations, a full replay of 0.7 GiB grew by 0.8 GiB in half an hour.
    spare: Vec<Arc<[u8]>>,
}

/// The planes of one environment.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Number of the oldest stored plane.
    pub first: u64,
    /// First plane needed by the newest transition; later transitions need none before it.
    pub needed_from: u64,
    pub planes: VecDeque<Plane>,
    /// Number of live transitions.
    pub transitions: usize,
    /// No transitions will follow.
    pub ended: bool,
}

impl Stream {
    /// Returns one past the newest plane.
    pub fn end(&self) -> u64 {
        self.first + self.planes.len() as u64
    }

    /// Returns the bytes of the queue and of the entry in the table of streams.
    fn table_bytes(&self) -> u64 {
        (self.planes.capacity() * size_of::<Plane>()) as u64 + STREAM_TABLE
    }

    fn get(&self, plane: u64) -> Option<Plane> {
        let place = usize::try_from(plane.checked_sub(self.first)?).ok()?;
        self.planes.get(place).cloned()
    }
}

impl PlaneStore {
    pub fn new(config: &ReplayConfig) -> Self {
        let [channels, ..] = config.obs_shape;
        let plane_len = config.plane_len();
        let streams = BTreeMap::new();
        Self { channels, plane_len, streams, heap_bytes: 0, spare: Vec::new() }
    }

    /// Returns all streams, by number.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = (u32, &Stream)> {
        self.streams.iter().map(|(number, stream)| (*number, stream))
    }

    /// Adds a complete stream; returns `false` if its number is already taken.
    pub fn add_stream(&mut self, number: u32, stream: Stream) -> bool {
        self.heap_bytes += stream.planes.iter().map(plane_heap).sum::<u64>();
        self.streams.insert(number, stream).is_none()
    }

    /// Checks that `part` refers only to planes that are stored or come with it. Returns the first
    /// plane needed by its last transition.
    pub fn check(&self, part: &StreamPart) -> Result<u64, ReplayError> {
        let first_plane = part.first_plane;
        let number = part.stream;
        let (expected, mut needed_from) = match self.streams.get(&number) {
            Some(stream) => (stream.end(), stream.needed_from),
            None => (first_plane, first_plane),
        };

        let end = first_plane.checked_add(part.planes.len() as u64);
        let (true, Some(end)) = (first_plane == expected, end) else {
            return Err(ReplayError::PlaneGap { stream: number, found: first_plane, expected });
        };

        self.check_lengths(part)?;
        for (index, transition) in part.transitions.iter().enumerate() {
            // Planes before the start of the last transition may have been freed already.
            let available = needed_from..end;
            let needs = self.needs(&transition.obs, &transition.next_obs);
            match needs {
                Some(needs) if available.start <= needs.start && needs.end <= end => {
                    needed_from = needs.start
                }
                needs => {
                    let found = needs.unwrap_or_default();
                    return Err(ReplayError::MissingPlane {
                        stream: number,
                        index,
                        found,
                        available,
                    });
                }
            }
        }

        Ok(needed_from)
    }

    /// Appends the planes of a checked part, and counts its transitions.
    pub fn append(
        &mut self,
        number: u32,
        first_plane: u64,
        planes: Vec<Plane>,
        needed_from: u64,
        transitions: usize,
    ) {
        self.heap_bytes += planes.iter().map(plane_heap).sum::<u64>();
        let stream = self
            .streams
            .entry(number)
            .or_insert_with(|| Stream { first: first_plane, ..Stream::default() });
        stream.planes.extend(planes.into_iter().map(|plane| settle(plane, &mut self.spare)));
        stream.needed_from = needed_from;
        stream.transitions += transitions;
    }

    /// Counts a transition read from a snapshot; `false` if its stream is missing.
    pub fn count_transition(&mut self, number: u32) -> bool {
        let stream = self.streams.get_mut(&number);
        stream.map(|stream| stream.transitions += 1).is_some()
    }

    /// Frees a stream's planes before number `plane`, which its dropped oldest transition needed, and
    /// the stream with its last transition if no more follow.
    pub fn drop_transition(&mut self, number: u32, plane: u64) {
        self.free_before(number, plane);
        let Some(stream) = self.streams.get_mut(&number) else { return };
        stream.transitions -= 1;
        if stream.ended && stream.transitions == 0 {
            self.remove(number);
        }
    }

    /// Ends all streams of these numbers: no transitions will follow.
    pub fn end(&mut self, has_ended: impl Fn(u32) -> bool) {
        let ending = self.streams.iter_mut().filter(|(number, _)| has_ended(**number));
        let empty = ending.filter_map(|(number, stream)| {
            stream.ended = true;
            (stream.transitions == 0).then_some(*number)
        });
        for number in empty.collect::<Vec<_>>() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u32) {
        self.free_before(number, u64::MAX);
        self.streams.remove(&number);
    }

    /// Returns the range from the oldest plane of two observations to one past the newest; `None`
    /// if a reference is corrupt.
    pub fn needs(&self, obs: &ObsRef, next_obs: &ObsRef) -> Option<Range<u64>> {
        let one = obs.range(self.channels)?;
        let other = next_obs.range(self.channels)?;
        Some(one.start.min(other.start)..one.end.max(other.end))
    }

    /// Returns `true` if all planes in `range` are stored.
    pub fn holds(&self, number: u32, range: &Range<u64>) -> bool {
        let stream = self.streams.get(&number);
        stream.is_some_and(|stream| stream.first <= range.start && range.end <= stream.end())
    }

    /// Frees the planes of a stream before number `plane`.
    pub fn free_before(&mut self, number: u32, plane: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let count = plane.saturating_sub(stream.first).min(stream.planes.len() as u64);
        for plane in stream.planes.drain(..count as usize) {
            self.heap_bytes -= plane_heap(&plane);
            // A plane that a draw still holds cannot be reused; the draw frees it.
            if let Plane::Raw(mut room) = plane
                && Arc::get_mut(&mut room).is_some()
            {
                self.spare.push(room);
            }
        }

        stream.first += count;
    }

    /// Appends the shared planes of an observation to `out`, `None` for zeros. Returns `None` if
    /// one is missing, which the checks on insertion rule out.
    pub fn share(&self, number: u32, obs: &ObsRef, out: &mut Vec<Option<Plane>>) -> Option<()> {
        let stream = self.streams.get(&number)?;
        for channel in 0..self.channels {
            out.push(match obs.plane(channel) {
                Some(plane) => Some(stream.get(plane)?),
                None => None,
            });
        }
        Some(())
    }

    /// Returns all bytes in use, including allocator overhead.
    pub fn bytes_used(&self) -> u64 {
        let spare = self.spare.len() as u64 * allocated(self.plane_len as u64);
        self.heap_bytes + spare + self.streams.values().map(Stream::table_bytes).sum::<u64>()
    }

    fn check_lengths(&self, part: &StreamPart) -> Result<(), ReplayError> {
        let odd = part.planes.iter().position(|plane| !plane.may_hold(self.plane_len));
        let Some(position) = odd else { return Ok(()) };
        Err(ReplayError::PlaneLength {
            stream: part.stream,
            plane: part.first_plane + position as u64,
            found: part.planes[position].packed().len(),
            expected: self.plane_len,
        })
    }
}

/// Moves a plane into a spare allocation of the same size, if there is one.
fn settle(plane: Plane, spare: &mut Vec<Arc<[u8]>>) -> Plane {
    let Plane::Raw(bytes) = &plane else { return plane };
    let Some(mut room) = spare.pop() else { return plane };
    match Arc::get_mut(&mut room) {
        Some(place) if place.len() == bytes.len() => {
            place.copy_from_slice(bytes);
            Plane::Raw(room)
        }
        _ => plane,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::PlaneForm;

    fn store() -> PlaneStore {
        PlaneStore::new(&ReplayConfig {
            capacity: 10,
            slack_share: 0.0,
            priority_exponent: 0.6,
            importance_exponent: 0.4,
            priority_epsilon: 1e-6,
            obs_shape: [1, 2, 2],
            plane_form: PlaneForm::Raw,
        })
    }

    fn address(store: &PlaneStore, plane: u64) -> *const u8 {
        store.streams[&0].get(plane).unwrap().packed().as_ptr()
    }

    #[test]
    fn room_of_planes_that_are_gone_is_used_again_but_never_that_of_a_draw() {
        let mut store = store();
        let plane = |level: u8| Plane::pack(&[level; 4], PlaneForm::Raw);
        store.append(0, 0, (0..4).map(plane).collect(), 0, 0);
        let used = store.bytes_used();
        let first = address(&store, 0);
        let held = store.streams[&0].get(1).unwrap();
        store.free_before(0, 2);
        assert_eq!(store.spare.len(), 1, "of two, a draw holds one");
        store.append(0, 4, vec![plane(4), plane(5)], 0, 0);
        assert_eq!((address(&store, 4), store.spare.len()), (first, 0));
        for (place, level) in [(2, 2), (3, 3), (4, 4), (5, 5)] {
            assert_eq!(store.streams[&0].get(place).unwrap().packed(), [level; 4]);
        }

        assert_eq!(held.packed(), [1; 4], "what a draw holds stays as it was");
        assert!(store.bytes_used() <= used + 200, "{} after {used}", store.bytes_used());
    }
}
