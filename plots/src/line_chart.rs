//! Curves: named series with bands and a reference line.

use crate::axes::{Aspect, Frame, Plot};
use crate::axis::{Axis, Range};
use crate::canvas::{Anchor, Canvas, Halo, Stroke, Text};
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::font;
use crate::geometry::{Point, Rect};
use crate::heading::plain;
use crate::legend::LegendEntry;
use crate::style::{Colour, Dash, GREY, Marker, colour_of};
use crate::values::{check_values, is_whole};

/// Ratio of a chart's height to its width.
const PROPORTION: f64 = 0.6;
const BAND_OPACITY: f64 = 0.2;
/// Blend of a faint curve's colour towards white.
const FAINT_SHARE: f64 = 0.45;

/// A curve. NaN in a point leaves a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<Point>,
    band: Option<Vec<(f64, f64)>>,
    colour: Option<Colour>,
    weight: LineWeight,
}

/// Visual weight of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineWeight {
    Full,
    Faint,
}

impl Series {
    /// Builds a curve through points `(x, y)`, in this order.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().collect();
        Self { name: name.into(), points, band: None, colour: None, weight: LineWeight::Full }
    }

    /// Adds a shaded band `(low, high)` for each point, such as a confidence interval. NaN leaves a
    /// gap.
    #[must_use]
    pub fn with_band(mut self, band: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.band = Some(band.into_iter().collect());
        self
    }

    /// Overrides the palette colour, for example to give a torso the same colour everywhere.
    #[must_use]
    pub fn with_colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }

    /// Makes the curve thin and pale and hides it from the legend: a single run behind the mean of
    /// all.
    #[must_use]
    pub fn faint(mut self) -> Self {
        self.weight = LineWeight::Faint;
        self
    }

    fn check(&self, chart: &LineChart) -> Result<(), PlotError> {
        let band = self.band.as_deref().unwrap_or_default();
        if self.band.is_some() && band.len() != self.points.len() {
            let points = self.points.len();
            let band = band.len();
            return Err(PlotError::BandLength {
                figure: chart.title.clone(),
                series: self.name.clone(),
                points,
                band,
            });
        }

        if let Some(index) = band.iter().position(|(low, high)| low > high) {
            let (low, high) = band[index];
            return Err(PlotError::BandReversed {
                figure: chart.title.clone(),
                series: self.name.clone(),
                index,
                low,
                high,
            });
        }

        let xs = self.points.iter().map(|point| point.0);
        check_values(&chart.title, &self.name, &chart.x, xs)?;
        check_values(&chart.title, &self.name, &chart.y, self.points.iter().map(|point| point.1))?;
        check_values(&chart.title, &self.name, &chart.y, band.iter().map(|band| band.0))?;
        check_values(&chart.title, &self.name, &chart.y, band.iter().map(|band| band.1))
    }

    fn is_blank(&self) -> bool {
        !self.points.iter().copied().any(is_whole)
    }
}

/// A chart of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    reference: Option<(f64, String)>,
}

