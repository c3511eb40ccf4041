//! Measures of detection.

use super::boxes::{BoundingBox, suppress};
use super::canvas::Target;
use super::pairs::{Pairs, Positive};
use super::regions::NO_DIGIT;
use crate::task::{Ranking, Tally};

/// Overlap from which a box counts as having found a digit.
const HIT_OVERLAP: f32 = 0.5;

/// A box named as an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    /// Where a digit should be.
    pub place: BoundingBox,
    /// Probability, from 0 to 1.
    pub score: f32,
    /// The digit; absent if the network does not tell digits apart.
    pub class: Option<u8>,
}

impl Answer {
    /// Takes all boxes as answers without a class.
    pub fn all(boxes: &[BoundingBox], scores: &[f32]) -> Vec<Self> {
        let answers = boxes.iter().zip(scores);
        answers.map(|(&place, &score)| Self { place, score, class: None }).collect()
    }

    /// Returns at most `count`, the best first, of which none overlaps a better one by more than
    /// `most`.
    pub fn best(answers: &[Self], most: f32, count: usize) -> Vec<Self> {
        let places: Vec<BoundingBox> = answers.iter().map(|answer| answer.place).collect();
        let scores: Vec<f32> = answers.iter().map(|answer| answer.score).collect();
        suppress(&places, &scores, most, count).into_iter().map(|index| answers[index]).collect()
    }
}

/// Sums of the measures over a set of canvases.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Box and score loss of the proposals, summed over canvases.
    pair_losses: [f64; 2],
    /// Loss of classes and of moves of the second stage, summed over canvases.
    region_losses: [f64; 2],
    canvases: usize,
    average: Mean,
    select: Mean,
    pairs: Mean,
    recall: Mean,
    best: Mean,
    of_any: Ranking,
    /// The same for each digit.
    of_digits: [Ranking; NO_DIGIT as usize],
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, number: f32) {
        self.sum += f64::from(number);
        self.count += 1.0;
    }

    /// Adds the mean of these numbers as one; nothing if there are none.
    fn add_mean(&mut self, numbers: impl Iterator<Item = f32>) {
        let mut inner = Self::default();
        numbers.for_each(|number| inner.add(number));
        if inner.count > 0.0 {
            self.add((inner.sum / inner.count) as f32);
        }
    }

    fn tally(self) -> Tally {
        Tally::Mean { sum: self.sum, count: self.count }
    }
}

impl Found {
    /// Adds the losses of the proposals, summed over canvases.
    pub fn add_pair_losses(&mut self, boxes: f64, scores: f64) {
        self.pair_losses = [self.pair_losses[0] + boxes, self.pair_losses[1] + scores];
    }

    /// Adds the losses of the second stage, summed over canvases.
    pub fn add_region_losses(&mut self, classes: f64, moves: f64) {
        self.region_losses = [self.region_losses[0] + classes, self.region_losses[1] + moves];
    }

    /// Returns the sum of all losses.
    pub fn loss(&self) -> f64 {
        self.pair_losses.iter().chain(&self.region_losses).sum()
    }

    /// Counts a canvas.
    pub fn add_canvas(&mut self) {
        self.canvases += 1;
    }

    /// Adds the boxes kept of a canvas: their overlap with each target (`mean_nms_iou` of the
    /// released code), and with the best of them (`mean_argmax_nms_iou`). Nothing without targets.
    pub fn add_kept(&mut self, kept: &[BoundingBox], targets: &[BoundingBox]) {
        let overlaps = |found: &BoundingBox| -> Vec<f32> {
            targets.iter().map(|target| found.overlap(*target)).collect()
        };
        self.average.add_mean(kept.iter().flat_map(overlaps));
        if !targets.is_empty() {
            self.select.add_mean(kept.iter().map(|found| largest(&overlaps(found))));
        }
    }

    /// Adds the pairs drawn from a canvas: the overlap of each positive one (`pos_box_iou_train`).
    pub fn add_pairs(&mut self, boxes: &[BoundingBox], targets: &[BoundingBox], pairs: &Pairs) {
        let overlaps = pairs
            .positives
            .iter()
            .map(|&Positive { box_index, target }| boxes[box_index].overlap(targets[target]));
        self.pairs.add_mean(overlaps);
    }

    /// Adds a canvas's answers, the best first, and the digits that can be seen on it.
    pub fn add_answers(&mut self, answers: &[Answer], visible: &[Target]) {
        rank(&mut self.of_any, answers.iter(), visible.iter());
        for (digit, ranking) in (0..).zip(&mut self.of_digits) {
            let named = answers.iter().filter(|answer| answer.class == Some(digit));
            rank(ranking, named, visible.iter().filter(|target| target.class == digit));
        }

        for target in visible {
            let overlaps = answers.iter().map(|answer| answer.place.overlap(target.place));
            let best = overlaps.fold(0.0, f32::max);
            self.best.add(best);
            self.recall.add(if best >= HIT_OVERLAP { 1.0 } else { 0.0 });
        }
    }

