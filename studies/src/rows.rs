//! Centres as tensors: network inputs and targets.

use tch::{Device, Kind, Reduction, Tensor};

use crate::config::{Inputs, Loss};
use crate::data::{CANVAS, Centre, PIXELS, SQUARE_REACH};
use crate::networks::MapHolds;
use crate::{StudyError, Task};

/// Pixels of the square.
const SQUARE_PIXELS: f64 = ((2 * SQUARE_REACH + 1) * (2 * SQUARE_REACH + 1)) as f64;

/// Builds inputs for `StudyNetwork::forward`. `inputs` affects painting tasks only.
pub(crate) fn input_of(
    task: Task,
    inputs: Inputs,
    centres: &[Centre],
    device: Device,
) -> Result<Tensor, StudyError> {
    let rows = centres.len() as i64;
    let input = if task.paints() {
        let numbers: Vec<f32> = centres
            .iter()
            .flat_map(|centre| [centre.x, centre.y].map(|number| in_unit(inputs, number)))
            .collect();
        Tensor::f_from_slice(&numbers)?.f_view([rows, 2])?
    } else {
        let side = CANVAS as i64;
        canvases(centres, Centre::draw_pixel)?.f_view([rows, 1, side, side])?
    };

    Ok(input.f_to_device(device)?)
}

/// Converts a row or column to the unit of a painting network's inputs.
fn in_unit(inputs: Inputs, number: u8) -> f32 {
    match inputs {
        Inputs::Pixels => f32::from(number),
        Inputs::Coordinates => f32::from(number) * 2.0 / (CANVAS - 1) as f32 - 1.0,
    }
}

/// Builds targets: `[N, 4096]`, `[N, 2]`, or for a cross-entropy the pixel, `i64 [N]`.
pub(crate) fn target_of(
    task: Task,
    loss: Loss,
    centres: &[Centre],
    device: Device,
) -> Result<Tensor, StudyError> {
    let target = match (task, loss) {
        (Task::Classify, Loss::CrossEntropy) => {
            let pixels: Vec<i64> = centres.iter().map(|centre| centre.pixel() as i64).collect();
            Tensor::f_from_slice(&pixels)?
        }
        (Task::Classify, _) => canvases(centres, Centre::draw_pixel)?,
        (Task::Render, _) => canvases(centres, Centre::draw_square)?,
        (Task::Regress, _) => {
            let numbers: Vec<f32> = centres.iter().flat_map(|centre| centre.scaled()).collect();
            Tensor::f_from_slice(&numbers)?.f_view([centres.len() as i64, 2])?
        }
    };

    Ok(target.f_to_device(device)?)
}

/// Builds cross-entropy targets of the map between a renderer's stages: the pixel, `i64 [N]`, or
/// one probability per pixel, `[N, 4096]`, uniform over the square.
pub(crate) fn map_target(
    holds: MapHolds,
    centres: &[Centre],
    device: Device,
) -> Result<Tensor, StudyError> {
    match holds {
        MapHolds::Centre => target_of(Task::Classify, Loss::CrossEntropy, centres, device),
        MapHolds::Square => {
            Ok(canvases(centres, Centre::draw_square)?.f_to_device(device)? / SQUARE_PIXELS)
        }
    }
}

/// Draws one canvas per centre, `[N, 4096]`.
fn canvases(centres: &[Centre], draw: impl Fn(Centre, &mut [f32])) -> Result<Tensor, StudyError> {
    let mut pixels = vec![0.0; centres.len() * PIXELS];
    for (canvas, &centre) in pixels.chunks_exact_mut(PIXELS).zip(centres) {
        draw(centre, canvas);
    }
    Ok(Tensor::f_from_slice(&pixels)?.f_view([centres.len() as i64, PIXELS as i64])?)
}

/// Sums the loss over rows, so that parts of a batch add up.
///
/// # Shapes
/// - `output`: `[N, K]`; `target` as [`target_of`] makes it; result: a scalar
pub(crate) fn loss_sum(loss: Loss, output: &Tensor, target: &Tensor) -> Tensor {
    let outputs = output.size()[1] as f64;
    // Cross-entropy already is one number per row; the other two are means over the outputs.
    match loss {
        Loss::CrossEntropy => {
            output.cross_entropy_loss::<Tensor>(target, None, Reduction::Sum, -100, 0.0)
        }
        Loss::Bce => {
            output.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::Sum)
                / outputs
        }
        Loss::Mse => output.mse_loss(target, Reduction::Sum) / outputs,
    }
}

/// Converts the logits of a painted picture to probabilities (`CrossEntropy`: over all pixels;
/// `Bce`: of each pixel), or returns them as grey levels (`Mse`).
pub(crate) fn picture_of(loss: Loss, logits: &Tensor) -> Tensor {
    match loss {
        Loss::CrossEntropy => logits.softmax(-1, Kind::Float),
        Loss::Bce => logits.sigmoid(),
        Loss::Mse => logits.shallow_clone(),
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
    fn inputs_and_targets_are_those_of_the_task() {
        let input = |task| input_of(task, Inputs::Pixels, &CENTRES, Device::Cpu).unwrap();
        let target = |task, loss| target_of(task, loss, &CENTRES, Device::Cpu).unwrap();
        assert_eq!(numbers(&input(Task::Classify)), [4.0, 59.0, 30.0, 10.0]);
        assert_eq!(numbers(&input(Task::Render)), [4.0, 59.0, 30.0, 10.0]);
        let ends = [Centre { x: 0, y: 63 }];
        let scaled = input_of(Task::Render, Inputs::Coordinates, &ends, Device::Cpu).unwrap();
        assert_eq!(numbers(&scaled), [-1.0, 1.0]);
        let pictures = input(Task::Regress);
        assert_eq!(pictures.size(), [2, 1, 64, 64]);
        assert_eq!(pictures.double_value(&[1, 0, 10, 30]), 1.0);
        assert_eq!(pictures.sum(Kind::Float).double_value(&[]), 2.0);
        assert_eq!(numbers(&target(Task::Classify, Loss::CrossEntropy)), [3780.0, 670.0]);
        assert_eq!(target(Task::Classify, Loss::Bce).double_value(&[0, 3780]), 1.0);
        assert_eq!(target(Task::Render, Loss::Mse).sum(Kind::Float).double_value(&[]), 162.0);
        assert_eq!(
            numbers(&target(Task::Regress, Loss::Mse)),
            [0.0625, 0.921875, 0.46875, 0.15625]
        );
    }

    #[test]
    fn losses_are_means_over_outputs_and_sums_over_rows() {
        let output = Tensor::from_slice(&[0f32, 0.0, 3.0, 1.0]).view([2, 2]);
        let target = Tensor::from_slice(&[1f32, 0.0, 1.0, 1.0]).view([2, 2]);
        let value = |loss, target: &Tensor| loss_sum(loss, &output, target).double_value(&[]);
        assert!((value(Loss::Mse, &target) - (0.5 + 2.0)).abs() < 1e-6);
        let softplus = |x: f64| x.exp().ln_1p();
        let bce = (2.0 * softplus(0.0) + softplus(-3.0) + softplus(-1.0)) / 2.0;
        assert!((value(Loss::Bce, &target) - bce).abs() < 1e-6);
        let classes = Tensor::from_slice(&[1i64, 0]);
        let expected = softplus(0.0) + softplus(-2.0);
        assert!((value(Loss::CrossEntropy, &classes) - expected).abs() < 1e-6);
    }
}
