//! From pictures of any size to squares, as torchvision's transforms of ImageNet have it.

use coordrl_envs::Rng;
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::decode::PictureError;
use crate::draws::{below, between};

/// Shares of a picture's area, and ratios of width to height, that a training crop may have.
const AREAS: [f64; 2] = [0.08, 1.0];
const RATIOS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Draws of a crop before the largest central one is taken.
const TRIES: u32 = 10;
/// Mean and standard deviation of ImageNet's red, green and blue.
const MEANS: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATIONS: [f32; 3] = [0.229, 0.224, 0.225];
/// A test picture's shorter side over the square that is cut from its middle: 256 of 224.
const TEST_MARGIN: f64 = 256.0 / 224.0;

/// Part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crop {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

/// Cuts a random part of a random shape, resizes it to a square and mirrors every second one.
/// Source: Szegedy et al. 2015 (arXiv:1409.4842), in torchvision's form.
pub fn train_square(picture: &RgbImage, side: u32, rng: &mut Rng) -> Result<Vec<u8>, PictureError> {
    let crop = random_crop([picture.width(), picture.height()], rng);
    let mut square = resized(picture, crop, [side, side])?;
    if below(rng, 2) == 1 {
        mirror(&mut square, side);
    }
    Ok(square)
}

/// Resizes a picture so that its shorter side is somewhat longer than the square, and cuts that from
/// its middle.
pub fn test_square(picture: &RgbImage, side: u32) -> Result<Vec<u8>, PictureError> {
    middle(picture, (f64::from(side) * TEST_MARGIN) as u32, side)
}

/// Resizes a picture so that its shorter side is that of the square, and cuts it from its middle.
pub fn centre_square(picture: &RgbImage, side: u32) -> Result<Vec<u8>, PictureError> {
    middle(picture, side, side)
}

fn middle(picture: &RgbImage, shorter: u32, side: u32) -> Result<Vec<u8>, PictureError> {
    let [width, height] = [picture.width(), picture.height()];
    let long = |longer: u32, short: u32| {
        (u64::from(shorter) * u64::from(longer) / u64::from(short)) as u32
    };
    let size = match width <= height {
        true => [shorter, long(height, width)],
        false => [long(width, height), shorter],
    };
    let whole = Crop { left: 0, top: 0, width, height };
    let pixels = resized(picture, whole, size)?;
    let [left, top] =
        size.map(|length| (f64::from(length - side) / 2.0).round_ties_even() as usize);
    let row = 3 * size[0] as usize;
    let cut = 3 * side as usize;
    let rows = pixels.chunks_exact(row).skip(top).take(side as usize);
    Ok(rows.flat_map(|row| &row[3 * left..3 * left + cut]).copied().collect())
}

/// Turns squares of red, green and blue bytes into normalised planes, one square after the other.
pub fn normalised(square: &[u8]) -> Vec<f32> {
    let mut planes = Vec::with_capacity(square.len());
    for (colour, (mean, deviation)) in MEANS.into_iter().zip(DEVIATIONS).enumerate() {
        let values = square.iter().skip(colour).step_by(3);
        planes.extend(values.map(|&value| (f32::from(value) / 255.0 - mean) / deviation));
    }
    planes
}

/// Turns squares of red, green and blue bytes into planes from −1 to 1.
pub fn signed(square: &[u8]) -> Vec<f32> {
    let planes = (0..3).flat_map(|colour| square.iter().skip(colour).step_by(3));
    planes.map(|&value| f32::from(value) / 127.5 - 1.0).collect()
}

fn random_crop([width, height]: [u32; 2], rng: &mut Rng) -> Crop {
    let area = f64::from(width) * f64::from(height);
    let [least, most] = RATIOS.map(f64::ln);
    for _ in 0..TRIES {
        let target = area * between(rng, AREAS);
        let ratio = between(rng, [least, most]).exp();
        let wide = (target * ratio).sqrt().round_ties_even() as u32;
        let high = (target / ratio).sqrt().round_ties_even() as u32;
        if (1..=width).contains(&wide) && (1..=height).contains(&high) {
            let [left, top] =
                [width - wide, height - high].map(|free| below(rng, free as usize + 1) as u32);
            return Crop { left, top, width: wide, height: high };
        }
    }
    central([width, height])
}

/// Returns the largest part in the middle whose shape a crop may have.
fn central([width, height]: [u32; 2]) -> Crop {
    let ratio = f64::from(width) / f64::from(height);
    let rounded = |length: f64| (length.round_ties_even() as u32).max(1);
    let (wide, high) = match ratio {
        ratio if ratio < RATIOS[0] => (width, rounded(f64::from(width) / RATIOS[0])),
        ratio if ratio > RATIOS[1] => (rounded(f64::from(height) * RATIOS[1]), height),
        _ => (width, height),
    };
    Crop { left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high }
}

