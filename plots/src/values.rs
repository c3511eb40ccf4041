//! Checks of a figure's numbers.

use crate::axis::{Axis, Spread};
use crate::error::PlotError;
use crate::geometry::Point;

/// Refuses infinities and, on a logarithmic axis, non-positive values.
pub(crate) fn check_values(
    figure: &str,
    part: &str,
    axis: &Axis,
    values: impl Iterator<Item = f64>,
) -> Result<(), PlotError> {
    let figure = figure.to_owned();
    let part = part.to_owned();
    for (index, value) in values.enumerate() {
        if value.is_infinite() {
            return Err(PlotError::Infinite { figure, part, index });
        }
        if axis.spread == Spread::Log && value <= 0.0 {
            return Err(PlotError::NotPositive { figure, axis: axis.label.clone(), part, value });
        }
    }
    Ok(())
}

/// Returns `true` if neither coordinate is NaN.
pub(crate) fn is_whole((x, y): Point) -> bool {
    !x.is_nan() && !y.is_nan()
}
