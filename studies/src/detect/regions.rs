//! Regions that a step of the second stage learns from.

use coordrl_envs::Rng;

use super::boxes::BoundingBox;
use super::canvas::Target;
use crate::draws::shuffle;

/// Regions drawn from a canvas, at most.
const MOST: usize = 32;
/// Those of them that show a digit, at most.
const MOST_POSITIVE: usize = MOST / 4;
/// Overlap from which a region shows a digit.
const POSITIVE_OVERLAP: f32 = 0.5;
/// Class of a region without a digit.
pub const NO_DIGIT: u8 = 10;

/// A region with what it should be recognised as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Where it lies.
    pub place: BoundingBox,
    /// Digit, or [`NO_DIGIT`].
    pub class: u8,
    /// Box of the digit; absent if there is none.
    pub target: Option<BoundingBox>,
}

impl Region {
    fn of(place: BoundingBox, targets: &[Target]) -> Self {
        let overlaps = targets.iter().map(|target| (target, place.overlap(target.place)));
        let best = overlaps.max_by(|a, b| a.1.total_cmp(&b.1));
        match best {
            Some((target, overlap)) if overlap >= POSITIVE_OVERLAP => {
                Self { place, class: target.class, target: Some(target.place) }
            }
            _ => Self { place, class: NO_DIGIT, target: None },
        }
    }
}

/// Draws at most 32 of the proposals and of the targets' own boxes, at most eight of them with a
/// digit, which they overlap by at least a half.
pub fn draw(proposals: &[BoundingBox], targets: &[Target], rng: &mut Rng) -> Vec<Region> {
    let own = targets.iter().map(|target| target.place);
    let all = proposals.iter().copied().chain(own).map(|place| Region::of(place, targets));
    let (mut drawn, mut others): (Vec<Region>, Vec<Region>) =
        all.partition(|region| region.target.is_some());
    shuffle(rng, &mut drawn);
    drawn.truncate(MOST_POSITIVE);
    shuffle(rng, &mut others);
    others.truncate(MOST - drawn.len());
    drawn.append(&mut others);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::{Purpose, stream};

    fn at(row: f32) -> BoundingBox {
        BoundingBox { row, column: 30.0, height: 20.0, width: 20.0 }
    }

    fn rng() -> Rng {
        stream(1, Purpose::BoxPairs, 0)
    }

    #[test]
    fn a_region_takes_the_class_of_the_digit_that_it_overlaps_most() {
        let targets = [Target { place: at(20.0), class: 7 }, Target { place: at(24.0), class: 3 }];
        let found = Region::of(at(23.0), &targets);
        assert_eq!(found, Region { place: at(23.0), class: 3, target: Some(at(24.0)) });
        let far = Region::of(at(31.0), &targets); // shares 13 of 27 rows with the nearer
        assert_eq!((far.class, far.target), (NO_DIGIT, None));
    }

    #[test]
    fn at_most_a_quarter_of_at_most_32_regions_show_a_digit() {
        let targets = [Target { place: at(20.0), class: 1 }];
        let proposals = [vec![at(21.0); 40], vec![at(50.0); 60]].concat();
        let drawn = draw(&proposals, &targets, &mut rng());
        assert_eq!(drawn.len(), MOST);
        assert_eq!(drawn.iter().filter(|region| region.class == 1).count(), 8);
        let drawn = draw(&proposals[40..], &targets, &mut rng());
        assert_eq!(drawn.iter().filter(|region| region.class == 1).count(), 1, "its own box");
        assert_eq!(draw(&[at(50.0)], &[], &mut rng()).len(), 1);
    }
}
