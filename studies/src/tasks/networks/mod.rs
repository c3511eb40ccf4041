//! The networks of the three tasks, following the authors' released code (uber-research/CoordConv).
//!
//! Differences from that code, none of which changes results: pictures are `[N, C, H, W]` by name
//! and channels last in memory; TensorFlow's "same" padding is explicit.

mod deconv;
mod pointwise;
mod read;
mod render;

use coordrl_agents::nn::{Conv, ConvSpec, Init, Mode, NetworkError, Padding, ParamScope, Window};
use tch::Tensor;

use crate::data::CANVAS;
use crate::task::RowSplit;

pub(super) use deconv::Deconv;
pub(super) use pointwise::Pointwise;
pub(super) use read::{ConvDense, ConvMean, CoordMax};
pub(super) use render::{Render, RenderStages};

/// Height and width of the canvas.
const SIDE: i64 = CANVAS as i64;

/// Interface of every network of the three tasks.
pub(super) trait StudyNetwork: Send {
    /// Painting tasks: `f32 [N, 2]`, x and y in pixels → logits `[N, 4096]`. Regression: pictures
    /// `f32 [N, 1, 64, 64]` → (x, y) / 64, `[N, 2]`.
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor;

    /// Runs [`Self::forward`] and also returns the intermediate map, if the network has one.
    fn forward_with_map(&self, input: &Tensor, mode: Mode) -> (Tensor, Option<FirstMap>) {
        (self.forward(input, mode), None)
    }

    /// See [`TaskLearner::row_split`](crate::TaskLearner::row_split).
    fn row_split(&self) -> RowSplit;
}

/// The map between the two stages of a renderer.
pub(super) struct FirstMap {
    /// Its logits over all pixels, `[N, 4096]`.
    pub logits: Tensor,
    /// Required contents of the map.
    pub holds: MapHolds,
}

/// Required contents of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapHolds {
    /// The centre: the second stage's windows reach around it.
    Centre,
    /// The square: the second stage sees one pixel at a time.
    Square,
}

/// Builds a padded convolution with Keras's initialisation, without coordinates.
fn conv(
    scope: &mut ParamScope<'_>,
    name: &str,
    channels_in: i64,
    window: Window,
) -> Result<Conv, NetworkError> {
    let spec = ConvSpec { window, padding: Padding::Same, init: Init::HeNormal };
    Conv::build_with(scope, name, channels_in, spec, None)
}

/// Builds a square window.
fn window(channels_out: i64, kernel: i64, stride: i64) -> Window {
    Window { channels_out, kernel, stride }
}
