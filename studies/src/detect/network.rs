//! The proposal network, layer by layer as in the released code (uber-research/CoordConv).

use coordrl_agents::nn::{Init, Padding, ParamScope, Radius};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::anchors::{SHAPES, STEP, anchors};
use super::boxes::BoundingBox;
use super::canvas::CANVAS;
use crate::StudyError;
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy, plain, studied};

/// Boxes per place of the last map.
const BOXES: i64 = SHAPES.len() as i64;

/// Zero padding of the first two convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkPadding {
    /// None: the last map is 13 × 13.
    Valid,
    /// The size is kept: the last map is 16 × 16.
    Same,
}

impl TrunkPadding {
    fn padding(self) -> Padding {
        match self {
            Self::Valid => Padding::Valid,
            Self::Same => Padding::Same,
        }
    }

    /// Returns the anchors, in the order of the network's outputs.
    pub fn anchors(self) -> Vec<BoundingBox> {
        anchors(self.map_side() as usize, self.first_place())
    }

    /// Returns height and width of the last map.
    pub(super) fn map_side(self) -> i64 {
        match self {
            Self::Valid => 13,
            Self::Same => 16,
        }
    }

    /// Returns the pixel, in rows or columns, over which the last map's first place lies.
    fn first_place(self) -> f32 {
        match self {
            Self::Valid => 8.0,
            Self::Same => 2.0,
        }
    }

    /// Returns where a row or column of pixels falls on the last map: −1 at its first place, 1 at
    /// its last.
    pub(super) fn map_share(self, pixel: f32) -> f32 {
        let last = (self.map_side() - 1) as f32;
        (pixel - self.first_place()) / STEP / last * 2.0 - 1.0
    }
}

/// From pictures to moves and scores of anchors. Three of its convolutions receive coordinates, or
/// whatever else the layer under study adds.
pub(super) struct ProposalNetwork {
    trunk: [Box<dyn Layer>; 3],
    mover: [Box<dyn Layer>; 2],
    scorer: Box<dyn Layer>,
}

/// Outputs for N pictures and K anchors.
pub(super) struct Proposals {
    /// See [`BoundingBox::moved`]; `[N, K, 4]`.
    pub moves: Tensor,
    /// Logits of "a digit" and "no digit", `[N, K, 2]`.
    pub logits: Tensor,
    /// The map after the second convolution, which a second stage cuts regions from,
    /// `[N, 64, H, H]`.
    pub map: Tensor,
}

impl ProposalNetwork {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        padding: TrunkPadding,
    ) -> Result<Self, StudyError> {
        let trunk = padding.padding();
        let canvas = CANVAS as i64;
        let first = place("conv1", [1, 32], canvas, 5, trunk);
        let second = place("conv2", [32, 64], pooled(canvas, trunk), 5, trunk);
        let map = pooled(pooled(canvas, trunk), trunk);
        let shared = place("conv3", [64, 32], map, 3, Padding::Same);
        let mover = place("mover1", [32, 32], map, 3, Padding::Same);
        // Starts at 0: every box is its anchor.
        let moves = place("mover2", [32, 4 * BOXES], map, 1, Padding::Valid);
        let moves = LayerPlace { init: Init::Zeros, ..moves };
        let scorer = place("scorer", [32, 2 * BOXES], map, 1, Padding::Valid);

        Ok(Self {
            trunk: [
                studied(scope, layer, first)?,
                plain(scope, second)?,
                studied(scope, layer, shared)?,
            ],
            mover: [plain(scope, mover)?, studied(scope, layer, moves)?],
            scorer: plain(scope, scorer)?,
        })
    }

    /// Evaluates pictures, `f32 [N, 1, 64, 64]`.
    pub fn forward(&self, pictures: &Tensor) -> Proposals {
        let [first, second, shared] = &self.trunk;
        let map = halve(&first.forward(pictures).relu_());
        let map = halve(&second.forward(&map).relu_());
        let head = shared.forward(&map).relu_(); // [N, 32, 13, 13]
        let moved = self.mover[0].forward(&head).relu_();
        Proposals {
            moves: by_anchor(&self.mover[1].forward(&moved), 4),
            logits: by_anchor(&self.scorer.forward(&head), 2),
            map,
        }
    }
}

