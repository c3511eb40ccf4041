//! Scenes: a blue object, and a red one before it.

use coordrl_envs::Rng;

use crate::draws::below;

/// Seed of the scenes, and of what evaluations draw: the same for all runs.
pub(crate) const DATA_SEED: u64 = 1807;

/// Sizes of a canvas. The published one is 64 pixels wide; half of it leaves the proportions as they
/// are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Height and width of the canvas, in pixels.
    pub side: usize,
    /// Distance from an object's centre to its outermost pixels.
    pub radius: usize,
}

impl Scale {
    /// The published canvas: radius 10.
    pub const FULL: Self = Self { side: 64, radius: 10 };
    /// Half of it: radius 5.
    pub const HALF: Self = Self { side: 32, radius: 5 };

    /// Returns the scale of a canvas of this height and width, if there is one.
    pub fn of_side(side: u32) -> Option<Self> {
        [Self::FULL, Self::HALF].into_iter().find(|scale| scale.side == side as usize)
    }

    /// Returns the pixels of a disc.
    pub fn disc_pixels(self) -> usize {
        let reach = self.radius as i32;
        let places = (-reach..=reach).flat_map(|x| (-reach..=reach).map(move |y| (x, y)));
        places.filter(|&(x, y)| Shape::Disc.covers(x, y, reach)).count()
    }
}

/// Form of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Square,
    Disc,
}

impl Shape {
    pub const ALL: [Self; 2] = [Self::Square, Self::Disc];

    /// Returns `true` if the object covers the pixel at this distance from its centre.
    pub fn covers(self, x: i32, y: i32, radius: i32) -> bool {
        match self {
            Self::Square => x.abs() <= radius && y.abs() <= radius,
            Self::Disc => x * x + y * y <= radius * radius,
        }
    }
}

/// One object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Column and row of the centre.
    pub centre: [usize; 2],
    pub shape: Shape,
}

/// A blue object and a red one, which covers it where they touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub blue: Object,
    pub red: Object,
}

impl Scene {
    /// Draws shapes by a fair coin and centres uniformly from those that keep an object on the
    /// canvas; the red centre again while it is nearer to the blue one than two radii.
    pub fn draw(rng: &mut Rng, scale: Scale) -> Self {
        let object = |rng: &mut Rng| {
            let centre = [(); 2].map(|()| scale.radius + below(rng, scale.side - 2 * scale.radius));
            Object { centre, shape: Shape::ALL[below(rng, 2)] }
        };
        let blue = object(rng);
        loop {
            let red = object(rng);
            let [x, y] = [0, 1].map(|axis| red.centre[axis].abs_diff(blue.centre[axis]));
            if x * x + y * y >= (2 * scale.radius).pow(2) {
                return Self { blue, red };
            }
        }
    }

    /// Returns the picture's red, green and blue planes, each row by row, from 0 to 1.
    pub fn pixels(&self, scale: Scale) -> Vec<f32> {
        let mut pixels = vec![1.0; 3 * scale.side * scale.side];
        for (object, colour) in [(self.blue, [0.0, 0.0, 1.0]), (self.red, [1.0, 0.0, 0.0])] {
            paint(&mut pixels, object, colour, scale);
        }
        pixels
    }
}

fn paint(pixels: &mut [f32], object: Object, colour: [f32; 3], Scale { side, radius }: Scale) {
    let reach = radius as i32;
    for y in -reach..=reach {
        for x in (-reach..=reach).filter(|&x| object.shape.covers(x, y, reach)) {
            let [column, row] = [(x, 0), (y, 1)]
                .map(|(offset, axis)| object.centre[axis].wrapping_add_signed(offset as isize));
            for (plane, value) in colour.into_iter().enumerate() {
                pixels[(plane * side + row) * side + column] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::{Purpose, stream};

    #[test]
    fn shapes_have_the_published_sizes() {
        assert_eq!(Scale::FULL.disc_pixels(), 317);
        assert_eq!(Scale::HALF.disc_pixels(), 81);
        for (scale, square) in [(Scale::FULL, 441), (Scale::HALF, 121)] {
            let centre = [scale.radius + 1; 2];
            let far = [scale.side - 1 - scale.radius; 2];
            for (shape, count) in [(Shape::Square, square), (Shape::Disc, scale.disc_pixels())] {
                let scene = Scene {
                    blue: Object { centre, shape },
                    red: Object { centre: far, shape: Shape::Disc },
                };
                let pixels = scene.pixels(scale);
                let planes: Vec<&[f32]> = pixels.chunks(scale.side * scale.side).collect();
                let black = |plane: usize| planes[plane].iter().filter(|&&x| x == 0.0).count();
                // Blue takes from the red plane, red from the blue one, both from the green one.
                assert_eq!(black(0), count);
                assert_eq!(black(2), scale.disc_pixels());
                assert_eq!(black(1), count + scale.disc_pixels());
            }
        }
    }

    #[test]
    fn red_is_drawn_again_while_it_is_too_near() {
        let scale = Scale::FULL;
        let mut rng = stream(3, Purpose::Scenes, 0);
        let scenes: Vec<Scene> = (0..4000).map(|_| Scene::draw(&mut rng, scale)).collect();
        let mut nearest = usize::MAX;
        for Scene { blue, red } in &scenes {
            let [x, y] = [0, 1].map(|axis| red.centre[axis].abs_diff(blue.centre[axis]));
            nearest = nearest.min(x * x + y * y);
            assert!(
                [blue, red]
                    .iter()
                    .all(|object| { object.centre.iter().all(|at| (10..=53).contains(at)) })
            );
        }
        assert!((400..420).contains(&nearest), "{nearest}");
        let discs = scenes.iter().filter(|scene| scene.red.shape == Shape::Disc).count();
        assert!((1800..2200).contains(&discs), "a fair coin: {discs}");
    }
}