/// Resizes a part of a picture with a triangle as wide as the pixels that become one, as Pillow's
/// bilinear filter.
fn resized(
    picture: &RgbImage,
    crop: Crop,
    [width, height]: [u32; 2],
) -> Result<Vec<u8>, PictureError> {
    let failed = |error: &dyn std::fmt::Display| PictureError::Damaged(error.to_string());
    // Cut first: Pillow's filter does not look beyond the crop.
    let Crop { left, top, width: wide, height: high } = crop;
    let cut = image::imageops::crop_imm(picture, left, top, wide, high).to_image();
    let from = Image::from_vec_u8(wide, high, cut.into_raw(), PixelType::U8x3)
        .map_err(|error| failed(&error))?;
    let mut to = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&from, &mut to, &options).map_err(|error| failed(&error))?;
    Ok(to.into_vec())
}

fn mirror(square: &mut [u8], side: u32) {
    for row in square.chunks_exact_mut(3 * side as usize) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::draws::{Purpose, stream};
    use crate::folder::decode;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../golden/pictures.json")).unwrap()
    }

    fn picture(name: &str) -> RgbImage {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pictures");
        decode(&fs::read(folder.join(name)).unwrap()).unwrap()
    }

    fn assert_near(found: &[u8], expected: &Value, what: &str) {
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let off = i64::from(*found) - expected.as_i64().unwrap();
            assert!(off.abs() <= 1, "{what}: off by {off}");
        }
    }

    #[test]
    fn test_squares_are_those_of_torchvision() {
        for (name, expected) in golden()["squares"].as_object().unwrap() {
            let side = expected["side"].as_u64().unwrap() as u32;
            assert_near(&test_square(&picture(name), side).unwrap(), &expected["pixels"], name);
        }
    }

    #[test]
    fn resized_crops_are_those_of_torchvision() {
        let large = picture("large.png");
        for golden in golden()["crops"].as_array().unwrap() {
            let [left, top, width, height] =
                [0, 1, 2, 3].map(|index| golden["crop"][index].as_u64().unwrap() as u32);
            let crop = Crop { left, top, width, height };
            let square = resized(&large, crop, [16, 16]).unwrap();
            assert_near(&square, &golden["pixels"], &format!("{crop:?}"));
        }
    }

    #[test]
    fn crops_stay_on_the_picture_and_have_the_areas_and_shapes_allowed() {
        let mut rng = stream(1, Purpose::Scenes, 0);
        let size = [300, 200];
        let mut areas = Vec::new();
        for _ in 0..1000 {
            let Crop { left, top, width, height } = random_crop(size, &mut rng);
            assert!(width > 0 && height > 0 && left + width <= 300 && top + height <= 200);
            let ratio = f64::from(width) / f64::from(height);
            assert!((0.73..1.37).contains(&ratio), "{ratio}");
            areas.push(f64::from(width * height) / 60_000.0);
        }
        assert!(areas.iter().all(|area| (0.075..=1.0).contains(area)));
        assert!(areas.iter().any(|&area| area < 0.12) && areas.iter().any(|&area| area > 0.8));
        // A strip has no crop of these shapes and areas but the largest in its middle.
        let strip = random_crop([1000, 10], &mut rng);
        assert_eq!(strip, Crop { left: 493, top: 0, width: 13, height: 10 });
    }

    #[test]
    fn half_of_the_training_squares_are_mirrored() {
        // Brighter from left to right, wherever it is cut.
        let rgb = RgbImage::from_fn(40, 40, |x, _| image::Rgb([6 * x as u8; 3]));
        let mut rng = stream(1, Purpose::Scenes, 0);
        let squares = (0..200).map(|_| train_square(&rgb, 4, &mut rng).unwrap());
        let mirrored = squares.filter(|square| square[0] > square[9]).count();
        assert!((75..125).contains(&mirrored), "{mirrored} of 200");
    }

    #[test]
    fn a_centre_square_is_the_middle_and_its_planes_reach_from_minus_1_to_1() {
        // Black, white, black from left to right.
        let rgb = RgbImage::from_fn(12, 4, |x, _| image::Rgb([u8::from(x / 4 == 1) * 255; 3]));
        let square = centre_square(&rgb, 4).unwrap();
        assert_eq!(square, [255; 48]);
        assert_eq!(signed(&[0, 0, 255, 255, 0, 255]), [-1.0, 1.0, -1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn planes_have_the_mean_and_deviation_of_imagenet() {
        let planes = normalised(&[0, 128, 255, 255, 0, 0]);
        let expected = [-0.485 / 0.229, 0.515 / 0.229, (128.0 / 255.0 - 0.456) / 0.224];
        for (found, expected) in planes.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}");
        }
        assert_eq!(planes.len(), 6);
    }
}
