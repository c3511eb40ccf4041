//! Maps from values to page coordinates.

use crate::axis::{Axis, Direction, Range, Spread};

/// A mapping of one axis's values onto the span between two edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    spread: Spread,
    range: Range,
    begin: f64,
    end: f64,
}

impl Scale {
    /// Maps the range onto `begin` … `end`, or the reverse if the axis runs backward.
    pub(crate) fn new(axis: &Axis, range: Range, begin: f64, end: f64) -> Self {
        let (begin, end) = match axis.direction {
            Direction::Forward => (begin, end),
            Direction::Backward => (end, begin),
        };
        Self { spread: axis.spread, range, begin, end }
    }

    /// Returns the coordinate of a value; outside the edges if the value is outside the range.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let Range { low, high } = self.range;
        let part = match self.spread {
            Spread::Linear => (value - low) / (high - low),
            // Ratios before logarithms: the ends of the range lie exactly at 0 and 1.
            Spread::Log => (value / low).ln() / (high / low).ln(),
        };
        self.begin + part * (self.end - self.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_lie_where_they_should() {
        let range = Range { low: 1.0, high: 100.0 };
        let linear = Scale::new(&Axis::linear("x"), range, 10.0, 30.0);
        let log = Scale::new(&Axis::log("x").reversed(), range, 10.0, 30.0);
        assert!(
            (linear.place(1.0) - 10.0).abs() < 1e-9 && (linear.place(50.5) - 20.0).abs() < 1e-9
        );
        assert!((log.place(1.0) - 30.0).abs() < 1e-9 && (log.place(10.0) - 20.0).abs() < 1e-9);
    }
}
