//! Measures of detection.

use super::boxes::BoundingBox;
use super::pairs::{Pairs, Positive};
use crate::task::Tally;

/// Overlap from which a box counts as having found a digit.
const HIT_OVERLAP: f32 = 0.5;

/// Sums of the measures over a set of canvases.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Summed over canvases.
    box_loss: f64,
    /// Summed over canvases.
    score_loss: f64,
    canvases: usize,
    average: Mean,
    select: Mean,
    pairs: Mean,
    recall: Mean,
    best: Mean,
    answers: Vec<(f32, bool)>,
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
    /// Starts with the losses, summed over all canvases.
    pub fn with_losses(box_loss: f64, score_loss: f64) -> Self {
        Self { box_loss, score_loss, ..Self::default() }
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

    /// Adds a canvas's answers, the best first, and the digits that can be seen on it. An answer
    /// hits the digit that it overlaps most, by at least a half, of those not hit before.
    pub fn add_detected(&mut self, boxes: &[BoundingBox], scores: &[f32], visible: &[BoundingBox]) {
        let mut is_hit = vec![false; visible.len()];
        for (found, &score) in boxes.iter().zip(scores) {
            let free = (0..visible.len()).filter(|&target| !is_hit[target]);
            let best = free
                .map(|target| (target, found.overlap(visible[target])))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let hit = best.filter(|(_, overlap)| *overlap >= HIT_OVERLAP);
            if let Some((target, _)) = hit {
                is_hit[target] = true;
            }
            self.answers.push((score, hit.is_some()));
        }

        for target in visible {
            let overlaps: Vec<f32> = boxes.iter().map(|found| found.overlap(*target)).collect();
            let best = largest(&overlaps);
            self.best.add(best);
            self.recall.add(if best >= HIT_OVERLAP { 1.0 } else { 0.0 });
        }
    }

    /// Returns the measures in the task's order.
    pub fn tallies(self) -> Vec<Tally> {
        vec![
            self.average.tally(),
            self.select.tally(),
            self.pairs.tally(),
            self.recall.tally(),
            self.best.tally(),
            Tally::Ranking { answers: self.answers, targets: self.recall.count as usize },
            Tally::over_rows(self.box_loss, self.canvases),
            Tally::over_rows(self.score_loss, self.canvases),
        ]
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

    fn values(found: Found) -> Vec<f64> {
        found.tallies().iter().map(Tally::value).collect()
    }

    #[test]
    fn measures_of_a_canvas_by_hand() {
        let mut found = Found::with_losses(3.0, 1.0);
        found.add_canvas();
        found.add_canvas();
        let targets = [at(20.0), at(50.0)];
        let boxes = [at(20.0), at(30.0)]; // overlaps 1 and 0, and 1/3 and 0
        found.add_kept(&boxes, &targets);
        found.add_kept(&boxes, &[]);
        let pairs = Pairs {
            positives: vec![
                Positive { box_index: 0, target: 0 },
                Positive { box_index: 1, target: 0 },
            ],
            negatives: vec![],
        };
        found.add_pairs(&boxes, &targets, &pairs);
        found.add_detected(&boxes, &[0.9, 0.8], &targets);
        let third = f64::from(1.0f32 / 3.0);
        let expected = [
            (1.0 + third) / 4.0,
            (1.0 + third) / 2.0,
            (1.0 + third) / 2.0,
            0.5,
            0.5,
            0.5,
            1.5,
            0.5,
        ];
        for (found, expected) in values(found).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn a_digit_is_hit_once() {
        let mut found = Found::default();
        found.add_canvas();
        let twice = [at(20.0), at(21.0)];
        found.add_detected(&twice, &[0.9, 0.8], &[at(20.0)]);
        assert_eq!(found.answers, [(0.9, true), (0.8, false)]);
        // The better answer takes the nearer of two digits and leaves the other.
        let mut found = Found::default();
        found.add_detected(&twice, &[0.9, 0.8], &[at(21.0), at(20.0)]);
        assert_eq!(found.answers, [(0.9, true), (0.8, true)]);
    }
}
