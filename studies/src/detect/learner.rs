//! Learning to detect: the training step and the measures of the released code, measures over the
//! digits that can be seen, and the second stage where the settings ask for it.

use std::sync::Arc;

use coordrl_envs::Rng;
use tch::{Device, Kind, Reduction, Tensor};

use super::boxes::{BoundingBox, suppress};
use super::canvas::{CANVAS, Canvas, Canvases, Target};
use super::measures::{Answer, Found};
use super::network::{ProposalNetwork, Proposals};
use super::pairs::{self, PairRule, Pairs, Positive};
use super::regions::Region;
use super::second_stage::{RegionLosses, SecondStage};
use super::{DetectConfig, digits::Digits};
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::task::{BoxedPicture, Draws, Exhibit, RowSplit, ScoreSums, TaskLearner};

/// Pictures per evaluation pass.
const ROWS: usize = 16;
/// Boxes kept of a canvas.
const KEPT: usize = 10;
/// A kept box overlaps no better one by more.
const KEPT_OVERLAP: f32 = 0.8;
/// The same for the measures over visible digits.
const DETECTED_OVERLAP: f32 = 0.3;
/// Test canvases that are shown, and the least score of a box on them.
const SHOWN: usize = 4;
const SHOWN_SCORE: f32 = 0.5;
/// Seed of the canvases, and of the pairs that evaluations draw: one data set for all runs.
const DATA_SEED: u64 = 1807;

/// Canvases to learn from, then canvases of other digits: rows are numbered in this order.
#[derive(Debug)]
pub(super) struct DetectData {
    train: Canvases,
    test: Canvases,
    train_count: usize,
}

impl DetectData {
    pub fn new(digits: Digits, config: &DetectConfig) -> Self {
        let [train_count, test_count] =
            [config.train_canvases, config.test_canvases].map(|count| count as usize);
        let canvases = |digits, count, seed| Canvases::new(Arc::new(digits), count, seed);
        Self {
            train: canvases(digits.train, train_count, DATA_SEED),
            test: canvases(digits.test, test_count, DATA_SEED + 1),
            train_count,
        }
    }

    fn draw(&self, row: usize) -> Canvas {
        match row.checked_sub(self.train_count) {
            None => self.train.draw(row),
            Some(row) => self.test.draw(row),
        }
    }
}

/// One thread's network with the canvases.
pub(super) struct DetectLearner {
    pub network: ProposalNetwork,
    /// Absent if the settings leave it out.
    pub second_stage: Option<SecondStage>,
    pub anchors: Arc<Vec<BoundingBox>>,
    pub data: Arc<DetectData>,
    pub config: DetectConfig,
    pub device: Device,
}

/// A canvas with the network's boxes on it.
struct Looked {
    /// All moved anchors, clipped if the settings say so.
    boxes: Vec<BoundingBox>,
    /// Probability of a digit in each.
    scores: Vec<f32>,
    /// Targets to learn, and to compare with.
    targets: Vec<BoundingBox>,
    /// The same, clipped as the boxes are.
    compared: Vec<BoundingBox>,
    pairs: Pairs,
    /// Digits in sight, clipped likewise.
    visible: Vec<Target>,
    /// Of the second stage.
    regions: Vec<Region>,
}

/// Pairs of a batch as tensors; P pairs and S scored boxes.
struct PairTensors {
    /// Indices of boxes among all N · K, `i64 [P]`.
    positives: Tensor,
    /// Moves that they should make, `[P, 4]`.
    moves: Tensor,
    /// 1 / number of pairs of the canvas, `[P]`.
    positive_weights: Tensor,
    /// Indices of boxes among all N · K, `i64 [S]`.
    scored: Tensor,
    /// 0 for a digit, 1 for none, `i64 [S]`.
    classes: Tensor,
    /// 1 / number of scored boxes of the canvas, `[S]`.
    scored_weights: Tensor,
}