    /// Returns the measures in the task's order; those of a second stage are of nothing without one.
    pub fn tallies(self, has_second_stage: bool) -> Vec<Tally> {
        let over_canvases = |sum| Tally::over_rows(sum, self.canvases);
        let of_second = |tally| if has_second_stage { tally } else { Tally::over_rows(0.0, 0) };
        let digits = self.of_digits.to_vec();
        vec![
            self.average.tally(),
            self.select.tally(),
            self.pairs.tally(),
            self.recall.tally(),
            self.best.tally(),
            Tally::Rankings(vec![self.of_any]),
            of_second(Tally::Rankings(digits)),
            over_canvases(self.pair_losses[0]),
            over_canvases(self.pair_losses[1]),
            of_second(over_canvases(self.region_losses[0])),
            of_second(over_canvases(self.region_losses[1])),
        ]
    }
}

/// Ranks a canvas's answers, the best first. An answer hits the digit that it overlaps most, by at
/// least a half, of those not hit before.
fn rank<'a>(
    ranking: &mut Ranking,
    answers: impl Iterator<Item = &'a Answer>,
    targets: impl Iterator<Item = &'a Target>,
) {
    let mut free: Vec<BoundingBox> = targets.map(|target| target.place).collect();
    ranking.targets += free.len();
    for answer in answers {
        let overlaps = free.iter().map(|target| answer.place.overlap(*target)).enumerate();
        let best = overlaps.max_by(|a, b| a.1.total_cmp(&b.1));
        let hit = best.filter(|(_, overlap)| *overlap >= HIT_OVERLAP);
        if let Some((target, _)) = hit {
            free.swap_remove(target);
        }
        ranking.answers.push((answer.score, hit.is_some()));
    }
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().copied().fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(row: f32) -> BoundingBox {
        BoundingBox { row, column: 30.0, height: 20.0, width: 20.0 }
    }

    fn digit(row: f32, class: u8) -> Target {
        Target { place: at(row), class }
    }

    fn answer(row: f32, score: f32, class: u8) -> Answer {
        Answer { place: at(row), score, class: Some(class) }
    }

    fn values(found: Found, has_second_stage: bool) -> Vec<f64> {
        found.tallies(has_second_stage).iter().map(Tally::value).collect()
    }

    #[test]
    fn measures_of_a_canvas_by_hand() {
        let mut found = Found::default();
        found.add_pair_losses(3.0, 1.0);
        found.add_region_losses(5.0, 0.5);
        found.add_canvas();
        found.add_canvas();
        let boxes = [at(20.0), at(30.0)]; // overlap the first digit by 1 and 1/3, the other by 0
        found.add_kept(&boxes, &[at(20.0), at(50.0)]);
        found.add_kept(&boxes, &[]);
        let pairs = Pairs {
            positives: vec![
                Positive { box_index: 0, target: 0 },
                Positive { box_index: 1, target: 0 },
            ],
            negatives: vec![],
        };
        found.add_pairs(&boxes, &[at(20.0), at(50.0)], &pairs);
        found.add_answers(
            &[answer(20.0, 0.9, 7), answer(30.0, 0.8, 3)],
            &[digit(20.0, 7), digit(50.0, 3)],
        );
        assert_eq!(found.loss(), 9.5);
        let third = f64::from(1.0f32 / 3.0);
        let of_kept = (1.0 + third) / 2.0;
        // Half of the digits are found, and one class of two; then losses of two canvases.
        let expected = [of_kept / 2.0, of_kept, of_kept, 0.5, 0.5, 0.5, 0.5, 1.5, 0.5, 2.5, 0.25];
        for (found, expected) in values(found.clone(), true).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let without = values(found, false);
        let is_nothing: Vec<bool> = without.iter().map(|value| value.is_nan()).collect();
        let expected = [6, 9, 10].map(|index| is_nothing[index]);
        assert_eq!((expected, is_nothing.iter().filter(|&&nan| nan).count()), ([true; 3], 3));
    }

    #[test]
    fn a_digit_is_hit_once_and_for_its_class_only_by_name() {
        let mut found = Found::default();
        let twice = [answer(20.0, 0.9, 1), answer(21.0, 0.8, 2)];
        found.add_answers(&twice, &[digit(20.0, 2)]);
        assert_eq!(found.of_any.answers, [(0.9, true), (0.8, false)]);
        assert_eq!(found.of_digits[1], Ranking { answers: vec![(0.9, false)], targets: 0 });
        assert_eq!(found.of_digits[2], Ranking { answers: vec![(0.8, true)], targets: 1 });
        // The better answer takes the nearer of two digits and leaves the other.
        let mut found = Found::default();
        found.add_answers(&twice, &[digit(21.0, 1), digit(20.0, 1)]);
        assert_eq!(found.of_any.answers, [(0.9, true), (0.8, true)]);
    }
}
