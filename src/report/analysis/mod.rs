//! Numbers of a report: what the runs measure, how the arms compare, and what is odd about them.

pub mod aggregate;
pub mod compare;
pub mod curves;
pub mod failed_runs;
pub mod grid;
pub mod measures;
pub mod warnings;

use std::collections::BTreeSet;

/// Returns each of these items once, sorted.
fn distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().collect::<BTreeSet<T>>().into_iter().collect()
}
