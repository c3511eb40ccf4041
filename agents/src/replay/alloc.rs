//! Allocation of large tables, and what an allocator adds to small ones.

use std::collections::VecDeque;

use super::{Plane, ReplayError};

/// The two counters in front of an `Arc`'s bytes.
const ARC_COUNTS: u64 = 2 * size_of::<usize>() as u64;

/// A stream's entry in the table of streams, generously.
pub(super) const STREAM_TABLE: u64 = 128;

/// Bytes that a plane takes outside the queue it is in.
pub(super) fn plane_heap(plane: &Plane) -> u64 {
    allocated(plane.packed().len() as u64)
}

/// What an `Arc` of `bytes` takes: its counters and 8 bytes of the allocator's own, in steps of 16,
/// as glibc and its relatives have it.
pub(super) fn allocated(bytes: u64) -> u64 {
    bytes.saturating_add(ARC_COUNTS + 8).checked_next_multiple_of(16).unwrap_or(u64::MAX)
}

/// `len` times `value`, or an error where memory runs out.
pub(super) fn vec_of<T: Clone>(value: T, len: usize) -> Result<Vec<T>, ReplayError> {
    let mut all = Vec::new();
    all.try_reserve_exact(len).map_err(|_| no_memory::<T>(len))?;
    all.resize(len, value);
    Ok(all)
}

/// An empty queue with room for `len`, or an error where memory runs out.
pub(super) fn queue_for<T>(len: usize) -> Result<VecDeque<T>, ReplayError> {
    let mut queue = VecDeque::new();
    queue.try_reserve_exact(len).map_err(|_| no_memory::<T>(len))?;
    Ok(queue)
}

fn no_memory<T>(len: usize) -> ReplayError {
    ReplayError::Memory { bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
}
