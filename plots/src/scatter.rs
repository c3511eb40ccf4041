//! Points in named groups, such as predicted over true positions.

use crate::axes::{Aspect, Frame, Plot};
use crate::axis::{Axis, Range};
use crate::canvas::Canvas;
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace};
use crate::geometry::{Point, Rect};
use crate::legend::LegendEntry;
use crate::style::{GHOST, Marker, colour_of};
use crate::values::{check_values, is_whole};

/// Opacity of points: at full strength, close points would hide each other.
const OPACITY: f64 = 0.75;

/// Points of one kind. A point with NaN is not drawn; the legend counts those omitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    name: String,
    points: Vec<Point>,
}

impl Group {
    /// Builds a group of points `(x, y)`.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect() }
    }

    fn legend_name(&self) -> String {
        let missing = self.points.iter().filter(|point| !is_whole(**point)).count();
        match missing {
            _ if self.points.is_empty() => format!("{} (no data)", self.name),
            0 => self.name.clone(),
            missing => format!("{} ({missing} not a number)", self.name),
        }
    }
}

/// A scatter of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    title: String,
    x: Axis,
    y: Axis,
    groups: Vec<Group>,
    aspect: Aspect,
    true_places: Option<(String, Vec<Point>)>,
}

impl Scatter {
    /// Builds a scatter without points. An empty title takes no space.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        let aspect = Aspect::Free;
        Self { title: title.into(), x, y, groups: Vec::new(), aspect, true_places: None }
    }

    /// Appends a group, drawn over the previous ones.
    #[must_use]
    pub fn with_group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Makes a unit equally long on both axes, for positions in an image. For linear axes.
    #[must_use]
    pub fn with_equal_aspect(mut self) -> Self {
        self.aspect = Aspect::Equal;
        self
    }

    /// Adds faint points beneath all others, such as the true positions of predicted ones.
    #[must_use]
    pub fn with_true_places(
        mut self,
        name: impl Into<String>,
        places: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.true_places = Some((name.into(), places.into_iter().collect()));
        self
    }

    fn check(&self) -> Result<(), PlotError> {
        let groups = self.groups.iter().map(|group| (&group.name, &group.points));
        for (name, points) in
            groups.chain(self.true_places.iter().map(|(name, points)| (name, points)))
        {
            check_values(&self.title, name, &self.x, points.iter().map(|point| point.0))?;
            check_values(&self.title, name, &self.y, points.iter().map(|point| point.1))?;
        }
        Ok(())
    }

    /// Iterates over all points that can be drawn.
    fn points(&self) -> impl Iterator<Item = Point> {
        let places = self.true_places.iter().flat_map(|(_, places)| places);
        let all = self.groups.iter().flat_map(|group| &group.points).chain(places);
        all.copied().filter(|point| is_whole(*point))
    }

    fn ranges(&self) -> Result<(Range, Range), PlotError> {
        self.check()?;
        let x = self.x.resolve(&self.title, self.points().map(|point| point.0))?;
        let y = self.y.resolve(&self.title, self.points().map(|point| point.1))?;
        Ok((x, y))
    }

    fn draw_points(&self, canvas: &mut Canvas, plot: &Plot) {
        if let Some((_, places)) = &self.true_places {
            let places = whole_places(places, plot);
            let radius = radius(places.len(), plot) * 0.8;
            canvas.markers(&places, Marker::Circle, radius, GHOST, 1.0);
        }

        // One size for all groups, by the largest of them: differences would look like data.
        let most = self.groups.iter().map(|group| group.points.len()).max().unwrap_or(0);
        for (index, group) in self.groups.iter().enumerate() {
            let places = whole_places(&group.points, plot);
            canvas.markers(
                &places,
                Marker::of(index),
                radius(most, plot),
                colour_of(index),
                OPACITY,
            );
        }
    }
}

fn whole_places(points: &[Point], plot: &Plot) -> Vec<Point> {
    points.iter().filter(|point| is_whole(**point)).map(|&point| plot.place(point)).collect()
}

/// Radius of a point: smaller the more points there are, and in small panels.
fn radius(points: usize, plot: &Plot) -> f64 {
    let alone = match points {
        0..=60 => 4.5,
        61..=600 => 3.2,
        601..=2000 => 2.2,
        _ => 1.6,
    };
    alone * (plot.area.width / 600.0).sqrt().clamp(0.6, 1.0)
}

