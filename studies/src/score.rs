//! Evaluation of a network, and the marks of the tasks.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::config::Loss;
use crate::data::{CANVAS, Centre};
use crate::rows::{loss_sum, picture_of, target_of};
use crate::{StudyError, Task};

/// Scores of a network on the training and test centres, in evaluation mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs trained so far.
    pub epoch: u32,
    /// Score on the training centres.
    pub train: Score,
    /// Score on the held-out centres.
    pub test: Score,
}

/// Score of a network on a set of centres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Loss without the L2 term; mean over the centres.
    pub loss: f64,
    /// Task-specific measures; means over the centres.
    pub measures: Measures,
}

/// Measures by task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measures {
    /// `classify`.
    Classify {
        /// Share of centres whose pixel has the highest logit.
        accuracy: f64,
        /// Distance from that pixel to the true one.
        distance_px: f64,
    },
    /// `render`.
    Render {
        /// Pixels white in both pictures over those white in either.
        iou: f64,
        /// Share of pictures without a wrong pixel.
        exact: f64,
    },
    /// `regress`.
    Regress {
        /// Distance from the predicted to the true position.
        error_px: f64,
    },
}

impl Measures {
    /// Returns all measures with their names, the most important first.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Classify { accuracy, distance_px } => {
                vec![("accuracy", accuracy), ("distance_px", distance_px)]
            }
            Self::Render { iou, exact } => vec![("iou", iou), ("exact", exact)],
            Self::Regress { error_px } => vec![("error_px", error_px)],
        }
    }
}

impl Evaluation {
    /// Returns `true` if the task's mark ([`Task::mark`]) is met.
    pub fn meets_mark(&self) -> bool {
        match (self.train.measures, self.test.measures) {
            // Exact comparisons are safe: n / n is 1, and a missed centre makes the share smaller.
            (
                Measures::Classify { accuracy: train, .. },
                Measures::Classify { accuracy: test, .. },
            ) => train == 1.0 && test == 1.0,
            (_, Measures::Render { iou, .. }) => iou >= 0.99,
            (_, Measures::Regress { error_px }) => error_px < 0.5,
            _ => false,
        }
    }
}

/// Sums over a set of centres.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScoreSums {
    pub loss: f64,
    pub measures: [f64; 2],
}

impl ScoreSums {
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.measures[0] += other.measures[0];
        self.measures[1] += other.measures[1];
    }

    /// Divides the sums by the number of centres.
    pub fn score(self, task: Task, centres: usize) -> Score {
        let mean = |sum: f64| sum / centres as f64;
        let [first, second] = self.measures.map(mean);
        let measures = match task {
            Task::Classify => Measures::Classify { accuracy: first, distance_px: second },
            Task::Render => Measures::Render { iou: first, exact: second },
            Task::Regress => Measures::Regress { error_px: first },
        };
        Score { loss: mean(self.loss), measures }
    }
}

/// Sums scores over the rows of one output.
pub(crate) fn sums_of(
    task: Task,
    loss: Loss,
    output: &Tensor,
    centres: &[Centre],
) -> Result<ScoreSums, StudyError> {
    let target = target_of(task, loss, centres, output.device())?;
    let measures = match task {
        Task::Render => overlaps(loss, output, &target)?,
        Task::Classify | Task::Regress => {
            let distances =
                places(task, loss, output)?.into_iter().zip(centres).map(|(found, centre)| {
                    (found[0] - f64::from(centre.x)).hypot(found[1] - f64::from(centre.y))
                });
            let distances: Vec<f64> = distances.collect();
            let sum: f64 = distances.iter().sum();
            match task {
                Task::Regress => [sum, 0.0],
                _ => [distances.iter().filter(|&&distance| distance == 0.0).count() as f64, sum],
            }
        }
    };

    let loss = loss_sum(loss, output, &target).f_to_kind(Kind::Double)?.f_double_value(&[])?;
    Ok(ScoreSums { loss, measures })
}

/// Extracts each row's predicted centre, (x, y) in pixels: for `classify` the argmax of the logits,
/// for `render` the mean of the white pixels (NaN if there are none).
pub(crate) fn places(task: Task, loss: Loss, output: &Tensor) -> Result<Vec<[f64; 2]>, StudyError> {
    let side = CANVAS as i64;
    match task {
        Task::Regress => pairs(&(output.f_to_kind(Kind::Double)? * side as f64)),
        Task::Classify => {
            let pixels: Vec<i64> = Vec::try_from(output.f_argmax(-1, false)?)?;
            Ok(pixels
                .into_iter()
                .map(|pixel| [(pixel % side) as f64, (pixel / side) as f64])
                .collect())
        }
        Task::Render => {
            let white = picture_of(loss, output).f_gt(0.5)?.f_to_kind(Kind::Double)?; // [N, 4096]
            let pixels = Tensor::f_arange(side * side, (Kind::Double, output.device()))?;
            let rows = pixels.f_divide_scalar_mode(side, "floor")?;
            let columns = &pixels - &rows * side;
            let sums = white.f_matmul(&Tensor::f_stack(&[columns, rows], 1)?)?; // [N, 2]
            pairs(&(sums / white.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?))
        }
    }
}

