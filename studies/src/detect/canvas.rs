//! Canvases of scattered digits, after the paper's detection study (Liu et al. 2018, section 5).
//!
//! Sizes, order of draws and resampling are those of the authors' generator
//! (uber-research/CoordConv, `util.py`); its draws themselves are not: no file was released.

use std::sync::Arc;

use super::boxes::BoundingBox;
use super::digits::Digit;
use crate::draws::{Purpose, between, shuffle, stream};

/// Height and width of the canvas that the network sees.
pub const CANVAS: usize = 64;
/// Digits scattered over each field.
pub const DIGITS: usize = 5;
/// Height and width of the field, of which the canvas is the middle.
const FIELD: f64 = 120.0;
/// Rows and columns of the field before the canvas.
const MARGIN: f64 = (FIELD - CANVAS as f64) / 2.0;
/// Range of a digit's height and width.
const SIZE: [f64; 2] = [15.0, 25.0];

/// A set of canvases, drawn when asked for.
#[derive(Clone, Debug)]
pub struct Canvases {
    digits: Arc<Vec<Digit>>,
    /// Digit that each slot of each canvas takes.
    orders: Arc<Vec<Vec<usize>>>,
    seed: u64,
}

/// A canvas with its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    /// From 0 to 1, row by row.
    pub pixels: Vec<f32>,
    /// The digits' boxes; many lie outside the canvas.
    pub targets: Vec<Target>,
}

/// A digit on the field of a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Place in the canvas's pixels.
    pub place: BoundingBox,
    /// From 0 to 9.
    pub class: u8,
}

impl Target {
    /// Returns `true` if the centre is on the canvas.
    pub fn is_visible(&self) -> bool {
        let on_canvas = |at: f32| (0.0..CANVAS as f32).contains(&at);
        on_canvas(self.place.row) && on_canvas(self.place.column)
    }
}

impl Canvases {
    /// Makes `count` canvases of these digits, of which there must be some. Each slot takes every
    /// digit once before any twice, in an order of its own.
    pub fn new(digits: Arc<Vec<Digit>>, count: usize, seed: u64) -> Self {
        let order_of = |slot: usize| {
            let mut rng = stream(seed, Purpose::DigitOrder, slot as u64);
            let mut order: Vec<usize> = Vec::new();
            while order.len() < count {
                let mut all: Vec<usize> = (0..digits.len()).collect();
                shuffle(&mut rng, &mut all);
                order.extend(all);
            }
            order
        };
        let orders = Arc::new((0..DIGITS).map(order_of).collect());
        Self { digits, orders, seed }
    }

    /// Draws canvas number `index`.
    pub fn draw(&self, index: usize) -> Canvas {
        let mut rng = stream(self.seed, Purpose::DigitPlaces, index as u64);
        let mut canvas = Canvas::empty();
        for order in &*self.orders {
            let [height, width] = [(); 2].map(|()| between(&mut rng, SIZE));
            let centre_of = |size: f64| [size / 2.0, FIELD - size / 2.0];
            let row = between(&mut rng, centre_of(height)) - MARGIN;
            let column = between(&mut rng, centre_of(width)) - MARGIN;
            canvas.add(&self.digits[order[index]], [row, column, height, width]);
        }
        canvas
    }
}

impl Canvas {
    /// A black canvas.
    pub fn empty() -> Self {
        Self { pixels: vec![0.0; CANVAS * CANVAS], targets: Vec::new() }
    }

    /// Adds a digit; `place` is row and column of its centre, height and width, in pixels.
    pub fn add(&mut self, digit: &Digit, place: [f64; 4]) {
        let [row, column, height, width] = place;
        let [rows, columns] =
            [(row, height, digit.height), (column, width, digit.width)].map(Line::of);
        add_digit(digit, &rows, &columns, &mut self.pixels);
        self.pixels.iter_mut().for_each(|pixel| *pixel = pixel.min(1.0));

        let [row, column, height, width] = place.map(|number| number as f32);
        let place = BoundingBox { row, column, height, width };
        self.targets.push(Target { place, class: digit.class });
    }
}

/// Sources of the canvas's rows, or columns, that a digit covers.
struct Line(Vec<Source>);

/// Two neighbouring rows or columns of a digit, and the weight of the second.
struct Source {
    at: usize,
    first: usize,
    second: usize,
    share: f32,
}

impl Line {
    /// Row `y` of the canvas, whose middle is at y + ½, reads the digit at the same share of its
    /// height; between the middles of the digit's pixels linearly, and beyond those of the outermost
    /// ones their values.
    fn of((centre, size, pixels): (f64, f64, usize)) -> Self {
        let start = centre - size / 2.0;
        let scale = size / pixels as f64;
        let sources = (0..CANVAS).filter_map(|at| {
            let source = (at as f64 + 0.5 - start) / scale;
            if !(0.0..pixels as f64).contains(&source) {
                return None;
            }
            let from_first = (source - 0.5).clamp(0.0, (pixels - 1) as f64);
            let first = from_first as usize;
            let share = (from_first - first as f64) as f32;
            Some(Source { at, first, second: (first + 1).min(pixels - 1), share })
        });
        Self(sources.collect())
    }
}

