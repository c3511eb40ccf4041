//! The project's figures as SVG and PNG: line charts with bands, scatters, estimates with
//! intervals, heat maps, and panels of these. No files, no printing: figures return text or bytes;
//! the caller writes them.
//!
//! ```
//! use coordrl_plots::{Axis, Figure, LineChart, Series};
//!
//! # fn main() -> Result<(), coordrl_plots::PlotError> {
//! let chart = LineChart::new("Breakout", Axis::linear("frames"), Axis::linear("episode return"))
//!     .with_series(Series::new("CoordConv", [(0.0, 1.0), (1e6, 30.0)]).with_band([(0.0, 2.0), (25.0, 34.0)]))
//!     .with_series(Series::new("conv", [(0.0, 1.0), (1e6, 24.0)]))
//!     .with_reference(30.5, "human");
//! let svg: String = chart.to_svg()?;
//! let png: Vec<u8> = chart.to_png()?;
//! # assert!(svg.contains("CoordConv") && png.starts_with(b"\x89PNG"));
//! # Ok(())
//! # }
//! ```
//!
//! # Why figures are drawn this way
//! Figures are written as SVG here and rasterised by `resvg`: the PNG is rendered from the SVG, so
//! the two cannot disagree. The alternative was `plotters`: after a trial it would save less than a
//! third of this crate, and its pictures clip no data and fit no long texts (`docs/adr/0047`).
//!
//! Glyphs come from DejaVu Sans, compiled in, so that figures need no font on the machine. It is
//! free under the Bitstream Vera licence and has Greek, arrows and superscript digits. Each text in
//! the SVG carries its length in that font; a browser without it fits its own glyphs into the same
//! space.
//!
//! Reconsider if figures need features of `plotters` that are missing here: dates, three
//! dimensions.

mod axes;
mod axis;
mod bars;
mod canvas;
mod colour_bar;
mod colour_map;
mod error;
mod figure;
mod font;
mod geometry;
mod heading;
mod heat_map;
mod heat_maps;
mod intervals;
mod legend;
mod line_chart;
mod panels;
mod raster;
mod scale;
mod scatter;
mod style;
mod ticks;
mod values;

pub use axes::Aspect;
pub use axis::Axis;
pub use bars::Bars;
pub use canvas::Canvas;
pub use colour_map::ColourMap;
pub use error::PlotError;
pub use figure::{Figure, LegendPlace, PAGE_WIDTH, PNG_SCALE};
pub use geometry::{Rect, Size};
pub use heat_map::{HeatMap, Outlines};
pub use heat_maps::{ColourRange, HeatMaps};
pub use intervals::{Estimate, Intervals};
pub use legend::LegendEntry;
pub use line_chart::{LineChart, Series};
pub use panels::Panels;
pub use raster::Pixels;
pub use scatter::{Group, Scatter};
pub use style::{Colour, Marker, PALETTE};

#[cfg(test)]
mod test_support;
