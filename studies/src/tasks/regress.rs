//! From the picture of one pixel to its (x, y).

use coordrl_agents::tags;
use tch::{Kind, Tensor};

use super::centres::{self, CentreLearner, CentreTask};
use super::networks::{ConvDense, ConvMean, CoordMax};
use super::rows::canvases;
use crate::config::{Inputs, StudyConfig, StudyLoss};
use crate::data::{CANVAS, Centre, Split};
use crate::task::{
    Exhibit, Mark, Measure, MeasureRange, Prepared, Task, TaskSetup, WHOLE, as_they_are,
};
use crate::{LayerKind, LayerStart, StudyError};

tags! {
    TRAIN_ERROR: "study/train_error_px", "pixels",
        "Mean distance from the predicted to the right place, training centres: regress.";
    TEST_ERROR: "study/test_error_px", "pixels",
        "Mean distance from the predicted to the right place, test centres: regress.";
}

pub(crate) const TASK: Task = Task {
    name: "regress",
    summary: "Map an image of one pixel to its (x, y)",
    mark: Some(Mark {
        text: "test error below 0.5 px",
        value: 0.5,
        is_met: |evaluation| evaluation.test.measures.main() < 0.5,
    }),
    measures: &[Measure {
        name: "error_px",
        label: "error (pixels)",
        title: "Places predicted",
        range: MeasureRange::Error,
        train: Some(&TRAIN_ERROR),
        test: &TEST_ERROR,
        of_data: None,
        over_time: false,
    }],
    splits: &Split::OF_CENTRES,
    losses: &[StudyLoss::Mse],
    objectives: &[WHOLE],
    takes_long: false,
    fixed_epochs: 20,
    with_layer,
    baseline: Some(baseline),
    published,
    drawn: None,
    train_rows: centres::train_rows,
    fit_weights: as_they_are,
    prepare,
};

/// Smaller batches than published, for more steps per epoch.
///
/// The network has no activation and ends in a maximum over all positions. With coordinate weights
/// drawn like the others, that maximum is often at an edge from the start: the pixel then gets no
/// gradient, and all predictions collapse to the mean position. Starting plain, the pixel wins
/// first.
fn with_layer() -> StudyConfig {
    StudyConfig {
        loss: StudyLoss::Mse,
        layer_start: LayerStart::Plain,
        batch_size: 32,
        learning_rate: 0.003,
        ..Default::default()
    }
}

/// One of the authors' settings, except for smaller batches, for more steps per epoch.
fn baseline() -> StudyConfig {
    StudyConfig {
        loss: StudyLoss::Mse,
        batch_size: 32,
        learning_rate: 0.001,
        l2: 1e-5,
        eval_every_epochs: 5,
        ..Default::default()
    }
}

fn published(_: Split, kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::InPlace(_) => "good",
        LayerKind::Baseline => "poor",
    }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let mul = i64::from(setup.config.channel_mul);
    match (setup.under_study(), setup.split) {
        (Some(layer), _) => {
            centres::prepare(&Regress, setup, move |scope| CoordMax::build(scope, layer))
        }
        (None, Split::Uniform) => {
            centres::prepare(&Regress, setup, move |scope| Ok(ConvDense::build(scope, mul)?))
        }
        (None, _) => {
            centres::prepare(&Regress, setup, move |scope| Ok(ConvMean::build(scope, mul)?))
        }
    }
}

struct Regress;

impl CentreTask for Regress {
    fn input(&self, _: Inputs, centres: &[Centre]) -> Result<Tensor, StudyError> {
        let side = CANVAS as i64;
        let rows = centres.len() as i64;
        Ok(canvases(centres, Centre::draw_pixel)?.f_view([rows, 1, side, side])?)
    }

    /// Returns (x, y) / 64, `[N, 2]`.
    fn target(&self, _: StudyLoss, centres: &[Centre]) -> Result<Tensor, StudyError> {
        let numbers: Vec<f32> = centres.iter().flat_map(|centre| centre.scaled()).collect();
        Ok(Tensor::f_from_slice(&numbers)?.f_view([centres.len() as i64, 2])?)
    }

    fn measure(
        &self,
        _: StudyLoss,
        output: &Tensor,
        _: &Tensor,
        centres: &[Centre],
    ) -> Result<Vec<f64>, StudyError> {
        let places = places(output)?;
        let distances = places.into_iter().zip(centres);
        Ok(vec![distances.map(|(place, centre)| centre.distance_px(place)).sum()])
    }

    fn exhibit(&self, learner: &CentreLearner) -> Result<Exhibit, StudyError> {
        let mut predicted = Vec::new();
        // A few at a time: all pictures together would take 50 MB and their activations more.
        for part in learner.centres.chunks(64) {
            predicted.extend(places(&learner.output(part)?)?);
        }
        let truth = learner.centres.iter().map(|centre| [centre.x, centre.y].map(f64::from));
        Ok(Exhibit::Places { side: CANVAS as f64, truth: truth.collect(), predicted })
    }
}

/// Converts outputs `[N, 2]` to (x, y) in pixels.
fn places(output: &Tensor) -> Result<Vec<[f64; 2]>, StudyError> {
    let pixels = output.f_to_kind(Kind::Double)? * CANVAS as f64;
    let flat: Vec<f64> = Vec::try_from(pixels.f_reshape([-1])?)?;
    Ok(flat.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::centres::score_of;
    use super::*;

    #[test]
    fn errors_are_in_pixels() {
        let centres = [Centre { x: 10, y: 20 }, Centre { x: 40, y: 50 }];
        let output = [13f32 / 64.0, 24.0 / 64.0, 40.0 / 64.0, 50.0 / 64.0];
        let output = Tensor::from_slice(&output).view([2, 2]);
        let score = score_of(&TASK, &Regress, StudyLoss::Mse, &output, &centres);
        assert_eq!(score.measures.named().collect::<Vec<_>>(), [("error_px", 2.5)]);
    }
}
