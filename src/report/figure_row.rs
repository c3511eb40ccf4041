//! Figures as `report.json` lists them.

use serde::Serialize;

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

impl Marks {
    /// A line through this many points; one alone is a dot.
    pub(super) fn add_line(&mut self, points: usize) {
        if points > 1 { self.lines.push(points) } else { self.dots += points }
    }

    /// A dot, with a line through it where it has an interval.
    pub(super) fn add_estimate(&mut self, has_interval: bool) {
        self.dots += 1;
        self.lines.extend(has_interval.then_some(2));
    }

    /// A band along this many points: there on one edge and back on the other. Along one it is a line.
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
