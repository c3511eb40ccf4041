//! Small matrices side by side, cell by cell, never smoothed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::axis::{Axis, Range};
use crate::canvas::{Anchor, Canvas, Stroke, Text};
use crate::colour_map::ColourMap;
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::font::{self, HALF_CAPITAL, Weight, to_f64};
use crate::geometry::Rect;
use crate::heading::{Heading, plain};
use crate::style::{Colour, GREY, INK, LINE_HEIGHT, Look, PALETTE, PAPER};
use crate::ticks;

/// What is not a number is seen at once.
const NOT_A_NUMBER: Colour = PALETTE[3];
const MARK: Colour = PALETTE[1];
/// Shades a map is drawn in: as many as a screen has greys.
const SHADES: f64 = 255.0;
/// Maps a row, unless told otherwise.
const COLUMNS: usize = 4;
/// A map is never drawn larger than this, in letter sizes of its caption.
const LARGEST: f64 = 26.0;

/// One matrix with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    caption: String,
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    mark: Option<(usize, usize)>,
}

impl HeatMap {
    /// A matrix from its values, row after row from above. NaN is drawn in a colour of its own.
    ///
    /// # Errors
    /// A number of values other than rows × columns, or none.
    pub fn try_new(
        caption: impl Into<String>,
        rows: usize,
        columns: usize,
        values: Vec<f32>,
    ) -> Result<Self, PlotError> {
        let caption = caption.into();
        if rows.checked_mul(columns) != Some(values.len()) || values.is_empty() {
            return Err(PlotError::MatrixSize { caption, rows, columns, values: values.len() });
        }
        Ok(Self { caption, rows, columns, values, mark: None })
    }

    /// A ring around the cell at `(row, column)`.
    ///
    /// # Errors
    /// A cell that the matrix does not have.
    pub fn with_mark(mut self, row: usize, column: usize) -> Result<Self, PlotError> {
        let (rows, columns) = (self.rows, self.columns);
        if row >= rows || column >= columns {
            return Err(PlotError::MarkOutside { caption: self.caption, rows, columns, row, column });
        }
        self.mark = Some((row, column));
        Ok(self)
    }

    /// Its smallest and largest value.
    fn extremes(&self) -> Option<Range> {
        let values = self.values.iter().copied().map(f64::from).filter(|value| !value.is_nan());
        values.map(|value| Range { low: value, high: value }).reduce(Range::union)
    }

    /// Cells grouped by colour, each colour as one path: a run of equal cells is one step.
    fn paths(&self, map: ColourMap, range: Range) -> BTreeMap<String, (Colour, String)> {
        let mut paths: BTreeMap<String, (Colour, String)> = BTreeMap::new();
        for (row, values) in self.values.chunks(self.columns).enumerate() {
            let mut column = 0;
            for run in values.chunk_by(|a, b| shade(map, range, *a) == shade(map, range, *b)) {
                let colour = shade(map, range, run[0]);
                let path = &mut paths.entry(colour.to_string()).or_insert((colour, String::new())).1;
                let _ = write!(path, "M{column} {row}h{}v1h-{}z", run.len(), run.len());
                column += run.len();
            }
        }
        paths
    }
}

fn shade(map: ColourMap, range: Range, value: f32) -> Colour {
    if value.is_nan() {
        return NOT_A_NUMBER;
    }
    let part = ((f64::from(value) - range.low) / range.span()).clamp(0.0, 1.0);
    map.colour((part * SHADES).round() / SHADES)
}

/// Which values get the first and the last colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourRange {
    /// The smallest and largest of all maps together.
    Shared,
    /// The smallest and largest of each map.
    Each,
    /// These, whatever the data.
    Fixed(f64, f64),
}

/// Maps in rows, read like text.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMaps {
    title: String,
    maps: Vec<HeatMap>,
    columns: usize,
    colours: ColourMap,
    range: ColourRange,
    bar: Option<String>,
}

/// Where the maps go: chosen once, so that the height asked for is the height drawn.
#[derive(Debug)]
struct Layout {
    look: Look,
    title: Heading,
    captions: Vec<Heading>,
    /// Size of the place for one map.
    place: (f64, f64),
    caption_height: f64,
    /// Between neighbours.
    gap: f64,
    /// Left for the colour bar.
    bar: f64,
    columns: usize,
    rows: usize,
}

