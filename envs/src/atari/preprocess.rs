//! Screens to observations: grey, maximum of two frames, area averaging.

/// Shrinks an image by area averaging, as OpenCV's `INTER_AREA` does.
///
/// Output pixel (i, j) is the mean of the input over the rectangle it covers; input pixels cut by
/// the rectangle's edge are weighted by the part inside. All arithmetic is on integers: along an
/// axis of `from` pixels reduced to `to`, lengths are measured in units of 1/`to` pixel, so each
/// output pixel is `from` units long and each input pixel `to`. The result is therefore the true
/// mean, rounded half up, on every machine.
///
/// Most rows of an Atari screen repeat the one above. Repeated rows are converted to grey once, and
/// an output row that covers only repeats of rows under the previous output row is copied from it:
/// the weights always add up to the same total, so the values are equal.
#[derive(Clone, Debug)]
pub struct AreaResize {
    rows: Vec<ResizeTaps>,
    columns: Vec<ResizeTaps>,
    /// ⌈2⁴⁸ / area⌉, where area, height · width of the input, is the weights' total: multiplying by
    /// it and dropping 48 bits divides by the area, exactly.
    reciprocal: u64,
    /// Half of the area, added for rounding.
    half_area: u32,
    width: usize,
    /// `true` for each input row that equals the one above in both frames.
    repeats: Vec<bool>,
    /// One input row in grey.
    grey: Vec<u8>,
    /// Index of that row.
    grey_row: usize,
    /// Σ weight · grey over the input rows under one output row, per input column.
    sums: Vec<u16>,
}

/// The input pixels under one output pixel, with the length of each inside it.
#[derive(Clone, Debug, PartialEq)]
struct ResizeTaps {
    first: usize,
    weights: Vec<u16>,
}

/// Two screens of palette indices, the second one optional.
#[derive(Clone, Copy)]
struct Frames<'a> {
    latest: &'a [u8],
    previous: Option<&'a [u8]>,
    width: usize,
}

/// Longest side whose column sums fit in 16 bits: 255 · 257 = 65 535.
const LONGEST_SIDE: usize = 257;

impl AreaResize {
    /// Prepares the reduction from `height` × `width` to `size` × `size`.
    ///
    /// # Panics
    /// If a side is 0, longer than 257 or shorter than `size`: the settings' check and the
    /// console's screen (at most 250 × 160) rule that out.
    pub fn new(height: usize, width: usize, size: usize) -> Self {
        assert!((1..=height.min(width)).contains(&size) && height.max(width) <= LONGEST_SIDE);
        let area = (height * width) as u64;
        Self {
            rows: taps(height, size),
            columns: taps(width, size),
            reciprocal: (1u64 << 48).div_ceil(area),
            half_area: (area / 2) as u32,
            width,
            repeats: vec![false; height],
            grey: vec![0; width],
            grey_row: 0,
            sums: vec![0; width],
        }
    }

    /// Writes the area average of max(`latest`, `previous`) in grey into `out`.
    ///
    /// `latest` and `previous` are screens of palette indices; the maximum over two frames keeps
    /// objects that a game draws only on every other frame (Mnih et al. 2015).
    pub fn write_grey_max(
        &mut self,
        grey: &[u8; 256],
        latest: &[u8],
        previous: Option<&[u8]>,
        out: &mut [u8],
    ) {
        let frames = Frames { latest, previous, width: self.width };
        for (row, repeats) in self.repeats.iter_mut().enumerate() {
            *repeats = row > 0 && frames.repeats(row);
        }

        frames.to_grey(grey, 0, &mut self.grey);
        self.grey_row = 0;
        let size = self.columns.len();
        let mut covered_from = 0;
        for row in 0..size {
            let ResizeTaps { first, weights } = &self.rows[row];
            let (first, end) = (*first, *first + weights.len());
            // If all input rows under the previous output row and this one are equal, so are the
            // two output rows.
            if row > 0 && self.repeats[covered_from + 1..end].iter().all(|repeats| *repeats) {
                out.copy_within((row - 1) * size..row * size, row * size);
            } else {
                self.sum_rows(row, grey, frames);
                self.average_columns(&mut out[row * size..(row + 1) * size]);
            }
            covered_from = first;
        }
    }