/// Losses summed over canvases, as scalars.
struct Losses {
    boxes: Tensor,
    scores: Tensor,
}

impl DetectLearner {
    fn canvases(&self, rows: &[usize]) -> Vec<Canvas> {
        rows.iter().map(|&row| self.data.draw(row)).collect()
    }

    /// Evaluates the network, `[N, K, …]`.
    fn propose(&self, canvases: &[Canvas]) -> Result<Proposals, StudyError> {
        let pixels: Vec<f32> = canvases.iter().flat_map(|canvas| &canvas.pixels).copied().collect();
        let side = CANVAS as i64;
        let pictures = Tensor::f_from_slice(&pixels)?.f_view([-1, 1, side, side])?;
        Ok(self.network.forward(&pictures.f_to_device(self.device)?))
    }

    /// Reads the network's boxes off its outputs, and draws pairs for each canvas.
    fn look(
        &self,
        canvases: &[Canvas],
        proposals: &Proposals,
        draws: impl Fn(usize) -> Rng,
    ) -> Result<Vec<Looked>, StudyError> {
        let moves = numbers_of(&proposals.moves)?;
        let scores = numbers_of(&proposals.logits.f_softmax(-1, Kind::Float)?.f_select(-1, 0)?)?;
        let count = self.anchors.len();
        let each = moves.chunks_exact(4 * count).zip(scores.chunks_exact(count));
        let looked = canvases.iter().zip(each).enumerate().map(|(index, (canvas, outputs))| {
            let (moves, scores) = outputs;
            let moves = moves.as_chunks().0.iter();
            let moved = self.anchors.iter().zip(moves).map(|(anchor, by)| anchor.moved(*by));
            let boxes: Vec<_> = moved.map(|found| self.clipped(found)).collect();
            let targets = self.targets(canvas);
            let compared: Vec<_> = targets.iter().map(|target| self.clipped(*target)).collect();
            let mut rng = draws(index);
            let pairs = pairs::draw(&boxes, &compared, self.config.pair_rule, &mut rng);
            let visible = self.visible(canvas);
            let regions = match &self.second_stage {
                Some(stage) => stage.draw(&boxes, scores, &visible, &mut rng),
                None => Vec::new(),
            };
            Looked { boxes, scores: scores.to_vec(), targets, compared, pairs, visible, regions }
        });
        Ok(looked.collect())
    }

    fn targets(&self, canvas: &Canvas) -> Vec<BoundingBox> {
        let all_count = self.config.pair_rule == PairRule::Released;
        let targets = canvas.targets.iter().filter(|target| all_count || target.is_visible());
        targets.map(|target| target.place).collect()
    }

    fn visible(&self, canvas: &Canvas) -> Vec<Target> {
        let visible = canvas.targets.iter().filter(|target| target.is_visible());
        visible.map(|target| Target { place: self.clipped(target.place), ..*target }).collect()
    }

    fn clipped(&self, found: BoundingBox) -> BoundingBox {
        if self.config.clip { clipped(found) } else { found }
    }

    fn tensors(&self, looked: &[Looked]) -> Result<PairTensors, StudyError> {
        let mut positives = Vec::new();
        let mut moves: Vec<f32> = Vec::new();
        let mut positive_weights: Vec<f32> = Vec::new();
        let mut scored = Vec::new();
        let mut classes: Vec<i64> = Vec::new();
        let mut scored_weights: Vec<f32> = Vec::new();
        for (index, Looked { targets, pairs, .. }) in looked.iter().enumerate() {
            let place = |box_index: usize| (index * self.anchors.len() + box_index) as i64;
            let count = pairs.positives.len() + pairs.negatives.len();
            for &Positive { box_index, target } in &pairs.positives {
                positives.push(place(box_index));
                moves.extend(self.anchors[box_index].move_to(targets[target]));
                positive_weights.push(1.0 / pairs.positives.len() as f32);
                scored.push(place(box_index));
                classes.push(0);
            }
            scored.extend(pairs.negatives.iter().map(|&box_index| place(box_index)));
            classes.resize(scored.len(), 1);
            scored_weights.resize(scored.len(), 1.0 / count as f32);
        }

        let on_device = |tensor: Tensor| tensor.f_to_device(self.device);
        Ok(PairTensors {
            positives: on_device(Tensor::f_from_slice(&positives)?)?,
            moves: on_device(Tensor::f_from_slice(&moves)?.f_view([-1, 4])?)?,
            positive_weights: on_device(Tensor::f_from_slice(&positive_weights)?)?,
            scored: on_device(Tensor::f_from_slice(&scored)?)?,
            classes: on_device(Tensor::f_from_slice(&classes)?)?,
            scored_weights: on_device(Tensor::f_from_slice(&scored_weights)?)?,
        })
    }

