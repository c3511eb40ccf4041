//! The convolutional torso of Mnih et al. 2015 (Nature), and the layer it is made of.
//!
//! Inside, pictures are `[N, C, H, W]` by name but laid out channels last in memory, which oneDNN
//! convolves about a fifth faster on a CPU than channels first.

use tch::{Kind, Tensor};

use super::coord_conv::Coordinates;
use super::heads::Linear;
use super::{Init, NetworkError, ParamScope, Torso};

/// A convolution with a bias, on `[N, C, H, W]`; with coordinates it is a CoordConv.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    window: Window,
    padding: Padding,
    coordinates: Option<Coordinates>,
}

/// Size and step of a convolution's window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Channels of the result.
    pub channels_out: i64,
    /// Height and width.
    pub kernel: i64,
    /// Pixels from one window to the next.
    pub stride: i64,
}

/// What is assumed around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: windows stay inside.
    Valid,
    /// As many zeros as make the result H / stride high, rounded up: half of them before, half
    /// after, an odd one after, as TensorFlow has it.
    Same,
}

/// All that can be chosen about a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvSpec {
    /// Size and step.
    pub window: Window,
    /// Zeros around the picture.
    pub padding: Padding,
    /// First values of the weights; biases start at 0.
    pub init: Init,
}

impl Conv {
    /// Parameters `{name}.weight` `[out, in + K, kernel, kernel]` and `{name}.bias` `[out]`, K the
    /// number of coordinate channels. No padding, weights as before a ReLU.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels_in: i64,
        window: Window,
        coordinates: Option<Coordinates>,
    ) -> Result<Self, NetworkError> {
        let spec = ConvSpec { window, padding: Padding::Valid, init: Init::BEFORE_RELU };
        Self::build_with(scope, name, channels_in, spec, coordinates)
    }

    /// The same, with everything chosen.
    pub fn build_with(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels_in: i64,
        spec: ConvSpec,
        coordinates: Option<Coordinates>,
    ) -> Result<Self, NetworkError> {
        let ConvSpec { window, padding, init } = spec;
        let Window { channels_out, kernel, .. } = window;
        let coordinates = coordinates.map(|made| made.place(scope)).transpose()?;
        let channels_in = channels_in + coordinates.as_ref().map_or(0, Coordinates::channels);
        let shape = [channels_out, channels_in, kernel, kernel];
        let weight = scope.get(&format!("{name}.weight"), &shape, init)?;
        let bias = scope.get(&format!("{name}.bias"), &[channels_out], Init::Zeros)?;
        Ok(Self { weight, bias, window, padding, coordinates })
    }

    /// `[N, in, H, W]` → `[N, out, (H − kernel) / stride + 1, (W − kernel) / stride + 1]`, rounded
    /// down, or `[N, out, H / stride, W / stride]`, rounded up, with [`Padding::Same`].
    ///
    /// Coordinates are the same in every picture and convolution is linear, so their part is
    /// computed once and added to all rows instead of being appended to each: the same numbers up
    /// to rounding, at the cost of a plain convolution (30 ms instead of 46 ms, forward and
    /// backward, for the first layer on 40 rows; a plain one takes 31 ms).
    pub fn forward(&self, picture: &Tensor) -> Tensor {
        match &self.coordinates {
            None => self.convolve(picture, &self.weight, Some(&self.bias)),
            Some(coordinates) => {
                let own = picture.size()[1];
                self.convolve(picture, &self.weight.narrow(1, 0, own), None) + self.map(coordinates, own)
            }
        }
    }

    /// [`Conv::forward`] on pictures whose every channel is one number all over: `[N, in]` →
    /// `[N, out, H', W']`, for pictures as large as the coordinates.
    ///
    /// Without padding, such a picture's part is one number a channel too, so that only the
    /// coordinates' part is computed for every pixel, once for all N. `None` where that does not
    /// hold: with padding (a 1×1 window needs none), or without coordinates, which tell the size.
    pub fn forward_tiled(&self, numbers: &Tensor) -> Option<Tensor> {
        let coordinates = self.coordinates.as_ref()?;
        if self.padding != Padding::Valid && self.window.kernel > 1 {
            return None;
        }
        let own = numbers.size()[1];
        let weight = self.weight.narrow(1, 0, own).sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float);
        let part = numbers.matmul(&weight.transpose(0, 1)); // [N, out]
        Some(part.unsqueeze(-1).unsqueeze(-1) + self.map(coordinates, own))
    }

    /// What the coordinates add, with the bias: `[1, out, H', W']`. `own` is the number of the
    /// picture's own channels.
    fn map(&self, coordinates: &Coordinates, own: i64) -> Tensor {
        let weight = self.weight.narrow(1, own, coordinates.channels());
        self.convolve(&coordinates.picture(), &weight, Some(&self.bias))
    }

    fn convolve(&self, picture: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let Window { kernel, stride, .. } = self.window;
        match self.padding {
            Padding::Valid => picture.conv2d(weight, bias, stride, 0, 1, 1),
            Padding::Same => {
                let [_, _, height, width] = picture.size()[..] else {
                    return picture.conv2d(weight, bias, stride, 0, 1, 1); // libtorch names the fault
                };
                let [(top, bottom), (left, right)] =
                    [height, width].map(|size| same_padding(size, kernel, stride));
                if (top, left) == (bottom, right) {
                    return picture.conv2d(weight, bias, stride, [top, left], 1, 1);
                }
                let padded = picture.constant_pad_nd([left, right, top, bottom]);
                padded.conv2d(weight, bias, stride, 0, 1, 1)
            }
        }
    }
}

