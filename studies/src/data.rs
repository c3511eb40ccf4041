//! Not-so-Clevr: every position of one square on a canvas, split into training and test positions.
//!
//! Source: Liu et al. 2018 (arXiv:1807.03247), section 3. Where the paper's text and the authors'
//! released code (uber-research/CoordConv) differ, the sizes and seeds are those of the code; the
//! square is white (1.0) as in the paper, while the code's generator draws it grey (128 / 255),
//! which would cap the measurable intersection over union at 0.502.

use rand_mt::Mt;
use serde::{Deserialize, Serialize};

/// Height and width of the canvas in pixels.
pub const CANVAS: usize = 64;
/// Number of pixels of a canvas, 4096.
pub const PIXELS: usize = CANVAS * CANVAS;
/// Distance from the square's centre to its outermost pixels: it is 9 × 9.
pub const SQUARE_REACH: usize = 4;
/// Seed of the uniform split in the authors' code.
const SPLIT_SEED: u32 = 20202;
/// Probability that the uniform split assigns a centre to the test set.
const TEST_SHARE: f64 = 0.25;

/// Position of the square, given by its middle pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Centre {
    /// Column, from 4 to 59.
    pub x: u8,
    /// Row, from 4 to 59.
    pub y: u8,
}

impl Centre {
    /// Row-major index of the middle pixel.
    pub fn pixel(self) -> usize {
        usize::from(self.y) * CANVAS + usize::from(self.x)
    }

    /// (x, y) / 64, the target of the regression.
    pub fn scaled(self) -> [f32; 2] {
        [self.x, self.y].map(|number| f32::from(number) / CANVAS as f32)
    }

    /// Distance from a position (x, y) to the centre, in pixels.
    pub fn distance_px(self, [x, y]: [f64; 2]) -> f64 {
        (x - f64::from(self.x)).hypot(y - f64::from(self.y))
    }

    /// Sets the middle pixel to 1 on a zeroed, row-major canvas.
    pub fn draw_pixel(self, canvas: &mut [f32]) {
        canvas[self.pixel()] = 1.0;
    }

    /// Sets the square's 81 pixels to 1 on a zeroed, row-major canvas.
    pub fn draw_square(self, canvas: &mut [f32]) {
        let x = usize::from(self.x);
        let y = usize::from(self.y);
        // Within the canvas: a centre keeps `SQUARE_REACH` from every edge, so no difference is
        // negative.
        for row in y - SQUARE_REACH..=y + SQUARE_REACH {
            let start = row * CANVAS + x - SQUARE_REACH;
            canvas[start..=start + 2 * SQUARE_REACH].fill(1.0);
        }
    }
}

/// Returns all 3136 centres whose square lies on the canvas, column by column.
pub fn centres() -> Vec<Centre> {
    let range = SQUARE_REACH as u8..(CANVAS - SQUARE_REACH) as u8;
    range.clone().flat_map(|x| range.clone().map(move |y| Centre { x, y })).collect()
}

/// Split of the centres into training and test sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Holds out a random quarter: every test centre has training centres next to it.
    Uniform,
    /// Holds out the lower right quarter, which requires extrapolation.
    Quadrant,
    /// Canvases of digits never trained on: `detect`.
    Digits,
    /// Scenes never trained on: `gan` and `vae`.
    Scenes,
    /// Pictures never trained on: `imagenet` and `lsun`.
    Pictures,
}

/// Ascending numbers of rows: for the coordinate tasks indices into [`centres`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitIndices {
    /// Training rows.
    pub train: Vec<usize>,
    /// Held-out rows.
    pub test: Vec<usize>,
}