    /// Sums over the canvases the mean losses of their pairs; `None` if there are no pairs.
    fn pair_losses(
        &self,
        proposals: &Proposals,
        looked: &[Looked],
    ) -> Result<Option<Losses>, StudyError> {
        if looked.iter().all(|canvas| canvas.pairs.positives.is_empty()) {
            return Ok(None); // a canvas without positives has no targets, so no negatives either
        }
        let pairs = self.tensors(looked)?;
        let moves = proposals.moves.f_view([-1, 4])?.f_index_select(0, &pairs.positives)?; // [P, 4]
        let off = (pairs.moves - moves).f_abs()?;
        // d² up to 1 and d above, as released: a Huber loss has half of that.
        let each = off.f_square()?.f_minimum(&off)?;
        let of_pairs = each.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?; // [P]

        let logits = proposals.logits.f_view([-1, 2])?.f_index_select(0, &pairs.scored)?; // [S, 2]
        let of_scores = logits.f_cross_entropy_loss::<Tensor>(
            &pairs.classes,
            None,
            Reduction::None,
            -100,
            0.0,
        )?; // [S]
        Ok(Some(Losses {
            boxes: (of_pairs * pairs.positive_weights).f_sum(Kind::Float)?,
            scores: (of_scores * pairs.scored_weights).f_sum(Kind::Float)?,
        }))
    }
}

impl DetectLearner {
    /// Sums over the canvases the losses of the second stage; `None` without one, or without
    /// digits.
    fn region_losses(
        &self,
        proposals: &Proposals,
        looked: &[Looked],
    ) -> Result<Option<RegionLosses>, StudyError> {
        let Some(stage) = &self.second_stage else { return Ok(None) };
        let drawn: Vec<&[Region]> = looked.iter().map(|canvas| &canvas.regions[..]).collect();
        stage.losses(&proposals.map, &drawn)
    }

    /// Answers for each canvas, the best first, of which none overlaps a better one much.
    fn answers(
        &self,
        proposals: &Proposals,
        looked: &[Looked],
    ) -> Result<Vec<Vec<Answer>>, StudyError> {
        let boxes: Vec<_> =
            looked.iter().map(|canvas| (&canvas.boxes[..], &canvas.scores[..])).collect();
        let found = match &self.second_stage {
            Some(stage) => stage.answer(&proposals.map, &boxes)?,
            None => boxes.iter().map(|(boxes, scores)| Answer::all(boxes, scores)).collect(),
        };
        Ok(found
            .into_iter()
            .map(|answers| Answer::best(&answers, DETECTED_OVERLAP, KEPT))
            .collect())
    }
}

