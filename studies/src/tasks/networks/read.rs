//! The regression networks: from a picture of one pixel to its (x, y) / 64.

use coordrl_agents::nn::{BatchNorm, Conv, Init, Linear, Mode, NetworkError, ParamScope};
use tch::Tensor;

use super::{SIDE, StudyNetwork, conv, window};
use crate::StudyError;
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy};
use crate::task::RowSplit;

/// Channels of the baselines' layers.
const CHANNELS: i64 = 16;
/// Features of the dense layer.
const DENSE: i64 = 64;
/// Channels of the CoordConv network's layers.
const COORD_CHANNELS: i64 = 8;
/// Pictures per pass.
const ROWS: usize = 16;

/// The uniform split's baseline: four 3×3 convolutions with ReLUs, the first three followed by 2×2
/// max pooling, then two dense layers with a ReLU between them.
#[derive(Debug)]
pub(in crate::tasks) struct ConvDense {
    convs: Vec<Conv>,
    hidden: Linear,
    output: Linear,
}

impl ConvDense {
    pub fn build(scope: &mut ParamScope<'_>, mul: i64) -> Result<Self, NetworkError> {
        let width = CHANNELS * mul;
        let mut convs = Vec::new();
        for index in 0..4 {
            let channels_in = if index == 0 { 1 } else { width };
            let name = format!("conv{}", index + 1);
            convs.push(conv(scope, &name, channels_in, window(width, 3, 1))?);
        }

        // Three poolings halve the side three times.
        let features = (SIDE / 8) * (SIDE / 8) * width;
        Ok(Self {
            convs,
            hidden: Linear::build(scope, "hidden", features, DENSE, Init::HeNormal)?,
            output: Linear::build(scope, "output", DENSE, 2, Init::HeNormal)?,
        })
    }
}

impl StudyNetwork for ConvDense {
    fn forward(&self, input: &Tensor, _: Mode) -> Tensor {
        let mut picture = input.shallow_clone();
        for (index, conv) in self.convs.iter().enumerate() {
            picture = conv.forward(&picture).relu_();
            if index + 1 < self.convs.len() {
                picture = picture.max_pool2d(2, 2, 0, 1, false);
            }
        }
        let features = picture.flatten(1, -1); // [N, 8·8·16·mul]
        self.output.forward(&self.hidden.forward(&features).relu_()) // [N, 2]
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(ROWS)
    }
}

/// One layer of the quadrant split's baseline.
struct Stage {
    kernel: i64,
    stride: i64,
    norm: Norm,
}

/// Position of a stage's normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norm {
    None,
    BeforeRelu,
    AfterRelu,
}

const STAGES: [Stage; 8] = [
    stage(5, 2, Norm::None),
    stage(1, 1, Norm::AfterRelu),
    stage(3, 1, Norm::None),
    stage(3, 2, Norm::None),
    stage(3, 2, Norm::BeforeRelu),
    stage(3, 2, Norm::None),
    stage(1, 1, Norm::None),
    stage(3, 2, Norm::None),
];

const fn stage(kernel: i64, stride: i64, norm: Norm) -> Stage {
    Stage { kernel, stride, norm }
}

/// The quadrant split's baseline: nine convolutions with ReLUs, two of them normalised over the
/// batch, the last with two channels, then the mean over all positions.
#[derive(Debug)]
pub(in crate::tasks) struct ConvMean {
    stages: Vec<(Conv, Norm, Option<BatchNorm>)>,
    last: Conv,
}

impl ConvMean {
    pub fn build(scope: &mut ParamScope<'_>, mul: i64) -> Result<Self, NetworkError> {
        let width = CHANNELS * mul;
        let mut stages = Vec::new();
        for (index, Stage { kernel, stride, norm }) in STAGES.into_iter().enumerate() {
            let channels_in = if index == 0 { 1 } else { width };
            let conv = conv(
                scope,
                &format!("conv{}", index + 1),
                channels_in,
                window(width, kernel, stride),
            )?;
            let name = format!("norm{}", index + 1);
            let made =
                (norm != Norm::None).then(|| BatchNorm::build(scope, &name, width)).transpose()?;
            stages.push((conv, norm, made));
        }

        let last = conv(scope, "conv9", width, window(2, 3, 1))?;
        Ok(Self { stages, last })
    }
}

impl StudyNetwork for ConvMean {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let mut picture = input.shallow_clone();
        for (conv, place, norm) in &self.stages {
            picture = conv.forward(&picture);
            picture = match (place, norm) {
                (Norm::BeforeRelu, Some(norm)) => norm.forward(&picture, mode).relu(),
                (Norm::AfterRelu, Some(norm)) => norm.forward(&picture.relu(), mode),
                _ => picture.relu_(),
            };
        }
        let last = self.last.forward(&picture).relu_(); // [N, 2, 2, 2]
        // Five strides of 2 leave 2 × 2 of the 64 × 64 positions.
        last.mean_dim([2i64, 3].as_slice(), false, tch::Kind::Float) // [N, 2]
    }

    fn row_split(&self) -> RowSplit {
        // Batch normalisation in training takes its mean and variance over the whole batch.
        RowSplit::Whole(ROWS)
    }
}

/// The CoordConv network: the layer under study, two 1×1 and two 3×3 convolutions, then the
/// largest value of each of two channels. There is no activation: all but the last step is linear.
pub(in crate::tasks) struct CoordMax {
    layer: Box<dyn Layer>,
    convs: Vec<Conv>,
}

impl CoordMax {
    pub fn build(scope: &mut ParamScope<'_>, layer: UnderStudy) -> Result<Self, StudyError> {
        let width = COORD_CHANNELS;
        let layer = layer
            .build(scope, LayerPlace::pointwise(LayerInput::Pictures, [1, width], [SIDE, SIDE]))?;
        let windows =
            [window(width, 1, 1), window(width, 1, 1), window(width, 3, 1), window(2, 3, 1)];
        let mut convs = Vec::new();
        for (index, window) in windows.into_iter().enumerate() {
            // Numbered from 2: the layer under study comes first.
            convs.push(conv(scope, &format!("conv{}", index + 2), width, window)?);
        }

        Ok(Self { layer, convs })
    }
}

impl StudyNetwork for CoordMax {
    fn forward(&self, input: &Tensor, _: Mode) -> Tensor {
        let first = self.layer.forward(input);
        let picture = self.convs.iter().fold(first, |picture, conv| conv.forward(&picture));
        picture.flatten(2, -1).max_dim(2, false).0 // [N, 2]; of equals, one gets the gradient
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(ROWS)
    }
}