impl SplitIndices {
    /// Numbers the training rows first, then the held-out ones.
    pub(crate) fn in_turn(train: usize, test: usize) -> Self {
        Self { train: (0..train).collect(), test: (train..train + test).collect() }
    }
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 5] =
        [Self::Uniform, Self::Quadrant, Self::Digits, Self::Scenes, Self::Pictures];
    /// The splits of the coordinate tasks.
    pub const OF_CENTRES: [Self; 2] = [Self::Uniform, Self::Quadrant];

    /// Name used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Quadrant => "quadrant",
            Self::Digits => "digits",
            Self::Scenes => "scenes",
            Self::Pictures => "pictures",
        }
    }

    /// Splits the centres: 2368 and 768 for uniform, 2407 and 729 for quadrant. A split that is not
    /// of centres holds none out.
    pub fn indices(self) -> SplitIndices {
        let mut generator = Mt::new(SPLIT_SEED);
        let mut members = SplitIndices { train: Vec::new(), test: Vec::new() };
        for (index, centre) in centres().iter().enumerate() {
            // The order of the draws defines the uniform split: one per centre, column by column.
            let is_test = match self {
                Self::Uniform => uniform(&mut generator) < TEST_SHARE,
                Self::Quadrant => centre.scaled().iter().all(|&number| number > 0.5),
                Self::Digits | Self::Scenes | Self::Pictures => false,
            };
            let part = if is_test { &mut members.test } else { &mut members.train };
            part.push(index);
        }
        members
    }
}

/// Draws from [0, 1) with 53 random bits, as NumPy's `RandomState.random_sample` does.
fn uniform(generator: &mut Mt) -> f64 {
    let high = generator.next_u32() >> 5;
    let low = generator.next_u32() >> 6;
    (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_enumerated_column_by_column() {
        let centres = centres();
        assert_eq!(centres.len(), 3136);
        assert_eq!(centres[..2], [Centre { x: 4, y: 4 }, Centre { x: 4, y: 5 }]);
        assert_eq!(centres[56], Centre { x: 5, y: 4 });
        assert_eq!(centres[3135], Centre { x: 59, y: 59 });
        assert_eq!(Centre { x: 4, y: 5 }.pixel(), 5 * 64 + 4);
    }

    #[test]
    fn every_square_is_nine_by_nine_around_its_pixel() {
        for centre in centres() {
            let mut square = vec![0.0; PIXELS];
            let mut dot = vec![0.0; PIXELS];
            centre.draw_square(&mut square);
            centre.draw_pixel(&mut dot);
            for row in 0..CANVAS {
                for column in 0..CANVAS {
                    let dx = column.abs_diff(centre.x.into());
                    let dy = row.abs_diff(centre.y.into());
                    let place = row * CANVAS + column;
                    assert_eq!(square[place], f32::from(u8::from(dx.max(dy) <= 4)), "{centre:?}");
                    assert_eq!(dot[place], f32::from(u8::from(dx + dy == 0)), "{centre:?}");
                }
            }
        }
    }

    /// From NumPy 1.26, `RandomState(20202)`.
    #[test]
    fn the_uniform_split_is_numpys() {
        let mut generator = Mt::new(SPLIT_SEED);
        let draws = [0.421_554_129_171_043_5, 0.175_320_517_707_910_35, 0.796_525_946_440_844];
        assert_eq!(draws, [(); 3].map(|()| uniform(&mut generator)));
        let SplitIndices { train, test } = Split::Uniform.indices();
        assert_eq!((train.len(), test.len()), (2368, 768));
        assert_eq!(test[..12], [1, 3, 21, 35, 37, 44, 45, 49, 52, 65, 67, 69]);
        assert_eq!(test[762..], [3116, 3119, 3121, 3125, 3128, 3131]);
        let checksum: usize =
            test.iter().enumerate().map(|(place, index)| (place + 1) * index).sum();
        assert_eq!(checksum, 624_581_117);
    }

    #[test]
    fn the_quadrant_split_holds_out_the_lower_right() {
        let (SplitIndices { train, test }, centres) = (Split::Quadrant.indices(), centres());
        assert_eq!((train.len(), test.len()), (2407, 729));
        let inside = |index: &usize| centres[*index].x >= 33 && centres[*index].y >= 33;
        assert!(test.iter().all(inside) && !train.iter().any(inside));
    }

    #[test]
    fn everyone_is_in_exactly_one_part() {
        for split in Split::OF_CENTRES {
            let SplitIndices { mut train, test } = split.indices();
            train.extend(test);
            train.sort_unstable();
            assert_eq!(train, (0..3136).collect::<Vec<_>>());
        }
    }
}