/// Zeros before and after, along a side of `size` pixels.
fn same_padding(size: i64, kernel: i64, stride: i64) -> (i64, i64) {
    let windows = (size + stride - 1) / stride;
    let zeros = ((windows - 1) * stride + kernel - size).max(0);
    (zeros / 2, zeros - zeros / 2)
}

/// `u8` pixels to `f32` in [0, 1], and to channels last in memory; `[N, C, H, W]` both.
pub fn scale_pixels(obs: &Tensor) -> Tensor {
    let rows = obs.permute([0, 2, 3, 1]).contiguous(); // [N, H, W, C], while pixels are bytes
    let scaled = rows.to_kind(Kind::Float) / 255.0;
    scaled.permute([0, 3, 1, 2]) // [N, C, H, W]
}

const LAYERS: [Window; 3] = [
    Window { channels_out: 32, kernel: 8, stride: 4 },
    Window { channels_out: 64, kernel: 4, stride: 2 },
    Window { channels_out: 64, kernel: 3, stride: 1 },
];
const FEATURES: i64 = 512;
/// The least height and width that leave one pixel after the three layers.
const LEAST_SIZE: usize = 36;

/// Three convolutions and a dense layer, each followed by a ReLU; coordinates may be appended
/// before any of the convolutions.
#[derive(Debug)]
pub struct ConvTorso {
    layers: Vec<Conv>,
    fc: Linear,
}

impl ConvTorso {
    /// `coordinates(layer, height, width)` says what to append before each convolution.
    pub(crate) fn build(
        scope: &mut ParamScope<'_>,
        [channels, height, width]: [usize; 3],
        coordinates: impl Fn(usize, i64, i64) -> Option<Coordinates>,
    ) -> Result<Self, NetworkError> {
        if height.min(width) < LEAST_SIZE {
            return Err(NetworkError::ObsTooSmall { height, width, least: LEAST_SIZE });
        }
        let (mut c, mut h, mut w) = (channels as i64, height as i64, width as i64);
        let mut layers = Vec::new();
        for (index, window) in LAYERS.into_iter().enumerate() {
            let name = format!("torso.conv{}", index + 1);
            layers.push(Conv::build(scope, &name, c, window, coordinates(index, h, w))?);
            c = window.channels_out;
            h = (h - window.kernel) / window.stride + 1;
            w = (w - window.kernel) / window.stride + 1;
        }
        let fc = Linear::build(scope, "torso.fc", c * h * w, FEATURES, Init::BEFORE_RELU)?;
        Ok(Self { layers, fc })
    }
}

impl Torso for ConvTorso {
    fn forward(&self, obs: &Tensor) -> Tensor {
        let mut picture = scale_pixels(obs);
        for conv in &self.layers {
            picture = conv.forward(&picture).relu_();
        }
        // In the order channel, row, column, as PyTorch flattens, whatever the memory layout.
        self.fc.forward(&picture.flatten(1, -1)).relu_() // [N, 512]
    }

    fn features(&self) -> i64 {
        FEATURES
    }

    fn first_layer(&self, obs: &Tensor) -> Option<Tensor> {
        Some(self.layers.first()?.forward(&scale_pixels(obs)).relu_())
    }
}

