//! A report as its readers see it: `report.json`, the figures and the page.

mod figure_row;
mod figures;
mod format;
mod page;
mod report;
mod sentences;
mod warnings;
mod write;

pub use format::span;
pub use report::{ComparisonRow, Report};
pub use sentences::limits;
pub use warnings::warning;
pub use write::ReportDestination;
