//! Several figures on one page: named columns and rows, and one legend if all panels agree.

use crate::canvas::Canvas;
use crate::error::PlotError;
use crate::figure::{Figure, LegendPlace, PAGE_WIDTH};
use crate::font::{Weight, to_f64};
use crate::geometry::Rect;
use crate::heading::Heading;
use crate::legend::{Legend, LegendEntry};
use crate::style::Look;

/// Minimum width of a panel: a page with many columns grows wider.
const LEAST_WIDTH: f64 = 250.0;
/// Factor on the title size of [`Look`] for the page's own title.
const TITLE: f64 = 1.15;

/// A grid of figures with a common title.
#[derive(Debug)]
pub struct Panels {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Box<dyn Figure>>)>,
}

impl Panels {
    /// Builds a page without rows, with its columns named from left to right. Names may be empty.
    pub fn new<Name: Into<String>>(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = Name>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// Appends a row at the bottom, with one figure for each column.
    #[must_use]
    pub fn with_row(mut self, name: impl Into<String>, figures: Vec<Box<dyn Figure>>) -> Self {
        self.rows.push((name.into(), figures));
        self
    }

    fn check(&self) -> Result<(), PlotError> {
        if self.rows.is_empty() || self.columns.is_empty() {
            return Err(PlotError::NoData { figure: self.title.clone() });
        }

        match self.rows.iter().find(|(_, figures)| figures.len() != self.columns.len()) {
            None => Ok(()),
            Some((row, figures)) => Err(PlotError::RowLength {
                figure: self.title.clone(),
                row: row.clone(),
                figures: figures.len(),
                columns: self.columns.len(),
            }),
        }
    }

    /// Returns the legend common to all panels, if those that have one agree.
    fn shared_legend(&self) -> Option<Vec<LegendEntry>> {
        // Panels without a legend, such as heat maps, cannot disagree.
        let figures = self.rows.iter().flat_map(|(_, figures)| figures);
        let mut legends = figures.map(|figure| figure.legend()).filter(|legend| !legend.is_empty());
        let first = legends.next()?;
        legends.all(|legend| legend == first).then_some(first)
    }

    fn layout(&self, width: f64) -> PanelLayout {
        let look = Look::for_width(width);
        let inner = width - look.gap * 2.0;
        let named = self.rows.iter().any(|(name, _)| !name.is_empty());
        let names = if named { look.label * 1.25 * 1.6 } else { 0.0 };
        // Not 0: the page's size is computed before `draw` refuses a page without columns.
        let panel = (inner - names) / to_f64(self.columns.len().max(1));
        let columns = self.columns.iter();
        let headings = columns
            .map(|name| Heading::new(name, panel - look.gap, look.label, Weight::Bold))
            .collect();
        let heights = self.rows.iter().map(|(_, figures)| {
            figures.iter().map(|figure| figure.height_at(panel)).fold(1.0, f64::max)
        });
        let heights = heights.collect();
        let title = Heading::new(&self.title, inner, look.title * TITLE, Weight::Bold);
        PanelLayout { look, inner, names, panel, headings, heights, title }
    }

    fn draw_rows(
        &self,
        canvas: &mut Canvas,
        layout: &PanelLayout,
        corner: (f64, f64),
        place: LegendPlace,
    ) -> Result<(), PlotError> {
        let mut top = corner.1;
        for ((name, figures), &height) in self.rows.iter().zip(&layout.heights) {
            let heading = Heading::new(name, height, layout.look.label, Weight::Bold);
            heading.draw_up(canvas, corner.0, top + height / 2.0);
            for (index, figure) in figures.iter().enumerate() {
                let left = corner.0 + layout.names + to_f64(index) * layout.panel;
                figure.draw(canvas, Rect::new(left, top, layout.panel, height), place)?;
            }
            top += height + layout.look.gap;
        }
        Ok(())
    }
}

/// Layout of the panels, computed once so that the height requested is the height drawn.
#[derive(Debug)]
struct PanelLayout {
    look: Look,
    inner: f64,
    names: f64,
    panel: f64,
    headings: Vec<Heading>,
    heights: Vec<f64>,
    title: Heading,
}

impl PanelLayout {
    fn headings_height(&self) -> f64 {
        self.headings.iter().map(Heading::height).fold(0.0, f64::max)
    }
}

impl Figure for Panels {
    fn width(&self) -> f64 {
        PAGE_WIDTH.max(LEAST_WIDTH * to_f64(self.columns.len()))
    }