impl Layout {
    fn height(&self) -> f64 {
        let rows = to_f64(self.rows) * (self.place.1 + self.caption_height + self.gap);
        self.look.gap * 2.0 + self.title.height() + rows
    }

    /// Width of the maps and the gaps between them.
    fn grid_width(&self) -> f64 {
        to_f64(self.columns) * (self.place.0 + self.gap) - self.gap
    }
}

impl HeatMaps {
    /// A figure without maps yet, in shades of grey. An empty title takes no room.
    pub fn new(title: impl Into<String>) -> Self {
        let (colours, range) = (ColourMap::Grey, ColourRange::Shared);
        Self { title: title.into(), maps: Vec::new(), columns: COLUMNS, colours, range, bar: None }
    }

    /// One more map, right of those before.
    #[must_use]
    pub fn with_map(mut self, map: HeatMap) -> Self {
        self.maps.push(map);
        self
    }

    /// How many maps a row has.
    #[must_use]
    pub fn with_columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Other colours than grey.
    #[must_use]
    pub fn with_colours(mut self, colours: ColourMap) -> Self {
        self.colours = colours;
        self
    }

    /// Which values get the first and the last colour.
    #[must_use]
    pub fn with_range(mut self, range: ColourRange) -> Self {
        self.range = range;
        self
    }

    /// A bar that tells values from colours, with a label that carries the unit.
    #[must_use]
    pub fn with_colour_bar(mut self, label: impl Into<String>) -> Self {
        self.bar = Some(label.into());
        self
    }

    fn layout(&self, width: f64) -> Layout {
        let look = Look::for_width(width);
        let columns = self.columns.min(self.maps.len()).max(1);
        let gap = look.gap * 1.4;
        let bar = if self.bar.is_some() { look.tick * 6.5 + look.label } else { 0.0 };
        let room = width - look.gap * 2.0 - bar - gap * (to_f64(columns) - 1.0);
        let across = (room / to_f64(columns)).min(LARGEST * look.tick).max(1.0);
        let tallest = self.maps.iter().map(|map| to_f64(map.rows) * cell(map, across)).fold(1.0, f64::max);
        let caption =
            |map: &HeatMap| Heading::new(&map.caption, across + gap * 0.5, look.tick, Weight::Regular);
        let captions: Vec<Heading> = self.maps.iter().map(caption).collect();
        let caption_height = captions.iter().map(Heading::height).fold(0.0, f64::max) + look.gap * 0.3;
        let title = Heading::new(&self.title, width - look.gap * 2.0, look.title, Weight::Bold);
        let rows = self.maps.len().div_ceil(columns);
        Layout { look, title, captions, place: (across, tallest), caption_height, gap, bar, columns, rows }
    }

    /// The range of each map, and the one of all if they share it.
    fn ranges(&self) -> Result<(Vec<Range>, Option<Range>), PlotError> {
        for map in &self.maps {
            if let Some(index) = map.values.iter().position(|value| value.is_infinite()) {
                let (figure, part) = (self.title.clone(), map.caption.clone());
                return Err(PlotError::Infinite { figure, part, index });
            }
        }
        let axis = Axis::linear(self.bar.as_deref().unwrap_or("colour"));
        let seen = || self.maps.iter().filter_map(HeatMap::extremes);
        let all =
            seen().reduce(Range::union).ok_or_else(|| PlotError::NoData { figure: self.title.clone() })?;
        let one = match self.range {
            ColourRange::Shared => widened(all),
            ColourRange::Fixed(low, high) => {
                axis.with_range(low, high).resolve(&self.title, std::iter::empty())?
            }
            ColourRange::Each => {
                let each = self.maps.iter().map(|map| widened(map.extremes().unwrap_or(all)));
                return Ok((each.collect(), None));
            }
        };
        Ok((vec![one; self.maps.len()], Some(one)))
    }