impl LineChart {
    /// Builds a chart without curves. An empty title takes no space.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new(), reference: None }
    }

    /// Appends a curve. An empty one is listed in the legend as having no data.
    #[must_use]
    pub fn with_series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds a dashed horizontal line at a reference value.
    #[must_use]
    pub fn with_reference(mut self, value: f64, label: impl Into<String>) -> Self {
        self.reference = Some((value, label.into()));
        self
    }

    fn ranges(&self) -> Result<(Range, Range), PlotError> {
        self.series.iter().try_for_each(|series| series.check(self))?;
        if self.series.iter().all(Series::is_blank) {
            return Err(PlotError::NoData { figure: self.title.clone() });
        }

        let bands = self.series.iter().flat_map(|series| series.band.iter().flatten());
        let reference = self.reference.iter().map(|(value, _)| *value);
        let heights = self
            .whole_points()
            .map(|point| point.1)
            .chain(bands.flat_map(|&(low, high)| [low, high]))
            .chain(reference);
        let x = self.x.resolve(&self.title, self.whole_points().map(|point| point.0))?;
        let y = self.y.resolve(&self.title, heights)?;
        // A range taken from the data includes the reference; one set by hand may not.
        self.check_reference(y)?;
        Ok((x, y))
    }

    fn whole_points(&self) -> impl Iterator<Item = Point> {
        self.series.iter().flat_map(|series| series.points.iter().copied()).filter(|p| is_whole(*p))
    }

    fn check_reference(&self, y: Range) -> Result<(), PlotError> {
        match &self.reference {
            Some((value, label)) if !y.contains(*value) => Err(PlotError::ReferenceOutside {
                figure: self.title.clone(),
                label: label.clone(),
                value: *value,
                low: y.low,
                high: y.high,
            }),
            _ => Ok(()),
        }
    }

    fn draw_reference(&self, canvas: &mut Canvas, plot: &Plot) {
        let Some((value, label)) = &self.reference else { return };
        let height = plot.y.place(*value);
        let look = plot.look;
        let stroke = Stroke { colour: GREY, width: 1.3, dash: Dash::Dashed };
        canvas.polyline(&[(plot.area.left, height), (plot.area.right(), height)], stroke);
        let size =
            font::shrink(label, plot.area.width - look.gap, look.tick, font::Weight::Regular);
        // Above the line, unless that would leave the frame.
        let above = height - size * 1.4 > plot.area.top;
        let baseline = if above { height - size * 0.4 } else { height + size * 1.1 };
        let text = plain(label, (plot.area.right() - look.gap * 0.4, baseline), size);
        canvas.text(Text { anchor: Anchor::End, colour: GREY, halo: Halo::On, ..text });
    }

    fn colour(&self, index: usize) -> Colour {
        let series = &self.series[index];
        let colour = series.colour.unwrap_or(colour_of(self.place(index)));
        if series.weight == LineWeight::Faint { colour.paler(FAINT_SHARE) } else { colour }
    }

    /// Index among the curves shown in the legend, which determines the style.
    fn place(&self, index: usize) -> usize {
        // Faint curves are not counted: they share the colour of the next curve in the legend.
        self.series[..index].iter().filter(|series| series.weight == LineWeight::Full).count()
    }

    fn stroke(&self, plot: &Plot, index: usize) -> Stroke {
        let colour = self.colour(index);
        match self.series[index].weight {
            LineWeight::Full => {
                Stroke { colour, width: plot.look.line, dash: Dash::of(self.place(index)) }
            }
            LineWeight::Faint => Stroke::solid(colour, plot.look.line * 0.45),
        }
    }

    fn legend_entry(&self, index: usize) -> LegendEntry {
        let series = &self.series[index];
        LegendEntry {
            name: if series.is_blank() {
                format!("{} (no data)", series.name)
            } else {
                series.name.clone()
            },
            colour: self.colour(index),
            line: Some(Dash::of(self.place(index))),
            marker: None,
        }
    }

    fn draw_band(&self, canvas: &mut Canvas, plot: &Plot, index: usize) {
        let series = &self.series[index];
        let Some(band) = &series.band else { return };
        let edges: Vec<_> =
            series.points.iter().zip(band).map(|(point, band)| (point.0, *band)).collect();
        let colour = self.colour(index);
        for run in edges.split(|(x, (low, high))| x.is_nan() || low.is_nan() || high.is_nan()) {
            let low = run.iter().map(|&(x, (low, _))| plot.place((x, low)));
            // Back along the upper edge, so that low and high form one closed outline.
            let high = run.iter().rev().map(|&(x, (_, high))| plot.place((x, high)));
            let outline: Vec<Point> = low.chain(high).collect();
            match run.len() {
                0 => {}
                // A band with a single point has no area and would be invisible.
                1 => canvas.polyline(&outline, Stroke::solid(colour, plot.look.line * 0.6)),
                _ => canvas.polygon(&outline, colour, BAND_OPACITY),
            }
        }
    }

    fn draw_curve(&self, canvas: &mut Canvas, plot: &Plot, index: usize) {
        let series = &self.series[index];
        let stroke = self.stroke(plot, index);
        let mut dots: Vec<Point> = Vec::new();
        for run in series.points.split(|&point| !is_whole(point)) {
            let places: Vec<Point> = run.iter().map(|&point| plot.place(point)).collect();
            match places.len() {
                0 => {}
                // A line with a single point would be invisible.
                1 => dots.extend(places),
                _ => canvas.polyline(&places, stroke),
            }
        }

        if !dots.is_empty() {
            let marker = Marker::of(self.place(index));
            canvas.markers(&dots, marker, stroke.width * 2.0, stroke.colour, 1.0);
        }
    }
}

impl Figure for LineChart {
    fn height_at(&self, width: f64) -> f64 {
        width * PROPORTION
    }