    fn height_at(&self, width: f64) -> f64 {
        let layout = self.layout(width);
        let entries = self.shared_legend().unwrap_or_default();
        let legend = Legend::new(&entries, layout.inner, layout.look).height();
        let rows = layout.heights.iter().map(|height| height + layout.look.gap).sum::<f64>();
        layout.title.height() + legend + layout.headings_height() + rows + layout.look.gap * 2.5
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, _: LegendPlace) -> Result<(), PlotError> {
        self.check()?;
        let layout = self.layout(area.width);
        let look = layout.look;
        let entries = self.shared_legend();
        let place = if entries.is_some() { LegendPlace::Page } else { LegendPlace::Own };
        let entries = entries.unwrap_or_default();
        let legend = Legend::new(&entries, layout.inner, look);
        let middle = area.centre().0;
        let mut top = area.top + look.gap;
        layout.title.draw(canvas, middle, top);
        top += layout.title.height() + look.gap * 0.5;
        legend.draw(canvas, middle, top);
        top += legend.height() + look.gap * 0.5;
        let left = area.left + look.gap;
        for (index, heading) in layout.headings.iter().enumerate() {
            heading.draw(canvas, left + layout.names + (to_f64(index) + 0.5) * layout.panel, top);
        }

        self.draw_rows(canvas, &layout, (left, top + layout.headings_height()), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Axis;
    use crate::line_chart::{LineChart, Series};
    use crate::scatter::{Group, Scatter};
    use crate::style::PALETTE;
    use crate::test_support::{assert_shows, texts};

    fn line(name: &str) -> Box<dyn Figure> {
        let chart = LineChart::new("", Axis::linear("epoch"), Axis::linear("loss"));
        Box::new(chart.with_series(Series::new(name, [(0.0, 1.0), (1.0, 0.5)])))
    }

    #[test]
    fn shows_titles_names_and_one_legend() {
        let page = Panels::new("All tasks", ["classify", "regress"])
            .with_row("conv", vec![line("train"), line("train")])
            .with_row("CoordConv", vec![line("train"), line("train")]);
        assert_shows(
            &page,
            &["All tasks", "classify", "regress", "conv", "CoordConv"],
            &PALETTE[..1],
        );
        assert_eq!(texts(&page).iter().filter(|text| *text == "train").count(), 1);
    }

    #[test]
    fn panels_that_disagree_have_their_own_legends() {
        let scatter = Scatter::new("", Axis::linear("x"), Axis::linear("y"))
            .with_group(Group::new("test", [(1.0, 1.0)]));
        let page = Panels::new("", ["a", "b", "c"])
            .with_row("", vec![line("train"), line("train"), Box::new(scatter)]);
        assert_eq!(texts(&page).iter().filter(|text| *text == "train").count(), 2);
        assert!(texts(&page).contains(&"test".to_owned()));
    }

    #[test]
    fn mistakes_are_named_also_those_of_a_panel() {
        let says =
            |page: Panels, text: &str| assert_eq!(page.to_svg().unwrap_err().to_string(), text);
        says(Panels::new("p", ["a"]), "figure `p` has no data");
        says(
            Panels::new("p", ["a", "b"]).with_row("r", vec![line("x")]),
            "row `r` of figure `p` has 1 panels for 2 columns",
        );
        let empty = LineChart::new("inner", Axis::linear("x"), Axis::linear("y"));
        says(
            Panels::new("p", ["a"]).with_row("r", vec![Box::new(empty)]),
            "figure `inner` has no data",
        );
    }
}
