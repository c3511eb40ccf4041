//! Convolutions without biases, for networks that normalise after them.

use coordrl_agents::nn::{Init, NetworkError, ParamScope};
use tch::Tensor;

/// A convolution without bias whose padding is half its window, as in residual networks.
#[derive(Debug)]
pub(crate) struct BareConv {
    weight: Tensor,
    stride: i64,
    padding: i64,
}

impl BareConv {
    /// Builds it with the parameter `{name}.weight` `[out, in, kernel, kernel]`, drawn for a ReLU by
    /// the number of outputs: normal with variance 2 / (out · kernel²). Source: He et al. 2015
    /// (arXiv:1502.01852), in torchvision's form.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        [channels_in, channels_out]: [i64; 2],
        kernel: i64,
        stride: i64,
    ) -> Result<Self, NetworkError> {
        let shape = [channels_out, channels_in, kernel, kernel];
        let deviation = (2.0 / (channels_out * kernel * kernel) as f64).sqrt();
        let weight = scope.get(&format!("{name}.weight"), &shape, Init::Normal { deviation })?;
        Ok(Self { weight, stride, padding: kernel / 2 })
    }

    /// Convolves `[N, in, H, W]`.
    pub fn forward(&self, map: &Tensor) -> Tensor {
        let bias = None::<Tensor>;
        map.conv2d(&self.weight, bias, [self.stride; 2], [self.padding; 2], [1, 1], 1)
    }
}
