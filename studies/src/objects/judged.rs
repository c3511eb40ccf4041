//! Measures of a generative model's pictures.

use coordrl_agents::{Tag, tags};

use super::scene::Scale;
use super::sight::Sight;
use super::spread::{Places, Spread};
use super::walk::Walk;
use crate::task::{Exhibit, Measure, SpreadPanel, Tally};

tags! {
    TRAIN_FADED: "study/train_faded", "share of frames",
        "Frames without one of the objects, on walks between encodings of training pictures: vae.";
    TEST_FADED: "study/test_faded", "share of frames",
        "Frames without one of the objects, on walks between encodings of test pictures (vae) or samples (gan).";
    TRAIN_COHERENCE: "study/train_coherence", "IoU",
        "Overlap of both objects with the best square or disc, mean over frames of walks, training pictures: vae.";
    TEST_COHERENCE: "study/test_coherence", "IoU",
        "Overlap of both objects with the best square or disc, mean over frames of walks, test pictures (vae) or samples (gan).";
    TRAIN_WORST: "study/train_worst_frame", "IoU",
        "The same in the worst frame of a walk, training pictures: vae.";
    TEST_WORST: "study/test_worst_frame", "IoU",
        "The same in the worst frame of a walk, test pictures (vae) or samples (gan).";
    TRAIN_DETOUR: "study/train_detour", "ratio",
        "Length of an object's way along a walk over the distance between its ends, training pictures: vae.";
    TEST_DETOUR: "study/test_detour", "ratio",
        "Length of an object's way along a walk over the distance between its ends, test pictures (vae) or samples (gan).";
    TRAIN_JUMP: "study/train_jump", "px",
        "Largest distance between neighbouring frames of a walk, training pictures: vae.";
    TEST_JUMP: "study/test_jump", "px",
        "Largest distance between neighbouring frames of a walk, test pictures (vae) or samples (gan).";
    TEST_WHOLE: "study/test_whole", "share of samples",
        "Samples from the prior with both objects: gan, vae.";
    TEST_GOOD: "study/test_good", "share of samples",
        "Samples from the prior with both objects, each of which a square or disc overlaps by more than 0.7: gan, vae.";
    TEST_CELLS_BLUE: "study/test_cells_blue", "share of cells",
        "Cells of an 8 × 8 grid in which the blue object of some sample lies: gan, vae.";
    TEST_CELLS_RED: "study/test_cells_red", "share of cells",
        "Cells of an 8 × 8 grid in which the red object of some sample lies: gan, vae.";
    TEST_CELLS_BETWEEN: "study/test_cells_between", "share of cells",
        "Cells of an 8 × 8 grid in which the red object, seen from the blue one, lies in some sample: gan, vae.";
    TEST_ENTROPY_BLUE: "study/test_entropy_blue", "bits",
        "Entropy of the blue object's counts over these cells: gan, vae.";
    TEST_ENTROPY_RED: "study/test_entropy_red", "bits",
        "Entropy of the red object's counts over these cells: gan, vae.";
    TEST_ENTROPY_BETWEEN: "study/test_entropy_between", "bits",
        "Entropy of the counts of the red object seen from the blue one: gan, vae.";
    TEST_DIMENSION_BLUE: "study/test_dimension_blue", "none",
        "Correlation dimension of the blue object's places over samples; about 2 all over the plane, 1 along a curve: gan, vae.";
    TEST_DIMENSION_RED: "study/test_dimension_red", "none",
        "Correlation dimension of the red object's places over samples: gan, vae.";
    TEST_DIMENSION_BETWEEN: "study/test_dimension_between", "none",
        "Correlation dimension of the red object's places seen from the blue one: gan, vae.";
}

/// Measures of walks, in the order of [`Judged::of_walks`].
pub(crate) const WALKS: [Measure; 5] = [
    Measure {
        title: "Faded frames of walks",
        over_time: true,
        ..Measure::share("faded", "faded frames", &TRAIN_FADED, &TEST_FADED)
    },
    Measure {
        title: "Sharpness of walks",
        over_time: true,
        ..Measure::share("coherence", "coherence on walks", &TRAIN_COHERENCE, &TEST_COHERENCE)
    },
    Measure::share("worst_frame", "worst frame", &TRAIN_WORST, &TEST_WORST),
    Measure::error("detour", "detour", &TRAIN_DETOUR, &TEST_DETOUR),
    Measure::error("jump", "largest jump (px)", &TRAIN_JUMP, &TEST_JUMP),
];

