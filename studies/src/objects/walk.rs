//! Walks through a model's latent space: whether objects move or fade.

use super::sight::Sight;

/// Pictures along a walk, its ends included.
pub(crate) const FRAMES: usize = 9;
/// Least distance between the ends, in pixels of whatever canvas, of an object whose way is measured.
const LEAST_DISTANCE: f64 = 2.0;

/// Returns the rows at which walks begin: every second one of all, so that it does not matter which
/// rows are scored together.
pub(crate) fn starts(rows: &[usize]) -> Vec<usize> {
    rows.iter().copied().filter(|row| row.is_multiple_of(2)).collect()
}

/// Returns the rows at which walks begin, each followed by the one at which it ends.
pub(crate) fn ends(starts: &[usize]) -> Vec<usize> {
    starts.iter().flat_map(|&row| [row, row + 1]).collect()
}

/// Judgement of a walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Walk {
    /// Share of the frames in which an object is absent.
    pub faded: f64,
    /// Mean coherence over frames and objects.
    pub coherence: f64,
    /// Coherence of the worst frame.
    pub worst: f64,
    /// For each object that is there throughout and does not end where it starts: the length of its
    /// way over the distance between its ends.
    pub detours: Vec<f64>,
    /// Largest distance between neighbouring frames of an object that is there throughout, in
    /// pixels.
    pub jump: Option<f64>,
}

impl Walk {
    /// Judges the frames of a walk; there must be some.
    pub fn of(frames: &[Sight]) -> Self {
        let count = frames.len() as f64;
        let coherences: Vec<f64> = frames.iter().map(|sight| sight.coherence()).collect();
        let mut walk = Self {
            faded: frames.iter().filter(|sight| !sight.is_whole()).count() as f64 / count,
            coherence: coherences.iter().sum::<f64>() / count,
            worst: coherences.iter().copied().fold(f64::INFINITY, f64::min),
            ..Self::default()
        };
        for object in [0, 1] {
            let way: Option<Vec<[f64; 2]>> =
                frames.iter().map(|sight| sight.both()[object].place).collect();
            if let Some(way) = way {
                walk.add_way(&way);
            }
        }
        walk
    }

    fn add_way(&mut self, way: &[[f64; 2]]) {
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let steps: Vec<f64> = way.windows(2).map(|pair| distance(pair[0], pair[1])).collect();
        let largest = steps.iter().copied().fold(0.0, f64::max);
        self.jump = Some(self.jump.unwrap_or(0.0).max(largest));
        let straight = distance(way[0], way[way.len() - 1]);
        if straight >= LEAST_DISTANCE {
            self.detours.push(steps.iter().sum::<f64>() / straight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Object, Scale, Scene, Shape};
    use super::*;

    fn sight(x: usize) -> Sight {
        let object = |centre, shape| Object { centre, shape };
        let scene =
            Scene { blue: object([12, 50], Shape::Disc), red: object([x, 12], Shape::Square) };
        Sight::of(&scene.pixels(Scale::FULL), Scale::FULL)
    }

    #[test]
    fn an_object_that_moves_straight_has_no_detour() {
        let walk = Walk::of(&[10, 20, 30, 40].map(sight));
        assert_eq!((walk.faded, walk.coherence, walk.worst), (0.0, 1.0, 1.0));
        assert_eq!((walk.detours, walk.jump), (vec![1.0], Some(10.0)), "blue stays");
        let walk = Walk::of(&[10, 40, 20, 30].map(sight));
        assert_eq!((walk.detours, walk.jump), (vec![3.0], Some(30.0)));
    }

    #[test]
    fn an_object_that_fades_counts_and_its_way_does_not() {
        let walk = Walk::of(&[sight(10), Sight::default(), sight(30), sight(40)]);
        assert_eq!((walk.faded, walk.worst, walk.coherence), (0.25, 0.0, 0.75));
        assert_eq!((walk.detours, walk.jump), (vec![], None));
    }
}
