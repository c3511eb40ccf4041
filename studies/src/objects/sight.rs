//! Finding both objects in a picture, and judging how they are drawn. All definitions are ours:
//! the paper judged pictures by eye.

use super::scene::{Scale, Shape};

/// Least difference of the red and the blue plane of an object's pixels.
const COLOURED: f32 = 0.5;
/// Coherence above which an object counts as well drawn.
const GOOD: f64 = 0.7;

/// One object as seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Column and row of the middle of its pixels; absent if they are fewer than a quarter of a
    /// disc.
    pub place: Option<[f64; 2]>,
    /// Overlap of its pixels with the best square or disc around that middle; 0 if absent.
    pub coherence: f64,
}

/// Both objects as seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sight {
    pub blue: Seen,
    pub red: Seen,
}

impl Sight {
    /// Looks at a picture: red, green and blue plane, from 0 to 1.
    pub fn of(pixels: &[f32], scale: Scale) -> Self {
        let plane = scale.side * scale.side;
        let red = &pixels[..plane];
        let blue = &pixels[2 * plane..];
        let mask = |more: &[f32], less: &[f32]| -> Vec<bool> {
            more.iter().zip(less).map(|(more, less)| more - less > COLOURED).collect()
        };
        Self { blue: see(&mask(blue, red), scale), red: see(&mask(red, blue), scale) }
    }

    pub fn both(self) -> [Seen; 2] {
        [self.blue, self.red]
    }

    /// Returns `true` if both objects are there.
    pub fn is_whole(self) -> bool {
        self.both().iter().all(|seen| seen.place.is_some())
    }

    /// Returns `true` if both objects are there and well drawn.
    pub fn is_good(self) -> bool {
        self.both().iter().all(|seen| seen.coherence > GOOD)
    }

    /// Mean coherence of both objects.
    pub fn coherence(self) -> f64 {
        (self.blue.coherence + self.red.coherence) / 2.0
    }

    /// Returns red's place seen from blue's; `None` if either is absent.
    pub fn between(self) -> Option<[f64; 2]> {
        let ([blue_x, blue_y], [red_x, red_y]) = (self.blue.place?, self.red.place?);
        Some([red_x - blue_x, red_y - blue_y])
    }
}

fn see(mask: &[bool], scale: Scale) -> Seen {
    let mut count = 0;
    let mut sums = [0; 2];
    for (index, _) in mask.iter().enumerate().filter(|(_, is_set)| **is_set) {
        count += 1;
        sums = [sums[0] + index % scale.side, sums[1] + index / scale.side];
    }
    if 4 * count < scale.disc_pixels() {
        return Seen::default();
    }

    let place = sums.map(|sum| sum as f64 / f64::from(count as u32));
    let rounded = place.map(|at| [at.floor() as i32, at.ceil() as i32]);
    let mut coherence: f64 = 0.0;
    for shape in Shape::ALL {
        for x in rounded[0] {
            for y in rounded[1] {
                coherence = coherence.max(overlap(mask, count, shape, [x, y], scale));
            }
        }
    }
    Seen { place: Some(place), coherence }
}

/// Intersection over union of a mask of `count` pixels with a shape.
fn overlap(mask: &[bool], count: usize, shape: Shape, [x, y]: [i32; 2], scale: Scale) -> f64 {
    let reach = scale.radius as i32;
    let side = scale.side as i32;
    let mut shared = 0;
    let mut whole = count;
    for dy in -reach..=reach {
        for dx in (-reach..=reach).filter(|&dx| shape.covers(dx, dy, reach)) {
            let column = x + dx;
            let row = y + dy;
            let is_on = (0..side).contains(&column) && (0..side).contains(&row);
            if is_on && mask[(row * side + column) as usize] {
                shared += 1;
            } else {
                whole += 1; // the part of the shape that the mask lacks
            }
        }
    }
    f64::from(shared) / f64::from(whole as u32)
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Object, Scene};
    use super::*;
    use crate::draws::{Purpose, stream};

    #[test]
    fn a_drawn_scene_is_seen_as_it_is() {
        for scale in [Scale::FULL, Scale::HALF] {
            let mut rng = stream(1, Purpose::Scenes, 0);
            for _ in 0..50 {
                let scene = Scene::draw(&mut rng, scale);
                let sight = Sight::of(&scene.pixels(scale), scale);
                assert_eq!(sight.red.coherence, 1.0, "nothing covers it");
                assert_eq!(sight.red.place, Some(scene.red.centre.map(|at| at as f64)));
                assert!(
                    sight.is_whole() && sight.blue.coherence > 0.8,
                    "at most a corner is hidden"
                );
            }
        }
    }

    #[test]
    fn a_faint_object_is_absent_and_a_torn_one_incoherent() {
        let scale = Scale::FULL;
        let object = |x, shape| Object { centre: [x, 30], shape };
        let scene = Scene { blue: object(15, Shape::Disc), red: object(45, Shape::Square) };
        let pixels = scene.pixels(scale);
        let faint: Vec<f32> = pixels.iter().map(|x| 0.6 + 0.4 * x).collect();
        assert_eq!(Sight::of(&faint, scale), Sight::default());

        let mut torn = pixels.clone();
        for index in (0..64 * 64).filter(|index| (index / 64) % 2 == 0) {
            (0..3).for_each(|plane| torn[plane * 64 * 64 + index] = 1.0); // every second row is white
        }
        let sight = Sight::of(&torn, scale);
        assert!(sight.is_whole());
        assert!((sight.red.coherence - 10.0 / 21.0).abs() < 0.03, "{sight:?}");
        assert_eq!(sight.between().unwrap()[1].abs().round(), 0.0);
    }
}
