//! Centres as tensors: network inputs and targets.

use tch::{Kind, Reduction, Tensor};

use super::networks::MapHolds;
use crate::StudyError;
use crate::config::{Inputs, StudyLoss};
use crate::data::{CANVAS, Centre, PIXELS, SQUARE_REACH};

/// Pixels of the square.
const SQUARE_PIXELS: f64 = ((2 * SQUARE_REACH + 1) * (2 * SQUARE_REACH + 1)) as f64;

/// Builds the input of the painting tasks, `[N, 2]`.
pub(super) fn painted_inputs(inputs: Inputs, centres: &[Centre]) -> Result<Tensor, StudyError> {
    let numbers: Vec<f32> = centres
        .iter()
        .flat_map(|centre| [centre.x, centre.y].map(|number| in_unit(inputs, number)))
        .collect();
    Ok(Tensor::f_from_slice(&numbers)?.f_view([centres.len() as i64, 2])?)
}

/// Converts a row or column to the unit of a painting network's inputs.
fn in_unit(inputs: Inputs, number: u8) -> f32 {
    match inputs {
        Inputs::Pixels => f32::from(number),
        Inputs::Coordinates => f32::from(number) * 2.0 / (CANVAS - 1) as f32 - 1.0,
    }
}

/// Returns the index of each centre's pixel, `i64 [N]`: the target of a cross-entropy.
pub(super) fn pixels(centres: &[Centre]) -> Result<Tensor, StudyError> {
    let pixels: Vec<i64> = centres.iter().map(|centre| centre.pixel() as i64).collect();
    Ok(Tensor::f_from_slice(&pixels)?)
}

/// Builds cross-entropy targets of the map between a renderer's stages: the pixel, `i64 [N]`, or
/// one probability per pixel, `[N, 4096]`, uniform over the square.
pub(super) fn map_target(holds: MapHolds, centres: &[Centre]) -> Result<Tensor, StudyError> {
    match holds {
        MapHolds::Centre => pixels(centres),
        MapHolds::Square => Ok(canvases(centres, Centre::draw_square)? / SQUARE_PIXELS),
    }
}

/// Draws one canvas per centre, `[N, 4096]`.
pub(super) fn canvases(
    centres: &[Centre],
    draw: impl Fn(Centre, &mut [f32]),
) -> Result<Tensor, StudyError> {
    let mut pixels = vec![0.0; centres.len() * PIXELS];
    for (canvas, &centre) in pixels.chunks_exact_mut(PIXELS).zip(centres) {
        draw(centre, canvas);
    }
    Ok(Tensor::f_from_slice(&pixels)?.f_view([centres.len() as i64, PIXELS as i64])?)
}

/// Sums the loss over rows, so that parts of a batch add up.
///
/// # Shapes
/// - `output`: `[N, K]`; `target` as [`pixels`] makes it for a cross-entropy, else `[N, K]`; result: a scalar
pub(super) fn loss_sum(loss: StudyLoss, output: &Tensor, target: &Tensor) -> Tensor {
    let outputs = output.size()[1] as f64;
    // Cross-entropy already is one number per row; the other two are means over the outputs.
    match loss {
        StudyLoss::CrossEntropy => {
            // The last two are PyTorch's defaults: no pixel has the index −100 to be ignored, and
            // labels are not smoothed.
            output.cross_entropy_loss::<Tensor>(target, None, Reduction::Sum, -100, 0.0)
        }
        StudyLoss::Bce => {
            output.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::Sum)
                / outputs
        }
        StudyLoss::Mse => output.mse_loss(target, Reduction::Sum) / outputs,
    }
}

/// Converts the logits of a painted picture to probabilities (`CrossEntropy`: over all pixels;
/// `Bce`: of each pixel), or returns them as grey levels (`Mse`).
pub(super) fn picture_of(loss: StudyLoss, logits: &Tensor) -> Tensor {
    match loss {
        StudyLoss::CrossEntropy => logits.softmax(-1, Kind::Float),
        StudyLoss::Bce => logits.sigmoid(),
        StudyLoss::Mse => logits.shallow_clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTRES: [Centre; 2] = [Centre { x: 4, y: 59 }, Centre { x: 30, y: 10 }];

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.to_kind(Kind::Float).reshape([-1])).unwrap()
    }

    #[test]
    fn inputs_and_targets_are_those_of_the_centres() {
        let inputs = |inputs| numbers(&painted_inputs(inputs, &CENTRES).unwrap());
        assert_eq!(inputs(Inputs::Pixels), [4.0, 59.0, 30.0, 10.0]);
        let ends = [Centre { x: 0, y: 63 }];
        let scaled = painted_inputs(Inputs::Coordinates, &ends).unwrap();
        assert_eq!(numbers(&scaled), [-1.0, 1.0]);

        assert_eq!(numbers(&pixels(&CENTRES).unwrap()), [3780.0, 670.0]);
        let dots = canvases(&CENTRES, Centre::draw_pixel).unwrap();
        assert_eq!(dots.double_value(&[0, 3780]), 1.0);
        assert_eq!(dots.sum(Kind::Float).double_value(&[]), 2.0);
        let squares = canvases(&CENTRES, Centre::draw_square).unwrap();
        assert_eq!(squares.sum(Kind::Float).double_value(&[]), 162.0);
    }

    #[test]
    fn losses_are_means_over_outputs_and_sums_over_rows() {
        let output = Tensor::from_slice(&[0f32, 0.0, 3.0, 1.0]).view([2, 2]);
        let target = Tensor::from_slice(&[1f32, 0.0, 1.0, 1.0]).view([2, 2]);
        let value = |loss, target: &Tensor| loss_sum(loss, &output, target).double_value(&[]);
        assert!((value(StudyLoss::Mse, &target) - (0.5 + 2.0)).abs() < 1e-6);
        let softplus = |x: f64| x.exp().ln_1p();
        let bce = (2.0 * softplus(0.0) + softplus(-3.0) + softplus(-1.0)) / 2.0;
        assert!((value(StudyLoss::Bce, &target) - bce).abs() < 1e-6);
        let classes = Tensor::from_slice(&[1i64, 0]);
        let expected = softplus(0.0) + softplus(-2.0);
        assert!((value(StudyLoss::CrossEntropy, &classes) - expected).abs() < 1e-6);
    }
}
