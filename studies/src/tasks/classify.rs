//! From (x, y) to that pixel: a softmax over all 4096.

use coordrl_agents::tags;
use tch::Tensor;

use super::centres::{self, CentreLearner, CentreTask, SHOWN};
use super::networks::{Deconv, Pointwise};
use super::rows::{canvases, painted_inputs, picture_of, pixels};
use crate::config::{Inputs, RateSchedule, StudyConfig, StudyLoss};
use crate::data::{CANVAS, Centre, PIXELS, Split};
use crate::task::{
    Exhibit, Mark, Measure, MeasureRange, Prepared, Task, TaskSetup, WHOLE, as_they_are,
};
use crate::{LayerKind, StudyError};

tags! {
    TRAIN_ACCURACY: "study/train_accuracy", "share of centres",
        "Training centres whose own pixel has the highest logit: classify.";
    TEST_ACCURACY: "study/test_accuracy", "share of centres",
        "Test centres whose own pixel has the highest logit: classify.";
    TRAIN_DISTANCE: "study/train_distance_px", "pixels",
        "Mean distance from the pixel with the highest logit to the right one, training centres: classify.";
    TEST_DISTANCE: "study/test_distance_px", "pixels",
        "Mean distance from the pixel with the highest logit to the right one, test centres: classify.";
}

pub(crate) const TASK: Task = Task {
    name: "classify",
    summary: "Map (x, y) to one of 4096 pixels",
    mark: Some(Mark {
        text: "accuracy 1 on train and test",
        value: 1.0,
        // Exact comparisons are safe: n / n is 1, and a missed centre makes the share smaller.
        is_met: |evaluation| {
            evaluation.train.measures.main() == 1.0 && evaluation.test.measures.main() == 1.0
        },
    }),
    measures: &[
        Measure {
            name: "accuracy",
            label: "accuracy",
            title: "Pixels found",
            range: MeasureRange::Share,
            train: Some(&TRAIN_ACCURACY),
            test: &TEST_ACCURACY,
            of_data: None,
            over_time: false,
        },
        Measure {
            name: "distance_px",
            label: "distance (pixels)",
            title: "Distance to the pixel",
            range: MeasureRange::Error,
            train: Some(&TRAIN_DISTANCE),
            test: &TEST_DISTANCE,
            of_data: None,
            over_time: false,
        },
    ],
    splits: &Split::OF_CENTRES,
    losses: &[StudyLoss::CrossEntropy, StudyLoss::Bce, StudyLoss::Mse],
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

/// As published, except for the unit of the inputs: see [`Inputs::Coordinates`].
fn with_layer() -> StudyConfig {
    StudyConfig { inputs: Inputs::Coordinates, ..Default::default() }
}

/// Windows of 4, the largest the authors tried: with stride 2 every output pixel then has equally
/// many inputs, and the network fits its training centres, which with windows of 3 it does not
/// within 200 epochs. Batches of 32, the larger of theirs: with 16 the running statistics of batch
/// normalisation are so noisy that accuracy fluctuates. The authors' narrowest network, without
/// weight decay, given the same x and y as CoordConv.
fn baseline() -> StudyConfig {
    StudyConfig {
        inputs: Inputs::Coordinates,
        batch_size: 32,
        epochs: 360,
        learning_rate: 0.005,
        schedule: RateSchedule::Step,
        step_every_epochs: 60,
        step_ratio: 0.4,
        filter_size: 4,
        eval_every_epochs: 10,
        ..Default::default()
    }
}

fn published(split: Split, kind: LayerKind) -> &'static str {
    match (kind, split) {
        (LayerKind::InPlace(_), _) => "1.00",
        (LayerKind::Baseline, Split::Uniform) => "at most 0.86",
        (LayerKind::Baseline, _) => "not learnt",
    }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let mul = i64::from(setup.config.channel_mul);
    let filter = i64::from(setup.config.filter_size);
    match setup.under_study() {
        None => {
            centres::prepare(&Classify, setup, move |scope| Ok(Deconv::build(scope, mul, filter)?))
        }
        Some(layer) => {
            centres::prepare(&Classify, setup, move |scope| Pointwise::build(scope, layer, mul))
        }
    }
}