impl Figure for Scatter {
    fn height_at(&self, width: f64) -> f64 {
        match self.aspect {
            Aspect::Free => width * 0.6,
            Aspect::Equal => width * 0.95,
        }
    }

    fn legend(&self) -> Vec<LegendEntry> {
        let faint = self.true_places.iter().map(|(name, _)| (name.clone(), GHOST, Marker::Circle));
        let numbered = self.groups.iter().enumerate();
        let groups = numbered
            .map(|(index, group)| (group.legend_name(), colour_of(index), Marker::of(index)));
        faint
            .chain(groups)
            .map(|(name, colour, marker)| LegendEntry {
                name,
                colour,
                line: None,
                marker: Some(marker),
            })
            .collect()
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, place: LegendPlace) -> Result<(), PlotError> {
        let (x, y) = self.ranges()?;
        let legend = self.legend();
        let x_axis = (&self.x, x);
        let y_axis = (&self.y, y);
        let frame = Frame {
            title: &self.title,
            x: x_axis,
            y: y_axis,
            legend: &legend,
            place,
            aspect: self.aspect,
        };

        let plot = frame.draw(canvas, area)?;
        canvas.begin_clip(plot.area);
        self.draw_points(canvas, &plot);
        canvas.end_clip();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::PALETTE;
    use crate::test_support::{assert_shows, svg_shapes};

    fn scatter() -> Scatter {
        Scatter::new("Places", Axis::linear("x (pixels)"), Axis::linear("y (pixels)").reversed())
    }

    #[test]
    fn shows_groups_over_true_places() {
        let grid = (0..25).map(|k| (f64::from(k % 5), f64::from(k / 5)));
        let full = scatter()
            .with_equal_aspect()
            .with_true_places("true", grid.clone())
            .with_group(Group::new("train", grid.clone().map(|(x, y)| (x + 0.2, y))))
            .with_group(Group::new("test", [(1.5, 1.5), (2.5, 3.5)]));
        assert_shows(
            &full,
            &["Places", "x (pixels)", "y (pixels)", "true", "train", "test"],
            &PALETTE[..2],
        );
        // Each point once, plus one in the legend for each of the two round kinds.
        assert_eq!(svg_shapes(&full, "circle"), 25 + 25 + 2);
    }

    #[test]
    fn one_unit_is_equally_long_on_both_axes() {
        let x = Axis::linear("x").with_range(0.0, 20.0);
        let y = Axis::linear("y").with_range(0.0, 10.0);
        let group = Group::new("a", [(0.0, 0.0)]);
        let scatter = Scatter::new("t", x.clone(), y.clone()).with_group(group).with_equal_aspect();
        let ranges = scatter.ranges().unwrap();
        let aspect = Aspect::Equal;
        let frame = Frame {
            title: "t",
            x: (&x, ranges.0),
            y: (&y, ranges.1),
            legend: &[],
            place: LegendPlace::Own,
            aspect,
        };

        let mut canvas = Canvas::new(scatter.size());
        let area = frame.draw(&mut canvas, Rect::new(0.0, 0.0, 800.0, 700.0)).unwrap().area;
        assert!((area.width - 2.0 * area.height).abs() < 1e-9, "{area:?}");
    }

    #[test]
    fn what_is_not_drawn_is_counted() {
        let part = scatter()
            .with_group(Group::new("test", [(1.0, 1.0), (f64::NAN, 2.0)]))
            .with_group(Group::new("x", []));
        assert_shows(&part, &["test (1 not a number)", "x (no data)"], &PALETTE[..2]);
    }

    #[test]
    fn mistakes_are_named() {
        let says = |scatter: Scatter, text: &str| {
            assert_eq!(scatter.to_svg().unwrap_err().to_string(), text)
        };
        says(scatter().with_group(Group::new("a", [])), "figure `Places` has no data");
        says(
            scatter().with_group(Group::new("a", [(0.0, 0.0), (f64::NEG_INFINITY, 0.0)])),
            "value 1 of `a` in figure `Places` is infinite; leave gaps as NaN",
        );
    }
}
