//! The second stage: regions from proposals, what it learns of them, and what it answers.
//!
//! The paper calls its detector a Faster R-CNN (Ren et al. 2015, arXiv:1506.01497), but its second
//! half was not released: counts, overlaps and losses are ours, after that paper and Fast R-CNN
//! (Girshick 2015, arXiv:1504.08083).

use coordrl_agents::nn::ParamScope;
use coordrl_envs::Rng;
use tch::{Device, Kind, Reduction, Tensor};

use super::boxes::{BoundingBox, suppress};
use super::canvas::Target;
use super::learner::{clipped, numbers_of};
use super::measures::Answer;
use super::network::TrunkPadding;
use super::regions::{self, NO_DIGIT, Region};
use super::roi_align::PictureRegion;
use super::roi_head::{Recognised, RoiHead};
use crate::StudyError;
use crate::layer::UnderStudy;

/// A proposal overlaps no better one by more.
const PROPOSAL_OVERLAP: f32 = 0.7;
/// Proposals of a canvas from which regions are drawn, and those that are answered.
const PROPOSALS: usize = 100;
const ANSWERED: usize = 20;
/// Distance from which a loss of moves is linear.
const BETA: f64 = 1.0;

/// The head with its rules.
pub(super) struct SecondStage {
    head: RoiHead,
    clip: bool,
    device: Device,
}

/// Losses summed over canvases, as scalars.
pub(super) struct RegionLosses {
    pub classes: Tensor,
    pub moves: Tensor,
}

impl SecondStage {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        padding: TrunkPadding,
        clip: bool,
        device: Device,
    ) -> Result<Self, StudyError> {
        Ok(Self { head: RoiHead::build(scope, layer, padding)?, clip, device })
    }

    /// Draws the regions that a step learns from on a canvas; none without digits in sight.
    pub fn draw(
        &self,
        boxes: &[BoundingBox],
        scores: &[f32],
        visible: &[Target],
        rng: &mut Rng,
    ) -> Vec<Region> {
        if visible.is_empty() {
            return Vec::new();
        }
        regions::draw(&best(boxes, scores, PROPOSALS), visible, rng)
    }

    /// Sums over the canvases the mean losses of their regions; `None` if there are no regions.
    /// `maps`: `[N, 64, H, H]`; `drawn`: the regions of each of the N canvases.
    pub fn losses(
        &self,
        maps: &Tensor,
        drawn: &[&[Region]],
    ) -> Result<Option<RegionLosses>, StudyError> {
        let mut places = Vec::new();
        let mut classes: Vec<i64> = Vec::new();
        let mut weights: Vec<f32> = Vec::new();
        let mut moving: Vec<i64> = Vec::new();
        let mut moves: Vec<f32> = Vec::new();
        let mut moving_weights: Vec<f32> = Vec::new();
        for (picture, regions) in drawn.iter().enumerate() {
            for &Region { place, class, target } in *regions {
                if let Some(target) = target {
                    moving.push(places.len() as i64);
                    moves.extend(place.move_to(target));
                }
                places.push(PictureRegion { picture, place });
                classes.push(class.into());
            }
            weights.resize(places.len(), 1.0 / regions.len() as f32);
            let with_digit = moving.len() - moving_weights.len();
            moving_weights.resize(moving.len(), 1.0 / with_digit as f32);
        }
        if moving.is_empty() {
            return Ok(None); // a canvas with digits has at least their own boxes
        }

        let on_device = |tensor: Tensor| tensor.f_to_device(self.device);
        let classes = on_device(Tensor::f_from_slice(&classes)?)?;
        let weights = on_device(Tensor::f_from_slice(&weights)?)?;
        let moving = on_device(Tensor::f_from_slice(&moving)?)?;
        let wanted = on_device(Tensor::f_from_slice(&moves)?.f_view([-1, 4])?)?;
        let moving_weights = on_device(Tensor::f_from_slice(&moving_weights)?)?;

        let Recognised { logits, moves } = self.head.forward(maps, &places)?;
        let no_weights = None::<Tensor>;
        let of_classes =
            logits.f_cross_entropy_loss(&classes, no_weights, Reduction::None, -100, 0.0)?; // [R]
        let moves = moves.f_index_select(0, &moving)?; // [M, 4]
        let of_moves = moves.f_smooth_l1_loss(&wanted, Reduction::None, BETA)?;
        let of_moves = of_moves.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?; // [M]
        Ok(Some(RegionLosses {
            classes: (of_classes * weights).f_sum(Kind::Float)?,
            moves: (of_moves * moving_weights).f_sum(Kind::Float)?,
        }))
    }

    /// Answers for each canvas, given its boxes with their scores: the best proposals, moved, with
    /// their likeliest digit and its probability.
    pub fn answer(
        &self,
        maps: &Tensor,
        boxes: &[(&[BoundingBox], &[f32])],
    ) -> Result<Vec<Vec<Answer>>, StudyError> {
        let proposed = boxes.iter().enumerate().flat_map(|(picture, (boxes, scores))| {
            let best = best(boxes, scores, ANSWERED).into_iter();
            best.map(move |place| PictureRegion { picture, place })
        });
        let places: Vec<PictureRegion> = proposed.collect();
        let Recognised { logits, moves } = self.head.forward(maps, &places)?;
        let digits = i64::from(NO_DIGIT);
        let of_digits = logits.f_softmax(-1, Kind::Float)?.f_narrow(-1, 0, digits)?;
        let (scores, classes) = of_digits.f_max_dim(-1, false)?;
        let scores = numbers_of(&scores)?;
        let classes = numbers_of(&classes.f_to_kind(Kind::Float)?)?;
        let moves = numbers_of(&moves)?;

        let mut answers = vec![Vec::new(); boxes.len()];
        let outputs = moves.as_chunks().0.iter().zip(scores).zip(classes);
        for (&PictureRegion { picture, place }, ((by, score), class)) in places.iter().zip(outputs)
        {
            let place = place.moved(*by);
            let place = if self.clip { clipped(place) } else { place };
            answers[picture].push(Answer { place, score, class: Some(class as u8) });
        }
        Ok(answers)
    }
}

