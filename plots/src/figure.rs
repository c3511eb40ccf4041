//! What all figures have in common.

use std::fmt;

use crate::canvas::Canvas;
use crate::error::PlotError;
use crate::geometry::{Rect, Size};
use crate::legend::LegendEntry;
use crate::raster::{self, Pixels};

/// Width of a figure on its own page, in SVG units: one pixel each in a browser.
pub const PAGE_WIDTH: f64 = 800.0;

/// Pixels a unit in PNG files: two, so that they look sharp on good screens and on paper.
pub const PNG_SCALE: f32 = 2.0;

/// Who draws the legend of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegendPlace {
    /// The figure itself.
    Own,
    /// The page around it, once for all its panels.
    Page,
}

/// Something that can be drawn: alone, or as a panel among others.
pub trait Figure: fmt::Debug {
    /// Width on a page of its own.
    fn width(&self) -> f64 {
        PAGE_WIDTH
    }

    /// The height that suits a width.
    fn height_at(&self, width: f64) -> f64;

    /// What its colours and shapes mean; empty if there is nothing to tell apart.
    fn legend(&self) -> Vec<LegendEntry> {
        Vec::new()
    }

    /// Draws the figure into a part of a page.
    ///
    /// # Errors
    /// What is wrong with its data.
    fn draw(&self, canvas: &mut Canvas, area: Rect, legend: LegendPlace) -> Result<(), PlotError>;

    /// Size on a page of its own, in whole units.
    fn size(&self) -> Size {
        Size { width: self.width().ceil(), height: self.height_at(self.width()).ceil() }
    }

    /// The figure as SVG. The same data give the same bytes.
    ///
    /// # Errors
    /// What is wrong with its data.
    fn to_svg(&self) -> Result<String, PlotError> {
        let size = self.size();
        let mut canvas = Canvas::new(size);
        self.draw(&mut canvas, Rect::new(0.0, 0.0, size.width, size.height), LegendPlace::Own)?;
        Ok(canvas.finish())
    }

    /// The figure as PNG, [`PNG_SCALE`] times [`Figure::size`] pixels. The same data give the same
    /// bytes.
    ///
    /// # Errors
    /// What is wrong with its data, or a page too large for a picture.
    fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        raster::to_png(&self.to_svg()?, PNG_SCALE)
    }

    /// The figure as pixels, `scale` of them a unit.
    ///
    /// # Errors
    /// As [`Figure::to_png`].
    fn to_pixels(&self, scale: f32) -> Result<Pixels, PlotError> {
        raster::to_pixels(&self.to_svg()?, scale)
    }
}
