//! Convolutions that see one pixel at a time.

use coordrl_agents::nn::{Init, NetworkError, ParamScope};
use tch::Tensor;

/// A 1×1 convolution on pictures laid out as rows of pixels, `[R, in]` → `[R, out]`: one matrix
/// product.
#[derive(Debug)]
pub(crate) struct PixelConv {
    weight: Tensor,
    bias: Tensor,
}

impl PixelConv {
    /// Builds it with a convolution's parameters: `{name}.weight` `[out, in, 1, 1]`, `{name}.bias`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels_in: i64,
        channels_out: i64,
    ) -> Result<Self, NetworkError> {
        let shape = [channels_out, channels_in, 1, 1];
        let weight = scope.get(&format!("{name}.weight"), &shape, Init::HeNormal)?;
        let bias = scope.get(&format!("{name}.bias"), &[channels_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    pub fn forward(&self, rows: &Tensor) -> Tensor {
        rows.linear(&self.weight.flatten(1, -1), Some(&self.bias))
    }
}

/// Lays a map `[N, C, H, W]` out as rows of pixels, `[N · H · W, C]`.
pub(crate) fn pixels_of(map: &Tensor) -> Tensor {
    let channels = map.size()[1];
    map.permute([0, 2, 3, 1]).reshape([-1, channels])
}

/// The inverse of [`pixels_of`], for the rows and the size of `like`.
pub(crate) fn map_of(pixels: &Tensor, like: &Tensor) -> Tensor {
    let size = like.size();
    pixels.view([size[0], size[2], size[3], -1]).permute([0, 3, 1, 2])
}
