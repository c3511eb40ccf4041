//! Small matrices side by side, with captions and one colour bar.

use crate::axis::{Axis, Range};
use crate::canvas::Canvas;
use crate::colour_bar::ColourBar;
use crate::colour_map::ColourMap;
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::font::{Weight, to_f64};
use crate::geometry::Rect;
use crate::heading::Heading;
use crate::heat_map::HeatMap;
use crate::legend::{Legend, LegendEntry};
use crate::style::{Dash, Look};

/// Default number of maps per row.
const COLUMNS: usize = 4;
/// Maximum size of a map, in font sizes of its caption.
const LARGEST: f64 = 26.0;

/// Values that get the first and the last colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourRange {
    /// The minimum and maximum over all maps.
    Shared,
    /// The minimum and maximum of each map.
    Each,
    /// Fixed values, whatever the data.
    Fixed(f64, f64),
}

/// Maps in rows, in reading order.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMaps {
    title: String,
    maps: Vec<HeatMap>,
    columns: usize,
    colours: ColourMap,
    range: ColourRange,
    bar: Option<String>,
}

/// Layout of the maps, computed once so that the height requested is the height drawn.
#[derive(Debug)]
struct MapLayout {
    look: Look,
    title: Heading,
    /// Height of the legend, with the gap below it.
    legend_height: f64,
    captions: Vec<Heading>,
    /// Side of the square available to a map.
    room: f64,
    /// Size of the largest map.
    place: (f64, f64),
    caption_height: f64,
    /// Gap between neighbours.
    gap: f64,
    /// Width reserved for the colour bar and the gap before it.
    bar: f64,
    columns: usize,
    rows: usize,
}

impl MapLayout {
    fn height(&self) -> f64 {
        let rows = to_f64(self.rows) * (self.place.1 + self.caption_height + self.gap);
        self.look.gap * 2.0 + self.title.height() + self.legend_height + rows
    }

    /// Area of the `index`-th map, below its caption, if the first caption begins at `(left, top)`.
    fn place_of(&self, index: usize, left: f64, top: f64) -> Rect {
        let row = to_f64(index / self.columns);
        let column = to_f64(index % self.columns);
        let x = left + column * (self.place.0 + self.gap);
        let y = top + row * (self.place.1 + self.caption_height + self.gap) + self.caption_height;
        Rect::new(x, y, self.place.0, self.place.1)
    }

    /// Height of the maps, and of captions and gaps between them.
    fn maps_height(&self) -> f64 {
        let row = self.place.1 + self.caption_height + self.gap;
        to_f64(self.rows) * row - self.gap - self.caption_height
    }

    /// Width of the maps and the gaps between them.
    fn grid_width(&self) -> f64 {
        to_f64(self.columns) * (self.place.0 + self.gap) - self.gap
    }
}

impl HeatMaps {
    /// Builds a figure without maps, in shades of grey. An empty title takes no space.
    pub fn new(title: impl Into<String>) -> Self {
        let colours = ColourMap::Grey;
        let range = ColourRange::Shared;
        Self { title: title.into(), maps: Vec::new(), columns: COLUMNS, colours, range, bar: None }
    }

    /// Appends a map to the right.
    #[must_use]
    pub fn with_map(mut self, map: HeatMap) -> Self {
        self.maps.push(map);
        self
    }

    /// Sets the number of maps per row.
    #[must_use]
    pub fn with_columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Sets the colours, grey by default.
    #[must_use]
    pub fn with_colours(mut self, colours: ColourMap) -> Self {
        self.colours = colours;
        self
    }

    /// Sets the values that get the first and the last colour.
    #[must_use]
    pub fn with_range(mut self, range: ColourRange) -> Self {
        self.range = range;
        self
    }

    /// Adds a colour bar; its label includes the unit.
    #[must_use]
    pub fn with_colour_bar(mut self, label: impl Into<String>) -> Self {
        self.bar = Some(label.into());
        self
    }

