//! Figures of a report, drawn from the report alone.

mod curves;
mod games;

use coordrl_plots::{
    Canvas, Colour, Figure, Intervals, LegendEntry, LegendPlace, LineChart, PALETTE, PlotError,
    Rect,
};

use self::curves::{Over, curves_of};
use self::games::{differences, profile, sums};
use super::Report;
pub use super::figure_row::{FigureRow, Marks};
use super::format::shortened;
use crate::report::ReportError;
use crate::report::runs::ArmId;

/// Width of a figure in SVG units: narrow, so that its text is readable on a phone.
const WIDTH: f64 = 460.0;
/// Ratio of height to width, without the legend.
const PROPORTION: f64 = 0.62;
/// Height of a legend row with two entries, in SVG units.
const LEGEND_ROW: f64 = 16.0;

/// Figure with its files.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Entry in `report.json`.
    pub row: FigureRow,
    /// SVG source.
    pub svg: String,
    /// The same figure as a PNG file.
    pub png: Vec<u8>,
}

impl Drawn {
    /// Returns the path of the SVG file inside the report's folder.
    pub fn svg_file(&self) -> String {
        format!("figures/{}.svg", self.row.name)
    }

    /// Returns the path of the PNG file inside the report's folder.
    pub fn png_file(&self) -> String {
        format!("figures/{}.png", self.row.name)
    }
}

/// Figure half a page wide.
#[derive(Debug)]
struct Half<F>(F);

/// Adds one legend row per two entries to a chart.
impl Figure for Half<LineChart> {
    fn width(&self) -> f64 {
        WIDTH
    }

    fn height_at(&self, width: f64) -> f64 {
        width * PROPORTION + LEGEND_ROW * self.0.legend().len().div_ceil(2) as f64
    }

    fn legend(&self) -> Vec<LegendEntry> {
        self.0.legend()
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, legend: LegendPlace) -> Result<(), PlotError> {
        self.0.draw(canvas, area, legend)
    }
}

impl Figure for Half<Intervals> {
    fn width(&self) -> f64 {
        WIDTH
    }

    fn height_at(&self, width: f64) -> f64 {
        self.0.height_at(width)
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, legend: LegendPlace) -> Result<(), PlotError> {
        self.0.draw(canvas, area, legend)
    }
}

impl Report {
    /// Draws all figures and lists them in the report.
    ///
    /// # Errors
    /// If numbers cannot be drawn: a bug.
    pub fn draw(&mut self) -> Result<Vec<Drawn>, ReportError> {
        let mut drawn = Vec::new();
        for (place, game) in self.games.iter().enumerate() {
            for over in [Over::Frames, Over::Time, Over::TrainingFrames] {
                drawn.extend(curves_of(self, place, game, over)?);
            }
        }

        for (place, comparison) in self.comparisons.iter().enumerate() {
            drawn.extend(differences(self, place, comparison)?);
        }

        for (place, aggregates) in self.aggregates.iter().enumerate() {
            if aggregates.why_absent.is_none() {
                drawn.push(sums(self, place, aggregates)?);
                drawn.push(profile(self, place, aggregates)?);
            }
        }

        self.figures = drawn.iter().map(|drawn| drawn.row.clone()).collect();
        Ok(drawn)
    }

    fn short_label(&self, arm: &ArmId) -> String {
        shortened(self.label(arm))
    }

    fn colour(&self, arm: &ArmId) -> Colour {
        let place = self.arms.iter().position(|row| row.name == *arm).unwrap_or_default();
        // By place in the whole report, so that an arm has one colour in all figures.
        PALETTE[place % PALETTE.len()]
    }
}

fn finish(row: FigureRow, figure: &dyn Figure) -> Result<Drawn, PlotError> {
    Ok(Drawn { row, svg: figure.to_svg()?, png: figure.to_png()? })
}

fn points_of(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

/// Reduces a name to letters, digits and hyphens, which every file system and HTML id accepts.
fn slug(name: &str) -> String {
    let letters = name.chars().take(40).map(|letter| letter.to_ascii_lowercase());
    letters.map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        assert_eq!(slug("../Ms Pac_Man<"), "---ms-pac-man-");
    }
}
