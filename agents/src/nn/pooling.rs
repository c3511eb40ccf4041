//! Pooling between the last convolution and the dense layer.

use tch::{Kind, Tensor};

/// Form in which the last convolution's maps enter the dense layer.
///
/// Flattening gives every position its own weights: the dense layer has access to position whatever
/// comes before it, and coordinates can only make it easier to learn. After a mean over all
/// positions it has none, so any use of position comes from the convolutions.
///
/// Unpadded convolutions (torso `conv`) are position-blind too, so `conv-gap` is a network without
/// position. *Padded* ones (torso `impala`) can detect the zero border and learn the distance to
/// it: Islam et al. 2020, "How Much Position Information Do Convolutional Neural Networks Encode?",
/// ICLR 2020 (arXiv:2001.08248). `impala-gap` is the larger network with less position information,
/// not none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// All positions concatenated, as published.
    Flatten,
    /// Mean of each map over all positions: global average pooling, Lin et al. 2014
    /// (arXiv:1312.4400), section 3.2.
    GlobalMean,
}

impl Pooling {
    /// Returns the number of dense-layer inputs for maps of this shape.
    pub(super) fn inputs(self, channels: i64, height: i64, width: i64) -> i64 {
        match self {
            Self::Flatten => channels * height * width,
            Self::GlobalMean => channels,
        }
    }

    /// Maps `[N, C, H, W]` to `[N, C·H·W]` in the order channel, row, column, as in PyTorch,
    /// whatever the memory layout; or to `[N, C]`.
    pub(super) fn apply(self, maps: &Tensor) -> Tensor {
        match self {
            // Copies channels-last maps: saved dense weights expect one map after the other.
            Self::Flatten => maps.flatten(1, -1),
            Self::GlobalMean => maps.mean_dim([2i64, 3].as_slice(), false, Kind::Float),
        }
    }

    /// Goes back from the gradient of pooled maps, `[N, M]`, to that of maps of C channels, H rows
    /// and W columns: `[N, C, H, W]`.
    pub(super) fn gradient(self, of_pooled: &Tensor, [c, h, w]: [i64; 3]) -> Tensor {
        match self {
            Self::Flatten => of_pooled.view([-1, c, h, w]),
            Self::GlobalMean => {
                let of_places = of_pooled / (h * w) as f64;
                of_places.view([-1, c, 1, 1]).expand([-1, c, h, w], false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn as_many_inputs_come_as_were_announced_and_in_pytorchs_order() {
        let maps = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([1, 2, 3, 4]);
        let channels_last = maps.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        for maps in [&maps, &channels_last] {
            let flat = Pooling::Flatten.apply(maps);
            assert_eq!(flat.size()[1], Pooling::Flatten.inputs(2, 3, 4));
            assert_eq!(flat, Tensor::arange(24, (Kind::Float, Device::Cpu)).view([1, 24]));
            let means = Pooling::GlobalMean.apply(maps);
            assert_eq!(means.size()[1], Pooling::GlobalMean.inputs(2, 3, 4));
            assert_eq!(Vec::<f32>::try_from(means.view([-1])).unwrap(), [5.5, 17.5]);
        }
    }
}