    fn draw_map(&self, canvas: &mut Canvas, map: &HeatMap, range: Range, place: Rect) {
        let cell = cell(map, place.width);
        let (width, height) = (to_f64(map.columns) * cell, to_f64(map.rows) * cell);
        let (middle, centre) = place.centre();
        // On whole units, so that cells are equally large.
        let corner = ((middle - width / 2.0).round(), (centre - height / 2.0).round());
        for (colour, path) in map.paths(self.colours, range).into_values() {
            canvas.cells(corner, cell, &path, colour);
        }
        canvas.outline(Rect::new(corner.0, corner.1, width, height), Stroke::solid(GREY, 1.0));
        if let Some((row, column)) = map.mark {
            let at = (corner.0 + (to_f64(column) + 0.5) * cell, corner.1 + (to_f64(row) + 0.5) * cell);
            let radius = (cell * 0.9).max(5.0);
            canvas.ring(at, radius, Stroke::solid(PAPER, 4.0));
            canvas.ring(at, radius, Stroke::solid(MARK, 2.0));
        }
    }

    fn draw_bar(&self, canvas: &mut Canvas, layout: &Layout, range: Range, left: f64, top: f64) {
        let Some(label) = &self.bar else { return };
        let look = layout.look;
        let height = to_f64(layout.rows) * (layout.place.1 + layout.caption_height + layout.gap);
        let height = height - layout.gap - layout.caption_height;
        let bar = Rect::new(left.round(), top.round(), (look.tick * 1.1).round(), height.round());
        let step = bar.height / (SHADES + 1.0);
        for shade in (0..=255).map(f64::from) {
            let area = Rect::new(bar.left, bar.bottom() - (shade + 1.0) * step, bar.width, step.max(1.0));
            canvas.fill(area, self.colours.colour(shade / SHADES));
        }
        canvas.outline(bar, Stroke::solid(GREY, 1.0));
        self.draw_bar_ticks(canvas, layout.look, range, bar);
        let size = font::shrink(label, bar.height, look.label, Weight::Regular);
        let beside = bar.right() + look.tick * 4.4 + look.label * LINE_HEIGHT / 2.0;
        let text = plain(label, (beside, bar.centre().1), size);
        canvas.text(Text { turn: crate::canvas::Turn::Up, ..text });
    }

    fn draw_bar_ticks(&self, canvas: &mut Canvas, look: Look, range: Range, bar: Rect) {
        let most = if bar.height < look.tick * 9.0 { 3 } else { 5 };
        for tick in ticks::ticks(crate::axis::Spread::Linear, range, most) {
            let place = bar.bottom() - (tick.value - range.low) / range.span() * bar.height;
            canvas.polyline(&[(bar.right(), place), (bar.right() + 4.0, place)], Stroke::solid(INK, 1.0));
            let size = font::shrink(&tick.label, look.tick * 4.0, look.tick, Weight::Regular);
            let text = plain(&tick.label, (bar.right() + 7.0, place + HALF_CAPITAL * size), size);
            canvas.text(Text { anchor: Anchor::Start, ..text });
        }
    }
}

/// Side of a cell: whole units where they fit, so that all cells are equally large on a screen.
fn cell(map: &HeatMap, room: f64) -> f64 {
    let side = room / to_f64(map.columns.max(map.rows));
    if side >= 1.0 { side.floor() } else { side }
}

/// A range with two ends, for a matrix of one value.
fn widened(range: Range) -> Range {
    if range.span() > 0.0 { range } else { Range { low: range.low - 0.5, high: range.high + 0.5 } }
}

