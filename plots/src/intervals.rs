//! Estimates with intervals, one below the other, for comparing positions.

use crate::axes::{Plot, draw_x, fitting_ticks, room_below};
use crate::axis::{Axis, Range};
use crate::canvas::{Anchor, Canvas, Stroke, Text};
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::font::{self, HALF_CAPITAL, Weight, to_f64};
use crate::geometry::Rect;
use crate::heading::{Heading, plain};
use crate::scale::Scale;
use crate::style::{Colour, Dash, FAINT, GREY, Look, Marker, PALETTE};
use crate::values::check_values;

/// Height of a row, in font sizes.
const ROW: f64 = 1.9;
/// Maximum share of the width for names.
const NAMES: f64 = 0.4;

/// A number with an optional interval around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    name: String,
    value: f64,
    interval: Option<(f64, f64)>,
    colour: Colour,
}

impl Estimate {
    /// Builds a named number.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, interval: None, colour: PALETTE[0] }
    }

    /// Adds an interval, such as a confidence interval.
    #[must_use]
    pub fn with_interval(mut self, low: f64, high: f64) -> Self {
        self.interval = Some((low, high));
        self
    }

    /// Overrides the default colour, the first of the palette.
    #[must_use]
    pub fn with_colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }

    fn ends(&self) -> impl Iterator<Item = f64> {
        [self.value]
            .into_iter()
            .chain(self.interval.into_iter().flat_map(|(low, high)| [low, high]))
    }
}

/// A figure of estimates on one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals {
    title: String,
    x: Axis,
    rows: Vec<Estimate>,
    reference: Option<f64>,
}

impl Intervals {
    /// Builds a figure without estimates. An empty title takes no space.
    pub fn new(title: impl Into<String>, x: Axis) -> Self {
        Self { title: title.into(), x, rows: Vec::new(), reference: None }
    }

    /// Appends an estimate at the bottom.
    #[must_use]
    pub fn with_estimate(mut self, estimate: Estimate) -> Self {
        self.rows.push(estimate);
        self
    }

    /// Adds a dashed vertical line at a reference value, such as a difference of zero.
    #[must_use]
    pub fn with_reference(mut self, value: f64) -> Self {
        self.reference = Some(value);
        self
    }

    fn range(&self) -> Result<Range, PlotError> {
        for row in &self.rows {
            check_values(&self.title, &row.name, &self.x, row.ends())?;
            if let Some((low, high)) = row.interval.filter(|(low, high)| low > high) {
                let figure = self.title.clone();
                let series = row.name.clone();
                return Err(PlotError::BandReversed { figure, series, index: 0, low, high });
            }
        }

        if self.rows.iter().all(|row| row.value.is_nan()) {
            return Err(PlotError::NoData { figure: self.title.clone() });
        }

        let ends = self.rows.iter().flat_map(Estimate::ends);
        // The reference counts too: intervals are read by whether they reach it.
        self.x.resolve(&self.title, ends.chain(self.reference))
    }

    fn heading(&self, width: f64, look: Look) -> Heading {
        Heading::new(&self.title, width - look.gap * 2.0, look.title, Weight::Bold)
    }

    /// Data area: right of the names, below the title, above the axis.
    fn room_for_data(&self, area: Rect, look: Look) -> Rect {
        let longest =
            self.rows.iter().map(|row| font::width(&row.name, look.tick, Weight::Regular));
        let names = longest.fold(0.0, f64::max).min(area.width * NAMES);
        let top = area.top + look.gap * 1.6 + self.heading(area.width, look).height();
        Rect::from_edges(
            area.left + names + look.gap * 2.0,
            top,
            area.right() - look.gap - look.tick * 1.5,
            area.bottom() - room_below(&self.x, look),
        )
    }

    fn draw_row(&self, canvas: &mut Canvas, plot: &Plot, index: usize) {
        let row = &self.rows[index];
        let height = plot.y.place(to_f64(index) + 0.5);
        if let Some((low, high)) = row.interval {
            let ends = [(plot.x.place(low), height), (plot.x.place(high), height)];
            canvas.polyline(&ends, Stroke::solid(row.colour, plot.look.line * 1.4));
        }
        if !row.value.is_nan() {
            let at = [(plot.x.place(row.value), height)];
            canvas.markers(&at, Marker::Circle, plot.look.line * 2.2, row.colour, 1.0);
        }
    }

