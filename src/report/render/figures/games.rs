//! Figures across games: per-game differences and aggregates.

use coordrl_plots::{Axis, Estimate, Intervals, LineChart, PlotError, Series};
use coordrl_stats::Interval;

use super::{Drawn, FigureRow, Half, Marks, finish, points_of};
use crate::report::analysis::aggregate::Aggregates;
use crate::report::analysis::measures::GameRow;
use crate::report::render::{ComparisonRow, Report};

/// Draws the differences in the deciding measure of each game, with a random policy at 0 and a human at 1;
/// `None` if no game has known reference scores.
pub(super) fn differences(
    report: &Report,
    place: usize,
    comparison: &ComparisonRow,
) -> Result<Option<Drawn>, PlotError> {
    let [arm, baseline] =
        [&comparison.arm, &comparison.baseline].map(|arm| report.short_label(arm));
    let title = format!("{arm} less {baseline}, {}", report.primary.name());
    let axis = Axis::linear("difference in human-normalised score");
    let mut figure = Intervals::new(&title, axis).with_reference(0.0);
    // The reference line at 0 is a mark as well.
    let mut marks = Marks { lines: vec![2], ..Marks::default() };
    for game in &comparison.games {
        let row = report.games.iter().find(|row| row.game == game.game);
        let Some(known) = row.and_then(GameRow::reference) else { continue };
        // The magnitude: dividing by a negative number would swap better and worse.
        let scale = (known.human - known.random).abs();
        let deciding = game.deciding();
        let estimate = Estimate::new(&game.game, deciding.difference / scale);
        let scaled = deciding
            .interval
            .map(|span| Interval { low: span.low / scale, high: span.high / scale });
        let estimate = with_interval(estimate, scaled, &mut marks);
        figure = figure.with_estimate(estimate.with_colour(report.colour(&comparison.arm)));
    }

    if marks.dots == 0 {
        return Ok(None);
    }

    let caption = format!(
        "Dots: difference of means over seeds; lines: 95 % bootstrap interval. Right of the dashed \
         line {arm} is better."
    );
    let name = format!("pair-{:02}-differences", place + 1);
    finish(FigureRow { name, game: None, title, caption, marks }, &Half(figure)).map(Some)
}

fn with_interval(estimate: Estimate, interval: Option<Interval>, marks: &mut Marks) -> Estimate {
    marks.add_estimate(interval.is_some());
    match interval {
        Some(span) => estimate.with_interval(span.low, span.high),
        None => estimate,
    }
}

/// Draws IQM, median, mean and optimality gap of each arm.
pub(super) fn sums(
    report: &Report,
    place: usize,
    aggregates: &Aggregates,
) -> Result<Drawn, PlotError> {
    let title = "All games as one number".to_owned();
    let mut figure = Intervals::new(&title, Axis::linear("human-normalised score"));
    let mut marks = Marks::default();
    let ways = aggregates.arms.first().map_or(0, |arm| arm.values.len());
    for way in 0..ways {
        for arm in &aggregates.arms {
            let one = &arm.values[way];
            let name = format!("{}, {}", one.name, report.short_label(&arm.arm));
            let estimate = with_interval(Estimate::new(name, one.value), one.interval, &mut marks);
            figure = figure.with_estimate(estimate.with_colour(report.colour(&arm.arm)));
        }
    }

    let caption =
        "Dots: value over all runs; lines: 95 % stratified bootstrap interval over seeds \
        (none if a game has one seed). Of the optimality gap less is better."
            .to_owned();
    let name = format!("all-{:02}-numbers", place + 1);
    finish(FigureRow { name, game: None, title, caption, marks }, &Half(figure))
}

/// Draws the performance profiles.
pub(super) fn profile(
    report: &Report,
    place: usize,
    aggregates: &Aggregates,
) -> Result<Drawn, PlotError> {
    let title = "How many runs are above a score".to_owned();
    let mut chart = LineChart::new(
        &title,
        Axis::linear("human-normalised score"),
        Axis::linear("share of runs above").with_range(0.0, 1.02),
    );
    let mut marks = Marks::default();
    for arm in &aggregates.arms {
        let profile = &arm.profile;
        let mut series =
            Series::new(report.short_label(&arm.arm), points_of(&profile.scores, &profile.share));
        if let (Some(low), Some(high)) = (&profile.low, &profile.high) {
            series = series.with_band(points_of(low, high));
            marks.add_band(profile.scores.len());
        }
        chart = chart.with_series(series.with_colour(report.colour(&arm.arm)));
        marks.add_line(profile.scores.len());
    }

    let caption = format!(
        "Performance profile over {}: the higher, the better. Games count alike; shaded: 95 % \
         pointwise bootstrap interval over seeds (none if a game has one seed).",
        aggregates.games.join(", ")
    );
    let name = format!("all-{:02}-profile", place + 1);
    finish(FigureRow { name, game: None, title, caption, marks }, &Half(chart))
}
