//! Titles and captions: centred lines that wrap as needed.

use crate::canvas::{Anchor, Canvas, Halo, Text, Turn};
use crate::font::{self, HALF_CAPITAL, Weight};
use crate::style::{INK, LINE_HEIGHT};

/// Centred lines of text, already wrapped.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    lines: Vec<String>,
    room: f64,
    size: f64,
    weight: Weight,
}

impl Heading {
    /// Wraps a text into lines no wider than `room`.
    pub(crate) fn new(text: &str, room: f64, size: f64, weight: Weight) -> Self {
        Self { lines: font::wrap(text, room, size, weight), room, size, weight }
    }

    /// Height of all lines; 0 for an empty text.
    pub(crate) fn height(&self) -> f64 {
        font::to_f64(self.lines.len()) * self.size * LINE_HEIGHT
    }

    /// Draws the lines downwards from `top`, centred on `middle`.
    pub(crate) fn draw(&self, canvas: &mut Canvas, middle: f64, top: f64) {
        for (index, line) in self.lines.iter().enumerate() {
            let centre = top + (font::to_f64(index) + 0.5) * self.size * LINE_HEIGHT;
            // Lines break at spaces only, so a single long word may still be too wide.
            let size = font::shrink(line, self.room, self.size, self.weight);
            canvas.text(Text {
                weight: self.weight,
                ..plain(line, (middle, centre + HALF_CAPITAL * size), size)
            });
        }
    }

    /// Draws the lines rotated to read upwards, the first leftmost, centred on `middle`.
    pub(crate) fn draw_up(&self, canvas: &mut Canvas, left: f64, middle: f64) {
        for (index, line) in self.lines.iter().enumerate() {
            let centre = left + (font::to_f64(index) + 0.5) * self.size * LINE_HEIGHT;
            let size = font::shrink(line, self.room, self.size, self.weight);
            let text = plain(line, (centre + HALF_CAPITAL * size, middle), size);
            canvas.text(Text { weight: self.weight, turn: Turn::Up, ..text });
        }
    }
}

/// Builds a centred text in the ink colour.
pub(crate) fn plain(text: &str, at: (f64, f64), size: f64) -> Text<'_> {
    Text {
        text,
        at,
        size,
        weight: Weight::Regular,
        colour: INK,
        anchor: Anchor::Middle,
        turn: Turn::Level,
        halo: Halo::Off,
    }
}