    /// Vertical pass: weighted sums of the input rows under one output row.
    fn sum_rows(&mut self, row: usize, grey: &[u8; 256], frames: Frames<'_>) {
        let ResizeTaps { first, weights } = &self.rows[row];
        self.sums.fill(0);
        for (y, weight) in (*first..).zip(weights) {
            // `grey` is still valid if every row since `grey_row` repeats the one above it.
            // The range is empty if `y` is that row: an input row cut by the border of two output
            // rows is under both.
            if !self.repeats[self.grey_row + 1..=y].iter().all(|repeats| *repeats) {
                frames.to_grey(grey, y, &mut self.grey);
            }
            self.grey_row = y;
            // The weights add up to the input's height, at most 257: sums of bytes fit in 16 bits.
            for (sum, pixel) in self.sums.iter_mut().zip(&self.grey) {
                *sum += weight * u16::from(*pixel);
            }
        }
    }

    /// Horizontal pass: weighted sums of those, divided by the area.
    fn average_columns(&self, out: &mut [u8]) {
        for (pixel, ResizeTaps { first, weights }) in out.iter_mut().zip(&self.columns) {
            let covered = self.sums[*first..].iter().zip(weights);
            let sum: u32 = covered.map(|(sum, weight)| u32::from(*sum) * u32::from(*weight)).sum();
            // Below 255.5 · area · (2⁴⁸ / area + 1) < 2⁵⁷: no overflow.
            *pixel = ((u64::from(sum + self.half_area) * self.reciprocal) >> 48) as u8;
        }
    }
}

