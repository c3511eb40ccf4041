//! Numbers of a report: what the runs measure, how the arms compare, and what is odd about them.

pub mod aggregate;
pub mod compare;
pub mod curves;
pub mod failed_runs;
pub mod false_positives;
pub mod grid;
pub mod measures;
pub mod verdict;
pub mod warnings;