/// Copies `f64 [N, 2]` to the host.
fn pairs(numbers: &Tensor) -> Result<Vec<[f64; 2]>, StudyError> {
    let flat: Vec<f64> = Vec::try_from(numbers.f_reshape([-1])?)?;
    Ok(flat.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

/// Intersections over unions, and exactly correct pictures. A pixel is white above one half.
fn overlaps(loss: Loss, output: &Tensor, target: &Tensor) -> Result<[f64; 2], StudyError> {
    let found = picture_of(loss, output).f_gt(0.5)?;
    let right = target.f_gt(0.5)?;
    let count = |pixels: Tensor| -> Result<Vec<i64>, StudyError> {
        Ok(Vec::try_from(pixels.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?)?)
    };
    let both = count(found.f_logical_and(&right)?)?;
    let either = count(found.f_logical_or(&right)?)?;
    let ious = both.iter().zip(&either).map(|(&both, &either)| both as f64 / either.max(1) as f64);
    let exact = both.iter().zip(&either).filter(|(both, either)| both == either).count();
    Ok([ious.sum(), exact as f64])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PIXELS;
    use tch::Device;

    const CENTRES: [Centre; 2] = [Centre { x: 10, y: 20 }, Centre { x: 40, y: 50 }];

    fn zeros() -> Tensor {
        Tensor::zeros([2, PIXELS as i64], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn classification_counts_hits_and_measures_misses() {
        let logits = zeros();
        let _ = logits.get(0).get(20 * 64 + 10).fill_(5.0);
        let _ = logits.get(1).get(46 * 64 + 43).fill_(5.0); // 3 to the right, 4 above
        let sums = sums_of(Task::Classify, Loss::CrossEntropy, &logits, &CENTRES).unwrap();
        let score = sums.score(Task::Classify, 2);
        assert_eq!(score.measures, Measures::Classify { accuracy: 0.5, distance_px: 2.5 });
        let off = 5f64.exp();
        let hit = -(off / (off + 4095.0)).ln();
        let miss = (off + 4095.0).ln();
        assert!((score.loss - (hit + miss) / 2.0).abs() < 1e-5, "{}", score.loss);
    }

    #[test]
    fn rendering_measures_overlap() {
        let exact = target_of(Task::Render, Loss::Bce, &CENTRES, Device::Cpu).unwrap();
        let logits = exact.copy() * 8.0 - 4.0;
        let _ = logits.get(1).view([64, 64]).narrow(0, 54, 1).fill_(-4.0); // last row of the square
        let sums = sums_of(Task::Render, Loss::Bce, &logits, &CENTRES).unwrap();
        let expected = Measures::Render { iou: (1.0 + 72.0 / 81.0) / 2.0, exact: 0.5 };
        assert_eq!(sums.score(Task::Render, 2).measures, expected);
        let found = places(Task::Render, Loss::Mse, &exact).unwrap();
        assert_eq!(found, [[10.0, 20.0], [40.0, 50.0]]);
        // Grey levels, to which no sigmoid is applied.
        let sums = sums_of(Task::Render, Loss::Mse, &(exact * 0.7), &CENTRES).unwrap();
        assert_eq!(sums.score(Task::Render, 2).measures, Measures::Render { iou: 1.0, exact: 1.0 });
        let sums = sums_of(Task::Render, Loss::Bce, &(zeros() - 1.0), &CENTRES).unwrap();
        assert_eq!(sums.score(Task::Render, 2).measures, Measures::Render { iou: 0.0, exact: 0.0 });
    }

    #[test]
    fn regression_measures_pixels() {
        let output =
            Tensor::from_slice(&[13f32 / 64.0, 24.0 / 64.0, 40.0 / 64.0, 50.0 / 64.0]).view([2, 2]);
        let sums = sums_of(Task::Regress, Loss::Mse, &output, &CENTRES).unwrap();
        assert_eq!(sums.score(Task::Regress, 2).measures, Measures::Regress { error_px: 2.5 });
    }

    #[test]
    fn marks_are_met_where_the_task_says() {
        let with = |train, test| {
            let score = |measures| Score { loss: 0.0, measures };
            Evaluation { epoch: 1, train: score(train), test: score(test) }.meets_mark()
        };

        let classify = |accuracy| Measures::Classify { accuracy, distance_px: 0.0 };
        assert!(with(classify(1.0), classify(1.0)));
        assert!(!with(classify(0.9996), classify(1.0)) && !with(classify(1.0), classify(0.9996)));
        let render = |iou| Measures::Render { iou, exact: 0.0 };
        assert!(with(render(0.0), render(0.99)) && !with(render(1.0), render(0.989)));
        let regress = |error_px| Measures::Regress { error_px };
        assert!(with(regress(9.0), regress(0.49)) && !with(regress(0.1), regress(0.5)));
        assert!(!with(regress(9.0), regress(f64::NAN)));
    }
}
