//! From (x, y) to the picture of the square around it.

use coordrl_agents::tags;
use tch::{Kind, Tensor};

use super::centres::{self, CentreLearner, CentreTask, SHOWN};
use super::networks::{Deconv, Render, RenderStages};
use super::rows::{canvases, painted_inputs, picture_of};
use crate::config::{Inputs, RateSchedule, StudyConfig, StudyLoss};
use crate::data::{Centre, PIXELS, Split};
use crate::task::{
    Exhibit, Mark, Measure, MeasureRange, Prepared, Task, TaskSetup, WHOLE, as_they_are,
};
use crate::{LayerKind, StudyError};

tags! {
    TRAIN_IOU: "study/train_iou", "none",
        "Mean over training centres of intersection over union of painted and true white pixels: render.";
    TEST_IOU: "study/test_iou", "none",
        "Mean over test centres of intersection over union of painted and true white pixels: render.";
    TRAIN_EXACT: "study/train_exact", "share of centres",
        "Training centres whose picture has no wrong pixel: render.";
    TEST_EXACT: "study/test_exact", "share of centres",
        "Test centres whose picture has no wrong pixel: render.";
}

pub(crate) const TASK: Task = Task {
    name: "render",
    summary: "Map (x, y) to an image of the 9×9 square there",
    mark: Some(Mark {
        text: "test IoU of at least 0.99",
        value: 0.99,
        is_met: |evaluation| evaluation.test.measures.main() >= 0.99,
    }),
    measures: &[
        Measure {
            name: "iou",
            label: "IoU",
            title: "Squares drawn",
            range: MeasureRange::Share,
            train: Some(&TRAIN_IOU),
            test: &TEST_IOU,
            of_data: None,
            over_time: false,
        },
        Measure {
            name: "exact",
            label: "exact pictures",
            title: "Pictures without a wrong pixel",
            range: MeasureRange::Share,
            train: Some(&TRAIN_EXACT),
            test: &TEST_EXACT,
            of_data: None,
            over_time: false,
        },
    ],
    splits: &Split::OF_CENTRES,
    losses: &[StudyLoss::Bce, StudyLoss::Mse],
    objectives: &[WHOLE],
    takes_long: false,
    fixed_epochs: 40,
    with_layer,
    baseline: Some(baseline),
    published,
    drawn: None,
    train_rows: centres::train_rows,
    fit_weights: as_they_are,
    prepare,
};

/// With 1×1 windows the first stage's map must contain the whole square.
///
/// Generalisation to the held-out quarter depends on weight decay and on time at the full
/// learning rate. With a decay of 0.001 and a rate that falls after 6 epochs some seeds stop just
/// short of the mark; if the rate never falls, accuracy on the square fluctuates.
fn with_layer() -> StudyConfig {
    StudyConfig {
        loss: StudyLoss::Bce,
        batch_size: 8,
        epochs: 60,
        learning_rate: 0.01,
        schedule: RateSchedule::Step,
        step_every_epochs: 8,
        step_ratio: 0.3,
        step_limit: 2,
        l2: 0.003,
        map_loss: 1.0,
        // A square in the map is 1 / 81 everywhere: 1 in these units.
        map_scale: 81.0,
        inputs: Inputs::Coordinates,
        ..Default::default()
    }
}

/// The authors' narrowest network, without weight decay, given the same x and y as CoordConv.
fn baseline() -> StudyConfig {
    StudyConfig {
        inputs: Inputs::Coordinates,
        loss: StudyLoss::Bce,
        epochs: 480,
        learning_rate: 0.005,
        schedule: RateSchedule::Step,
        step_every_epochs: 150,
        step_ratio: 0.3,
        step_limit: 3,
        filter_size: 3,
        eval_every_epochs: 5,
        ..Default::default()
    }
}

