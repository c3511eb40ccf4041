//! The trait common to all figures.

use std::fmt;

use crate::canvas::Canvas;
use crate::error::PlotError;
use crate::geometry::{Rect, Size};
use crate::legend::LegendEntry;
use crate::raster::{self, Pixels};

/// Width of a figure on its own page, in SVG units (pixels in a browser).
pub const PAGE_WIDTH: f64 = 800.0;

/// Pixels per unit in PNG files: two, for sharp results on high-density screens and on paper.
pub const PNG_SCALE: f32 = 2.0;

/// Owner of a figure's legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegendPlace {
    /// The figure itself.
    Own,
    /// The page around it, once for all its panels.
    Page,
}

/// A drawable figure, on its own or as a panel among others.
pub trait Figure: fmt::Debug {
    /// Width of the figure on a page of its own.
    fn width(&self) -> f64 {
        PAGE_WIDTH
    }

    /// Returns the height that suits a width.
    fn height_at(&self, width: f64) -> f64;

    /// Returns the legend's entries; empty if there is nothing to distinguish.
    fn legend(&self) -> Vec<LegendEntry> {
        Vec::new()
    }

    /// Draws the figure into part of a page.
    ///
    /// # Errors
    /// If its data are invalid.
    fn draw(&self, canvas: &mut Canvas, area: Rect, legend: LegendPlace) -> Result<(), PlotError>;

    /// Size on a page of its own, in whole units.
    fn size(&self) -> Size {
        // Whole units times `PNG_SCALE` are whole pixels, so rounding those cuts nothing off.
        Size { width: self.width().ceil(), height: self.height_at(self.width()).ceil() }
    }

    /// Renders the figure as SVG. Equal data yield equal bytes.
    ///
    /// # Errors
    /// If its data are invalid.
    fn to_svg(&self) -> Result<String, PlotError> {
        let size = self.size();
        let mut canvas = Canvas::new(size);
        self.draw(&mut canvas, Rect::new(0.0, 0.0, size.width, size.height), LegendPlace::Own)?;
        Ok(canvas.finish())
    }

    /// Renders the figure as PNG, [`PNG_SCALE`] times [`Figure::size`] pixels. Equal data yield
    /// equal bytes.
    ///
    /// # Errors
    /// If its data are invalid, or the page is too large for a picture.
    fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        raster::to_png(&self.to_svg()?, PNG_SCALE)
    }

    /// Renders the figure as pixels, `scale` of them per unit.
    ///
    /// # Errors
    /// As [`Figure::to_png`].
    fn to_pixels(&self, scale: f32) -> Result<Pixels, PlotError> {
        raster::to_pixels(&self.to_svg()?, scale)
    }
}
