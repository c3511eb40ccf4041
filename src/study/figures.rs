//! Figures of a campaign: painted canvases, predicted positions and learning curves.
//!
//! All figures are made from run folders alone, so they can be redrawn at any time.

use std::path::Path;

use coordrl_plots::{
    Axis, ColourMap, ColourRange, Figure, Group, HeatMap, HeatMaps, LineChart, Panels, Scatter,
    Series,
};
use coordrl_studies::data::{CANVAS, PIXELS};
use coordrl_studies::{Centre, Split, Study, Task};

use super::training::StudyTraining;
use super::{StudyResult, StudyRunConfig, launch};
use crate::metrics::read::read_points;
use crate::metrics::tags::{self, Tag};
use crate::run::launch::Built;
use crate::run::run_dir::RunDir;

/// A test centre in both splits, away from the edge of the held-out quarter.
const SHOWN: Centre = Centre { x: 46, y: 48 };
/// First row and column of the quarter of the canvas around it, where the pixel is visible.
const QUARTER: usize = CANVAS / 2;

/// Draws all figures by name, from the first seed of each study among the results.
pub(super) fn draw(results: &[StudyResult]) -> anyhow::Result<Vec<(String, Box<dyn Figure>)>> {
    let mut figures: Vec<(String, Box<dyn Figure>)> = Vec::new();
    for task in Task::ALL {
        let of_task: Vec<&StudyResult> = first_seeds(results, task);
        if of_task.is_empty() {
            continue;
        }
        let shown: Box<dyn Figure> = match task {
            Task::Classify | Task::Render => Box::new(painted(task, &of_task)?),
            Task::Regress => Box::new(places(&of_task)?),
        };
        figures.push((format!("{task}-seen"), shown));
        figures.push((format!("{task}-time"), Box::new(over_time(task, &of_task)?)));
    }

    Ok(figures)
}

fn first_seeds(results: &[StudyResult], task: Task) -> Vec<&StudyResult> {
    results.iter().filter(|result| result.task == task.name() && result.seed == 1).collect()
}

/// Loads a study from its folder.
fn open(path: &Path) -> anyhow::Result<Built<StudyTraining>> {
    let run = RunDir::open_to_read(path)?;
    let config: StudyRunConfig = run.read_config()?;
    Ok(launch::load(&run, &config)?.built)
}

fn name_of(result: &StudyResult) -> String {
    format!("{}, {}", result.layer, result.split)
}

/// Draws each network's output for one test centre, beside the truth.
fn painted(task: Task, results: &[&StudyResult]) -> anyhow::Result<HeatMaps> {
    let row = usize::from(SHOWN.y);
    let column = usize::from(SHOWN.x);
    let title = match task {
        Task::Render => format!("The square around ({column}, {row}), a test centre, as painted"),
        _ => format!(
            "Probability of each pixel for ({column}, {row}), a test centre: lower right quarter"
        ),
    };

    let mut truth = vec![0f32; PIXELS];
    match task {
        Task::Render => SHOWN.draw_square(&mut truth),
        _ => SHOWN.draw_pixel(&mut truth),
    }

    let mut maps = HeatMaps::new(title).with_map(map("truth", task, truth)?);
    for result in results {
        maps = maps.with_map(map(
            &name_of(result),
            task,
            open(&result.run)?.subject.study().picture(SHOWN)?,
        )?);
    }

    let maps = maps.with_columns(results.len().clamp(1, 4) + 1).with_colours(ColourMap::Viridis);
    Ok(maps.with_range(ColourRange::Fixed(0.0, 1.0)).with_colour_bar(match task {
        Task::Render => "probability of white",
        _ => "probability, fourth root",
    }))
}

/// Crops a painted canvas to the quarter around the pixel, except in the render task.
fn map(caption: &str, task: Task, picture: Vec<f32>) -> anyhow::Result<HeatMap> {
    if task == Task::Render {
        return Ok(HeatMap::try_new(caption, CANVAS, CANVAS, picture)?);
    }
    // One of 4096 pixels holds nearly all the probability: the root makes the rest visible.
    let quarter = picture.chunks(CANVAS).skip(QUARTER).flat_map(|row| &row[QUARTER..]);
    let shown: Vec<f32> = quarter.map(|value| value.powf(0.25)).collect();
    Ok(HeatMap::try_new(caption, CANVAS - QUARTER, CANVAS - QUARTER, shown)?)
}

/// Plots each network's predicted positions over the true ones.
fn places(results: &[&StudyResult]) -> anyhow::Result<Panels> {
    let layers = unique(results.iter().map(|result| result.layer.clone()));
    let mut panels = Panels::new("Predicted places over true ones", layers.clone());
    for split in Split::ALL {
        let mut row: Vec<Box<dyn Figure>> = Vec::new();
        for layer in &layers {
            let found = results
                .iter()
                .find(|result| result.split == split.name() && result.layer == *layer);
            if let Some(result) = found {
                row.push(Box::new(scatter(open(&result.run)?.subject.study())?));
            }
        }
        if row.len() == layers.len() {
            panels = panels.with_row(split.name(), row);
        }
    }

    Ok(panels)
}

fn scatter(study: &Study) -> anyhow::Result<Scatter> {
    let predicted = study.places()?;
    let members = study.indices();
    let of = |indices: &[usize]| -> Vec<(f64, f64)> {
        indices.iter().map(|&index| (predicted[index][0], predicted[index][1])).collect()
    };

    let truth = study.centres().iter().map(|centre| (f64::from(centre.x), f64::from(centre.y)));
    let axis = |label: &str| Axis::linear(label).with_range(0.0, CANVAS as f64);
    Ok(Scatter::new("", axis("x (pixels)"), axis("y (pixels)").reversed())
        .with_equal_aspect()
        .with_true_places("true places", truth)
        .with_group(Group::new("train", of(&members.train)))
        .with_group(Group::new("test", of(&members.test))))
}

/// Plots the test measure over seconds of training.
fn over_time(task: Task, results: &[&StudyResult]) -> anyhow::Result<LineChart> {
    let (tag, title, axis, mark) = match task {
        Task::Classify => (
            &tags::STUDY_TEST_ACCURACY,
            "Pixels found",
            Axis::linear("test accuracy").with_range(0.0, 1.05),
            1.0,
        ),
        Task::Render => (
            &tags::STUDY_TEST_IOU,
            "Squares drawn",
            Axis::linear("test IoU").with_range(0.0, 1.05),
            0.99,
        ),
        // From a quarter of the canvas to a thousandth of a pixel.
        Task::Regress => {
            (&tags::STUDY_TEST_ERROR, "Places told", Axis::log("test error (pixels)"), 0.5)
        }
    };

    let title = format!("{title}, among the centres never trained on");
    let mut chart =
        LineChart::new(title, Axis::log("seconds of training"), axis).with_reference(mark, "mark");
    for result in results {
        chart = chart.with_series(Series::new(name_of(result), curve(&result.run, tag)?));
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
