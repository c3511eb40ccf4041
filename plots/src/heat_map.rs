//! One matrix as a picture: cell by cell, never smoothed.

use crate::axis::Range;
use crate::canvas::{Canvas, Stroke};
use crate::colour_map::{ColourMap, SHADES};
use crate::error::PlotError;
use crate::figure::PNG_SCALE;
use crate::font::to_f64;
use crate::geometry::{Point, Rect};
use crate::style::{Colour, GREY, PALETTE};

/// Colour of NaN, chosen to stand out.
pub(crate) const NOT_A_NUMBER: Colour = PALETTE[3];

/// Width of an outline.
const OUTLINE: f64 = 1.6;

/// One matrix with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    pub(crate) caption: String,
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    pub(crate) outlines: Vec<Outlines>,
}

/// Rectangles over a matrix, all of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlines {
    pub(crate) name: String,
    pub(crate) colour: Colour,
    boxes: Vec<Rect>,
}

impl Outlines {
    /// Builds outlines of one colour with their name in the legend. Boxes are in cells: the matrix
    /// spans (0, 0) to (columns, rows), beyond which nothing is drawn.
    pub fn new(
        name: impl Into<String>,
        colour: Colour,
        boxes: impl IntoIterator<Item = Rect>,
    ) -> Self {
        Self { name: name.into(), colour, boxes: boxes.into_iter().collect() }
    }
}

impl HeatMap {
    /// Builds a matrix from its values in row-major order, top row first. NaN has a colour of its
    /// own.
    ///
    /// # Errors
    /// If there are no values, or their number is not rows × columns.
    pub fn try_new(
        caption: impl Into<String>,
        rows: usize,
        columns: usize,
        values: Vec<f32>,
    ) -> Result<Self, PlotError> {
        let caption = caption.into();
        if rows.checked_mul(columns) != Some(values.len()) || values.is_empty() {
            return Err(PlotError::MatrixSize { caption, rows, columns, values: values.len() });
        }
        Ok(Self { caption, rows, columns, values, outlines: Vec::new() })
    }

    /// Draws outlines over the cells, on top of earlier ones.
    #[must_use]
    pub fn with_outlines(mut self, outlines: Outlines) -> Self {
        self.outlines.push(outlines);
        self
    }

    /// Smallest and largest value, ignoring NaN.
    pub(crate) fn extremes(&self) -> Option<Range> {
        let values = self.values.iter().copied().map(f64::from).filter(|value| !value.is_nan());
        values.map(|value| Range { low: value, high: value }).reduce(Range::union)
    }

    /// Index of the first infinite value, if any.
    pub(crate) fn first_infinite(&self) -> Option<usize> {
        self.values.iter().position(|value| value.is_infinite())
    }

    /// Width and height of the picture that fits a square of side `room`.
    pub(crate) fn picture_size(&self, room: f64) -> (f64, f64) {
        let cell = self.cell(room);
        (to_f64(self.columns) * cell, to_f64(self.rows) * cell)
    }

    /// Side of a cell in a square of side `room`: whole pixels if possible, so that all cells have
    /// equal size.
    fn cell(&self, room: f64) -> f64 {
        let side = room / to_f64(self.columns.max(self.rows));
        let pixels = f64::from(PNG_SCALE);
        if side * pixels >= 1.0 { (side * pixels).floor() / pixels } else { side }
    }

    /// Draws the cells, and a border, centred, as large as a square of side `room` allows.
    pub(crate) fn draw(
        &self,
        canvas: &mut Canvas,
        colours: ColourMap,
        range: Range,
        room: f64,
        (middle, centre): Point,
    ) {
        let cell = self.cell(room);
        let (width, height) = self.picture_size(room);
        // Rounded to whole units, so that cells begin on pixel boundaries.
        let corner = ((middle - width / 2.0).round(), (centre - height / 2.0).round());
        canvas.cells(corner, cell, &self.runs(colours, range));
        canvas.outline(Rect::new(corner.0, corner.1, width, height), Stroke::solid(GREY, 1.0));
        for Outlines { colour, boxes, .. } in &self.outlines {
            for place in boxes.iter().filter_map(|place| self.within(*place)) {
                let left = corner.0 + place.left * cell;
                let top = corner.1 + place.top * cell;
                let place = Rect::new(left, top, place.width * cell, place.height * cell);
                canvas.outline(place, Stroke::solid(*colour, OUTLINE));
            }
        }
    }

