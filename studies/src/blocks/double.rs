//! Transposed convolutions that double a map.

use coordrl_agents::nn::{
    CoordinateChannels, CoordinateStart, Coordinates, Init, NetworkError, ParamScope,
};
use tch::Tensor;

/// A transposed convolution of stride 2 with "same" padding: height and width double.
#[derive(Debug)]
pub(crate) struct Double {
    weight: Tensor,
    bias: Tensor,
}

impl Double {
    /// Builds the layer with parameters `{name}.weight` `[in, out, kernel, kernel]` and
    /// `{name}.bias` `[out]`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        [channels_in, channels_out]: [i64; 2],
        kernel: i64,
        init: Init,
    ) -> Result<Self, NetworkError> {
        let shape = [channels_in, channels_out, kernel, kernel];
        let weight = scope.get(&format!("{name}.weight"), &shape, init)?;
        let bias = scope.get(&format!("{name}.bias"), &[channels_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// Maps `[N, in, H, W]` to `[N, out, 2·H, 2·W]`.
    pub fn forward(&self, picture: &Tensor) -> Tensor {
        doubled(picture, &self.weight, Some(&self.bias))
    }
}

/// Convolves `[N, in, H, W]`, transposed, by `[in, out, kernel, kernel]`.
///
/// The full result is 2·H + kernel − 2 high. TensorFlow crops half of the excess before and half
/// after, an odd row after; libtorch's padding crops equally on both sides.
fn doubled(picture: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let kernel = weight.size()[2];
    let before = (kernel - 2).max(0) / 2;
    // With windows of 1 the full result is one row short; this lets libtorch append it.
    let missing = i64::from(kernel == 1);
    let full = picture.conv_transpose2d(weight, bias, 2, before, missing, 1, 1);
    let size = picture.size();
    full.narrow(2, 0, 2 * size[2]).narrow(3, 0, 2 * size[3]) // [N, out, 2·H, 2·W]
}

/// [`Double`] with coordinate channels appended to its input.
#[derive(Debug)]
pub(crate) struct CoordDouble {
    double: Double,
    /// The weights of the coordinates, apart, because what they add is the same for all pictures.
    weight: Tensor,
    coordinates: CoordinateChannels,
}

impl CoordDouble {
    /// Builds the layer with the parameters of [`Double`] and `{name}.coordinates` `[K, out, kernel,
    /// kernel]`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels: [i64; 2],
        kernel: i64,
        init: Init,
        coordinates: Coordinates,
    ) -> Result<Self, NetworkError> {
        let double = Double::build(scope, name, channels, kernel, init)?;
        let init = match coordinates.spec.start {
            CoordinateStart::Drawn => init,
            CoordinateStart::Zeros => Init::Zeros,
        };
        let shape = [coordinates.channels(), channels[1], kernel, kernel];
        let weight = scope.get(&format!("{name}.coordinates"), &shape, init)?;
        let coordinates = CoordinateChannels::build(scope, name, coordinates)?;
        Ok(Self { double, weight, coordinates })
    }

    /// Maps `[N, in, H, W]` to `[N, out, 2·H, 2·W]`.
    pub fn forward(&self, picture: &Tensor) -> Tensor {
        self.double.forward(picture) + doubled(self.coordinates.image(), &self.weight, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_agents::nn::{ParamStore, Radius};
    use tch::{Device, Kind};

    /// The definition: every input pixel adds its kernel at twice its position; the
    /// result is then cropped to size, an odd row of excess at the end.
    fn doubled_by_hand(input: &[f32], side: usize, weight: &[f32], kernel: usize) -> Vec<f32> {
        let full = 2 * side + kernel;
        let mut canvas = vec![0.0; full * full];
        for (place, value) in input.iter().enumerate() {
            for (at, factor) in weight.iter().enumerate() {
                let row = 2 * (place / side) + at / kernel;
                let column = 2 * (place % side) + at % kernel;
                canvas[row * full + column] += value * factor;
            }
        }

        let before = kernel.saturating_sub(2) / 2;
        let kept = before..before + 2 * side;
        kept.clone()
            .flat_map(|row| kept.clone().map(move |column| (row, column)))
            .map(|(r, c)| canvas[r * full + c])
            .collect()
    }

    #[test]
    fn doubling_is_that_of_tensorflow() {
        for kernel in 1..=5 {
            let mut store = ParamStore::new(1, Device::Cpu);
            let mut scope = ParamScope::new(&mut store);
            let double = Double::build(&mut scope, "d", [1, 1], kernel, Init::HeNormal).unwrap();
            let picture = Tensor::rand([1, 1, 3, 3], (Kind::Float, Device::Cpu));
            let numbers =
                |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach().reshape([-1])).unwrap();
            let found = numbers(&double.forward(&picture));
            let expected =
                doubled_by_hand(&numbers(&picture), 3, &numbers(&double.weight), kernel as usize);
            assert_eq!(found.len(), 36);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "kernel {kernel}: {found} {expected}");
            }
        }
    }

    /// The definition: coordinates among the inputs of one transposed convolution.
    #[test]
    fn coordinates_double_as_if_they_were_appended() {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let coordinates = Coordinates::new(3, 4, Radius::Without);
        let layer =
            CoordDouble::build(&mut scope, "d", [2, 5], 5, Init::HeNormal, coordinates).unwrap();
        let picture = Tensor::rand([2, 2, 3, 4], (Kind::Float, Device::Cpu));
        let weight = Tensor::cat(&[&layer.double.weight, &layer.weight], 0);
        let appended = layer.coordinates.append_to(&picture);
        let expected = doubled(&appended, &weight, Some(&layer.double.bias));
        assert!(layer.forward(&picture).allclose(&expected, 1e-5, 1e-6, false));
        assert_eq!(layer.forward(&picture).size(), [2, 5, 6, 8]);
    }
}
