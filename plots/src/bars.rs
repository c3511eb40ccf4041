//! Horizontal bars, each with a name and a number.

use crate::canvas::{Anchor, Canvas, Text};
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::font::{HALF_CAPITAL, Weight, shrink, to_f64, width};
use crate::geometry::Rect;
use crate::heading::plain;
use crate::style::{Colour, FAINT, INK, PALETTE};

/// Height of a bar including the gap below it, in SVG units.
const ROW: f64 = 15.0;
/// Font size.
const LETTERS: f64 = 10.0;
/// Share of the width reserved for numbers.
const NUMBERS: f64 = 0.2;
/// Maximum share of the width for names.
const NAMES: f64 = 0.45;

/// One bar per name, starting at the left or, if there are negative numbers, at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    title: String,
    bars: Vec<(String, f64)>,
    range: (f64, f64),
    marked: Option<usize>,
}

impl Bars {
    /// Builds bars from top to bottom. `range` holds the values at the left and right ends.
    pub fn new<Name: Into<String>>(
        title: impl Into<String>,
        bars: impl IntoIterator<Item = (Name, f64)>,
        range: (f64, f64),
    ) -> Self {
        let bars = bars.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { title: title.into(), bars, range, marked: None }
    }

    /// Highlights one bar with another colour and bold type.
    #[must_use]
    pub fn with_mark(mut self, index: usize) -> Self {
        self.marked = Some(index);
        self
    }

    /// Relative position of a value between the ends, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn draw_bar(&self, canvas: &mut Canvas, index: usize, row: Rect, names: f64) {
        let (name, value) = &self.bars[index];
        let is_marked = self.marked == Some(index);
        let (weight, colour): (Weight, Colour) =
            if is_marked { (Weight::Bold, PALETTE[1]) } else { (Weight::Regular, PALETTE[0]) };
        let baseline = row.centre().1 + HALF_CAPITAL * LETTERS;
        let size = shrink(name, names, LETTERS, weight);
        let text =
            Text { anchor: Anchor::Start, weight, ..plain(name, (row.left, baseline), size) };
        canvas.text(text);
        let numbers = row.width * NUMBERS;
        let room = Rect::from_edges(
            row.left + names + 4.0,
            row.top + 2.0,
            row.right() - numbers,
            row.bottom() - 2.0,
        );
        canvas.fill(room, FAINT);
        // Clamped, so bars begin at the left end if the range starts above 0.
        let [zero, end] =
            [self.place(0.0), self.place(*value)].map(|part| room.left + part * room.width);
        canvas
            .fill(Rect::from_edges(zero.min(end), room.top, zero.max(end), room.bottom()), colour);
        let number = format!("{value:.2}");
        let at = (row.right(), baseline);
        canvas.text(Text { anchor: Anchor::End, colour: INK, ..plain(&number, at, LETTERS) });
    }
}

impl Figure for Bars {
    fn width(&self) -> f64 {
        200.0
    }

    fn height_at(&self, _: f64) -> f64 {
        ROW * to_f64(self.bars.len() + 1)
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, _: LegendPlace) -> Result<(), PlotError> {
        if let Some((name, _)) = self.bars.iter().find(|(_, value)| !value.is_finite()) {
            return Err(PlotError::BarNotFinite { name: name.clone() });
        }

        // Measured in the wider weight, so that the name of a marked bar fits too.
        let longest = self
            .bars
            .iter()
            .map(|(name, _)| width(name, LETTERS, Weight::Bold))
            .fold(0.0, f64::max);
        let names = longest.min(area.width * NAMES);
        let size = shrink(&self.title, area.width, LETTERS, Weight::Bold);
        let at = (area.left, area.top + ROW * 0.75);
        canvas.text(Text {
            anchor: Anchor::Start,
            weight: Weight::Bold,
            ..plain(&self.title, at, size)
        });

        for index in 0..self.bars.len() {
            let top = area.top + ROW * to_f64(index + 1);
            self.draw_bar(canvas, index, Rect::new(area.left, top, area.width, ROW), names);
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_begin_at_zero_and_end_at_their_value() {
        let bars = Bars::new("Q", [("LEFT", 1.0), ("RIGHT", -0.5)], (-1.0, 1.0));
        assert_eq!(
            [-2.0, -1.0, 0.0, 0.5, 3.0].map(|value| bars.place(value)),
            [0.0, 0.0, 0.5, 0.75, 1.0]
        );
        let svg = bars.clone().with_mark(1).to_svg().unwrap();
        assert!(
            svg.contains("RIGHT") && svg.contains("-0.50") && svg.contains(&PALETTE[1].to_string())
        );
        assert!(!bars.to_svg().unwrap().contains(&PALETTE[1].to_string()));
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let bars = Bars::new("Q", [("LEFT", f64::NAN)], (0.0, 1.0));
        assert!(bars.to_svg().unwrap_err().to_string().contains("`LEFT`"));
    }

    #[test]
    fn no_bars_are_no_error() {
        assert!(Bars::new("none", Vec::<(String, f64)>::new(), (0.0, 0.0)).to_png().is_ok());
    }
}
