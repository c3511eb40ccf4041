//! Where the planes of all streams live, and when they go.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::memory::{STREAM_TABLE, plane_heap};
use super::{ObsRef, Plane, ReplayConfig, ReplayError, StreamPart};

/// The planes of all streams that a live transition, or one still to come, may need.
#[derive(Debug)]
pub(super) struct PlaneStore {
    pub channels: usize,
    pub plane_len: usize,
    /// In order of their numbers, so that two equal replays write equal snapshots.
    streams: BTreeMap<u32, Stream>,
    /// Bytes behind the planes.
    heap_bytes: u64,
}

/// The planes of one environment.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Number of the oldest plane kept.
    pub first: u64,
    /// Where the planes needed by the newest transition start: later ones need none before it.
    pub needed_from: u64,
    pub planes: VecDeque<Plane>,
}

impl Stream {
    /// One past the newest plane.
    pub fn end(&self) -> u64 {
        self.first + self.planes.len() as u64
    }

    fn get(&self, plane: u64) -> Option<Plane> {
        let place = usize::try_from(plane.checked_sub(self.first)?).ok()?;
        self.planes.get(place).cloned()
    }
}

impl PlaneStore {
    pub fn new(config: &ReplayConfig) -> Self {
        let [channels, ..] = config.obs_shape;
        Self { channels, plane_len: config.plane_len(), streams: BTreeMap::new(), heap_bytes: 0 }
    }

    /// All streams, by number.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = (u32, &Stream)> {
        self.streams.iter().map(|(number, stream)| (*number, stream))
    }

    /// Takes over a whole stream; `false` if there is one of that number.
    pub fn add_stream(&mut self, number: u32, stream: Stream) -> bool {
        self.heap_bytes += stream.planes.iter().map(plane_heap).sum::<u64>();
        self.streams.insert(number, stream).is_none()
    }

    /// Whether all of `part` refers to planes that are there, or come with it. Returns where the
    /// planes needed by its last transition start.
    pub fn check(&self, part: &StreamPart) -> Result<u64, ReplayError> {
        let (first_plane, number) = (part.first_plane, part.stream);
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
            let (available, needs) = (needed_from..end, self.needs(&transition.obs, &transition.next_obs));
            match needs {
                Some(needs) if available.start <= needs.start && needs.end <= end => {
                    needed_from = needs.start
                }
                needs => {
                    let found = needs.unwrap_or_default();
                    return Err(ReplayError::MissingPlane { stream: number, index, found, available });
                }
            }
        }
        Ok(needed_from)
    }

    /// Appends the planes of a part that was checked.
    pub fn append(&mut self, number: u32, first_plane: u64, planes: Vec<Plane>, needed_from: u64) {
        self.heap_bytes += planes.iter().map(plane_heap).sum::<u64>();
        let new = || Stream { first: first_plane, ..Stream::default() };
        let stream = self.streams.entry(number).or_insert_with(new);
        stream.planes.extend(planes);
        stream.needed_from = needed_from;
    }

    /// From the oldest plane of two observations to one past the newest; `None` if damaged.
    pub fn needs(&self, obs: &ObsRef, next_obs: &ObsRef) -> Option<Range<u64>> {
        let (one, other) = (obs.range(self.channels)?, next_obs.range(self.channels)?);
        Some(one.start.min(other.start)..one.end.max(other.end))
    }

    /// Whether all planes in `range` are there.
    pub fn holds(&self, number: u32, range: &Range<u64>) -> bool {
        let stream = self.streams.get(&number);
        stream.is_some_and(|stream| stream.first <= range.start && range.end <= stream.end())
    }

    /// Frees the planes of a stream before number `plane`.
    pub fn free_before(&mut self, number: u32, plane: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let count = plane.saturating_sub(stream.first).min(stream.planes.len() as u64);
        let freed: u64 = stream.planes.drain(..count as usize).map(|plane| plane_heap(&plane)).sum();
        stream.first += count;
        self.heap_bytes -= freed;
    }

    /// Shares the planes of an observation, `None` for zeros. `None` if one is gone, which the
    /// checks of insertion rule out.
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

    /// Bytes of everything here, the allocator's own included.
    pub fn bytes_used(&self) -> u64 {
        let queue = |stream: &Stream| (stream.planes.capacity() * size_of::<Plane>()) as u64 + STREAM_TABLE;
        self.heap_bytes + self.streams.values().map(queue).sum::<u64>()
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
