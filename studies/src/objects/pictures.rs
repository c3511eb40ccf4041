//! Pictures of scenes as tensors, and a model's pictures as people and measures see them.

use tch::{Device, Tensor};

use super::scene::{DATA_SEED, Scale, Scene};
use super::sight::Sight;
use crate::StudyError;
use crate::draws::{Purpose, stream};

/// Draws the scenes of these rows, `f32 [N, 3, H, H]` from 0 to 1.
pub(crate) fn scenes(rows: &[usize], scale: Scale, device: Device) -> Result<Tensor, StudyError> {
    let pixels: Vec<f32> = rows
        .iter()
        .flat_map(|&row| {
            let mut rng = stream(DATA_SEED, Purpose::Scenes, row as u64);
            Scene::draw(&mut rng, scale).pixels(scale)
        })
        .collect();
    let side = scale.side as i64;
    let pictures = Tensor::f_from_slice(&pixels)?.f_view([-1, 3, side, side])?;
    Ok(pictures.f_to_device(device)?)
}

/// Draws `count` numbers per row, `[N, count]`.
pub(crate) fn row_draws(
    rows: &[usize],
    count: usize,
    device: Device,
    draw: impl Fn(usize) -> Vec<f32>,
) -> Result<Tensor, StudyError> {
    let numbers: Vec<f32> = rows.iter().flat_map(|&row| draw(row)).collect();
    let numbers = Tensor::f_from_slice(&numbers)?.f_view([-1, count as i64])?;
    Ok(numbers.f_to_device(device)?)
}

/// Looks at pictures, `[N, 3, H, H]` from 0 to 1.
pub(crate) fn sights(pictures: &Tensor, scale: Scale) -> Result<Vec<Sight>, StudyError> {
    let pixels = numbers(pictures)?;
    let planes = 3 * scale.side * scale.side;
    Ok(pixels.chunks_exact(planes).map(|one| Sight::of(one, scale)).collect())
}

/// Turns pictures, `[N, 3, H, H]` from 0 to 1, into red, green and blue bytes, row by row.
pub(crate) fn rgb(pictures: &Tensor, scale: Scale) -> Result<Vec<Vec<u8>>, StudyError> {
    let pixels = numbers(pictures)?;
    Ok(pixels.chunks_exact(3 * scale.side * scale.side).map(interleaved).collect())
}

fn numbers(pictures: &Tensor) -> Result<Vec<f32>, StudyError> {
    let pixels = pictures.f_to_device(Device::Cpu)?.f_contiguous()?;
    Ok(Vec::try_from(pixels.f_reshape([-1])?)?)
}

fn interleaved(planes: &[f32]) -> Vec<u8> {
    let plane = planes.len() / 3;
    let byte = |value: f32| (value * 255.0).round() as u8;
    (0..plane).flat_map(|at| [0, 1, 2].map(|colour| byte(planes[colour * plane + at]))).collect()
}
