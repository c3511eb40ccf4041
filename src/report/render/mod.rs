//! A report as its readers see it: `report.json`, the figures and the page.

mod figure_row;
mod figures;
mod format;
pub mod limits;
mod page;
mod report;
mod write;

pub use format::span;
pub use report::Report;
pub use write::Destination;
