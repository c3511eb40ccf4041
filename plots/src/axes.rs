//! The frame shared by line charts and scatters: title, legend, two axes with ticks and labels.

use crate::axis::{Axis, Range};
use crate::canvas::{Anchor, Canvas, Stroke, Text, Turn};
use crate::error::PlotError;
use crate::figure::LegendPlace;
use crate::font::{self, HALF_CAPITAL, Weight};
use crate::geometry::{Point, Rect};
use crate::heading::{Heading, plain};
use crate::legend::{Legend, LegendEntry};
use crate::scale::Scale;
use crate::style::{FAINT, INK, LINE_HEIGHT, Look};
use crate::ticks::{self, Tick};

/// Relation between the units of the two axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The axes fill the available space.
    Free,
    /// One unit has the same length on both axes.
    Equal,
}

/// Length of a labelled tick.
const TICK: f64 = 5.0;
/// Minimum width and height of the data area; anything smaller is an error.
const LEAST_ROOM: f64 = 30.0;
/// Assumed fraction of the area's height for data when choosing ticks, before layout.
const LIKELY_HEIGHT: f64 = 0.75;

/// Contents of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub title: &'a str,
    pub x: (&'a Axis, Range),
    pub y: (&'a Axis, Range),
    pub legend: &'a [LegendEntry],
    pub place: LegendPlace,
    pub aspect: Aspect,
}

/// The data area and the scales of its axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub area: Rect,
    pub x: Scale,
    pub y: Scale,
    pub look: Look,
}

impl Plot {
    pub(crate) fn place(&self, (x, y): Point) -> Point {
        (self.x.place(x), self.y.place(y))
    }
}

impl Frame<'_> {
    /// Draws the frame into `area` and returns the data area.
    pub(crate) fn draw(&self, canvas: &mut Canvas, area: Rect) -> Result<Plot, PlotError> {
        let look = Look::for_width(area.width);
        // The widths of these ticks decide the left margin, so they are chosen before the layout.
        let y_most = most(area.height * LIKELY_HEIGHT, look.tick * 3.0);
        let y_ticks = ticks::ticks(self.y.0.spread, self.y.1, y_most);
        let inner = self.room_for_data(area, look, &y_ticks);
        let middle = inner.centre().0;
        let title = Heading::new(self.title, title_room(area, middle), look.title, Weight::Bold);
        let entries = if self.place == LegendPlace::Own { self.legend } else { &[] };
        let legend = Legend::new(entries, inner.width, look);
        let head = title.height() + legend.height() + look.gap * 0.6;
        let inner = Rect::from_edges(inner.left, inner.top + head, inner.right(), inner.bottom());
        let inner = self.checked(inner)?;
        title.draw(canvas, middle, inner.top - head);
        legend.draw(canvas, middle, inner.top - head + title.height());
        Ok(self.draw_axes(canvas, inner, look, &y_ticks))
    }

    /// Area left by the axes, still including title and legend.
    fn room_for_data(&self, area: Rect, look: Look, y_ticks: &[Tick]) -> Rect {
        let labels = widest(y_ticks, look.tick);
        let y_label = label_height(&self.y.0.label, look);
        let left = area.left + look.gap * 0.7 + y_label + labels + TICK + look.gap * 0.8;
        // The last label of the horizontal axis may extend beyond it by half its width.
        let right = area.right() - look.gap - look.tick * 1.5;
        let below = room_below(self.x.0, look);
        Rect::from_edges(left, area.top + look.gap, right, area.bottom() - below)
    }

    fn checked(&self, inner: Rect) -> Result<Rect, PlotError> {
        let Rect { width, height, .. } = inner;
        if width < LEAST_ROOM || height < LEAST_ROOM {
            return Err(PlotError::NoRoom { figure: self.title.to_owned(), width, height });
        }
        Ok(match self.aspect {
            Aspect::Free => inner,
            Aspect::Equal => Rect { top: inner.top, ..inner.fit(self.x.1.span(), self.y.1.span()) },
        })
    }

    fn draw_axes(&self, canvas: &mut Canvas, inner: Rect, look: Look, y_ticks: &[Tick]) -> Plot {
        let x = Scale::new(self.x.0, self.x.1, inner.left, inner.right());
        // SVG counts downwards, so a vertical axis begins at the bottom.
        let y = Scale::new(self.y.0, self.y.1, inner.bottom(), inner.top);
        let plot = Plot { area: inner, x, y, look };
        let x_ticks = fitting_ticks(self.x.0, self.x.1, inner.width, look.tick);
        let across = Stroke::solid(FAINT, 1.0);
        let down = Stroke::solid(FAINT, 1.0);
        // SVG paints in order: the grid comes first, so that axes and data cover it.
        for place in x_ticks.iter().map(|tick| x.place(tick.value)) {
            canvas.polyline(&[(place, inner.top), (place, inner.bottom())], across);
        }

        for place in y_ticks.iter().map(|tick| y.place(tick.value)) {
            canvas.polyline(&[(inner.left, place), (inner.right(), place)], down);
        }

        draw_x(canvas, &plot, self.x, &x_ticks);
        self.draw_y(canvas, &plot, y_ticks);
        plot
    }

    fn draw_y(&self, canvas: &mut Canvas, plot: &Plot, major: &[Tick]) {
        let area = plot.area;
        let look = plot.look;
        let ink = Stroke::solid(INK, 1.0);
        let left = area.left;
        canvas.polyline(&[(left, area.top), (left, area.bottom())], ink);
        for value in ticks::minor(self.y.0.spread, self.y.1, major) {
            let place = plot.y.place(value);
            canvas.polyline(&[(left - TICK * 0.6, place), (left, place)], ink);
        }

        for tick in major {
            let place = plot.y.place(tick.value);
            canvas.polyline(&[(left - TICK, place), (left, place)], ink);
            let at = (left - TICK - look.gap * 0.3, place + HALF_CAPITAL * look.tick);
            canvas.text(Text { anchor: Anchor::End, ..plain(&tick.label, at, look.tick) });
        }

        let size = font::shrink(&self.y.0.label, area.height, look.label, Weight::Regular);
        let beside = left
            - TICK
            - look.gap * 0.8
            - widest(major, look.tick)
            - look.label * LINE_HEIGHT / 2.0;
        let at = (beside + HALF_CAPITAL * size, area.centre().1);
        canvas.text(Text { turn: Turn::Up, ..plain(&self.y.0.label, at, size) });
    }
}

