//! A study of your own, without changing `coordrl`: which quarter of the canvas is the square in?
//!
//! ```console
//! cargo run --release --example own_study
//! ```
//!
//! The network looks through the layer under study and keeps the largest value of each channel, so
//! it knows a place only if that layer does. The run loop gives the task what every run has: a
//! folder, checkpoints, metrics and exact resume. One line in
//! `studies/src/registry.rs` would make it `coordrl study quarter`.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::path::Path;

use anyhow::Context;
use coordrl::run::launch::Destination;
use coordrl::study::launch::{self, StudyRun};
use coordrl::study::{StudyResult, StudyRunConfig};
use coordrl_agents::nn::{Init, Linear, ParamScope};
use coordrl_agents::tags;
use coordrl_envs::Problem;
use coordrl_studies::data::{CANVAS, PIXELS, centres};
use coordrl_studies::{
    Centre, Draws, Layer, LayerInput, LayerPlace, Mark, Measure, MeasureRange, Prepared, RowSplit,
    ScoreSums, Split, StudyConfig, StudyError, StudyLoss, Tally, Task, TaskLearner, TaskSetup,
    UnderStudy, WHOLE, as_they_are, find_layer,
};
use tch::{Device, Kind, Reduction, Tensor};

tags! {
    TRAIN_QUARTERS: "study/train_quarters", "share of centres",
        "Training centres whose quarter is found.";
    TEST_QUARTERS: "study/test_quarters", "share of centres",
        "Test centres whose quarter is found.";
}

static QUARTER: Task = Task {
    name: "quarter",
    summary: "Map an image of the square to the quarter of the canvas it is in",
    mark: Some(Mark {
        text: "test accuracy of at least 0.95",
        value: 0.95,
        is_met: |evaluation| evaluation.test.measures.main() >= 0.95,
    }),
    measures: &[Measure {
        name: "quarters",
        label: "accuracy",
        title: "Quarters found",
        range: MeasureRange::Share,
        train: Some(&TRAIN_QUARTERS),
        test: &TEST_QUARTERS,
        of_data: None,
        over_time: false,
    }],
    splits: &[Split::Uniform],
    losses: &[StudyLoss::CrossEntropy],
    objectives: &[WHOLE],
    takes_long: false,
    fixed_epochs: 10,
    with_layer: || StudyConfig { batch_size: 32, epochs: 10, ..StudyConfig::default() },
    baseline: None,
    published: |_, _| "–",
    drawn: None,
    train_rows: |split, _, _| Ok(split.indices().train.len()),
    fit_weights: as_they_are,
    prepare,
};

const CHANNELS: i64 = 8;

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let layer = setup.under_study().ok_or_else(no_baseline)?;
    let device = setup.device;

    let rows = setup.split.indices();
    Ok(Prepared {
        scored: rows.train.clone(),
        rows,
        data: None,
        build: Box::new(move |scope| Ok(Box::new(Quarter::build(scope, layer, device)?))),
    })
}

/// Unreachable: `Study::build` refuses the baseline of a task that has none.
fn no_baseline() -> StudyError {
    StudyError::Config(vec![Problem::new("layer", "`quarter` has no baseline")])
}

/// One thread's network, and the centres.
struct Quarter {
    layer: Box<dyn Layer>,
    output: Linear,
    centres: Vec<Centre>,
    device: Device,
}

impl Quarter {
    fn build(
        scope: &mut ParamScope<'_>,
        layer: UnderStudy,
        device: Device,
    ) -> Result<Self, StudyError> {
        let side = CANVAS as i64;
        let layer = layer.build(
            scope,
            LayerPlace::pointwise(LayerInput::Pictures, [1, CHANNELS], [side, side]),
        )?;
        let output = Linear::build(scope, "output", CHANNELS, 4, Init::HeNormal)?;
        Ok(Self { layer, output, centres: centres(), device })
    }

    /// Returns logits of the quarters, `[N, 4]`, and the right ones, `i64 [N]`.
    fn forward(&self, rows: &[usize]) -> Result<(Tensor, Tensor), StudyError> {
        let mut canvases = vec![0f32; rows.len() * PIXELS];
        let mut quarters = Vec::new();
        for (canvas, &row) in canvases.chunks_exact_mut(PIXELS).zip(rows) {
            let centre = self.centres[row];
            centre.draw_square(canvas);
            let [right, below] = centre.scaled().map(|place| i64::from(place >= 0.5));
            quarters.push(2 * below + right);
        }

        let side = CANVAS as i64;
        let pictures = Tensor::f_from_slice(&canvases)?.f_view([-1, 1, side, side])?;
        let seen = self.layer.forward(&pictures.f_to_device(self.device)?).relu(); // [N, 8, 64, 64]
        let logits = self.output.forward(&seen.amax([2i64, 3].as_slice(), false)); // [N, 4]
        Ok((logits, Tensor::f_from_slice(&quarters)?.f_to_device(self.device)?))
    }
}