fn published(split: Split, kind: LayerKind) -> &'static str {
    match (kind, split) {
        (LayerKind::InPlace(_), _) => "1.00",
        (LayerKind::Baseline, Split::Uniform) => "at most 0.83",
        (LayerKind::Baseline, _) => "at most 0.36",
    }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let mul = i64::from(setup.config.channel_mul);
    let filter = i64::from(setup.config.filter_size);
    match setup.under_study() {
        None => {
            centres::prepare(&Square, setup, move |scope| Ok(Deconv::build(scope, mul, filter)?))
        }
        Some(layer) => {
            let stages = RenderStages { mul, filter, map_scale: setup.config.map_scale };
            centres::prepare(&Square, setup, move |scope| Render::build(scope, layer, stages))
        }
    }
}

struct Square;

impl CentreTask for Square {
    fn input(&self, inputs: Inputs, centres: &[Centre]) -> Result<Tensor, StudyError> {
        painted_inputs(inputs, centres)
    }

    fn target(&self, _: StudyLoss, centres: &[Centre]) -> Result<Tensor, StudyError> {
        canvases(centres, Centre::draw_square)
    }

    /// Sums intersections over unions, and counts exactly correct pictures. A pixel is white above
    /// one half.
    fn measure(
        &self,
        loss: StudyLoss,
        output: &Tensor,
        target: &Tensor,
        _: &[Centre],
    ) -> Result<Vec<f64>, StudyError> {
        let found = picture_of(loss, output).f_gt(0.5)?;
        let right = target.f_gt(0.5)?;
        let both = white_pixels(&found.f_logical_and(&right)?)?;
        let either = white_pixels(&found.f_logical_or(&right)?)?;
        let mut iou = 0.0;
        let mut exact = 0.0;
        for (both, either) in both.into_iter().zip(either) {
            iou += both as f64 / either.max(1) as f64;
            // Intersection and union are equally large only if the two sets are equal.
            exact += f64::from(u8::from(both == either));
        }
        Ok(vec![iou, exact])
    }

    fn exhibit(&self, learner: &CentreLearner) -> Result<Exhibit, StudyError> {
        let mut truth = vec![0.0; PIXELS];
        SHOWN.draw_square(&mut truth);
        let logits = learner.output(&[SHOWN])?;
        let Centre { x, y } = SHOWN;
        Ok(Exhibit::Picture {
            title: format!("The square around ({x}, {y}), a test centre, as painted"),
            values: "probability of white",
            truth,
            painted: Vec::try_from(picture_of(learner.loss, &logits).f_reshape([-1])?)?,
        })
    }
}

/// Counts the white pixels of each row of `bool [N, 4096]`.
fn white_pixels(pictures: &Tensor) -> Result<Vec<i64>, StudyError> {
    Ok(Vec::try_from(pictures.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::centres::score_of;
    use super::*;
    use tch::Device;

    const CENTRES: [Centre; 2] = [Centre { x: 10, y: 20 }, Centre { x: 40, y: 50 }];

    fn measures(loss: StudyLoss, output: &Tensor) -> [f64; 2] {
        let score = score_of(&TASK, &Square, loss, output, &CENTRES);
        let values: Vec<f64> = score.measures.named().map(|(_, value)| value).collect();
        values.try_into().unwrap()
    }

    #[test]
    fn overlaps_are_measured_and_exact_pictures_counted() {
        let exact = Square.target(StudyLoss::Bce, &CENTRES).unwrap();
        let logits = exact.copy() * 8.0 - 4.0;
        let _ = logits.get(1).view([64, 64]).narrow(0, 54, 1).fill_(-4.0); // last row of the square
        assert_eq!(measures(StudyLoss::Bce, &logits), [(1.0 + 72.0 / 81.0) / 2.0, 0.5]);
        // Grey levels, to which no sigmoid is applied.
        assert_eq!(measures(StudyLoss::Mse, &(exact * 0.7)), [1.0, 1.0]);
        let black = Tensor::full([2, PIXELS as i64], -1.0, (Kind::Float, Device::Cpu));
        assert_eq!(measures(StudyLoss::Bce, &black), [0.0, 0.0]);
    }
}
