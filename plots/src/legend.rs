//! Legends: rows of samples with names, above the data and never over them.

use crate::canvas::{Anchor, Canvas, Stroke, Text};
use crate::font::{self, HALF_CAPITAL, Weight};
use crate::heading::plain;
use crate::style::{Colour, Dash, Look, Marker};

/// Width of a line's sample, in font sizes.
const SAMPLE: f64 = 2.0;
/// Gaps between sample and name, and between entries, in font sizes.
const NEAR: f64 = 0.5;
const APART: f64 = 1.6;
/// Line height, in font sizes.
const ROW: f64 = 1.5;

/// One name with the style it explains.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendEntry {
    pub(crate) name: String,
    pub(crate) colour: Colour,
    pub(crate) line: Option<Dash>,
    pub(crate) marker: Option<Marker>,
}

/// Entries, already arranged in rows.
#[derive(Clone, Debug)]
pub(crate) struct Legend<'a> {
    rows: Vec<Vec<&'a LegendEntry>>,
    room: f64,
    look: Look,
}

impl<'a> Legend<'a> {
    /// Breaks entries into rows no wider than `room`.
    pub(crate) fn new(entries: &'a [LegendEntry], room: f64, look: Look) -> Self {
        let mut rows: Vec<Vec<&LegendEntry>> = Vec::new();
        for entry in entries {
            match rows.last_mut() {
                Some(row)
                    if row_width(row, look) + (APART * look.tick) + width(entry, look) <= room =>
                {
                    row.push(entry)
                }
                _ => rows.push(vec![entry]),
            }
        }

        Self { rows, room, look }
    }

    /// Height of all rows; 0 without entries.
    pub(crate) fn height(&self) -> f64 {
        font::to_f64(self.rows.len()) * ROW * self.look.tick
    }

    /// Draws the rows downwards from `top`, centred on `middle`.
    pub(crate) fn draw(&self, canvas: &mut Canvas, middle: f64, top: f64) {
        let size = self.look.tick;
        for (index, row) in self.rows.iter().enumerate() {
            let centre = top + (font::to_f64(index) + 0.5) * ROW * size;
            // One entry alone may be wider than the room; its name is then drawn smaller.
            let mut left = middle - row_width(row, self.look).min(self.room) / 2.0;
            for entry in row {
                self.draw_entry(canvas, entry, left, centre);
                left += width(entry, self.look) + APART * size;
            }
        }
    }

    fn draw_entry(&self, canvas: &mut Canvas, entry: &LegendEntry, left: f64, centre: f64) {
        let size = self.look.tick;
        let sample = sample_width(entry, size);
        if let Some(dash) = entry.line {
            let stroke = Stroke { colour: entry.colour, width: self.look.line, dash };
            canvas.polyline(&[(left, centre), (left + sample, centre)], stroke);
        }

        if let Some(marker) = entry.marker {
            canvas.markers(
                &[(left + sample / 2.0, centre)],
                marker,
                size * 0.32,
                entry.colour,
                1.0,
            );
        }

        let start = left + sample + NEAR * size;
        let letters =
            font::shrink(&entry.name, self.room - sample - NEAR * size, size, Weight::Regular);
        let text = plain(&entry.name, (start, centre + HALF_CAPITAL * letters), letters);
        canvas.text(Text { anchor: Anchor::Start, ..text });
    }
}

fn sample_width(entry: &LegendEntry, size: f64) -> f64 {
    if entry.line.is_some() { SAMPLE * size } else { 0.8 * size }
}

fn width(entry: &LegendEntry, look: Look) -> f64 {
    let name = font::width(&entry.name, look.tick, Weight::Regular);
    sample_width(entry, look.tick) + NEAR * look.tick + name
}

fn row_width(row: &[&LegendEntry], look: Look) -> f64 {
    let gaps = font::to_f64(row.len().saturating_sub(1)) * APART * look.tick;
    row.iter().map(|entry| width(entry, look)).sum::<f64>() + gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::PALETTE;

    fn entry(name: &str) -> LegendEntry {
        LegendEntry {
            name: name.to_owned(),
            colour: PALETTE[0],
            line: Some(Dash::Solid),
            marker: None,
        }
    }

    #[test]
    fn rows_break_before_they_are_too_long() {
        let entries = [entry("conv"), entry("CoordConv"), entry("a torso with a long name")];
        let look = Look::for_width(800.0);
        assert_eq!(Legend::new(&entries, 800.0, look).rows.len(), 1);
        assert_eq!(Legend::new(&entries, 250.0, look).rows.len(), 2);
        assert_eq!(Legend::new(&entries, 10.0, look).rows.len(), 3);
        assert!(Legend::new(&[], 10.0, look).height().abs() < 1e-9);
    }
}
