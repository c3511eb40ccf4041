//! The CoordConv renderer: find the centre, then draw around it.

use coordrl_agents::nn::{Conv, Mode, NetworkError, ParamScope};
use tch::{Kind, Tensor};

use super::pointwise::{PixelConv, Pointwise, chain};
use super::{Cut, SIDE, StudyNetwork, conv, window};
use crate::StudyError;
use crate::layer::BuildLayer;

/// Channels of the second stage's hidden layers.
const HIDDEN: [i64; 4] = [8, 8, 16, 16];

/// The classifier's network, a softmax over all its positions, then padded convolutions with a
/// ReLU between them. `channel_mul` widens the second stage only.
///
/// With 1×1 windows the second stage sees one pixel at a time: the square must be in the first
/// stage's map already.
pub(super) struct Render {
    first: Pointwise,
    second: Second,
}

enum Second {
    /// 1×1 windows.
    Pixels(Vec<PixelConv>),
    /// Larger ones.
    Windows(Vec<Conv>),
}

impl Render {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: BuildLayer,
        mul: i64,
        filter: i64,
    ) -> Result<Self, StudyError> {
        let first = Pointwise::build(scope, layer, 1)?;
        let second = Second::build(scope, mul, filter)?;
        Ok(Self { first, second })
    }
}

impl Second {
    fn build(scope: &mut ParamScope<'_>, mul: i64, filter: i64) -> Result<Self, NetworkError> {
        let (mut pixels, mut windows) = (Vec::new(), Vec::new());
        let mut channels = 1;
        for (index, channels_out) in HIDDEN.iter().map(|hidden| hidden * mul).chain([1]).enumerate() {
            let name = format!("draw{}", index + 1);
            match filter {
                1 => pixels.push(PixelConv::build(scope, &name, channels, channels_out)?),
                _ => windows.push(conv(scope, &name, channels, window(channels_out, filter, 1))?),
            }
            channels = channels_out;
        }
        Ok(if filter == 1 { Self::Pixels(pixels) } else { Self::Windows(windows) })
    }

    /// `[N, 4096]` both.
    fn forward(&self, map: &Tensor) -> Tensor {
        match self {
            Self::Pixels(convs) => chain(convs, map.view([-1, 1])).view([-1, SIDE * SIDE]),
            Self::Windows(convs) => {
                let mut picture = map.view([-1, 1, SIDE, SIDE]);
                for (index, conv) in convs.iter().enumerate() {
                    picture = conv.forward(&picture);
                    if index + 1 < convs.len() {
                        picture = picture.relu_();
                    }
                }
                picture.reshape([-1, SIDE * SIDE])
            }
        }
    }
}

impl StudyNetwork for Render {
    fn forward(&self, input: &Tensor, _: Mode) -> Tensor {
        self.second.forward(&self.first.logits(input).softmax(-1, Kind::Float))
    }

    fn cut(&self) -> Cut {
        Cut::Rows(1)
    }
}
