//! The pictures of a report, drawn from the report alone.

use coordrl_plots::{
    Axis, Canvas, Figure, LegendEntry, LegendPlace, LineChart, PALETTE, PlotError, Rect, Series,
};
use serde::Serialize;

use super::aggregate::Aggregates;
use super::curves::{Band, Curve};
use super::measures::GameRow;
use super::words;
use super::{Report, ReportError};

/// Width of a figure in SVG units: narrow, so that its letters can be read on a phone.
const WIDTH: f64 = 460.0;
/// Height of a figure over its width, without the legend.
const PROPORTION: f64 = 0.62;
/// Room for two entries of a legend, in SVG units.
const LEGEND_ROW: f64 = 16.0;
/// A human's score stands in a figure once an arm has come this far towards it from a random policy.
const NEAR_HUMAN: f64 = 0.5;

/// A picture as `report.json` lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// Name of its files, and its name on the page.
    pub name: String,
    /// Game it belongs to; none for all games together.
    pub game: Option<String>,
    /// What it shows, in a line.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// What is drawn, so that a drawing can be checked.
    pub marks: Marks,
}

/// What a picture is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Points of each line, in the order they are drawn.
    pub lines: Vec<usize>,
    /// Points of the outline of each band.
    pub bands: Vec<usize>,
    /// Single points.
    pub dots: usize,
}

/// A picture and its files.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// As `report.json` lists it.
    pub row: FigureRow,
    /// The drawing.
    pub svg: String,
    /// The same as pixels.
    pub png: Vec<u8>,
}

impl Drawn {
    /// Its SVG file inside the report's folder.
    pub fn svg_file(&self) -> String {
        format!("figures/{}.svg", self.row.name)
    }

    /// Its PNG file inside the report's folder.
    pub fn png_file(&self) -> String {
        format!("figures/{}.png", self.row.name)
    }
}

/// What a curve is drawn over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Frames,
    Time,
}

/// A figure as wide as half a page.
#[derive(Debug)]
struct Half(LineChart);

impl Figure for Half {
    fn width(&self) -> f64 {
        WIDTH
    }

    fn height_at(&self, width: f64) -> f64 {
        width * PROPORTION + LEGEND_ROW * self.0.legend().len().div_ceil(2) as f64
    }

    fn legend(&self) -> Vec<LegendEntry> {
        self.0.legend()
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, legend: LegendPlace) -> Result<(), PlotError> {
        self.0.draw(canvas, area, legend)
    }
}

impl Report {
    /// Draws all pictures and lists them in the report.
    ///
    /// # Errors
    /// If numbers cannot be drawn: a bug.
    pub fn draw(&mut self) -> Result<Vec<Drawn>, ReportError> {
        let mut drawn = Vec::new();
        for (place, game) in self.games.iter().enumerate() {
            for over in [Over::Frames, Over::Time] {
                drawn.extend(curves_of(self, place, game, over)?);
            }
        }
        for (place, aggregates) in self.aggregates.iter().enumerate() {
            if aggregates.why_absent.is_none() {
                drawn.push(profile(self, place, aggregates)?);
            }
        }
        self.figures = drawn.iter().map(|drawn| drawn.row.clone()).collect();
        Ok(drawn)
    }

    fn colour(&self, arm: &str) -> coordrl_plots::Colour {
        let place = self.arms.iter().position(|row| row.name == arm).unwrap_or_default();
        PALETTE[place % PALETTE.len()]
    }
}

fn finish(row: FigureRow, chart: LineChart) -> Result<Drawn, PlotError> {
    let figure = Half(chart);
    Ok(Drawn { row, svg: figure.to_svg()?, png: figure.to_png()? })
}

/// Learning curves of a game; over time only where the runs tell it.
fn curves_of(report: &Report, place: usize, game: &GameRow, over: Over) -> Result<Option<Drawn>, PlotError> {
    if over == Over::Time
        && game.arms.iter().any(|arm| arm.curve.hours.iter().any(|hours| !hours.is_finite()))
    {
        return Ok(None);
    }
    let (file, title) = match over {
        Over::Frames => ("frames", format!("{}, over frames", game.game)),
        Over::Time => ("time", format!("{}, over time", game.game)),
    };
    let (axis, unit) = axis_of(game, over);
    let mut chart = LineChart::new(&title, axis, Axis::linear("mean return of 100 games"));
    let mut marks = Marks::default();
    let x = |curve: &Curve| -> Vec<f64> {
        let places = if over == Over::Frames { &curve.frames } else { &curve.hours };
        places.iter().map(|place| place * unit).collect()
    };
    for arm in &game.arms {
        chart = add_seeds(chart, &mut marks, &arm.curve, &x(&arm.curve), report.colour(&arm.arm));
    }
    for arm in &game.arms {
        let name = report.label(&arm.arm);
        chart = add_mean(chart, &mut marks, &arm.curve, &x(&arm.curve), (name, report.colour(&arm.arm)));
    }
    if let Some(human) = human_in_sight(game) {
        chart = chart.with_reference(human, "human");
        marks.lines.push(2);
    }
    let name = format!("{:02}-{}-{file}", place + 1, slug(&game.game));
    let caption = caption_of_curves(game, over);
    finish(FigureRow { name, game: Some(game.game.clone()), title, caption, marks }, chart).map(Some)
}