impl Figure for HeatMaps {
    fn height_at(&self, width: f64) -> f64 {
        self.layout(width).height()
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, _: LegendPlace) -> Result<(), PlotError> {
        let (ranges, shared) = self.ranges()?;
        if self.bar.is_some() && shared.is_none() {
            return Err(PlotError::ColourBarOfMany { figure: self.title.clone() });
        }
        let layout = self.layout(area.width);
        let top = area.top + layout.look.gap;
        layout.title.draw(canvas, area.centre().0, top);
        let top = top + layout.title.height() + layout.look.gap * 0.4;
        let left = area.centre().0 - (layout.grid_width() + layout.bar) / 2.0;
        for (index, (map, range)) in self.maps.iter().zip(ranges).enumerate() {
            let (row, column) = (index / layout.columns, index % layout.columns);
            let x = left + to_f64(column) * (layout.place.0 + layout.gap);
            let y = top + to_f64(row) * (layout.place.1 + layout.caption_height + layout.gap);
            layout.captions[index].draw(canvas, x + layout.place.0 / 2.0, y);
            let place = Rect::new(x, y + layout.caption_height, layout.place.0, layout.place.1);
            self.draw_map(canvas, map, range, place);
        }
        if let Some(range) = shared {
            let beside = left + layout.grid_width() + layout.gap;
            self.draw_bar(canvas, &layout, range, beside, top + layout.caption_height);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_shows, colours_of};

    fn ramp(caption: &str) -> HeatMap {
        HeatMap::try_new(caption, 2, 3, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).unwrap()
    }

    #[test]
    fn shows_captions_bar_and_every_value_unsmoothed() {
        let maps = HeatMaps::new("Squares")
            .with_map(ramp("truth"))
            .with_map(ramp("predicted").with_mark(1, 2).unwrap())
            .with_colour_bar("probability");
        let shades = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|part| ColourMap::Grey.colour(part));
        let colours: Vec<Colour> = shades.into_iter().chain([MARK]).collect();
        assert_shows(&maps, &["Squares", "truth", "predicted", "probability", "0.4"], &colours);
    }

    #[test]
    fn cells_are_sharp() {
        let checks: Vec<f32> = (0..64 * 64).map(|k| if (k / 64 + k) % 2 == 0 { 0.0 } else { 1.0 }).collect();
        let maps = HeatMaps::new("").with_map(HeatMap::try_new("", 64, 64, checks).unwrap());
        let soft = colours_of(&maps).into_keys().filter(|c| ![0, 255, GREY.red].contains(&c.red)).count();
        // Half of the rim's width lies on the cells: it blends with what is below, the cells do not.
        assert!(soft <= 4, "{soft}");
    }

    #[test]
    fn what_is_not_a_number_is_seen() {
        let map = HeatMap::try_new("gap", 1, 2, vec![f32::NAN, 1.0]).unwrap();
        assert_shows(&HeatMaps::new("t").with_map(map), &["gap"], &[NOT_A_NUMBER]);
    }

    #[test]
    fn one_value_and_ranges_of_their_own() {
        let flat = HeatMap::try_new("flat", 2, 2, vec![3.0; 4]).unwrap();
        let maps = HeatMaps::new("t").with_map(flat).with_map(ramp("ramp")).with_range(ColourRange::Each);
        assert_shows(&maps, &["flat", "ramp"], &[ColourMap::Grey.colour(0.5), Colour::new(0, 0, 0)]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = HeatMap::try_new("m", 2, 3, vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "heat map `m` should have 2 x 3 values, not 5");
        assert!(HeatMap::try_new("m", 0, 3, vec![]).is_err());
        assert!(HeatMap::try_new("m", usize::MAX, 3, vec![0.0; 5]).is_err());
        let error = ramp("m").with_mark(2, 0).unwrap_err();
        assert_eq!(error.to_string(), "heat map `m` has 2 x 3 cells, none at row 2, column 0");
        let says = |maps: HeatMaps, text: &str| assert_eq!(maps.to_svg().unwrap_err().to_string(), text);
        says(HeatMaps::new("t"), "figure `t` has no data");
        let nothing = HeatMap::try_new("m", 1, 1, vec![f32::NAN]).unwrap();
        says(HeatMaps::new("t").with_map(nothing), "figure `t` has no data");
        let infinite = HeatMap::try_new("m", 1, 1, vec![f32::INFINITY]).unwrap();
        says(
            HeatMaps::new("t").with_map(infinite),
            "value 0 of `m` in figure `t` is infinite; leave gaps as NaN",
        );
        let maps = || HeatMaps::new("t").with_map(ramp("m"));
        says(
            maps().with_range(ColourRange::Each).with_colour_bar("p"),
            "figure `t` gives each map its own range: leave out the colour bar or share the range",
        );
        says(maps().with_range(ColourRange::Fixed(1.0, 1.0)), "figure `t` cannot show `colour` from 1 to 1");
    }
}
