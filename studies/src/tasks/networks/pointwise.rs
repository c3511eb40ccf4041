//! The layer under study and 1×1 convolutions: the CoordConv classifier, and the first stage of
//! the CoordConv renderer.

use coordrl_agents::nn::{Mode, ParamScope};
use tch::Tensor;

use super::{SIDE, StudyNetwork};
use crate::StudyError;
use crate::blocks::PixelConv;
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy};
use crate::task::RowSplit;

/// Channels of the hidden layers, the layer under study first.
const HIDDEN: [i64; 4] = [32, 32, 64, 64];

/// (x, y), tiled to two constant channels; the layer under study; then 1×1 convolutions, with a
/// ReLU after each layer but the last, whose single channel holds the logits.
pub(in crate::tasks) struct Pointwise {
    layer: Box<dyn Layer>,
    convs: Vec<PixelConv>,
}

impl Pointwise {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: UnderStudy,
        mul: i64,
    ) -> Result<Self, StudyError> {
        let mut channels = HIDDEN[0] * mul;
        let layer = layer
            .build(scope, LayerPlace::pointwise(LayerInput::Tiled, [2, channels], [SIDE, SIDE]))?;
        let outputs = HIDDEN[1..].iter().map(|hidden| hidden * mul).chain([1]);
        let mut convs = Vec::new();
        for (index, channels_out) in outputs.enumerate() {
            let name = format!("conv{}", index + 2);
            convs.push(PixelConv::build(scope, &name, channels, channels_out)?);
            channels = channels_out;
        }
        Ok(Self { layer, convs })
    }

    /// Maps `[N, 2]` to logits `[N, 4096]`.
    pub fn logits(&self, centres: &Tensor) -> Tensor {
        let picture = self.layer.forward_tiled(centres, [SIDE, SIDE]); // [N, out, H, W]
        let channels = picture.size()[1];
        // With channels last in memory this reshape is a view, not a copy.
        let rows = picture.permute([0, 2, 3, 1]).reshape([-1, channels]); // [N·4096, out]
        chain(&self.convs, rows.relu()).view([-1, SIDE * SIDE]) // [N, 4096]
    }
}

/// Applies `convs` in sequence with a ReLU between them: `[R, in]` → `[R, out]`.
pub(super) fn chain(convs: &[PixelConv], mut rows: Tensor) -> Tensor {
    for (index, conv) in convs.iter().enumerate() {
        rows = conv.forward(&rows);
        if index + 1 < convs.len() {
            rows = rows.relu_();
        }
    }
    rows
}

impl StudyNetwork for Pointwise {
    fn forward(&self, input: &Tensor, _: Mode) -> Tensor {
        self.logits(input)
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(1)
    }
}