impl TaskLearner for Quarter {
    fn loss(&self, _: usize, rows: &[usize], _: Draws) -> Result<Tensor, StudyError> {
        let (logits, quarters) = self.forward(rows)?;
        Ok(logits.f_cross_entropy_loss::<Tensor>(&quarters, None, Reduction::Sum, -100, 0.0)?)
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let (logits, quarters) = self.forward(rows)?;
        let loss =
            logits.f_cross_entropy_loss::<Tensor>(&quarters, None, Reduction::Sum, -100, 0.0)?;
        let hits = logits.f_argmax(-1, false)?.f_eq_tensor(&quarters)?.f_sum(Kind::Double)?;
        let hits = Tally::over_rows(hits.f_double_value(&[])?, rows.len());
        Ok(ScoreSums { loss: loss.f_double_value(&[])?, measures: vec![hits] })
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(16)
    }
}

/// Returns the settings of a run of `epochs` epochs.
fn config(seed: u64, epochs: u32) -> anyhow::Result<StudyRunConfig> {
    let layer = find_layer("coordconv")?;
    let mut config = StudyRunConfig::recipe(&QUARTER, Split::Uniform, layer);
    config.seed = seed;
    config.study.epochs = epochs;
    config.stop_when_held = false;
    Ok(config)
}

/// Trains in a new folder below `runs_dir`.
fn train(runs_dir: &Path, config: StudyRunConfig) -> anyhow::Result<StudyResult> {
    let group = launch::group(runs_dir, &config);
    finish(launch::new_run(config, &Destination { group, name: None }, None)?)
}

fn finish(mut run: StudyRun) -> anyhow::Result<StudyResult> {
    run.train()?;
    let result = run.subject().result(run.dir().path(), run.progress());
    result.context("stopped before the first evaluation")
}

fn main() -> anyhow::Result<()> {
    let result = train(Path::new("runs"), config(1, 10)?)?;
    let (_, [train, test]) = result.main_measure();
    println!("quarters found: {train:.3} of the training centres, {test:.3} of the others");
    println!("guessing finds 0.25; the run is in {}", result.run.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl::run::run_dir::RunDir;

    #[test]
    fn it_learns_in_a_run_like_any_other() {
        let runs = tempfile::tempdir().unwrap();
        let result = train(runs.path(), config(1, 10).unwrap()).unwrap();
        let (name, [_, test]) = result.main_measure();
        assert_eq!(name, "quarters");
        assert!(test > 0.95, "accuracy {test}");
        let metrics = std::fs::read_to_string(result.run.join("metrics.jsonl")).unwrap();
        assert!(metrics.contains("study/test_quarters"));
    }

    #[test]
    fn a_baseline_and_a_split_that_it_lacks_are_refused() {
        let mut config = config(1, 1).unwrap();
        config.layer = "conv".to_owned();
        config.split = Split::Quadrant;
        let problems: Vec<String> = config.check().iter().map(Problem::to_string).collect();
        let expected = [
            "`split` is `quadrant`, which `quarter` does not have (there are: uniform)",
            "`layer` is `conv`, but `quarter` has no baseline (layers to study on it: coordconv)",
        ];
        assert_eq!(problems, expected);

        let runs = tempfile::tempdir().unwrap();
        let error = train(runs.path(), config).unwrap_err().to_string();
        assert!(error.contains("`layer` is `conv`, but `quarter` has no baseline"), "{error}");
        assert_eq!(std::fs::read_dir(runs.path()).unwrap().count(), 0, "nothing was created");
    }

    #[test]
    fn a_resumed_run_ends_as_one_that_was_never_stopped() {
        let runs = tempfile::tempdir().unwrap();
        let whole = train(runs.path(), config(2, 3).unwrap()).unwrap();
        let shorter = train(runs.path(), config(2, 2).unwrap()).unwrap();
        let run = RunDir::open_to_train(&shorter.run).unwrap();
        let loaded = launch::load(&run, &config(2, 3).unwrap()).unwrap();
        let resumed = finish(launch::resume(run, loaded).unwrap()).unwrap();
        assert_eq!((resumed.updates, resumed.measures), (whole.updates, whole.measures));
    }
}
