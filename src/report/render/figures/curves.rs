//! Learning curves: over frames and over time.

use coordrl_plots::{Axis, Colour, LineChart, PlotError, Series};

use super::{Drawn, FigureRow, Half, Marks, finish, points_of, slug};
use crate::report::analysis::curves::{Band, Curve};
use crate::report::analysis::measures::{GameArm, GameRow};
use crate::report::render::Report;
use crate::report::runs::ScoredBy;

/// Share of the way from a random policy to a human that an arm must reach for the human score to
/// be drawn.
const NEAR_HUMAN: f64 = 0.5;

/// Legend of the curves.
const CAPTION: &str = "Thin: single seeds; thick: their mean. Shaded: 95 % bootstrap interval of the \
    mean, at each frame for itself, or the range of two seeds.";
/// Legend of the x axis of the curves over time.
const TIME: &str = " Time is the mean over seeds of the time spent training.";

/// X axis of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Frames,
    Time,
    /// Frames, but with the scores of training games where evaluations decide.
    TrainingFrames,
}

/// Draws the learning curves of a game. Curves over time, and of training games beside evaluations,
/// are drawn only if the runs have the data.
pub(super) fn curves_of(
    report: &Report,
    place: usize,
    game: &GameRow,
    over: Over,
) -> Result<Option<Drawn>, PlotError> {
    // A run that does not report time has NaN hours, which no axis can show.
    if over == Over::Time
        && game.arms.iter().any(|arm| arm.curve.hours.iter().any(|hours| !hours.is_finite()))
    {
        return Ok(None);
    }

    let Some(curves) =
        game.arms.iter().map(|arm| curve_of(arm, over)).collect::<Option<Vec<&Curve>>>()
    else {
        return Ok(None);
    };

    let (file, title) = match over {
        Over::Frames => ("frames", format!("{}, over frames", game.game)),
        Over::Time => ("time", format!("{}, over time", game.game)),
        Over::TrainingFrames => ("training", format!("{}, training games", game.game)),
    };

    let (axis, unit) = axis_of(game, over);
    let mut chart = LineChart::new(&title, axis, Axis::linear(score_axis(game, over)));
    let mut marks = Marks::default();
    for (arm, curve) in game.arms.iter().zip(&curves) {
        let x = x_of(curve, over, unit);
        chart = add_seeds(chart, &mut marks, curve, &x, report.colour(&arm.arm));
    }

    // Series are drawn in order: all means come last, where no thin line covers them.
    for (arm, curve) in game.arms.iter().zip(&curves) {
        let x = x_of(curve, over, unit);
        let name = report.short_label(&arm.arm);
        chart = add_mean(chart, &mut marks, curve, &x, (name, report.colour(&arm.arm)));
    }

    if let Some(human) = human_in_sight(game) {
        chart = chart.with_reference(human, "human");
        marks.lines.push(2);
    }

    // The number keeps file names apart where two games have the same slug.
    let name = format!("{:02}-{}-{file}", place + 1, slug(&game.game));
    let time = if over == Over::Time { TIME } else { "" };
    let caption = format!("{CAPTION}{time}");
    let row = FigureRow { name, game: Some(game.game.clone()), title, caption, marks };
    finish(row, &Half(chart)).map(Some)
}

fn curve_of(arm: &GameArm, over: Over) -> Option<&Curve> {
    match over {
        Over::Frames | Over::Time => Some(&arm.curve),
        Over::TrainingFrames => arm.training_curve.as_ref(),
    }
}

/// Returns the positions of a curve's points on the x axis.
fn x_of(curve: &Curve, over: Over, unit: f64) -> Vec<f64> {
    let places = if over == Over::Time { &curve.hours } else { &curve.frames };
    places.iter().map(|place| place * unit).collect()
}

fn score_axis(game: &GameRow, over: Over) -> &'static str {
    match (over, game.scored_by) {
        (Over::TrainingFrames, _) | (_, ScoredBy::Training) => "mean return of 100 training games",
        (_, ScoredBy::Evaluation) => "mean return, evaluated",
    }
}

/// Draws each seed's curve if there are several seeds.
fn add_seeds(
    mut chart: LineChart,
    marks: &mut Marks,
    curve: &Curve,
    x: &[f64],
    colour: Colour,
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
    (name, colour): (String, Colour),
) -> LineChart {
    let mut series = Series::new(name, points_of(x, &curve.mean)).with_colour(colour);
    if curve.band != Band::None {
        series = series.with_band(points_of(&curve.low, &curve.high));
        marks.add_band(x.len());
    }
    marks.add_line(x.len());
    chart.with_series(series)
}

fn axis_of(game: &GameRow, over: Over) -> (Axis, f64) {
    if over != Over::Time {
        let millions = game.budget_frames >= 1e6;
        return if millions {
            (Axis::linear("million frames"), 1e-6)
        } else {
            (Axis::linear("frames"), 1.0)
        };
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