impl<'a> Frames<'a> {
    fn row(self, screen: &'a [u8], y: usize) -> &'a [u8] {
        &screen[y * self.width..(y + 1) * self.width]
    }

    /// Returns `true` if row `y` equals the one above.
    fn repeats(self, y: usize) -> bool {
        let same = |screen| self.row(screen, y) == self.row(screen, y - 1);
        same(self.latest) && self.previous.is_none_or(same)
    }

    /// Converts row `y` to grey, taking the brighter of the two frames.
    fn to_grey(self, grey: &[u8; 256], y: usize, out: &mut [u8]) {
        let latest = self.row(self.latest, y);
        match self.previous.map(|screen| self.row(screen, y)) {
            Some(previous) if previous != latest => {
                // The maximum is taken in grey: palette indices are not ordered by brightness.
                for ((out, a), b) in out.iter_mut().zip(latest).zip(previous) {
                    *out = grey[usize::from(*a)].max(grey[usize::from(*b)]);
                }
            }
            // Most rows are the same in both frames: one look-up per pixel is enough.
            _ => {
                for (out, index) in out.iter_mut().zip(latest) {
                    *out = grey[usize::from(*index)];
                }
            }
        }
    }
}

/// Computes the input pixels, out of `from`, under each of `to` output pixels.
fn taps(from: usize, to: usize) -> Vec<ResizeTaps> {
    (0..to).map(|out| ResizeTaps::under(out, from, to)).collect()
}

impl ResizeTaps {
    /// Computes the input pixels, out of `from`, under output pixel `out` of `to`.
    fn under(out: usize, from: usize, to: usize) -> Self {
        let start = out * from;
        let end = (out + 1) * from;
        let first = start / to;
        // The window excludes its end, which belongs to the next output pixel.
        let last = (end - 1) / to;
        let lengths =
            (first..=last).map(|pixel| (end.min((pixel + 1) * to) - start.max(pixel * to)) as u16);
        Self { first, weights: lengths.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> [u8; 256] {
        std::array::from_fn(|index| index as u8)
    }

    fn resize(height: usize, width: usize, size: usize, image: &[u8]) -> Vec<u8> {
        let mut out = vec![0xAB; size * size];
        AreaResize::new(height, width, size).write_grey_max(&identity(), image, None, &mut out);
        out
    }

    /// The mean over a rectangle, computed with fractions instead of integer units.
    fn mean(
        height: usize,
        width: usize,
        size: usize,
        image: &[u8],
        row: usize,
        column: usize,
    ) -> f64 {
        let overlap = |out: usize, from: usize, pixel: usize| {
            let scale = from as f64 / size as f64;
            let start = out as f64 * scale;
            let end = (out + 1) as f64 * scale;
            (end.min(pixel as f64 + 1.0) - start.max(pixel as f64)).max(0.0) / scale
        };

        let mut sum = 0.0;
        for y in 0..height {
            for x in 0..width {
                sum += overlap(row, height, y)
                    * overlap(column, width, x)
                    * f64::from(image[y * width + x]);
            }
        }

        sum
    }

    #[test]
    fn a_size_that_divides_is_the_plain_mean_of_blocks() {
        let image = [0, 10, 20, 30, 40, 50, 60, 71, 1, 1, 2, 2, 1, 1, 2, 3];
        // (0+10+40+50)/4 = 25; (20+30+60+71)/4 = 45.25; 1; (2+2+2+3)/4 = 2.25
        assert_eq!(resize(4, 4, 2, &image), [25, 45, 1, 2]);
        assert_eq!(resize(4, 4, 4, &image), image);
    }

    #[test]
    fn every_pixel_is_the_true_mean_to_half_a_level() {
        let noise =
            |len: usize| -> Vec<u8> { (0..len).map(|i| (i * i * 31 % 251) as u8).collect() };
        for (height, width, size) in
            [(210, 160, 84), (250, 160, 84), (230, 160, 64), (210, 160, 1), (5, 4, 3)]
        {
            let image = noise(height * width);
            let out = resize(height, width, size, &image);
            for (index, pixel) in out.iter().enumerate().step_by(97) {
                let expected = mean(height, width, size, &image, index / size, index % size);
                let off = (f64::from(*pixel) - expected).abs();
                assert!(
                    off <= 0.5 + 1e-6,
                    "{height}×{width}→{size} at {index}: {pixel} against {expected}"
                );
            }
        }
    }

    #[test]
    fn white_stays_white_and_division_is_exact_at_the_edges() {
        assert!(resize(250, 160, 84, &[255; 250 * 160]).iter().all(|pixel| *pixel == 255));
        for area in [33_600u64, 40_000, 36_800] {
            let reciprocal = (1u64 << 48).div_ceil(area);
            for quotient in 0..=255 {
                let exact = quotient * area;
                assert_eq!((exact * reciprocal) >> 48, quotient);
                assert_eq!(((exact + area - 1) * reciprocal) >> 48, quotient);
            }
        }
    }

    #[test]
    fn the_brighter_of_two_frames_is_taken_in_grey_not_by_index() {
        let mut grey = identity();
        grey[1] = 200;
        grey[2] = 100;
        let mut out = [0; 4];
        AreaResize::new(2, 2, 2).write_grey_max(
            &grey,
            &[1, 2, 2, 0],
            Some(&[2, 1, 0, 0]),
            &mut out,
        );
        assert_eq!(out, [200, 200, 100, 0]);
    }

    #[test]
    fn repeated_rows_are_averaged_like_any_others() {
        // Bands of equal rows, some as thin as one row, with noise in between and in one frame
        // only.
        let band = |row: usize| [40, 40, 40, 90, 90, 7, 200, 200, 200, 200][row / 5 % 10];
        let mut latest = vec![0u8; 210 * 160];
        let mut previous = vec![0u8; 210 * 160];
        for (index, pixel) in latest.iter_mut().enumerate() {
            *pixel = band(index / 160);
        }

        previous.copy_from_slice(&latest);
        for index in (0..latest.len()).step_by(1_237) {
            latest[index] = 255;
            previous[(index * 7) % (210 * 160)] = 251;
        }

        let brighter: Vec<u8> = latest.iter().zip(&previous).map(|(a, b)| *a.max(b)).collect();
        let mut out = vec![0xAB; 84 * 84];
        let mut resize = AreaResize::new(210, 160, 84);
        resize.write_grey_max(&identity(), &latest, Some(&previous), &mut out);
        for (index, pixel) in out.iter().enumerate() {
            let expected = mean(210, 160, 84, &brighter, index / 84, index % 84);
            assert!(
                (f64::from(*pixel) - expected).abs() <= 0.5 + 1e-6,
                "{index}: {pixel}, {expected}"
            );
        }

        // Leftovers of an earlier screen must not show.
        let mut again = vec![0x54; 84 * 84];
        resize.write_grey_max(&identity(), &brighter, None, &mut again);
        assert_eq!(again, out);
    }
}