    fn legend(&self) -> Vec<LegendEntry> {
        let all = 0..self.series.len();
        let full = all.filter(|&index| self.series[index].weight == LineWeight::Full);
        full.map(|index| self.legend_entry(index)).collect()
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, place: LegendPlace) -> Result<(), PlotError> {
        let (x, y) = self.ranges()?;
        let x = (&self.x, x);
        let y = (&self.y, y);
        let legend = self.legend();
        let frame =
            Frame { title: &self.title, x, y, legend: &legend, place, aspect: Aspect::Free };
        let plot = frame.draw(canvas, area)?;
        canvas.begin_clip(plot.area);
        // All bands before any curve: no band may cover another series' curve.
        (0..self.series.len()).for_each(|index| self.draw_band(canvas, &plot, index));
        (0..self.series.len()).for_each(|index| self.draw_curve(canvas, &plot, index));
        self.draw_reference(canvas, &plot);
        canvas.end_clip();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::PALETTE;
    use crate::test_support::{assert_shows, svg_shapes};

    fn chart() -> LineChart {
        LineChart::new("Return & <speed>", Axis::linear("frames"), Axis::linear("return"))
    }

    #[test]
    fn shows_titles_labels_names_and_colours() {
        let full = chart()
            .with_series(
                Series::new("conv", [(0.0, 0.0), (1.0, 2.0)]).with_band([(-1.0, 1.0), (1.0, 3.0)]),
            )
            .with_series(Series::new("CoordConv", [(0.0, 1.0), (1.0, 1.0)]))
            .with_reference(2.5, "human");
        let words = ["Return & <speed>", "frames", "return", "conv", "CoordConv", "human", "0.5"];
        assert_shows(&full, &words, &PALETTE[..2]);
    }

    #[test]
    fn faint_curves_are_pale_and_take_no_look_from_others() {
        let points = [(0.0, 0.0), (1.0, 2.0)];
        let full = chart()
            .with_series(Series::new("seed", points).faint())
            .with_series(Series::new("conv", points))
            .with_series(Series::new("CoordConv", points));
        assert_shows(&full, &["conv", "CoordConv"], &PALETTE[..2]);
        assert!(!full.to_svg().unwrap().contains("seed"));
        assert!(full.to_svg().unwrap().contains(&PALETTE[0].paler(FAINT_SHARE).to_string()));
    }

    #[test]
    fn one_point_is_seen() {
        let one = chart().with_series(Series::new("conv", [(5.0, 7.0)]).with_band([(6.0, 8.0)]));
        assert_shows(&one, &["conv"], &PALETTE[..1]);
        assert!(svg_shapes(&one, "circle") == 1);
    }

    #[test]
    fn an_empty_series_is_named_and_keeps_its_colour() {
        let half = chart()
            .with_series(Series::new("conv", []))
            .with_series(Series::new("coord", [(0.0, 1.0), (1.0, 2.0)]));
        assert_shows(&half, &["conv (no data)", "coord"], &PALETTE[..2]);
    }

    #[test]
    fn nan_leaves_a_gap() {
        let points = [(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0), (4.0, 1.0)];
        let whole = chart().with_series(Series::new("conv", [(0.0, 0.0), (4.0, 3.0)]));
        let gap = chart().with_series(Series::new("conv", points));
        assert_shows(&gap, &["conv"], &PALETTE[..1]);
        assert_eq!(svg_shapes(&gap, "polyline"), svg_shapes(&whole, "polyline") + 1);
        let band = points.map(|(_, y)| (y - 1.0, y + 1.0));
        assert_eq!(
            svg_shapes(
                &chart().with_series(Series::new("conv", points).with_band(band)),
                "polygon"
            ),
            2
        );
    }

    #[test]
    fn powers_of_ten_on_a_log_axis() {
        let axis = Axis::log("parameters");
        let points = [(10.0, 1.0), (100_000.0, 2.0)];
        let chart =
            LineChart::new("t", axis, Axis::linear("y")).with_series(Series::new("conv", points));
        assert_shows(&chart, &["10²", "10⁵"], &PALETTE[..1]);
    }

    #[test]
    fn a_legend_too_long_for_one_row_breaks() {
        let many = (0..12).fold(chart(), |chart, k| {
            chart.with_series(Series::new(
                format!("a series with a long name, number {k}"),
                [(0.0, 0.0), (1.0, f64::from(k))],
            ))
        });
        assert_shows(&many, &["a series with a long name, number 11"], &PALETTE);
    }

    #[test]
    fn mistakes_are_named() {
        let says = |chart: LineChart, text: &str| {
            assert_eq!(chart.to_svg().unwrap_err().to_string(), text)
        };

        let title = "Return & <speed>";
        says(chart(), &format!("figure `{title}` has no data"));
        says(
            chart().with_series(Series::new("a", [(f64::NAN, 1.0)])),
            &format!("figure `{title}` has no data"),
        );
        says(
            chart().with_series(Series::new("a", [(0.0, f64::INFINITY)])),
            &format!("value 0 of `a` in figure `{title}` is infinite; leave gaps as NaN"),
        );
        says(
            chart().with_series(Series::new("a", [(0.0, 1.0)]).with_band([])),
            &format!("series `a` of figure `{title}` has 1 points, but its band 0"),
        );
        says(
            chart().with_series(Series::new("a", [(0.0, 1.0)]).with_band([(2.0, 1.0)])),
            &format!("the band of `a` in figure `{title}` goes from 2 up to 1 at point 0"),
        );
        says(
            LineChart::new("t", Axis::log("x"), Axis::linear("y"))
                .with_series(Series::new("a", [(0.0, 1.0)])),
            "the axis `x` of figure `t` is logarithmic, but `a` has the value 0",
        );
        let fixed = Axis::linear("y").with_range(0.0, 1.0);
        says(
            LineChart::new("t", Axis::linear("x"), fixed)
                .with_series(Series::new("a", [(0.0, 1.0)]))
                .with_reference(2.0, "r"),
            "the reference `r` of figure `t` is 2, outside the axis from 0 to 1",
        );
    }
}