pub(super) fn build_conv(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    Ok(Box::new(ConvTorso::build(scope, obs_shape, |_, _, _| None)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ParamStore, Radius};
    use tch::Device;

    #[test]
    fn names_and_shapes_are_those_of_the_pytorch_module() {
        let mut store = ParamStore::new(1, Device::Cpu);
        build_conv(&mut ParamScope::new(&mut store), [4, 84, 84]).unwrap();
        let found: Vec<(String, Vec<i64>)> =
            store.to_named().into_iter().map(|(name, values)| (name, values.size())).collect();
        let expected = [
            ("torso.conv1.weight", vec![32, 4, 8, 8]),
            ("torso.conv1.bias", vec![32]),
            ("torso.conv2.weight", vec![64, 32, 4, 4]),
            ("torso.conv2.bias", vec![64]),
            ("torso.conv3.weight", vec![64, 64, 3, 3]),
            ("torso.conv3.bias", vec![64]),
            ("torso.fc.weight", vec![512, 3136]),
            ("torso.fc.bias", vec![512]),
        ];
        assert_eq!(found, expected.map(|(name, shape)| (name.to_owned(), shape)));
    }

    #[test]
    fn same_padding_is_that_of_tensorflow() {
        assert_eq!(same_padding(64, 3, 1), (1, 1));
        assert_eq!(same_padding(64, 3, 2), (0, 1));
        assert_eq!(same_padding(64, 5, 2), (1, 2));
        assert_eq!(same_padding(64, 2, 1), (0, 1));
        assert_eq!(same_padding(64, 1, 2), (0, 0));
        assert_eq!(same_padding(5, 3, 2), (1, 1));
    }

    fn padded(kernel: i64, stride: i64, coordinates: Option<Coordinates>) -> Conv {
        let mut store = ParamStore::new(1, Device::Cpu);
        let window = Window { channels_out: 3, kernel, stride };
        let spec = ConvSpec { window, padding: Padding::Same, init: Init::HeNormal };
        Conv::build_with(&mut ParamScope::new(&mut store), "c", 2, spec, coordinates).unwrap()
    }

    #[test]
    fn a_padded_window_sees_zeros_outside() {
        let picture = Tensor::rand([2, 2, 6, 8], (Kind::Float, Device::Cpu));
        for (kernel, stride) in [(3, 1), (3, 2), (5, 2), (2, 1)] {
            let conv = padded(kernel, stride, None);
            let found = conv.forward(&picture);
            assert_eq!(found.size(), [2, 3, 6 / stride, 8 / stride]);
            let (before, after) = same_padding(6, kernel, stride);
            let wide = picture.constant_pad_nd([before, after, before, after]);
            let expected = wide.conv2d(&conv.weight, Some(&conv.bias), stride, 0, 1, 1);
            assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{kernel}×{kernel} by {stride}");
        }
    }

    #[test]
    fn coordinates_of_a_padded_convolution_are_those_of_the_appended_picture() {
        let picture = Tensor::rand([2, 2, 6, 8], (Kind::Float, Device::Cpu));
        let made = || Coordinates::new(6, 8, Radius::Without);
        let conv = padded(3, 1, Some(made()));
        let wide = made().append_to(&picture);
        let expected = wide.conv2d(&conv.weight, Some(&conv.bias), 1, 1, 1, 1);
        assert!(conv.forward(&picture).allclose(&expected, 1e-5, 1e-5, false));
    }

    #[test]
    fn tiled_numbers_are_a_picture_of_them() {
        let numbers = Tensor::rand([2, 2], (Kind::Float, Device::Cpu));
        let picture = numbers.unsqueeze(-1).unsqueeze(-1).expand([2, 2, 6, 8], false);
        for (kernel, stride) in [(1, 1), (3, 2)] {
            let mut store = ParamStore::new(1, Device::Cpu);
            let window = Window { channels_out: 3, kernel, stride };
            let coordinates = Some(Coordinates::new(6, 8, Radius::With));
            let mut scope = ParamScope::new(&mut store);
            let conv = Conv::build(&mut scope, "c", 2, window, coordinates).unwrap();
            let tiled = conv.forward_tiled(&numbers).unwrap();
            assert!(tiled.allclose(&conv.forward(&picture), 1e-5, 1e-5, false), "{kernel}×{kernel}");
        }
        assert!(
            padded(3, 1, Some(Coordinates::new(6, 8, Radius::Without))).forward_tiled(&numbers).is_none()
        );
        assert!(padded(1, 1, None).forward_tiled(&numbers).is_none());
    }

    #[test]
    fn pixels_are_scaled_to_one_and_keep_their_places() {
        let obs = Tensor::arange(2 * 3 * 4 * 5, (Kind::Uint8, Device::Cpu)).view([2, 3, 4, 5]);
        let scaled = scale_pixels(&obs);
        assert_eq!(scaled, obs.to_kind(Kind::Float) / 255.0);
        assert_eq!(scaled.stride(), [60, 1, 15, 3]); // channels last
    }
}
