//! Figures as listed in `report.json`.

use serde::Serialize;

/// Figure as listed in `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// Name of its files and its anchor on the page.
    pub name: String,
    /// Game it belongs to; `None` for figures over all games.
    pub game: Option<String>,
    /// One-line title.
    pub title: String,
    /// Caption that explains how to read it.
    pub caption: String,
    /// Counts of drawn marks, so that a rendering can be checked.
    pub marks: Marks,
}

/// Counts of the marks in a figure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Number of points of each line, in drawing order.
    pub lines: Vec<usize>,
    /// Number of outline points of each band.
    pub bands: Vec<usize>,
    /// Number of single points.
    pub dots: usize,
}

impl Marks {
    /// Counts a line through this many points; a single point is a dot.
    pub(super) fn add_line(&mut self, points: usize) {
        if points > 1 { self.lines.push(points) } else { self.dots += points }
    }

    /// Counts a dot, with a line through it if it has an interval.
    pub(super) fn add_estimate(&mut self, has_interval: bool) {
        self.dots += 1;
        self.lines.extend(has_interval.then_some(2));
    }

    /// Counts a band along this many points, out along one edge and back along the other; a band at
    /// a single point is a line.
    pub(super) fn add_band(&mut self, points: usize) {
        if points > 1 { self.bands.push(2 * points) } else { self.lines.push(2 * points) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
