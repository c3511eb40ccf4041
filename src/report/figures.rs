//! The pictures of a report, drawn from the report alone.

mod curves;
mod games;

use coordrl_plots::{
    Canvas, Colour, Figure, Intervals, LegendEntry, LegendPlace, LineChart, PALETTE, PlotError, Rect,
};
use serde::Serialize;

use self::curves::{Over, curves_of};
use self::games::{differences, profile, sums};
use super::format::shortened;
use super::{Report, ReportError};

/// Width of a figure in SVG units: narrow, so that its letters can be read on a phone.
const WIDTH: f64 = 460.0;
/// Height of a figure over its width, without the legend.
const PROPORTION: f64 = 0.62;
/// Room for two entries of a legend, in SVG units.
const LEGEND_ROW: f64 = 16.0;
/// A picture as `report.json` lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// Name of its files, and its name on the page.
    pub name: String,
    /// Game it belongs to; none for all games together.
    pub game: Option<String>,
    /// What it shows, in a line.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// What is drawn, so that a drawing can be checked.
    pub marks: Marks,
}

/// What a picture is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Points of each line, in the order they are drawn.
    pub lines: Vec<usize>,
    /// Points of the outline of each band.
    pub bands: Vec<usize>,
    /// Single points.
    pub dots: usize,
}

/// A picture and its files.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// As `report.json` lists it.
    pub row: FigureRow,
    /// The drawing.
    pub svg: String,
    /// The same as pixels.
    pub png: Vec<u8>,
}

impl Drawn {
    /// Its SVG file inside the report's folder.
    pub fn svg_file(&self) -> String {
        format!("figures/{}.svg", self.row.name)
    }

    /// Its PNG file inside the report's folder.
    pub fn png_file(&self) -> String {
        format!("figures/{}.png", self.row.name)
    }
}

/// A figure as wide as half a page.
#[derive(Debug)]
struct Half<F>(F);

/// Charts give each two entries of the legend a row of their own.
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
    /// Draws all pictures and lists them in the report.
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

    fn short_label(&self, arm: &str) -> String {
        shortened(&self.label(arm))
    }

    fn colour(&self, arm: &str) -> Colour {
        let place = self.arms.iter().position(|row| row.name == arm).unwrap_or_default();
        PALETTE[place % PALETTE.len()]
    }
}

fn finish(row: FigureRow, figure: &dyn Figure) -> Result<Drawn, PlotError> {
    Ok(Drawn { row, svg: figure.to_svg()?, png: figure.to_png()? })
}

fn points_of(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

impl Marks {
    /// A line through this many points; one alone is a dot.
    fn add_line(&mut self, points: usize) {
        if points > 1 { self.lines.push(points) } else { self.dots += points }
    }

    /// A dot, with a line through it where it has an interval.
    fn add_estimate(&mut self, has_interval: bool) {
        self.dots += 1;
        self.lines.extend(has_interval.then_some(2));
    }

    /// A band along this many points: there on one edge and back on the other. Along one it is a line.
    fn add_band(&mut self, points: usize) {
        if points > 1 { self.bands.push(2 * points) } else { self.lines.push(2 * points) }
    }
}

/// Letters, digits and hyphens: what every file system and every HTML id takes.
fn slug(name: &str) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().take(40).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        assert_eq!(slug("../Ms Pac_Man<"), "---ms-pac-man-");
    }

    #[test]
    fn a_single_point_is_a_dot_and_its_band_a_line() {
        let mut marks = Marks::default();
        marks.add_line(1);
        marks.add_band(1);
        marks.add_line(5);
        marks.add_band(5);
        assert_eq!(marks, Marks { lines: vec![2, 5], bands: vec![10], dots: 1 });
    }
}
