//! The colour bar, which maps colours back to values.

use crate::axis::{Range, Spread};
use crate::canvas::{Anchor, Canvas, Stroke, Text, Turn};
use crate::colour_map::{ColourMap, SHADES};
use crate::font::{self, HALF_CAPITAL, Weight};
use crate::geometry::Rect;
use crate::heading::plain;
use crate::style::{GREY, INK, LINE_HEIGHT, Look};
use crate::ticks::{self, Tick};

/// Length of a tick, and distance from the bar to the numbers.
const TICK: f64 = 4.0;
const TO_NUMBERS: f64 = 7.0;
/// A bar lower than this, in font sizes, has fewer ticks.
const LOW: f64 = 9.0;

/// A colour bar with numbers and a label to its right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColourBar<'a> {
    pub label: &'a str,
    pub colours: ColourMap,
    pub range: Range,
    pub look: Look,
}

impl ColourBar<'_> {
    /// Width of the bar including numbers and label.
    pub(crate) fn width(&self) -> f64 {
        self.bar_width()
            + TO_NUMBERS
            + self.numbers_width()
            + self.look.gap * 0.4
            + self.look.label * LINE_HEIGHT
    }

    /// Draws the bar downwards from its upper left corner.
    pub(crate) fn draw(&self, canvas: &mut Canvas, (left, top): (f64, f64), height: f64) {
        // Whole units are whole pixels in PNG files: a blurred edge would look like a shade.
        let bar = Rect::new(left.round(), top.round(), self.bar_width(), height.round());
        for shade in (0..=255).map(f64::from) {
            // Each shade extends to the top and is covered by the later ones: no seams.
            let bottom = bar.bottom() - shade / (SHADES + 1.0) * bar.height;
            let area = Rect::from_edges(bar.left, bar.top, bar.right(), bottom);
            canvas.fill(area, self.colours.colour(shade / SHADES));
        }

        canvas.outline(bar, Stroke::solid(GREY, 1.0));
        self.draw_numbers(canvas, bar);
        let size = font::shrink(self.label, bar.height, self.look.label, Weight::Regular);
        let beside = bar.left + self.width() - self.look.label * LINE_HEIGHT / 2.0;
        let at = (beside + HALF_CAPITAL * size, bar.centre().1);
        canvas.text(Text { turn: Turn::Up, ..plain(self.label, at, size) });
    }

    fn draw_numbers(&self, canvas: &mut Canvas, bar: Rect) {
        let size = self.look.tick;
        let right = bar.right();
        for tick in self.ticks(if bar.height < size * LOW { 3 } else { 5 }) {
            let place =
                bar.bottom() - (tick.value - self.range.low) / self.range.span() * bar.height;
            canvas.polyline(&[(right, place), (right + TICK, place)], Stroke::solid(INK, 1.0));
            let text = plain(&tick.label, (right + TO_NUMBERS, place + HALF_CAPITAL * size), size);
            canvas.text(Text { anchor: Anchor::Start, ..text });
        }
    }

    fn bar_width(&self) -> f64 {
        (self.look.tick * 1.1).round()
    }

    /// Width of the numbers, for a bar of any height.
    fn numbers_width(&self) -> f64 {
        // The layout needs the width before the height is known, which decides between 3 and 5.
        let ticks = [3, 5].into_iter().flat_map(|most| self.ticks(most));
        let widths = ticks.map(|tick| font::width(&tick.label, self.look.tick, Weight::Regular));
        widths.fold(0.0, f64::max)
    }

    fn ticks(&self, most: usize) -> Vec<Tick> {
        ticks::ticks(Spread::Linear, self.range, most)
    }
}
