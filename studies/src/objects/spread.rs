//! Spread of places over the plane: over all of it, along a curve, or at one point.

use super::scene::Scale;

/// Cells per axis of the grid that places are counted in.
const CELLS: usize = 8;
/// Distances, in pixels of the published canvas, over which the dimension is measured.
const REACH: [u32; 2] = [3, 10];

/// A number that describes the spread of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Share of the 8 × 8 cells in which there is a place.
    Cells,
    /// Entropy of the counts of these cells, in bits; at most 6.
    Entropy,
    /// Correlation dimension: the slope of the logarithm of the share of pairs nearer than r over
    /// the logarithm of r. About 2 for places all over the plane, 1 along a curve. Source:
    /// Grassberger and Procaccia 1983.
    Dimension,
}

/// Places of an object over many pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    /// Number of pictures looked at.
    pub pictures: usize,
    /// Column and row of each, in pixels.
    pub places: Vec<[f64; 2]>,
    /// Corner of the square in which they can lie, and its side.
    pub area: [f64; 2],
    /// Pixels of this canvas per pixel of the published one.
    pub scale: f64,
}

impl Places {
    /// No places yet of an object on the canvas.
    pub(crate) fn of_object(scale: Scale) -> Self {
        let radius = scale.radius as f64;
        let area = [radius, (scale.side - 2 * scale.radius) as f64];
        Self { pictures: 0, places: Vec::new(), area, scale: pixels_per_pixel(scale) }
    }

    /// No places yet of one object seen from another.
    pub(crate) fn of_difference(scale: Scale) -> Self {
        let reach = (scale.side - 2 * scale.radius) as f64;
        let area = [-reach, 2.0 * reach];
        Self { pictures: 0, places: Vec::new(), area, scale: pixels_per_pixel(scale) }
    }

    /// Computes the number. Without pictures it is NaN; where none of them shows a place, no cell is
    /// hit, and entropy and dimension are NaN, the dimension of a single place too.
    pub fn value(&self, spread: Spread) -> f64 {
        match (spread, self.places.len()) {
            (Spread::Cells, _) if self.pictures > 0 => {
                self.counts().len() as f64 / (CELLS * CELLS) as f64
            }
            (Spread::Entropy, 1..) => self.entropy(),
            (Spread::Dimension, 2..) => self.dimension(),
            _ => f64::NAN,
        }
    }

    /// Adds a picture, which may show no place.
    pub(crate) fn add(&mut self, place: Option<[f64; 2]>) {
        self.pictures += 1;
        self.places.extend(place);
    }

    /// Adds the places of further pictures.
    pub(crate) fn extend(&mut self, more: &Self) {
        self.pictures += more.pictures;
        self.places.extend(&more.places);
    }

    /// Counts the places of every cell that has any.
    fn counts(&self) -> Vec<f64> {
        let mut counts = vec![0.0; CELLS * CELLS];
        let [start, side] = self.area;
        let cell = |at: f64| {
            let share = (at - start) / side * CELLS as f64;
            share.clamp(0.0, (CELLS - 1) as f64) as usize
        };
        for [x, y] in &self.places {
            counts[cell(*y) * CELLS + cell(*x)] += 1.0;
        }
        counts.retain(|&count| count > 0.0);
        counts
    }

    fn entropy(&self) -> f64 {
        let all = self.places.len() as f64;
        -self.counts().iter().map(|count| count / all * (count / all).log2()).sum::<f64>()
    }

    fn dimension(&self) -> f64 {
        let [low, high] = REACH;
        let radii: Vec<f64> = (low..=high).map(|r| f64::from(r) * self.scale).collect();
        let mut nearer = vec![0u64; radii.len()];
        for (index, [x, y]) in self.places.iter().enumerate() {
            for [other_x, other_y] in &self.places[index + 1..] {
                let distance = (x - other_x).hypot(y - other_y);
                // From the first radius that is larger on, all of them count the pair.
                let first = radii.partition_point(|&radius| radius <= distance);
                nearer.iter_mut().skip(first).for_each(|count| *count += 1);
            }
        }
        let points: Vec<[f64; 2]> = radii
            .iter()
            .zip(&nearer)
            .filter(|(_, count)| **count > 0)
            .map(|(radius, &count)| [radius.ln(), (count as f64).ln()])
            .collect();
        slope(&points)
    }
}

fn pixels_per_pixel(scale: Scale) -> f64 {
    scale.side as f64 / Scale::FULL.side as f64
}

/// Least squares; NaN of fewer than two points.
fn slope(points: &[[f64; 2]]) -> f64 {
    let count = points.len() as f64;
    let [x, y] = [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / count);
    let covariance: f64 = points.iter().map(|[a, b]| (a - x) * (b - y)).sum();
    let variance: f64 = points.iter().map(|[a, _]| (a - x).powi(2)).sum();
    covariance / variance
}

#[cfg(test)]
mod tests {
    use super::super::scene::Scene;
    use super::super::sight::Sight;
    use super::*;
    use crate::draws::{Purpose, stream};

    fn values(places: &Places) -> [f64; 3] {
        [Spread::Cells, Spread::Entropy, Spread::Dimension].map(|spread| places.value(spread))
    }

    /// A thousand pictures of the data itself. On the small canvas the distances are so
    /// short that its whole pixels count.
    #[test]
    fn the_data_covers_the_plane() {
        for (scale, expected) in [(Scale::FULL, 1.95), (Scale::HALF, 1.80)] {
            let mut rng = stream(1, Purpose::Scenes, 0);
            let mut blue = Places::of_object(scale);
            let mut between = Places::of_difference(scale);
            for _ in 0..1000 {
                let sight = Sight::of(&Scene::draw(&mut rng, scale).pixels(scale), scale);
                blue.add(sight.blue.place);
                between.add(sight.between());
            }
            let [cells, entropy, dimension] = values(&blue);
            assert_eq!(cells, 1.0);
            assert!((entropy - 5.95).abs() < 0.04, "{entropy}");
            assert!((dimension - expected).abs() < 0.06, "{dimension}");
            assert!((between.value(Spread::Entropy) - 5.52).abs() < 0.08);
        }
    }

    #[test]
    fn a_line_has_dimension_one_and_a_point_none() {
        let of = |places: Vec<[f64; 2]>| {
            let mut all = Places::of_object(Scale::FULL);
            places.into_iter().for_each(|place| all.add(Some(place)));
            all
        };
        let line = of((0..1000).map(|at| [10.0 + f64::from(at) * 0.043, 30.0]).collect());
        let [cells, _, dimension] = values(&line);
        assert_eq!(cells, 8.0 / 64.0);
        assert!((dimension - 0.95).abs() < 0.05, "{dimension}");
        assert_eq!(values(&of(vec![[30.0, 30.0]; 100])), [1.0 / 64.0, 0.0, 0.0]);
    }

    /// A model that has lost an object covers no cell, which is a score; without pictures there is
    /// none.
    #[test]
    fn pictures_without_the_object_hit_no_cell() {
        let mut places = Places::of_object(Scale::FULL);
        assert!(values(&places).iter().all(|value| value.is_nan()));
        places.add(None);
        let [cells, entropy, dimension] = values(&places);
        assert_eq!(cells, 0.0);
        assert!(entropy.is_nan() && dimension.is_nan());
        let mut one = Places::of_object(Scale::FULL);
        one.add(Some([30.0, 30.0]));
        places.extend(&one);
        let [cells, entropy, dimension] = values(&places);
        assert_eq!((cells, entropy, places.pictures), (1.0 / 64.0, 0.0, 2));
        assert!(dimension.is_nan());
    }
}
