//! Memory use of a replay, predicted and actual.

use super::alloc::{STREAM_TABLE, allocated};
use super::prioritized::{Record, Replay};
use super::{Plane, SumTree};

impl Replay {
    /// Predicts the bytes of a replay with `max_len` transitions ([`super::ReplayConfig::max_len`])
    /// of uncompressed observations from `streams` streams, for comparison with the machine's
    /// memory before anything is allocated.
    ///
    /// Counts one plane per transition, as for frame stacks in long episodes, and per stream three
    /// observations of new planes written ahead of their transitions. Each truncated episode adds
    /// one plane; observations other than frame stacks cost up to C planes.
    pub fn bytes_forecast(max_len: u64, obs_shape: [usize; 3], streams: u64) -> u64 {
        let [channels, height, width] = obs_shape.map(|size| size as u64);
        // A queue that grows by doubling may allocate twice what it holds.
        let plane =
            allocated(height.saturating_mul(width)).saturating_add(2 * size_of::<Plane>() as u64);
        let leaves = SumTree::leaves_for(usize::try_from(max_len).unwrap_or(usize::MAX)) as u64;
        let per_transition = plane.saturating_add(size_of::<Record>() as u64);
        let per_stream =
            channels.saturating_mul(3).saturating_mul(plane).saturating_add(STREAM_TABLE);
        (max_len.saturating_mul(per_transition))
            .saturating_add(leaves.saturating_mul(2 * size_of::<f64>() as u64))
            .saturating_add(streams.saturating_mul(per_stream))
    }

    /// Returns the bytes in use: planes, tables and allocator overhead.
    ///
    /// Tables are allocated for a full replay from the start. Planes still held by a draw are not
    /// counted.
    pub fn bytes_used(&self) -> u64 {
        let records = self.records.capacity() * size_of::<Record>();
        let tree = 2 * self.tree.capacity() * size_of::<f64>();
        (records + tree) as u64 + self.planes.bytes_used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stack_costs_at_most_7300_bytes_a_transition() {
        for (max_len, streams) in [(1_050_000, 16), (2_100_000, 256), (105_000, 64)] {
            let bytes = Replay::bytes_forecast(max_len, [4, 84, 84], streams);
            let each = bytes as f64 / max_len as f64;
            assert!((7056.0..=7300.0).contains(&each), "{each} bytes a transition");
        }
        assert_eq!(Replay::bytes_forecast(u64::MAX, [16, 4096, 4096], u64::MAX), u64::MAX);
    }

    #[test]
    fn references_are_small() {
        assert_eq!(size_of::<super::super::ObsRef>(), 24);
        assert_eq!(size_of::<Record>(), 64);
        assert_eq!(size_of::<Plane>(), 24);
    }
}
