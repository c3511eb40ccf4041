//! The CoordConv renderer: find the centre, then draw around it.

use coordrl_agents::nn::{Conv, Mode, NetworkError, ParamScope};
use tch::{Kind, Tensor};

use super::pointwise::{Pointwise, chain};
use super::{FirstMap, MapHolds, SIDE, StudyNetwork, conv, window};
use crate::StudyError;
use crate::blocks::PixelConv;
use crate::layer::UnderStudy;
use crate::task::RowSplit;

/// Channels of the second stage's hidden layers.
const HIDDEN: [i64; 4] = [8, 8, 16, 16];

/// Settings of the renderer.
#[derive(Clone, Copy, Debug)]
pub(in crate::tasks) struct RenderStages {
    /// Factor on the second stage's channels.
    pub mul: i64,
    /// Height and width of the second stage's windows.
    pub filter: i64,
    /// Factor on the map between the stages.
    pub map_scale: f64,
}

/// The classifier's network, a softmax over all positions, then padded convolutions with a
/// ReLU between them. `channel_mul` widens the second stage only.
///
/// With 1×1 windows the second stage sees one pixel at a time, so the first stage's map must
/// already contain the square.
pub(in crate::tasks) struct Render {
    first: Pointwise,
    map_scale: f64,
    second: Second,
}

enum Second {
    /// 1×1 windows.
    Pixels(Vec<PixelConv>),
    /// Larger windows.
    Windows(Vec<Conv>),
}

impl Render {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: UnderStudy,
        RenderStages { mul, filter, map_scale }: RenderStages,
    ) -> Result<Self, StudyError> {
        let first = Pointwise::build(scope, layer, 1)?;
        Ok(Self { first, map_scale, second: Second::build(scope, mul, filter)? })
    }
}

impl Second {
    fn build(scope: &mut ParamScope<'_>, mul: i64, filter: i64) -> Result<Self, NetworkError> {
        let mut pixels = Vec::new();
        let mut windows = Vec::new();
        let mut channels = 1;
        for (index, channels_out) in HIDDEN.iter().map(|hidden| hidden * mul).chain([1]).enumerate()
        {
            let name = format!("draw{}", index + 1);
            match filter {
                1 => pixels.push(PixelConv::build(scope, &name, channels, channels_out)?),
                _ => windows.push(conv(scope, &name, channels, window(channels_out, filter, 1))?),
            }
            channels = channels_out;
        }

        Ok(if filter == 1 { Self::Pixels(pixels) } else { Self::Windows(windows) })
    }

    /// Maps `[N, 4096]` to `[N, 4096]`.
    fn forward(&self, map: &Tensor) -> Tensor {
        match self {
            Self::Pixels(convs) => chain(convs, map.view([-1, 1])).view([-1, SIDE * SIDE]),
            Self::Windows(convs) => {
                let mut picture = map.view([-1, 1, SIDE, SIDE]); // [N, 1, 64, 64]
                for (index, conv) in convs.iter().enumerate() {
                    picture = conv.forward(&picture);
                    if index + 1 < convs.len() {
                        picture = picture.relu_();
                    }
                }
                picture.reshape([-1, SIDE * SIDE]) // [N, 4096]
            }
        }
    }
}

impl StudyNetwork for Render {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        self.forward_with_map(input, mode).0
    }

    fn forward_with_map(&self, input: &Tensor, _: Mode) -> (Tensor, Option<FirstMap>) {
        let logits = self.first.logits(input); // [N, 4096]
        let map = logits.softmax(-1, Kind::Float) * self.map_scale;
        let holds = match self.second {
            Second::Pixels(_) => MapHolds::Square,
            Second::Windows(_) => MapHolds::Centre,
        };
        (self.second.forward(&map), Some(FirstMap { logits, holds }))
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(1)
    }
}