fn best(boxes: &[BoundingBox], scores: &[f32], count: usize) -> Vec<BoundingBox> {
    suppress(boxes, scores, PROPOSAL_OVERLAP, count).into_iter().map(|index| boxes[index]).collect()
}

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::ParamStore;
    use serde_json::Value;

    use super::*;
    use crate::test_support::{
        assert_close, assert_gradient, fill_with_waves, indices, numbers, under_study, wave,
    };

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../golden/regions.json")).unwrap()
    }

    fn place(numbers: &[f32]) -> BoundingBox {
        let [row, column, height, width] = numbers.try_into().unwrap();
        BoundingBox { row, column, height, width }
    }

    fn drawn(golden: &Value, picture: usize) -> Vec<Region> {
        let all = golden["drawn"].as_array().unwrap().iter();
        let of_picture = all.filter(|region| region[0] == picture);
        let region = |region: &Value| Region {
            place: place(&numbers(&region[1])),
            class: region[2].as_u64().unwrap() as u8,
            target: region[3].is_array().then(|| place(&numbers(&region[3]))),
        };
        of_picture.map(region).collect()
    }

    #[test]
    fn losses_and_gradients_equal_pytorch() {
        let golden = golden();
        let regions = [0, 1].map(|picture| drawn(&golden, picture));
        for layer in ["conv", "coordconv"] {
            let mut store = ParamStore::new(1, Device::Cpu);
            let mut scope = ParamScope::new(&mut store);
            let valid = TrunkPadding::Valid;
            let stage =
                SecondStage::build(&mut scope, under_study(layer), valid, false, Device::Cpu)
                    .unwrap();
            let mut leaves = scope.into_leaves().unwrap();
            fill_with_waves(&leaves);

            let maps = wave(&[2, 64, 13, 13], 0.0, 1.0).set_requires_grad(true);
            let drawn: Vec<&[Region]> = regions.iter().map(Vec::as_slice).collect();
            let RegionLosses { classes, moves } = stage.losses(&maps, &drawn).unwrap().unwrap();
            let golden = &golden[layer];
            assert_close(classes.double_value(&[]), &golden["class_loss"], 1.0, "class loss");
            assert_close(moves.double_value(&[]), &golden["box_loss"], 1.0, "box loss");

            let named = store.to_named();
            let names = named.iter().map(|(name, _)| name.as_str()).chain(["maps"]);
            leaves.push(maps);
            let gradients = Tensor::run_backward(&[classes + moves], &leaves, false, false);
            for (name, gradient) in names.zip(&gradients) {
                assert_gradient(gradient, &golden["gradients"][name], name);
            }
        }
    }

    #[test]
    fn suppression_and_overlaps_equal_torchvision() {
        let golden = golden();
        let boxes: Vec<BoundingBox> =
            golden["boxes"].as_array().unwrap().iter().map(|one| place(&numbers(one))).collect();
        let scores = numbers(&golden["scores"]);
        for (text, most) in [("0.3", 0.3), ("0.7", 0.7)] {
            let kept = suppress(&boxes, &scores, most, boxes.len());
            assert_eq!(kept, indices(&golden["kept"][text]), "{text}");
        }
        for (other, expected) in boxes.iter().zip(numbers(&golden["overlaps_of_0"])) {
            assert!((boxes[0].overlap(*other) - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn regions_aligned_equal_torchvision() {
        use super::super::roi_align::roi_align;
        let golden = golden();
        let region = |region: &Value| {
            let [picture, at @ ..] = &numbers(region)[..] else { panic!() };
            PictureRegion { picture: *picture as usize, place: place(at) }
        };
        let regions: Vec<PictureRegion> =
            golden["regions"].as_array().unwrap().iter().map(region).collect();
        for (name, padding) in [("valid", TrunkPadding::Valid), ("same", TrunkPadding::Same)] {
            let side = padding.map_side();
            let aligned = roi_align(&wave(&[2, 3, side, side], 0.0, 1.0), &regions, padding);
            let expected = Tensor::from_slice(&numbers(&golden["align"][name]));
            let aligned = aligned.unwrap().reshape([-1]);
            assert!(aligned.allclose(&expected, 1e-5, 1e-5, false), "{name}");
        }
    }

    #[test]
    fn without_digits_there_is_nothing_to_learn_and_still_an_answer() {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let stage =
            SecondStage::build(&mut scope, None, TrunkPadding::Valid, true, Device::Cpu).unwrap();
        let maps = wave(&[1, 64, 13, 13], 0.0, 1.0);
        let boxes = [place(&[30.0, 30.0, 20.0, 20.0]), place(&[31.0, 30.0, 20.0, 20.0])];
        let mut rng = crate::draws::stream(1, crate::draws::Purpose::BoxPairs, 0);
        assert!(stage.draw(&boxes, &[0.9, 0.8], &[], &mut rng).is_empty());
        assert!(stage.losses(&maps, &[&[]]).unwrap().is_none());
        let answers = stage.answer(&maps, &[(&boxes, &[0.1, 0.8])]).unwrap();
        let [answer] = &answers[0][..] else { panic!("the better box hides the other") };
        assert_eq!(answer.place, boxes[1], "moves start at 0");
        assert!(answer.class.unwrap() < NO_DIGIT && answer.score > 0.0 && answer.score < 1.0);
    }
}