fn points_of(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

/// Each seed alone, where there are several.
fn add_seeds(
    mut chart: LineChart,
    marks: &mut Marks,
    curve: &Curve,
    x: &[f64],
    colour: coordrl_plots::Colour,
) -> LineChart {
    if curve.band == Band::None {
        return chart;
    }
    for seed in &curve.seeds {
        chart = chart.with_series(Series::new("", points_of(x, seed)).with_colour(colour).faint());
        marks.add_line(x.len());
    }
    chart
}

fn add_mean(
    chart: LineChart,
    marks: &mut Marks,
    curve: &Curve,
    x: &[f64],
    (name, colour): (String, coordrl_plots::Colour),
) -> LineChart {
    let mut series = Series::new(name, points_of(x, &curve.mean)).with_colour(colour);
    if curve.band != Band::None {
        series = series.with_band(points_of(&curve.low, &curve.high));
        marks.add_band(x.len());
    }
    marks.add_line(x.len());
    chart.with_series(series)
}

impl Marks {
    /// A line through this many points; one alone is a dot.
    fn add_line(&mut self, points: usize) {
        if points > 1 { self.lines.push(points) } else { self.dots += points }
    }

    /// A band along this many points: there on one edge and back on the other. Along one it is a line.
    fn add_band(&mut self, points: usize) {
        if points > 1 { self.bands.push(2 * points) } else { self.lines.push(2 * points) }
    }
}

fn axis_of(game: &GameRow, over: Over) -> (Axis, f64) {
    if over == Over::Frames {
        let millions = game.budget_frames >= 1e6;
        return if millions { (Axis::linear("million frames"), 1e-6) } else { (Axis::linear("frames"), 1.0) };
    }
    let longest = game.arms.iter().flat_map(|arm| &arm.curve.hours).copied().fold(0.0, f64::max);
    match longest {
        hours if hours >= 1.0 => (Axis::linear("hours"), 1.0),
        hours if hours >= 2.0 / 60.0 => (Axis::linear("minutes"), 60.0),
        _ => (Axis::linear("seconds"), 3600.0),
    }
}

fn human_in_sight(game: &GameRow) -> Option<f64> {
    let known = game.reference()?;
    let best = game.arms.iter().map(|arm| arm.final_score.mean).fold(f64::NEG_INFINITY, f64::max);
    (known.normalise(best) >= NEAR_HUMAN).then_some(known.human)
}

fn caption_of_curves(game: &GameRow, over: Over) -> String {
    let about = |band: Band| match band {
        Band::Interval => "shaded: 95 % bootstrap interval of the mean, at each frame for itself",
        Band::Range => "shaded: from the lower to the higher of two seeds, no interval",
        Band::None => "one seed: no band",
    };
    let mut bands: Vec<&str> = game.arms.iter().map(|arm| about(arm.curve.band)).collect();
    bands.sort_unstable();
    bands.dedup();
    let thin = if game.arms.iter().any(|arm| arm.curve.band != Band::None) {
        "Thin: single seeds; thick: their mean; "
    } else {
        ""
    };
    let hours =
        if over == Over::Time { " Time is the mean over seeds of the time spent training." } else { "" };
    let mut caption = format!("{thin}{}.{hours}", bands.join("; or "));
    if let Some(first) = caption.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    caption
}

fn profile(report: &Report, place: usize, aggregates: &Aggregates) -> Result<Drawn, PlotError> {
    let title = "How many runs are above a score".to_owned();
    let mut chart = LineChart::new(
        &title,
        Axis::linear("human-normalised score"),
        Axis::linear("share of runs above").with_range(0.0, 1.02),
    );
    let mut marks = Marks::default();
    for arm in &aggregates.arms {
        let profile = &arm.profile;
        let series = Series::new(report.label(&arm.arm), points_of(&profile.scores, &profile.share));
        let series = series.with_band(points_of(&profile.low, &profile.high));
        chart = chart.with_series(series.with_colour(report.colour(&arm.arm)));
        marks.add_line(profile.scores.len());
        marks.add_band(profile.scores.len());
    }
    let caption = format!(
        "Performance profile over {}: the higher, the better. Games count alike. Shaded: 95 % pointwise bootstrap \
         interval over seeds.",
        words::count(aggregates.games.len(), "game"),
    );
    let name = format!("all-{:02}-profile", place + 1);
    finish(FigureRow { name, game: None, title, caption, marks }, chart)
}

/// Letters, digits and hyphens: what every file system and every HTML id takes.
fn slug(name: &str) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().take(40).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        assert_eq!(slug("../Ms Pac_Man<"), "---ms-pac-man-");
    }

    #[test]
    fn a_single_point_is_a_dot_and_its_band_a_line() {
        let mut marks = Marks::default();
        marks.add_line(1);
        marks.add_band(1);
        marks.add_line(5);
        marks.add_band(5);
        assert_eq!(marks, Marks { lines: vec![2, 5], bands: vec![10], dots: 1 });
    }
}