/// Adds a digit's ink, resampled bilinearly.
fn add_digit(digit: &Digit, rows: &Line, columns: &Line, pixels: &mut [f32]) {
    let ink = |row: usize, column: usize| digit.pixels[row * digit.width + column];
    for row in &rows.0 {
        for column in &columns.0 {
            let across = |y: usize| {
                let left = ink(y, column.first);
                left + (ink(y, column.second) - left) * column.share
            };
            let above = across(row.first);
            let below = across(row.second);
            pixels[row.at * CANVAS + column.at] += above + (below - above) * row.share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(height: usize, width: usize) -> Digit {
        let pixels = (0..height * width).map(|index| index as f32 / 10.0).collect();
        Digit { class: 3, height, width, pixels }
    }

    fn canvases(count: usize) -> Canvases {
        Canvases::new(Arc::new(vec![ramp(2, 2), ramp(3, 4), ramp(5, 1)]), count, 7)
    }

    /// By hand: a digit of two pixels by two over four by four, whole pixels apart.
    #[test]
    fn digits_are_resampled_between_the_middles_of_pixels() {
        let digit = Digit { class: 0, height: 2, width: 2, pixels: vec![0.0, 1.0, 2.0, 3.0] };
        let line = Line::of((2.0, 4.0, 2)); // sources 0.25, 0.75, 1.25, 1.75
        let mut pixels = vec![0.0; CANVAS * CANVAS];
        add_digit(&digit, &line, &line, &mut pixels);
        let row = |y: usize| pixels[y * CANVAS..][..6].to_vec();
        assert_eq!(row(0), [0.0, 0.25, 0.75, 1.0, 0.0, 0.0]);
        assert_eq!(row(1), [0.5, 0.75, 1.25, 1.5, 0.0, 0.0]);
        assert_eq!(row(3), [2.0, 2.25, 2.75, 3.0, 0.0, 0.0]);
        assert_eq!(row(4), [0.0; 6]);
    }

    #[test]
    fn a_digit_off_the_canvas_leaves_what_lies_on_it() {
        let inside = Line::of((0.0, 4.0, 2));
        let outside = Line::of((-9.0, 4.0, 2));
        assert_eq!(inside.0.iter().map(|source| source.at).collect::<Vec<_>>(), [0, 1]);
        assert!(outside.0.is_empty());
        let beyond = Line::of((64.0, 4.0, 2));
        assert_eq!(beyond.0.iter().map(|source| source.at).collect::<Vec<_>>(), [62, 63]);
    }

    /// Reference values: 1000 fields of a NumPy copy of the generator.
    #[test]
    fn as_many_digits_are_visible_as_with_the_authors_generator() {
        let set = canvases(4000);
        let mut visible = [0; DIGITS + 1];
        let mut touching = 0;
        let mut inside = 0;
        for index in 0..4000 {
            let targets = set.draw(index).targets;
            visible[targets.iter().filter(|target| target.is_visible()).count()] += 1;
            for Target { place, .. } in targets {
                let canvas = BoundingBox { row: 32.0, column: 32.0, height: 64.0, width: 64.0 };
                touching += usize::from(place.overlap(canvas) > 0.0);
                inside += usize::from(place.is_within(0.0, 64.0));
            }
        }

        let shares = visible.map(|count| f64::from(count) / 4000.0);
        for (found, expected) in shares.iter().zip([0.06, 0.25, 0.35, 0.24, 0.09, 0.01]) {
            assert!((found - expected).abs() < 0.02, "{shares:?}");
        }
        let mean: f64 = (0..).zip(shares).map(|(count, share)| f64::from(count) * share).sum();
        assert!((mean - 2.07).abs() < 0.06, "{mean}");
        let share = |count: usize| count as f64 / (4000 * DIGITS) as f64;
        assert!((share(touching) - 0.71).abs() < 0.015, "{}", share(touching));
        assert!((share(inside) - 0.18).abs() < 0.015, "{}", share(inside));
    }

    #[test]
    fn canvases_repeat_and_every_slot_takes_every_digit() {
        let set = canvases(6);
        assert_eq!(set.draw(4), canvases(6).draw(4));
        assert_ne!(set.draw(4), set.draw(5));
        for order in &*set.orders {
            for pass in order.chunks(3) {
                let mut sorted = pass.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, [0, 1, 2]);
            }
        }
        let Canvas { pixels, targets } = set.draw(0);
        assert_eq!((pixels.len(), targets.len()), (CANVAS * CANVAS, DIGITS));
        assert!(pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }
}
