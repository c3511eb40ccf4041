//! RGB images in memory, with a few operations.

use anyhow::ensure;
use coordrl_envs::Screen;

/// RGB image, row by row: `[H, W, 3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `3 · width · height` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Builds an image of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    /// Builds a grey image from brightness values, `[H, W]`.
    pub fn of_grey(grey: &[u8], width: usize) -> Self {
        let rgb = grey.iter().flat_map(|&level| [level; 3]).collect();
        Self { width, height: grey.len() / width.max(1), rgb }
    }

    /// Enlarges every pixel to `factor` × `factor`.
    pub fn enlarged(&self, factor: usize) -> Self {
        let mut larger = Self::filled(self.width * factor, self.height * factor, [0; 3]);
        for (y, row) in larger.rgb.chunks_exact_mut(3 * self.width * factor).enumerate() {
            let from = &self.rgb[3 * self.width * (y / factor)..][..3 * self.width];
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&from[3 * (x / factor)..][..3]);
            }
        }
        larger
    }

    /// Draws `other` onto this image, with its upper left corner at (`left`, `top`).
    ///
    /// # Errors
    /// If it does not fit.
    pub fn put(&mut self, other: &Self, left: usize, top: usize) -> anyhow::Result<()> {
        let fits = left + other.width <= self.width && top + other.height <= self.height;
        ensure!(
            fits,
            "a picture of {} × {} does not fit at {left}, {top}",
            other.width,
            other.height
        );
        for (y, row) in other.rgb.chunks_exact(3 * other.width.max(1)).enumerate() {
            let start = 3 * ((top + y) * self.width + left);
            self.rgb[start..start + row.len()].copy_from_slice(row);
        }

        Ok(())
    }

    /// Returns the brighter of the two images at each pixel, so that sprites that flicker remain
    /// visible when only every other frame is shown.
    #[must_use]
    pub fn brighter(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.rgb.chunks_exact_mut(3).zip(other.rgb.chunks_exact(3)) {
            if brightness(theirs) > brightness(mine) {
                mine.copy_from_slice(theirs);
            }
        }
        self
    }
}

fn brightness(pixel: &[u8]) -> u32 {
    pixel.iter().map(|&part| u32::from(part)).sum()
}

impl From<Screen> for Picture {
    fn from(screen: Screen) -> Self {
        Self { width: screen.width, height: screen.height, rgb: screen.rgb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_repeats_pixels_and_putting_leaves_the_rest() {
        let small = Picture::of_grey(&[1, 2, 3, 4], 2);
        let large = small.enlarged(2);
        let greys: Vec<u8> = large.rgb.iter().step_by(3).copied().collect();
        assert_eq!(greys, [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
        let mut page = Picture::filled(4, 3, [9; 3]);
        page.put(&small, 2, 1).unwrap();
        let greys: Vec<u8> = page.rgb.iter().step_by(3).copied().collect();
        assert_eq!(greys, [9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4]);
        assert!(page.put(&small, 3, 1).is_err());
    }

    #[test]
    fn the_brighter_pixel_wins() {
        let dark = Picture::of_grey(&[5, 5], 2);
        let mixed = Picture::of_grey(&[1, 7], 2);
        assert_eq!(dark.brighter(&mixed), Picture::of_grey(&[5, 7], 2));
    }
}