impl DetectLearner {
    /// Sums the losses of canvases, with the graph.
    fn loss_of(
        &self,
        canvases: &[Canvas],
        draws: impl Fn(usize) -> Rng,
    ) -> Result<Tensor, StudyError> {
        let proposals = self.propose(canvases)?;
        let looked = {
            let _no_graph = tch::no_grad_guard();
            self.look(canvases, &proposals, draws)?
        };

        let mut loss = match self.pair_losses(&proposals, &looked)? {
            Some(Losses { boxes, scores }) => boxes + scores,
            None => {
                (proposals.moves.f_sum(Kind::Float)? + proposals.logits.f_sum(Kind::Float)?) * 0.0
            }
        };
        if let Some(RegionLosses { classes, moves }) = self.region_losses(&proposals, &looked)? {
            loss = loss + classes + moves;
        }
        Ok(loss)
    }
}

impl TaskLearner for DetectLearner {
    fn loss(&self, _: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Draws { seed, epoch } = draws;
        self.loss_of(&self.canvases(rows), |index| {
            // One stream for each row of each epoch: 2³² rows, which no data set has.
            let number = (u64::from(epoch) << 32) + rows[index] as u64;
            stream(seed, Purpose::BoxPairs, number)
        })
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let canvases = self.canvases(rows);
        let proposals = self.propose(&canvases)?;
        let draws = |index: usize| stream(DATA_SEED, Purpose::TestPairs, rows[index] as u64);
        let looked = self.look(&canvases, &proposals, draws)?;
        let mut found = Found::default();
        if let Some(Losses { boxes, scores }) = self.pair_losses(&proposals, &looked)? {
            found.add_pair_losses(boxes.f_double_value(&[])?, scores.f_double_value(&[])?);
        }
        if let Some(RegionLosses { classes, moves }) = self.region_losses(&proposals, &looked)? {
            found.add_region_losses(classes.f_double_value(&[])?, moves.f_double_value(&[])?);
        }

        let answers = self.answers(&proposals, &looked)?;
        for (looked, answers) in looked.iter().zip(&answers) {
            found.add_canvas();
            let kept = suppress(&looked.boxes, &looked.scores, KEPT_OVERLAP, KEPT);
            let kept: Vec<_> = kept.into_iter().map(|index| looked.boxes[index]).collect();
            found.add_kept(&kept, &looked.compared);
            found.add_pairs(&looked.boxes, &looked.compared, &looked.pairs);
            found.add_answers(answers, &looked.visible);
        }
        Ok(ScoreSums { loss: found.loss(), measures: found.tallies(self.second_stage.is_some()) })
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(ROWS)
    }

    fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        let count = SHOWN.min(self.config.test_canvases as usize);
        let rows: Vec<usize> = (0..count).map(|row| self.data.train_count + row).collect();
        let canvases = self.canvases(&rows);
        let proposals = self.propose(&canvases)?;
        let draws = |index: usize| stream(DATA_SEED, Purpose::TestPairs, rows[index] as u64);
        let looked = self.look(&canvases, &proposals, draws)?;
        let answers = self.answers(&proposals, &looked)?;
        let pictures = canvases.into_iter().zip(looked.iter().zip(answers));
        let pictures = pictures.map(|(canvas, (looked, answers))| BoxedPicture {
            pixels: canvas.pixels,
            truth: looked.visible.iter().map(|target| corner_and_size(target.place)).collect(),
            found: answers
                .iter()
                .filter(|answer| answer.score >= SHOWN_SCORE)
                .map(|answer| corner_and_size(answer.place))
                .collect(),
        });
        let title = "Boxes on test canvases";
        Ok(vec![Exhibit::Boxes { title, pictures: pictures.collect() }])
    }
}

/// Left, top, width and height.
fn corner_and_size(found: BoundingBox) -> [f64; 4] {
    let edges = found.edges();
    [edges.left, edges.top, found.width, found.height].map(f64::from)
}

/// Clips a box to the canvas.
pub(super) fn clipped(found: BoundingBox) -> BoundingBox {
    found.clipped(CANVAS as f32)
}

pub(super) fn numbers_of(tensor: &Tensor) -> Result<Vec<f32>, StudyError> {
    Ok(Vec::try_from(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_reshape([-1])?)?)
}

#[cfg(test)]
mod tests;