    fn layout(&self, width: f64) -> MapLayout {
        let look = Look::for_width(width);
        // At least 1: the height may be asked for before drawing reports that there are no maps.
        let columns = self.columns.min(self.maps.len()).max(1);
        let gap = look.gap * 1.4;
        // Invalid data have no range; drawing will report the error.
        let shared = self.ranges().ok().and_then(|(_, shared)| shared);
        let bar = shared
            .and_then(|range| self.colour_bar(range, look))
            .map_or(0.0, |bar| gap + bar.width());
        let room = width - look.gap * 2.0 - bar - gap * (to_f64(columns) - 1.0);
        let room = (room / to_f64(columns)).min(LARGEST * look.tick).max(1.0);
        let sizes = self.maps.iter().map(|map| map.picture_size(room));
        let place = sizes
            .fold((1.0, 1.0), |(w, h): (f64, f64), (width, height)| (w.max(width), h.max(height)));
        let caption_room = place.0 + gap * 0.5;
        let captions = self.maps.iter();
        let captions: Vec<Heading> = captions
            .map(|map| Heading::new(&map.caption, caption_room, look.tick, Weight::Regular))
            .collect();
        let caption_height =
            captions.iter().map(Heading::height).fold(0.0, f64::max) + look.gap * 0.3;
        let title = Heading::new(&self.title, width - look.gap * 2.0, look.title, Weight::Bold);
        let rows = self.maps.len().div_ceil(columns);
        let entries = self.legend_entries();
        let legend = Legend::new(&entries, width - look.gap * 2.0, look);
        let legend_height = if entries.is_empty() { 0.0 } else { legend.height() + look.gap * 0.4 };
        MapLayout {
            look,
            title,
            legend_height,
            captions,
            room,
            place,
            caption_height,
            gap,
            bar,
            columns,
            rows,
        }
    }

    /// Returns an entry for each kind of outline, in order of appearance.
    fn legend_entries(&self) -> Vec<LegendEntry> {
        let mut entries: Vec<LegendEntry> = Vec::new();
        for outlines in self.maps.iter().flat_map(|map| &map.outlines) {
            if !entries.iter().any(|entry| entry.name == outlines.name) {
                let line = Some(Dash::Solid);
                let (name, colour) = (outlines.name.clone(), outlines.colour);
                entries.push(LegendEntry { name, colour, line, marker: None });
            }
        }
        entries
    }

    fn colour_bar(&self, range: Range, look: Look) -> Option<ColourBar<'_>> {
        let label = self.bar.as_deref()?;
        Some(ColourBar { label, colours: self.colours, range, look })
    }

    /// Ranges of each map, and the common one if they share it.
    fn ranges(&self) -> Result<(Vec<Range>, Option<Range>), PlotError> {
        for map in &self.maps {
            if let Some(index) = map.first_infinite() {
                let figure = self.title.clone();
                let part = map.caption.clone();
                return Err(PlotError::Infinite { figure, part, index });
            }
        }

        let axis = Axis::linear(self.bar.as_deref().unwrap_or("colour"));
        let seen = self.maps.iter().filter_map(HeatMap::extremes);
        let all = seen
            .reduce(Range::union)
            .ok_or_else(|| PlotError::NoData { figure: self.title.clone() })?;
        let one = match self.range {
            ColourRange::Shared => widened(all),
            ColourRange::Fixed(low, high) => {
                axis.with_range(low, high).resolve(&self.title, std::iter::empty())?
            }
            ColourRange::Each => {
                // A map of nothing but NaN needs no range of its own: NaN has a colour outside it.
                let each = self.maps.iter().map(|map| widened(map.extremes().unwrap_or(all)));
                return Ok((each.collect(), None));
            }
        };

        Ok((vec![one; self.maps.len()], Some(one)))
    }
}

