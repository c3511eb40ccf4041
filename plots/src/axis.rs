//! Axes: label, kind and range.

use crate::error::PlotError;

/// Minimum width of a range relative to its values; a narrower one has no digits left to
/// distinguish them.
const NARROWEST: f64 = 1e-9;
/// Padding at each end, as a fraction of the range.
const PADDING: f64 = 0.04;

/// Distribution of values along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    Linear,
    Log,
}

/// End at which an axis begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// At the left, or at the bottom.
    Forward,
    /// At the right, or at the top, as for rows of an image.
    Backward,
}

/// An axis. Its range is that of the data unless set explicitly.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    pub(crate) direction: Direction,
    range: Option<(f64, f64)>,
}

/// Range of an axis: finite, and wide enough to distinguish values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// Smallest range that covers both.
    pub(crate) fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    pub(crate) fn span(self) -> f64 {
        self.high - self.low
    }

    pub(crate) fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl Axis {
    /// Builds a linear axis. The label includes the unit: `accuracy (%)`.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            spread: Spread::Linear,
            direction: Direction::Forward,
            range: None,
        }
    }

    /// Builds a logarithmic axis, for positive values.
    pub fn log(label: impl Into<String>) -> Self {
        Self { spread: Spread::Log, ..Self::linear(label) }
    }

    /// Fixes the range to `low` … `high` whatever the data; anything outside is cut off.
    #[must_use]
    pub fn with_range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Reverses the axis to run leftwards or downwards, as for rows of an image.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Computes the range for a figure with these values, ignoring NaN.
    ///
    /// # Errors
    /// If there are no values, or the range cannot be shown.
    pub(crate) fn resolve(
        &self,
        figure: &str,
        values: impl Iterator<Item = f64>,
    ) -> Result<Range, PlotError> {
        match self.range {
            Some((low, high)) => self.check(figure, Range { low, high }),
            None => {
                let seen = values.filter(|value| !value.is_nan());
                let seen = seen.map(|value| Range { low: value, high: value }).reduce(Range::union);
                let range = seen.ok_or_else(|| PlotError::NoData { figure: figure.to_owned() })?;
                self.check(figure, pad(self.spread, range))
            }
        }
    }

    fn check(&self, figure: &str, range: Range) -> Result<Range, PlotError> {
        let Range { low, high } = range;
        // NaN fails the first comparison; infinite ends have an infinite span.
        let wide = low < high && range.span() >= NARROWEST * low.abs().max(high.abs());
        let positive = self.spread == Spread::Linear || low > 0.0;
        if wide && positive && range.span().is_finite() {
            return Ok(range);
        }
        Err(PlotError::BadRange { figure: figure.to_owned(), axis: self.label.clone(), low, high })
    }
}

/// Adds padding around values; a single value gets enough to form a range.
fn pad(spread: Spread, Range { low, high }: Range) -> Range {
    if spread == Spread::Log {
        if low <= 0.0 {
            // It has no logarithm; `check` refuses it.
            return Range { low, high };
        }

        // Padded in powers of ten, so that both ends get the same length on the page.
        let padded = pad(Spread::Linear, Range { low: low.log10(), high: high.log10() });
        return Range { low: 10f64.powf(padded.low), high: 10f64.powf(padded.high) };
    }

    let largest = low.abs().max(high.abs());
    let room = if high - low > NARROWEST * largest {
        (high - low) * PADDING
    } else if largest > 0.0 {
        largest * 0.1
    } else {
        // Zero alone has no scale from which to take a share.
        1.0
    };

    Range { low: low - room, high: high + room }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(axis: &Axis, values: &[f64]) -> Result<Range, PlotError> {
        axis.resolve("fig", values.iter().copied())
    }

    #[test]
    fn a_range_has_all_values_and_some_room() {
        let range = resolve(&Axis::linear("x"), &[1.0, f64::NAN, 3.0]).unwrap();
        assert!(range.low < 1.0 && range.low > 0.8 && range.high > 3.0 && range.high < 3.2);
        let range = resolve(&Axis::log("x"), &[1.0, 1000.0]).unwrap();
        assert!(range.low < 1.0 && range.low > 0.5 && range.high > 1000.0);
    }

    #[test]
    fn one_value_is_enough() {
        assert_eq!(resolve(&Axis::linear("x"), &[0.0]).unwrap(), Range { low: -1.0, high: 1.0 });
        assert!(resolve(&Axis::linear("x"), &[5e9]).unwrap().span() > 1e8);
        assert!(resolve(&Axis::log("x"), &[1.0]).unwrap().contains(1.0));
    }

    #[test]
    fn no_value_is_not() {
        let error = resolve(&Axis::linear("x"), &[f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "figure `fig` has no data");
    }

    #[test]
    fn ranges_that_cannot_be_shown_are_named() {
        let error = resolve(&Axis::linear("loss").with_range(0.0, f64::NAN), &[1.0]).unwrap_err();
        assert_eq!(error.to_string(), "figure `fig` cannot show `loss` from 0 to NaN");
        for (low, high) in
            [(1.0, 1.0), (2.0, 1.0), (0.0, f64::INFINITY), (-1e308, 1e308), (1.0, 1.0 + 1e-12)]
        {
            assert!(
                resolve(&Axis::linear("x").with_range(low, high), &[]).is_err(),
                "{low} {high}"
            );
        }

        assert!(resolve(&Axis::log("x").with_range(0.0, 1.0), &[]).is_err());
        assert!(resolve(&Axis::linear("x"), &[-1.7e308, 1.7e308]).is_err());
    }
}
