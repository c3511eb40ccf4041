//! Screens to observations: grey, maximum of two frames, area averaging.

/// Makes an image smaller by area averaging, as OpenCV's `INTER_AREA` does.
///
/// Output pixel (i, j) is the mean of the input over the rectangle it covers, pixels cut by the
/// rectangle's edge counting by the part inside. All arithmetic is in whole numbers: along an axis
/// of `from` pixels made into `to`, lengths are measured in units of 1/`to` pixel, so each output
/// pixel is `from` units long and each input pixel `to`. The result is therefore the true mean,
/// rounded half up, on every machine.
#[derive(Clone, Debug)]
pub struct AreaResize {
    rows: Vec<Taps>,
    columns: Vec<Taps>,
    /// ⌈2⁴⁸ / area⌉: multiplying by it and dropping 48 bits divides by the area, exactly.
    reciprocal: u64,
    half_area: u32,
    width: usize,
    /// One input row in grey, and Σ weight · grey over the rows of one output row.
    grey: Vec<u8>,
    sums: Vec<u16>,
}

/// The input pixels that one output pixel covers, and how long a part of each.
#[derive(Clone, Debug, PartialEq)]
struct Taps {
    first: usize,
    weights: Vec<u16>,
}

/// Sums of a column are kept in 16 bits: 255 · 257 = 65 535.
const LONGEST_SIDE: usize = 257;

impl AreaResize {
    /// From `height` × `width` to `size` × `size`.
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
            grey: vec![0; width],
            sums: vec![0; width],
        }
    }

    /// Writes the area average of max(`latest`, `previous`) in grey into `out`.
    ///
    /// `latest` and `previous` are screens of palette indices; the maximum over two frames shows
    /// what a game draws on every other frame only (Mnih et al. 2015).
    pub fn draw(&mut self, grey: &[u8; 256], latest: &[u8], previous: Option<&[u8]>, out: &mut [u8]) {
        let size = self.columns.len();
        for (row, out) in out.chunks_exact_mut(size).enumerate() {
            self.sum_rows(row, grey, latest, previous);
            self.average_columns(out);
        }
    }

    /// The vertical half: weighted sums of the input rows under one output row.
    fn sum_rows(&mut self, row: usize, grey: &[u8; 256], latest: &[u8], previous: Option<&[u8]>) {
        let Taps { first, weights } = &self.rows[row];
        self.sums.fill(0);
        for (y, weight) in (*first..).zip(weights) {
            let span = y * self.width..(y + 1) * self.width;
            to_grey(grey, &latest[span.clone()], previous.map(|screen| &screen[span]), &mut self.grey);
            for (sum, pixel) in self.sums.iter_mut().zip(&self.grey) {
                *sum += weight * u16::from(*pixel);
            }
        }
    }

    /// The horizontal half: weighted sums of those, divided by the area.
    fn average_columns(&self, out: &mut [u8]) {
        for (pixel, Taps { first, weights }) in out.iter_mut().zip(&self.columns) {
            let covered = self.sums[*first..].iter().zip(weights);
            let sum: u32 = covered.map(|(sum, weight)| u32::from(*sum) * u32::from(*weight)).sum();
            *pixel = ((u64::from(sum + self.half_area) * self.reciprocal) >> 48) as u8;
        }
    }
}

/// One row in grey: the brighter of two frames.
fn to_grey(grey: &[u8; 256], latest: &[u8], previous: Option<&[u8]>, out: &mut [u8]) {
    match previous {
        None => {
            for (out, index) in out.iter_mut().zip(latest) {
                *out = grey[usize::from(*index)];
            }
        }
        Some(previous) => {
            for ((out, a), b) in out.iter_mut().zip(latest).zip(previous) {
                *out = grey[usize::from(*a)].max(grey[usize::from(*b)]);
            }
        }
    }
}

/// Which of `from` pixels each of `to` pixels covers.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let covered = |out: usize| {
        let (start, end) = (out * from, (out + 1) * from);
        let (first, last) = (start / to, (end - 1) / to);
        let part = |pixel: usize| (end.min((pixel + 1) * to) - start.max(pixel * to)) as u16;
        Taps { first, weights: (first..=last).map(part).collect() }
    };
    (0..to).map(covered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> [u8; 256] {
        std::array::from_fn(|index| index as u8)
    }

    fn resize(height: usize, width: usize, size: usize, image: &[u8]) -> Vec<u8> {
        let mut out = vec![0xAB; size * size];
        AreaResize::new(height, width, size).draw(&identity(), image, None, &mut out);
        out
    }

    /// The mean over a rectangle, written out with fractions instead of whole units.
    fn mean(height: usize, width: usize, size: usize, image: &[u8], row: usize, column: usize) -> f64 {
        let overlap = |out: usize, from: usize, pixel: usize| {
            let scale = from as f64 / size as f64;
            let (start, end) = (out as f64 * scale, (out + 1) as f64 * scale);
            (end.min(pixel as f64 + 1.0) - start.max(pixel as f64)).max(0.0) / scale
        };
        let mut sum = 0.0;
        for y in 0..height {
            for x in 0..width {
                sum += overlap(row, height, y) * overlap(column, width, x) * f64::from(image[y * width + x]);
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
        let noise = |len: usize| -> Vec<u8> { (0..len).map(|i| (i * i * 31 % 251) as u8).collect() };
        for (height, width, size) in
            [(210, 160, 84), (250, 160, 84), (230, 160, 64), (210, 160, 1), (5, 4, 3)]
        {
            let image = noise(height * width);
            let out = resize(height, width, size, &image);
            for (index, pixel) in out.iter().enumerate().step_by(97) {
                let expected = mean(height, width, size, &image, index / size, index % size);
                let off = (f64::from(*pixel) - expected).abs();
                assert!(off <= 0.5 + 1e-6, "{height}×{width}→{size} at {index}: {pixel} against {expected}");
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
        AreaResize::new(2, 2, 2).draw(&grey, &[1, 2, 2, 0], Some(&[2, 1, 0, 0]), &mut out);
        assert_eq!(out, [200, 200, 100, 0]);
    }
}