/// Measures of samples from the prior, in the order of [`Judged::of_samples`]. Values of the data
/// are those of 1 000 scenes on the canvas of 32; a test computes them.
pub(crate) const SAMPLES: [Measure; 11] = [
    Measure {
        title: "Samples with both objects",
        ..sample("whole", "samples with both", 1.0, &TEST_WHOLE)
    },
    sample("good", "good samples", 1.0, &TEST_GOOD),
    sample("cells_blue", "cells, blue", 1.0, &TEST_CELLS_BLUE),
    sample("cells_red", "cells, red", 1.0, &TEST_CELLS_RED),
    sample("cells_between", "cells, between", 0.906, &TEST_CELLS_BETWEEN),
    sample("entropy_blue", "entropy, blue", 5.93, &TEST_ENTROPY_BLUE),
    sample("entropy_red", "entropy, red", 5.885, &TEST_ENTROPY_RED),
    sample("entropy_between", "entropy, between", 5.455, &TEST_ENTROPY_BETWEEN),
    sample("dimension_blue", "dimension, blue", 1.80, &TEST_DIMENSION_BLUE),
    sample("dimension_red", "dimension, red", 1.694, &TEST_DIMENSION_RED),
    sample("dimension_between", "dimension, between", 1.717, &TEST_DIMENSION_BETWEEN),
];

const fn sample(
    name: &'static str,
    label: &'static str,
    of_data: f64,
    test: &'static Tag,
) -> Measure {
    Measure { train: None, of_data: Some(of_data), ..Measure::share(name, label, test, test) }
}

/// Walks and samples, judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judged {
    pub walks: Vec<Walk>,
    /// Samples from the prior as seen.
    pub samples: Vec<Sight>,
}

impl Judged {
    /// Returns the tallies of [`WALKS`].
    pub fn of_walks(&self) -> [Tally; 5] {
        let mean = |value: fn(&Walk) -> f64| mean_of(self.walks.iter().map(value));
        [
            mean(|walk| walk.faded),
            mean(|walk| walk.coherence),
            mean(|walk| walk.worst),
            mean_of(self.walks.iter().flat_map(|walk| walk.detours.iter().copied())),
            mean_of(self.walks.iter().filter_map(|walk| walk.jump)),
        ]
    }

    /// Returns the tallies of [`SAMPLES`].
    pub fn of_samples(&self, scale: Scale) -> Vec<Tally> {
        let share = |is_so: fn(Sight) -> bool| {
            mean_of(self.samples.iter().map(|&sight| f64::from(u8::from(is_so(sight)))))
        };
        let places = places_of(&self.samples, scale);
        let mut tallies = vec![share(Sight::is_whole), share(Sight::is_good)];
        for spread in [Spread::Cells, Spread::Entropy, Spread::Dimension] {
            tallies.extend(places.iter().map(|of| Tally::Spread(spread, of.clone())));
        }
        tallies
    }
}

/// Returns the places of the blue object, of the red one, and of the red one seen from the blue one.
fn places_of(sights: &[Sight], scale: Scale) -> [Places; 3] {
    let mut places =
        [Places::of_object(scale), Places::of_object(scale), Places::of_difference(scale)];
    for sight in sights {
        let seen = [sight.blue.place, sight.red.place, sight.between()];
        places.iter_mut().zip(seen).for_each(|(all, one)| all.add(one));
    }
    places
}

/// Shows where objects are in the data and in samples.
pub(crate) fn spread(of_data: &[Sight], of_samples: &[Sight], scale: Scale) -> Exhibit {
    let titles = ["blue", "red", "red seen from blue"].into_iter();
    let both = places_of(of_data, scale).into_iter().zip(places_of(of_samples, scale));
    let side = scale.side as f64;
    let ranges = [[0.0, side], [0.0, side], [-side, side]].into_iter();
    let panels = titles.zip(ranges).zip(both).map(|((title, range), (of_data, of_samples))| {
        SpreadPanel { title, range, of_data: of_data.places, of_samples: of_samples.places }
    });
    Exhibit::Spread { panels: panels.collect() }
}

fn mean_of(numbers: impl Iterator<Item = f64>) -> Tally {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    Tally::Mean { sum, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::{Purpose, stream};
    use crate::objects::scene::{DATA_SEED, Scene};

    /// The values beside which those of a model are put.
    #[test]
    fn values_of_the_data_are_those_of_its_scenes() {
        let scale = Scale::HALF;
        let samples = (0..1000).map(|row| {
            let mut rng = stream(DATA_SEED, Purpose::Scenes, row);
            Sight::of(&Scene::draw(&mut rng, scale).pixels(scale), scale)
        });
        let judged = Judged { samples: samples.collect(), ..Judged::default() };
        let tallies = judged.of_samples(scale);
        assert_eq!(SAMPLES.len(), tallies.len());
        for (measure, tally) in SAMPLES.iter().zip(tallies) {
            let value = tally.value();
            let of_data = measure.of_data.unwrap();
            assert!((value - of_data).abs() < 0.006, "{}: {value}", measure.name);
        }
    }
}
