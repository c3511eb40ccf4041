//! Fallible allocation of large tables, and allocator overhead of small ones.

use std::collections::VecDeque;

use super::{Plane, ReplayError};

/// Size of the two reference counts in front of an `Arc`'s bytes.
const ARC_COUNTS: u64 = 2 * size_of::<usize>() as u64;

/// Upper estimate for one entry in the table of streams, in bytes.
pub(super) const STREAM_TABLE: u64 = 128;

/// Returns the heap bytes of a plane outside its queue.
pub(super) fn plane_heap(plane: &Plane) -> u64 {
    allocated(plane.packed().len() as u64)
}

/// Returns the size of an `Arc` of `bytes`: reference counts plus 8 bytes of allocator header,
/// rounded up to 16, as in glibc and similar allocators.
pub(super) fn allocated(bytes: u64) -> u64 {
    bytes.saturating_add(ARC_COUNTS + 8).checked_next_multiple_of(16).unwrap_or(u64::MAX)
}

/// Builds a vector of `len` copies of `value`, or returns an error if memory runs out.
pub(super) fn vec_of<T: Clone>(value: T, len: usize) -> Result<Vec<T>, ReplayError> {
    let mut all = Vec::new();
    // `vec![value; len]` would abort the process instead.
    all.try_reserve_exact(len).map_err(|_| no_memory::<T>(len))?;
    all.resize(len, value);
    Ok(all)
}

/// Creates an empty queue with capacity for `len`, or returns an error if memory runs out.
pub(super) fn queue_for<T>(len: usize) -> Result<VecDeque<T>, ReplayError> {
    let mut queue = VecDeque::new();
    queue.try_reserve_exact(len).map_err(|_| no_memory::<T>(len))?;
    Ok(queue)
}

fn no_memory<T>(len: usize) -> ReplayError {
    ReplayError::Memory { bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
}