/// Draws a horizontal axis below the data: line, labelled ticks, and axis label.
pub(crate) fn draw_x(
    canvas: &mut Canvas,
    plot: &Plot,
    (axis, range): (&Axis, Range),
    major: &[Tick],
) {
    let area = plot.area;
    let look = plot.look;
    let ink = Stroke::solid(INK, 1.0);
    let bottom = area.bottom();
    canvas.polyline(&[(area.left, bottom), (area.right(), bottom)], ink);
    for value in ticks::minor(axis.spread, range, major) {
        let place = plot.x.place(value);
        canvas.polyline(&[(place, bottom), (place, bottom + TICK * 0.6)], ink);
    }

    let centre = bottom + TICK + look.gap * 0.3 + look.tick * LINE_HEIGHT / 2.0;
    for tick in major {
        let place = plot.x.place(tick.value);
        canvas.polyline(&[(place, bottom), (place, bottom + TICK)], ink);
        canvas.text(plain(&tick.label, (place, centre + HALF_CAPITAL * look.tick), look.tick));
    }

    let size = font::shrink(&axis.label, area.width, look.label, Weight::Regular);
    let below = centre + (look.tick + look.label) * LINE_HEIGHT / 2.0;
    canvas.text(plain(&axis.label, (area.centre().0, below + HALF_CAPITAL * size), size));
}

/// Maximum title width: it may exceed the data area but stays on the page.
fn title_room(area: Rect, middle: f64) -> f64 {
    2.0 * (middle - area.left).min(area.right() - middle)
}

/// Height of a horizontal axis below the data, including a gap to the edge.
pub(crate) fn room_below(axis: &Axis, look: Look) -> f64 {
    TICK + look.gap * 1.1 + look.tick * LINE_HEIGHT + label_height(&axis.label, look)
}

fn label_height(label: &str, look: Look) -> f64 {
    if label.is_empty() { 0.0 } else { look.label * LINE_HEIGHT }
}

fn widest(ticks: &[Tick], size: f64) -> f64 {
    ticks.iter().map(|tick| font::width(&tick.label, size, Weight::Regular)).fold(0.0, f64::max)
}

/// Number of items of this length that fit, between 2 and 9.
fn most(room: f64, length: f64) -> usize {
    (2..9).take_while(|&count| font::to_f64(count) * length <= room).last().unwrap_or(1) + 1
}

/// Returns as many ticks as fit without their labels touching.
pub(crate) fn fitting_ticks(axis: &Axis, range: Range, room: f64, size: f64) -> Vec<Tick> {
    let mut choices = (1..=8).rev().map(|most| ticks::ticks(axis.spread, range, most));
    // Better no labels at all than labels that overlap.
    choices.find(|ticks| labels_fit(ticks, room, size)).unwrap_or_default()
}

/// Returns `true` if the labels fit side by side, with a gap after each.
fn labels_fit(ticks: &[Tick], room: f64, size: f64) -> bool {
    let count = font::to_f64(ticks.len().max(1));
    count * (widest(ticks, size) + size * 1.2) <= room
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn draw(area: Rect) -> Result<Plot, PlotError> {
        let axis = Axis::linear("x");
        let range = Range { low: 0.0, high: 1.0 };
        let place = LegendPlace::Own;
        let aspect = Aspect::Free;
        let frame = Frame {
            title: "fig",
            x: (&axis, range),
            y: (&axis, range),
            legend: &[],
            place,
            aspect,
        };

        frame.draw(&mut Canvas::new(Size { width: 800.0, height: 800.0 }), area)
    }

    #[test]
    fn data_lie_within_the_area_and_ends_of_axes_at_its_edges() {
        let plot = draw(Rect::new(100.0, 50.0, 400.0, 300.0)).unwrap();
        assert!(plot.area.left > 100.0 && plot.area.right() < 500.0);
        assert!(plot.area.top > 50.0 && plot.area.bottom() < 350.0);
        assert_eq!(plot.place((0.0, 0.0)), (plot.area.left, plot.area.bottom()));
        assert_eq!(plot.place((1.0, 1.0)), (plot.area.right(), plot.area.top));
    }

    #[test]
    fn an_area_of_nothing_but_labels_is_refused() {
        let error = draw(Rect::new(0.0, 0.0, 90.0, 60.0)).unwrap_err();
        assert!(
            error.to_string().starts_with("figure `fig` is too small for its labels: "),
            "{error}"
        );
    }

    #[test]
    fn labels_of_ticks_do_not_touch() {
        for room in [60.0, 120.0, 300.0, 900.0] {
            let ticks =
                fitting_ticks(&Axis::linear("x"), Range { low: 0.0, high: 123_456.0 }, room, 12.0);
            assert!(
                font::to_f64(ticks.len()) * widest(&ticks, 12.0) < room && !ticks.is_empty(),
                "{room}"
            );
        }
    }
}
