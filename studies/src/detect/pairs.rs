//! Pairs of boxes and targets that a step of the proposal network learns from.

use coordrl_envs::Rng;
use serde::{Deserialize, Serialize};

use super::boxes::BoundingBox;
use super::canvas::CANVAS;
use crate::draws::{below, shuffle};

/// Most positive pairs, and most negative boxes, of a step.
const MOST: usize = 6;
/// Least overlap of a positive pair that is not the target's best.
const POSITIVE_OVERLAP: f32 = 0.5;
/// A negative overlaps every target by less.
const NEGATIVE_OVERLAP: f32 = 0.1;

/// Rule by which pairs are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairRule {
    /// As in the released code. A target that overlaps no box has box 0, in the corner, as its best;
    /// and with few negatives none is drawn.
    Released,
    /// The caller leaves out targets off the canvas, and few negatives are drawn with replacement.
    Mended,
}

/// Indices of boxes and targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Boxes with the target that each should move to.
    pub positives: Vec<Positive>,
    /// Boxes without a target.
    pub negatives: Vec<usize>,
}

/// A box with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positive {
    /// Index of the box.
    pub box_index: usize,
    /// Index of the target.
    pub target: usize,
}

/// Draws at most six of the positive pairs and six negatives for these boxes; none without targets.
///
/// A pair is positive if the box is the target's best, or lies within the canvas and overlaps it by
/// more than a half.
pub fn draw(
    boxes: &[BoundingBox],
    targets: &[BoundingBox],
    rule: PairRule,
    rng: &mut Rng,
) -> Pairs {
    if boxes.is_empty() || targets.is_empty() {
        return Pairs::default();
    }

    let is_inside = |index: usize| boxes[index].is_within(0.0, (CANVAS - 1) as f32);
    let bests: Vec<usize> = targets.iter().map(|target| best_box(boxes, *target)).collect();
    let mut positives = Vec::new();
    let mut clear = Vec::new();
    for (box_index, found) in boxes.iter().enumerate() {
        let overlaps: Vec<f32> = targets.iter().map(|target| found.overlap(*target)).collect();
        for (target, &overlap) in overlaps.iter().enumerate() {
            let overlaps_enough = overlap > POSITIVE_OVERLAP && is_inside(box_index);
            if bests[target] == box_index || overlaps_enough {
                positives.push(Positive { box_index, target });
            }
        }
        let overlaps_none = overlaps.iter().all(|&overlap| overlap < NEGATIVE_OVERLAP);
        if overlaps_none && is_inside(box_index) && !bests.contains(&box_index) {
            clear.push(box_index);
        }
    }

    if clear.is_empty() {
        let is_positive = |index: &usize| positives.iter().any(|pair| pair.box_index == *index);
        clear = (0..boxes.len()).filter(|index| !is_positive(index)).collect();
    }
    shuffle(rng, &mut positives);
    positives.truncate(MOST);
    Pairs { positives, negatives: draw_negatives(clear, rule, rng) }
}

/// Returns the index of the box that overlaps the target most; the first one on ties.
fn best_box(boxes: &[BoundingBox], target: BoundingBox) -> usize {
    let overlaps = boxes.iter().map(|found| found.overlap(target)).enumerate();
    let (best, _) = overlaps
        .fold((0, f32::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
    best
}

fn draw_negatives(mut clear: Vec<usize>, rule: PairRule, rng: &mut Rng) -> Vec<usize> {
    match rule {
        _ if clear.len() > MOST => {
            shuffle(rng, &mut clear);
            clear.truncate(MOST);
            clear
        }
        PairRule::Mended if !clear.is_empty() => {
            (0..MOST).map(|_| clear[below(rng, clear.len())]).collect()
        }
        PairRule::Released | PairRule::Mended => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::{Purpose, stream};

    fn at(row: f32, column: f32) -> BoundingBox {
        BoundingBox { row, column, height: 15.0, width: 15.0 }
    }

    fn rng() -> Rng {
        stream(1, Purpose::BoxPairs, 0)
    }

    fn sorted(mut pairs: Pairs) -> Pairs {
        pairs.positives.sort_by_key(|pair| (pair.box_index, pair.target));
        pairs.negatives.sort_unstable();
        pairs
    }

    #[test]
    fn pairs_are_the_best_boxes_and_those_that_overlap_by_half() {
        // Box 3 overlaps the target but is not within the canvas; boxes 4 and 5 are far away.
        let boxes = [
            at(20.0, 20.0),
            at(21.0, 20.0),
            at(23.0, 22.0),
            at(20.0, 2.0),
            at(50.0, 50.0),
            at(50.0, 20.0),
        ];
        let targets = [at(21.0, 20.0)];
        let found = sorted(draw(&boxes, &targets, PairRule::Released, &mut rng()));
        let expected = [0, 1, 2].map(|box_index| Positive { box_index, target: 0 });
        assert_eq!(found.positives, expected);
        assert!(found.negatives.is_empty(), "two are too few for the released rule");
        let mended = draw(&boxes, &targets, PairRule::Mended, &mut rng()).negatives;
        assert!(mended.len() == MOST && mended.iter().all(|index| [4, 5].contains(index)));
    }

    #[test]
    fn a_target_that_overlaps_nothing_makes_a_pair_with_box_0() {
        let boxes = [at(8.0, 8.0), at(30.0, 30.0)];
        let found = draw(&boxes, &[at(200.0, 200.0)], PairRule::Released, &mut rng());
        assert_eq!(found.positives, [Positive { box_index: 0, target: 0 }]);
        assert_eq!(draw(&boxes, &[], PairRule::Mended, &mut rng()), Pairs::default());
    }

    #[test]
    fn a_box_may_appear_with_several_targets_and_no_more_than_six_pairs_are_drawn() {
        let boxes = vec![at(30.0, 30.0); 9];
        let targets = [at(30.0, 30.0), at(31.0, 30.0)];
        let found = draw(&boxes, &targets, PairRule::Mended, &mut rng());
        assert_eq!(found.positives.len(), MOST);
        assert!(found.negatives.is_empty(), "every box is in a pair");
        let some: Vec<Pairs> = (0..20)
            .map(|index| {
                draw(&boxes, &targets, PairRule::Mended, &mut stream(1, Purpose::BoxPairs, index))
            })
            .collect();
        assert!(some.iter().any(|pairs| pairs != &some[0]), "they are drawn at random");
    }

    #[test]
    fn without_clear_boxes_those_in_no_pair_are_negatives() {
        // Box 1 overlaps the target by a fifth: neither positive nor clear.
        let boxes = [at(30.0, 30.0), at(40.0, 30.0)];
        let found = draw(&boxes, &[at(30.0, 30.0)], PairRule::Mended, &mut rng());
        assert_eq!(found.positives, [Positive { box_index: 0, target: 0 }]);
        assert_eq!(found.negatives, [1; MOST]);
    }
}