    fn draw_name(&self, canvas: &mut Canvas, plot: &Plot, room: f64, index: usize) {
        let name = &self.rows[index].name;
        let size = font::shrink(name, room, plot.look.tick, Weight::Regular);
        let baseline = plot.y.place(to_f64(index) + 0.5) + HALF_CAPITAL * size;
        let at = (plot.area.left - plot.look.gap * 0.8, baseline);
        canvas.text(Text { anchor: Anchor::End, ..plain(name, at, size) });
    }
}

impl Figure for Intervals {
    fn height_at(&self, width: f64) -> f64 {
        let look = Look::for_width(width);
        let rows = to_f64(self.rows.len()) * ROW * look.tick;
        self.heading(width, look).height() + rows + room_below(&self.x, look) + look.gap * 1.6
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, _: LegendPlace) -> Result<(), PlotError> {
        let range = self.range()?;
        let look = Look::for_width(area.width);
        let inner = self.room_for_data(area, look);
        self.heading(area.width, look).draw(canvas, area.centre().0, area.top + look.gap);
        let x = Scale::new(&self.x, range, inner.left, inner.right());
        let rows = Range { low: 0.0, high: to_f64(self.rows.len()) };
        // From top to bottom, since the first row is the uppermost.
        let y = Scale::new(&Axis::linear(""), rows, inner.top, inner.bottom());
        let plot = Plot { area: inner, x, y, look };
        let ticks = fitting_ticks(&self.x, range, inner.width, look.tick);
        for place in ticks.iter().map(|tick| x.place(tick.value)) {
            canvas.polyline(
                &[(place, inner.top), (place, inner.bottom())],
                Stroke::solid(FAINT, 1.0),
            );
        }

        draw_x(canvas, &plot, (&self.x, range), &ticks);
        let room = inner.left - area.left - look.gap;
        (0..self.rows.len()).for_each(|index| self.draw_name(canvas, &plot, room, index));
        // Only the data are clipped: a fixed range may cut them, while names lie outside the area.
        canvas.begin_clip(inner);
        if let Some(place) = self.reference.map(|value| x.place(value)) {
            let stroke = Stroke { colour: GREY, width: 1.3, dash: Dash::Dashed };
            canvas.polyline(&[(place, inner.top), (place, inner.bottom())], stroke);
        }

        (0..self.rows.len()).for_each(|index| self.draw_row(canvas, &plot, index));
        canvas.end_clip();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_shows, svg_shapes};

    fn figure() -> Intervals {
        Intervals::new("Difference", Axis::linear("points"))
    }

    #[test]
    fn shows_names_intervals_and_the_reference() {
        let full = figure()
            .with_estimate(Estimate::new("pong", 1.0).with_interval(-1.0, 3.0))
            .with_estimate(Estimate::new("a < b", 2.0).with_colour(PALETTE[1]))
            .with_reference(0.0);
        assert_shows(&full, &["Difference", "points", "pong", "a < b"], &PALETTE[..2]);
        assert_eq!(svg_shapes(&full, "circle"), 2);
        assert!(full.height_at(400.0) > figure().height_at(400.0));
    }

    #[test]
    fn mistakes_are_named() {
        let says = |figure: Intervals, text: &str| {
            let error = figure.to_svg().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };

        says(figure(), "figure `Difference` has no data");
        says(figure().with_estimate(Estimate::new("x", f64::NAN)), "has no data");
        says(
            figure().with_estimate(Estimate::new("x", f64::INFINITY)),
            "`x` in figure `Difference` is infinite",
        );
        says(
            figure().with_estimate(Estimate::new("x", 1.0).with_interval(2.0, 0.0)),
            "from 2 up to 0",
        );
    }

    #[test]
    fn long_names_leave_room_for_the_data() {
        let long = "a torso with a very long name that would fill the whole page if it were let";
        let figure = figure().with_estimate(Estimate::new(long, 1.0).with_interval(0.0, 2.0));
        let area = Rect::new(0.0, 0.0, 460.0, 200.0);
        assert!(figure.room_for_data(area, Look::for_width(460.0)).width > 200.0);
        assert!(figure.to_png().is_ok());
    }
}
