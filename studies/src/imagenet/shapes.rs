//! Pictures of ten kinds of shapes, drawn to try a classifier on where there is no ImageNet.

use std::sync::Arc;

use coordrl_envs::Rng;
use image::{Rgb, RgbImage};

use crate::data::SplitIndices;
use crate::draws::{Purpose, between, stream};
use crate::folder::{FolderError, Pictures};
use crate::task::DrawnPictures;

/// The pictures: 600 to learn from, 200 held out.
pub(super) const DRAWN: DrawnPictures = DrawnPictures {
    name: "builtin:shapes",
    make: || (Arc::new(Shapes::new()), SplitIndices::in_turn(600, 200)),
};

/// Seed of the pictures, the same for all runs.
const SEED: u64 = 1807;
/// Least and largest width and height of a picture, in pixels.
const SIDES: [f64; 2] = [72.0, 112.0];
/// Radius of a shape, as a share of the picture's shorter side.
const RADII: [f64; 2] = [0.3, 0.45];
/// Turn of a shape in either direction, in radians.
const TURN: f64 = 0.3;
/// Red, green and blue of a shape, and of its ground.
const BRIGHT: [f64; 2] = [150.0, 256.0];
const DARK: [f64; 2] = [0.0, 100.0];
/// Brightness by which pixels differ at random.
const NOISE: f64 = 12.0;

/// Returns `true` within the shape, at coordinates of which −1 to 1 is its box.
type Covers = fn(f64, f64) -> bool;

/// The classes, in the order in which a folder of them is listed.
const KINDS: [(&str, Covers); 10] = [
    ("bar", |x, y| x.abs() < 0.22 && y.abs() < 1.0),
    ("cross", |x, y| x.abs().min(y.abs()) < 0.25 && x.abs().max(y.abs()) < 0.9),
    ("disc", |x, y| x.hypot(y) < 1.0),
    ("frame", |x, y| (0.5..0.8).contains(&x.abs().max(y.abs()))),
    ("half", |x, y| x.hypot(y) < 1.0 && x < 0.0),
    ("pair", |x, y| (x.abs() - 0.55).hypot(y) < 0.4),
    ("ring", |x, y| (0.6..1.0).contains(&x.hypot(y))),
    ("square", |x, y| x.abs() < 0.8 && y.abs() < 0.8),
    ("stripes", |x, y| x.hypot(y) < 1.0 && (x * 2.5).rem_euclid(1.0) < 0.5),
    ("triangle", |x, y| y < 0.8 && y > 2.0 * x.abs() - 0.9),
];

/// The pictures, in turn of each class.
struct Shapes {
    classes: Vec<String>,
}

impl Shapes {
    fn new() -> Self {
        Self { classes: KINDS.iter().map(|(name, _)| (*name).to_owned()).collect() }
    }
}

impl Pictures for Shapes {
    fn load(&self, row: usize) -> Result<RgbImage, FolderError> {
        let mut rng = stream(SEED, Purpose::Shapes, row as u64);
        Ok(draw(KINDS[self.class(row)].1, &mut rng))
    }

    fn class(&self, row: usize) -> usize {
        row % KINDS.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// Draws a bright shape of random size, place, turn and colour on a dark ground.
fn draw(covers: Covers, rng: &mut Rng) -> RgbImage {
    let [width, height] = [(); 2].map(|()| between(rng, SIDES));
    let radius = width.min(height) * between(rng, RADII);
    let centre = [width, height].map(|side| between(rng, [radius, side - radius]));
    let (sine, cosine) = between(rng, [-TURN, TURN]).sin_cos();
    let [shape, ground] = [BRIGHT, DARK].map(|range| [(); 3].map(|()| between(rng, range)));
    RgbImage::from_fn(width as u32, height as u32, |column, row| {
        let [x, y] = [(column, centre[0]), (row, centre[1])]
            .map(|(place, centre)| (f64::from(place) + 0.5 - centre) / radius);
        let inside = covers(cosine * x + sine * y, cosine * y - sine * x);
        let colour = if inside { shape } else { ground };
        Rgb(colour.map(|value| (value + between(rng, [-NOISE, NOISE])).clamp(0.0, 255.0) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_the_same_every_time_and_none_is_another() {
        let shapes = Shapes::new();
        for row in [0, 7, 599, 799] {
            assert_eq!(shapes.load(row).unwrap(), shapes.load(row).unwrap());
        }
        assert_ne!(shapes.load(0).unwrap(), shapes.load(10).unwrap());
        // As maps of 20 × 20: every two kinds differ in at least a tenth of them.
        let maps: Vec<Vec<bool>> = KINDS.iter().map(|(_, covers)| map(*covers)).collect();
        for (index, map) in maps.iter().enumerate() {
            assert!(map.iter().any(|&inside| inside) && map.iter().any(|&inside| !inside));
            for other in &maps[..index] {
                let differing = map.iter().zip(other).filter(|(a, b)| a != b).count();
                assert!(differing > 40, "{differing} of 400");
            }
        }
    }

    fn map(covers: Covers) -> Vec<bool> {
        let places = |index: usize| (index as f64 + 0.5) / 10.0 - 1.0;
        (0..400).map(|place| covers(places(place % 20), places(place / 20))).collect()
    }
}