    /// Returns the part of a box on the matrix; `None` if there is none.
    fn within(&self, place: Rect) -> Option<Rect> {
        let left = place.left.max(0.0);
        let top = place.top.max(0.0);
        let right = (place.left + place.width).min(to_f64(self.columns));
        let bottom = (place.top + place.height).min(to_f64(self.rows));
        (left < right && top < bottom).then(|| Rect::from_edges(left, top, right, bottom))
    }

    /// Returns runs of equally coloured cells, in units of cells. Each extends one cell further
    /// right and down and is covered by later runs, so that no SVG reader shows white seams between
    /// cells.
    fn runs(&self, map: ColourMap, range: Range) -> Vec<(Rect, Colour)> {
        let mut runs = Vec::new();
        let right = to_f64(self.columns);
        let end = to_f64(self.rows);
        for (row, values) in self.values.chunks(self.columns).enumerate() {
            let top = to_f64(row);
            let mut column = 0;
            for run in values.chunk_by(|a, b| shade(map, range, *a) == shade(map, range, *b)) {
                let begin = to_f64(column);
                column += run.len();
                let area = Rect::from_edges(
                    begin,
                    top,
                    to_f64(column + 1).min(right),
                    (top + 2.0).min(end),
                );
                runs.push((area, shade(map, range, run[0])));
            }
        }

        runs
    }
}

fn shade(map: ColourMap, range: Range, value: f32) -> Colour {
    if value.is_nan() {
        return NOT_A_NUMBER;
    }

    // Rounded to the shades of the colour bar, so that equal neighbours merge into runs.
    let part = ((f64::from(value) - range.low) / range.span()).clamp(0.0, 1.0);
    map.colour((part * SHADES).round() / SHADES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_reach_on_below_those_that_follow() {
        let map = HeatMap::try_new("m", 2, 3, vec![0.0, 0.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
        let black = ColourMap::Grey.colour(0.0);
        let white = ColourMap::Grey.colour(1.0);
        let runs = map.runs(ColourMap::Grey, Range { low: 0.0, high: 1.0 });
        let expected = [
            (Rect::from_edges(0.0, 0.0, 3.0, 2.0), black),
            (Rect::from_edges(2.0, 0.0, 3.0, 2.0), white),
            (Rect::from_edges(0.0, 1.0, 3.0, 2.0), white),
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn cells_are_whole_pixels_where_they_fit() {
        let map = HeatMap::try_new("m", 10, 64, vec![0.0; 640]).unwrap();
        assert_eq!(map.picture_size(180.0), (160.0, 25.0));
        assert!((map.picture_size(16.0).0 - 16.0).abs() < 1e-9);
    }

    #[test]
    fn a_box_is_cut_at_the_edges_of_the_matrix() {
        let map = HeatMap::try_new("m", 10, 20, vec![0.0; 200]).unwrap();
        let cut = map.within(Rect::new(-5.0, 4.0, 10.0, 50.0));
        assert_eq!(cut, Some(Rect::new(0.0, 4.0, 5.0, 6.0)));
        assert_eq!(map.within(Rect::new(20.0, 4.0, 5.0, 5.0)), None);
    }

    #[test]
    fn mistakes_are_named() {
        let error = HeatMap::try_new("m", 2, 3, vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "heat map `m` should have 2 x 3 values, not 5");
        assert!(HeatMap::try_new("m", 0, 3, vec![]).is_err());
        assert!(HeatMap::try_new("m", usize::MAX, 3, vec![0.0; 5]).is_err());
    }
}