pub(super) fn place(
    name: &'static str,
    channels: [i64; 2],
    side: i64,
    kernel: i64,
    padding: Padding,
) -> LayerPlace {
    LayerPlace {
        name,
        input: LayerInput::Pictures,
        channels,
        size: [side, side],
        kernel,
        stride: 1,
        transposed: false,
        padding,
        init: Init::HeNormal,
        radius: Radius::Without,
    }
}

/// Returns the side of a map after a convolution of 5 × 5 and a pooling.
fn pooled(side: i64, padding: Padding) -> i64 {
    match padding {
        Padding::Valid => (side - 4) / 2,
        Padding::Same => side / 2,
    }
}

fn halve(map: &Tensor) -> Tensor {
    map.max_pool2d(2, 2, 0, 1, false)
}

/// Turns `[N, 9 · each, H, W]`, anchor by anchor, into `[N, H · W · 9, each]`.
fn by_anchor(map: &Tensor, each: i64) -> Tensor {
    let rows = map.size()[0];
    map.permute([0, 2, 3, 1]).reshape([rows, -1, each])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{multiply_adds, under_study};
    use coordrl_agents::nn::ParamStore;
    use tch::{Device, Kind};

    fn coord_conv() -> Option<UnderStudy> {
        under_study("coordconv")
    }

    fn build(layer: Option<UnderStudy>, padding: TrunkPadding) -> (ProposalNetwork, ParamStore) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let network = ProposalNetwork::build(&mut ParamScope::new(&mut store), layer, padding);
        (network.unwrap(), store)
    }

    #[test]
    fn networks_have_as_many_parameters_as_the_released_ones() {
        for padding in [TrunkPadding::Valid, TrunkPadding::Same] {
            assert_eq!(build(None, padding).1.parameter_count(), 81_590);
            assert_eq!(build(coord_conv(), padding).1.parameter_count(), 83_838);
        }
    }

    #[test]
    fn networks_take_as_many_multiply_adds_as_the_released_ones() {
        for (layer, millions) in [(None, 42.5), (coord_conv(), 48.3)] {
            let (_, store) = build(layer, TrunkPadding::Valid);
            let found = multiply_adds(&store.to_named(), |name| match name {
                "conv1.weight" => 60 * 60,
                "conv2.weight" => 26 * 26,
                _ => 13 * 13,
            });
            assert_eq!(found, millions);
        }
    }

    #[test]
    fn there_are_moves_and_scores_for_every_anchor_and_boxes_start_at_theirs() {
        let pictures = Tensor::rand([2, 1, 64, 64], (Kind::Float, Device::Cpu));
        for (padding, count) in [(TrunkPadding::Valid, 1521), (TrunkPadding::Same, 2304)] {
            assert_eq!(padding.anchors().len() as i64, count);
            for layer in [None, coord_conv()] {
                let Proposals { moves, logits, .. } = build(layer, padding).0.forward(&pictures);
                assert_eq!((moves.size(), logits.size()), (vec![2, count, 4], vec![2, count, 2]));
                assert_eq!(moves.abs().max().double_value(&[]), 0.0);
                assert!(logits.std(false).double_value(&[]) > 0.0);
            }
        }
    }

    /// Output channel 4a + i is number i of anchor a; the scorer's 2a that there is a digit.
    #[test]
    fn channels_of_an_anchor_lie_side_by_side() {
        let map = Tensor::arange(36 * 169, (Kind::Float, Device::Cpu)).view([1, 36, 13, 13]);
        let found = by_anchor(&map, 4);
        let anchor = (2 * 13 + 3) * 9 + 5;
        for number in 0..4 {
            let channel = 4 * 5 + number;
            assert_eq!(
                found.double_value(&[0, anchor, number]),
                map.double_value(&[0, channel, 2, 3])
            );
        }
    }
}
