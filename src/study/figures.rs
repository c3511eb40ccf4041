//! Figures of a campaign: what networks show, and learning curves.
//!
//! All figures are made from run folders alone, so they can be redrawn at any time.

use std::path::Path;

use coordrl_plots::{
    Axis, Colour, ColourMap, ColourRange, Figure, Group, HeatMap, HeatMaps, LineChart, Outlines,
    PALETTE, Panels, Rect, Scatter, Series,
};
use coordrl_studies::{Exhibit, Measure, MeasureRange, SplitIndices, SpreadPanel, Task, tasks};

use super::{StudyResult, StudyRunConfig, launch};
use crate::metrics::read::read_points;
use crate::metrics::tags::{self, Tag};
use crate::run::run_dir::RunDir;

/// A figure of a task, and the name of its files.
pub(super) struct Named {
    pub task: &'static Task,
    pub name: String,
    pub figure: Box<dyn Figure>,
}

/// Draws all figures, from the first seed of each study among the results; `shown` is of the same
/// results.
pub(super) fn draw(results: &[StudyResult], shown: &[Shown<'_>]) -> anyhow::Result<Vec<Named>> {
    let mut figures = Vec::new();
    for &task in tasks() {
        let of_task: Vec<&StudyResult> =
            first_seeds(results).filter(|result| result.task == task.name).collect();
        if of_task.is_empty() {
            continue;
        }
        let mut put = |name: &str, figure: Box<dyn Figure>| {
            figures.push(Named { task, name: format!("{task}-{name}"), figure });
        };
        let (spreads, seen): (Vec<&Shown<'_>>, _) = shown
            .iter()
            .filter(|shown| shown.result.task == task.name)
            .partition(|shown| matches!(shown.exhibit, Exhibit::Spread { .. }));
        if let Some(seen) = seen_by_networks(&seen)? {
            put("seen", seen);
        }
        if !spreads.is_empty() {
            put("spread", Box::new(spread(&spreads)));
        }
        put("time", Box::new(over_time(task, &task.measures[0], &of_task)?));
        for measure in task.measures.iter().skip(1).filter(|measure| measure.over_time) {
            let name = format!("{}-time", measure.name);
            put(&name, Box::new(over_time(task, measure, &of_task)?));
        }
    }

    Ok(figures)
}

fn first_seeds(results: &[StudyResult]) -> impl Iterator<Item = &StudyResult> {
    results.iter().filter(|result| result.seed == 1)
}

/// Exhibit of a trained network, with its rows.
pub(super) struct Shown<'a> {
    pub result: &'a StudyResult,
    pub exhibit: Exhibit,
    rows: SplitIndices,
}

/// Asks the networks of the first seed of each study for what they show.
pub(super) fn exhibits(results: &[StudyResult]) -> anyhow::Result<Vec<Shown<'_>>> {
    let mut shown = Vec::new();
    for result in first_seeds(results) {
        let run = RunDir::open_to_read(&result.run)?;
        let config: StudyRunConfig = run.read_config()?;
        let loaded = launch::load(&run, &config)?;
        let study = loaded.built.subject.study();
        for exhibit in study.exhibits()? {
            shown.push(Shown { result, exhibit, rows: study.rows().clone() });
        }
    }
    Ok(shown)
}