/// Widens an empty range, as for a matrix with a single value.
fn widened(range: Range) -> Range {
    // A shade is a position in the range divided by its span, which must not be 0.
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
        // In a row of taller panels the maps are centred vertically.
        let top = area.top + ((area.height - layout.height()) / 2.0).max(0.0) + layout.look.gap;
        layout.title.draw(canvas, area.centre().0, top);
        let top = top + layout.title.height() + layout.look.gap * 0.4;
        let entries = self.legend_entries();
        let room = area.width - layout.look.gap * 2.0;
        Legend::new(&entries, room, layout.look).draw(canvas, area.centre().0, top);
        let top = top + layout.legend_height;
        let left = area.centre().0 - (layout.grid_width() + layout.bar) / 2.0;
        for (index, (map, range)) in self.maps.iter().zip(ranges).enumerate() {
            let place = layout.place_of(index, left, top);
            layout.captions[index].draw(
                canvas,
                place.centre().0,
                place.top - layout.caption_height,
            );
            map.draw(canvas, self.colours, range, layout.room, place.centre());
        }

        if let Some(bar) = shared.and_then(|range| self.colour_bar(range, layout.look)) {
            let corner = (left + layout.grid_width() + layout.gap, top + layout.caption_height);
            bar.draw(canvas, corner, layout.maps_height());
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat_map::{NOT_A_NUMBER, Outlines};
    use crate::style::{Colour, GREY, PALETTE};
    use crate::test_support::{assert_shows, colours_of};

    fn ramp(caption: &str) -> HeatMap {
        HeatMap::try_new(caption, 2, 3, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).unwrap()
    }

    #[test]
    fn shows_captions_bar_and_every_value_unsmoothed() {
        let maps = HeatMaps::new("Squares")
            .with_map(ramp("truth"))
            .with_map(ramp("predicted"))
            .with_colour_bar("probability");
        let shades = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|part| ColourMap::Grey.colour(part));
        assert_shows(&maps, &["Squares", "truth", "predicted", "probability", "0.4"], &shades);
    }

    #[test]
    fn cells_are_sharp() {
        let checks: Vec<f32> =
            (0..64 * 64).map(|k| if (k / 64 + k) % 2 == 0 { 0.0 } else { 1.0 }).collect();
        let maps = HeatMaps::new("").with_map(HeatMap::try_new("", 64, 64, checks).unwrap());
        let soft =
            colours_of(&maps).into_keys().filter(|c| ![0, 255, GREY.red].contains(&c.red)).count();
        // Half of the border's width overlaps the cells: it blends with them, the cells themselves
        // do not.
        assert!(soft <= 4, "{soft}");
    }

    #[test]
    fn what_is_not_a_number_is_seen() {
        let map = HeatMap::try_new("gap", 1, 2, vec![f32::NAN, 1.0]).unwrap();
        assert_shows(&HeatMaps::new("t").with_map(map), &["gap"], &[NOT_A_NUMBER]);
    }

    #[test]
    fn kinds_of_outlines_are_in_the_legend_once() {
        let boxes =
            |name: &str, colour| Outlines::new(name, colour, [Rect::new(0.5, 0.5, 1.0, 1.0)]);
        let map = || ramp("m").with_outlines(boxes("digits", PALETTE[2]));
        let maps = HeatMaps::new("t")
            .with_map(map())
            .with_map(map().with_outlines(boxes("found", PALETTE[1])));
        assert_shows(&maps, &["digits", "found"], &[PALETTE[2], PALETTE[1]]);
        assert_eq!(maps.legend_entries().len(), 2);
        assert!(maps.height_at(600.0) > HeatMaps::new("t").with_map(ramp("m")).height_at(600.0));
    }

    #[test]
    fn one_value_and_ranges_of_their_own() {
        let flat = HeatMap::try_new("flat", 2, 2, vec![3.0; 4]).unwrap();
        let maps =
            HeatMaps::new("t").with_map(flat).with_map(ramp("ramp")).with_range(ColourRange::Each);
        assert_shows(
            &maps,
            &["flat", "ramp"],
            &[ColourMap::Grey.colour(0.5), Colour::new(0, 0, 0)],
        );
    }

    #[test]
    fn mistakes_are_named() {
        let says =
            |maps: HeatMaps, text: &str| assert_eq!(maps.to_svg().unwrap_err().to_string(), text);
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
        says(
            maps().with_range(ColourRange::Fixed(1.0, 1.0)),
            "figure `t` cannot show `colour` from 1 to 1",
        );
    }
}