struct Classify;

impl CentreTask for Classify {
    fn input(&self, inputs: Inputs, centres: &[Centre]) -> Result<Tensor, StudyError> {
        painted_inputs(inputs, centres)
    }

    fn target(&self, loss: StudyLoss, centres: &[Centre]) -> Result<Tensor, StudyError> {
        match loss {
            StudyLoss::CrossEntropy => pixels(centres),
            StudyLoss::Bce | StudyLoss::Mse => canvases(centres, Centre::draw_pixel),
        }
    }

    /// Counts the rows whose own pixel has the highest logit, and sums the distances to it.
    fn measure(
        &self,
        _: StudyLoss,
        output: &Tensor,
        _: &Tensor,
        centres: &[Centre],
    ) -> Result<Vec<f64>, StudyError> {
        let found: Vec<i64> = Vec::try_from(output.f_argmax(-1, false)?)?; // [N]
        let side = CANVAS as i64;
        let mut hits = 0.0;
        let mut sum = 0.0;
        for (pixel, centre) in found.into_iter().zip(centres) {
            let distance = centre.distance_px([(pixel % side) as f64, (pixel / side) as f64]);
            // Exact: whole coordinates that agree are 0 apart, without rounding.
            hits += f64::from(u8::from(distance == 0.0));
            sum += distance;
        }
        Ok(vec![hits, sum])
    }

    /// Shows the lower right quarter of the canvas, where the pixel is visible.
    fn exhibit(&self, learner: &CentreLearner) -> Result<Exhibit, StudyError> {
        let mut truth = vec![0.0; PIXELS];
        SHOWN.draw_pixel(&mut truth);
        let logits = learner.output(&[SHOWN])?;
        let painted = Vec::try_from(picture_of(learner.loss, &logits).f_reshape([-1])?)?;
        let Centre { x, y } = SHOWN;
        Ok(Exhibit::Picture {
            title: format!(
                "Probability of each pixel for ({x}, {y}), a test centre: lower right quarter"
            ),
            values: "probability, fourth root",
            truth: quarter(&truth),
            painted: quarter(&painted),
        })
    }
}

/// Crops a canvas to its lower right quarter. One of 4096 pixels holds nearly all the probability:
/// the root makes the rest visible.
fn quarter(canvas: &[f32]) -> Vec<f32> {
    let half = CANVAS / 2;
    let rows = canvas.chunks(CANVAS).skip(half);
    rows.flat_map(|row| &row[half..]).map(|value| value.powf(0.25)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::centres::score_of;
    use super::*;
    use tch::{Device, Kind};

    const CENTRES: [Centre; 2] = [Centre { x: 10, y: 20 }, Centre { x: 40, y: 50 }];

    #[test]
    fn hits_are_counted_and_misses_measured() {
        let logits = Tensor::zeros([2, PIXELS as i64], (Kind::Float, Device::Cpu));
        let _ = logits.get(0).get(20 * 64 + 10).fill_(5.0);
        let _ = logits.get(1).get(46 * 64 + 43).fill_(5.0); // 3 to the right, 4 above
        let score = score_of(&TASK, &Classify, StudyLoss::CrossEntropy, &logits, &CENTRES);
        let measures: Vec<_> = score.measures.named().collect();
        assert_eq!(measures, [("accuracy", 0.5), ("distance_px", 2.5)]);
        let off = 5f64.exp();
        let hit = -(off / (off + 4095.0)).ln();
        let miss = (off + 4095.0).ln();
        assert!((score.loss - (hit + miss) / 2.0).abs() < 1e-5, "{}", score.loss);
    }
}