/// Draws what the networks of a task make of its rows; `None` if they show nothing of the kind.
fn seen_by_networks(shown: &[&Shown<'_>]) -> anyhow::Result<Option<Box<dyn Figure>>> {
    Ok(match shown.first().map(|first| &first.exhibit) {
        // Walks are pictures of their own, and spreads another figure.
        None | Some(Exhibit::Walks { .. } | Exhibit::Spread { .. }) => None,
        Some(Exhibit::Picture { title, values, truth, .. }) => {
            Some(Box::new(pictures(title, values, truth, shown)?))
        }
        Some(Exhibit::Places { .. }) => Some(Box::new(places(shown))),
        Some(Exhibit::Boxes { title, .. }) => Some(Box::new(boxes(title, shown)?)),
    })
}

fn name_of(result: &StudyResult) -> String {
    format!("{}, {}", result.layer, result.split)
}

/// Draws each network's picture beside the truth.
fn pictures(
    title: &str,
    values: &str,
    truth: &[f32],
    shown: &[&Shown<'_>],
) -> anyhow::Result<HeatMaps> {
    let mut maps = HeatMaps::new(title).with_map(map("truth", truth)?);
    for Shown { result, exhibit, .. } in shown {
        if let Exhibit::Picture { painted, .. } = exhibit {
            maps = maps.with_map(map(&name_of(result), painted)?);
        }
    }

    let maps = maps.with_columns(shown.len().clamp(1, 4) + 1).with_colours(ColourMap::Viridis);
    Ok(maps.with_range(ColourRange::Fixed(0.0, 1.0)).with_colour_bar(values))
}

fn map(caption: &str, picture: &[f32]) -> anyhow::Result<HeatMap> {
    let side = picture.len().isqrt();
    Ok(HeatMap::try_new(caption, side, side, picture.to_vec())?)
}

/// Draws the boxes of each network on the same pictures, a row per network.
fn boxes(title: &str, shown: &[&Shown<'_>]) -> anyhow::Result<HeatMaps> {
    let mut maps = HeatMaps::new(title);
    let mut columns = 1;
    for Shown { result, exhibit, .. } in shown {
        let Exhibit::Boxes { pictures, .. } = exhibit else { continue };
        columns = pictures.len();
        for picture in pictures {
            let outlines = |name: &str, colour: Colour, places: &[[f64; 4]]| {
                let places = places.iter();
                let rects =
                    places.map(|&[left, top, width, height]| Rect::new(left, top, width, height));
                Outlines::new(name, colour, rects)
            };
            let drawn = map(&result.layer, &picture.pixels)?
                .with_outlines(outlines("digit in sight", PALETTE[2], &picture.truth))
                .with_outlines(outlines("found", PALETTE[1], &picture.found));
            maps = maps.with_map(drawn);
        }
    }

    Ok(maps.with_columns(columns).with_range(ColourRange::Fixed(0.0, 1.0)))
}

/// Plots each network's predicted positions over the true ones, a row per split.
fn places(shown: &[&Shown<'_>]) -> Panels {
    let layers = unique(shown.iter().map(|shown| shown.result.layer.clone()));
    let splits = unique(shown.iter().map(|shown| shown.result.split.clone()));
    let mut panels = Panels::new("Predicted places over true ones", layers.clone());
    for split in splits {
        let mut row: Vec<Box<dyn Figure>> = Vec::new();
        for layer in &layers {
            let found = shown
                .iter()
                .find(|Shown { result, .. }| result.split == split && result.layer == *layer);
            let plot = found.and_then(|shown| scatter(shown));
            row.extend(plot.map(|plot| Box::new(plot) as Box<dyn Figure>));
        }
        if row.len() == layers.len() {
            panels = panels.with_row(split, row);
        }
    }

    panels
}

fn scatter(shown: &Shown<'_>) -> Option<Scatter> {
    let Exhibit::Places { side, truth, predicted } = &shown.exhibit else { return None };
    let of = |rows: &[usize]| -> Vec<(f64, f64)> {
        rows.iter().map(|&row| predicted[row].into()).collect()
    };
    let axis = |label: &str| Axis::linear(label).with_range(0.0, *side);

    Some(
        Scatter::new("", axis("x (pixels)"), axis("y (pixels)").reversed())
            .with_equal_aspect()
            .with_true_places("true places", truth.iter().map(|&place| place.into()))
            .with_group(Group::new("train", of(&shown.rows.train)))
            .with_group(Group::new("test", of(&shown.rows.test))),
    )
}

/// Plots where objects are in the data and in each network's samples, a row each.
fn spread(shown: &[&Shown<'_>]) -> Panels {
    let panels_of = |shown: &&Shown<'_>| match &shown.exhibit {
        Exhibit::Spread { panels } => panels.clone(),
        _ => Vec::new(),
    };
    let first = shown.first().map(panels_of).unwrap_or_default();
    let titles: Vec<&str> = first.iter().map(|panel| panel.title).collect();
    let row = |panels: &[SpreadPanel], points: fn(&SpreadPanel) -> &[[f64; 2]]| {
        let plots = panels.iter().map(|panel| {
            let axis = |label| Axis::linear(label).with_range(panel.range[0], panel.range[1]);
            let places = points(panel).iter().map(|&place| place.into());
            let plot = Scatter::new("", axis("column (pixels)"), axis("row (pixels)").reversed())
                .with_equal_aspect()
                .with_group(Group::new("objects", places));
            Box::new(plot) as Box<dyn Figure>
        });
        plots.collect()
    };
    let title = "Where the objects of samples are";
    let mut page = Panels::new(title, titles).with_row("data", row(&first, |panel| &panel.of_data));
    for network in shown {
        let plots = row(&panels_of(network), |panel| &panel.of_samples);
        page = page.with_row(&network.result.layer, plots);
    }
    page
}

/// Plots a test measure over seconds of training.
fn over_time(
    task: &Task,
    measure: &Measure,
    results: &[&StudyResult],
) -> anyhow::Result<LineChart> {
    let label = format!("test {}", measure.label);
    let axis = match measure.range {
        MeasureRange::Share => Axis::linear(label).with_range(0.0, 1.05),
        MeasureRange::Error | MeasureRange::Ratio => Axis::log(label),
    };

    // Samples are not rows.
    let title = match measure.of_data {
        None => format!("{} among the rows never trained on", measure.title),
        Some(_) => measure.title.to_owned(),
    };
    let mut chart = LineChart::new(title, Axis::log("seconds of training"), axis);
    let is_main = measure.name == task.measures[0].name;
    if let Some(mark) = task.mark.as_ref().filter(|_| is_main) {
        chart = chart.with_reference(mark.value, "mark");
    }
    for result in results {
        let points = curve(&result.run, measure.test)?;
        chart = chart.with_series(Series::new(name_of(result), points));
    }

    Ok(chart)
}

/// Reads (seconds, value) of every log point.
fn curve(run: &Path, tag: &Tag) -> anyhow::Result<Vec<(f64, f64)>> {
    let points = read_points(&RunDir::open_to_read(run)?.metrics_path())?;
    Ok(points
        .iter()
        .filter_map(|point| Some((point.value(&tags::WALL_SECS)?, point.value(tag)?)))
        .collect())
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
