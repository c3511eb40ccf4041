//! The convolution used by all torsos, with or without coordinate channels.
//!
//! Feature maps are indexed `[N, C, H, W]` but stored channels-last: on a CPU, oneDNN convolves
//! that layout about a fifth faster than channels-first.

use tch::Tensor;

use super::conv_pass::{ConvInput, ConvPass, CoordinatePass, channels_last};
use super::coordinates::{CoordinateChannels, CoordinateStart, Coordinates, Taps};
use super::{Init, NetworkError, ParamScope};

/// A convolution with bias on `[N, C, H, W]`; a CoordConv if it has coordinates.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    window: Window,
    padding: Padding,
    coordinates: CoordinatePart,
}

/// The part of the layer applied to the coordinates.
#[derive(Debug)]
enum CoordinatePart {
    None,
    /// The layer's weights include taps for the channels, after those of the image channels.
    Window(CoordinateChannels),
    /// The channels sampled at each window's centre, with weights `[out, K, 1, 1]`.
    Centre {
        channels: CoordinateChannels,
        weight: Tensor,
    },
}

/// Size and stride of a convolution window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Number of output channels.
    pub channels_out: i64,
    /// Height and width in pixels.
    pub kernel: i64,
    /// Distance between adjacent windows in pixels.
    pub stride: i64,
}

/// Zero padding around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// No padding: windows lie inside the image.
    Valid,
    /// Zeros on both sides so that the output height is H / stride, rounded up. An odd zero goes
    /// after the image, as in TensorFlow.
    Same,
}

/// Settings of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvSpec {
    /// Window size and stride.
    pub window: Window,
    /// Zero padding.
    pub padding: Padding,
    /// Initial weights; biases start at 0.
    pub init: Init,
}

impl Conv {
    /// Builds an unpadded convolution with the initial weights for a ReLU. Parameters as in
    /// [`Conv::build_with`].
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

    /// Builds a convolution with parameters `{name}.weight` `[out, in + K, kernel, kernel]` and
    /// `{name}.bias` `[out]`, where K is the number of coordinate channels.
    ///
    /// With [`Taps::Centre`] the weight is `[out, in, kernel, kernel]`, as without coordinates,
    /// followed by `{name}.coordinate_weight` `[out, K, 1, 1]`, initialised as for a layer with
    /// only these K inputs. Channels that must be saved are stored as a buffer: see
    /// [`CoordinateChannels::build`].
    pub fn build_with(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels_in: i64,
        spec: ConvSpec,
        coordinates: Option<Coordinates>,
    ) -> Result<Self, NetworkError> {
        let ConvSpec { window, padding, init } = spec;
        let Window { channels_out, kernel, .. } = window;

        let in_window = coordinates.filter(|made| made.spec.taps == Taps::Window);
        let extra = in_window.map_or(0, |made| made.channels());
        // The coordinates follow the image channels, so that theirs are the last `extra` inputs.
        let zeros =
            in_window.filter(|made| made.spec.start == CoordinateStart::Zeros).map_or(0, |_| extra);
        let shape = [channels_out, channels_in + extra, kernel, kernel];
        let weight = scope.get_with_zeros(&format!("{name}.weight"), &shape, init, zeros)?;
        let bias = scope.get(&format!("{name}.bias"), &[channels_out], Init::Zeros)?;

        let coordinates = match coordinates {
            None => CoordinatePart::None,
            Some(made) => CoordinatePart::build(scope, name, spec, made)?,
        };

        Ok(Self { weight, bias, window, padding, coordinates })
    }

    /// Convolves `[N, in, H, W]` into `[N, out, (H − kernel) / stride + 1, (W − kernel) / stride +
    /// 1]`, rounded down, or with [`Padding::Same`] into `[N, out, H / stride, W / stride]`,
    /// rounded up.
    ///
    /// Coordinates are identical for every image and convolution is linear, so their contribution
    /// is computed once and broadcast instead of appended to each row. The result is equal up to
    /// rounding, at the cost of a plain convolution: 30 ms instead of 46 ms, forward and backward,
    /// for the first layer on 40 rows (a plain one takes 31 ms).
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let image_channels = images.size()[1];
        match self.coordinate_map(image_channels) {
            None => self.convolve(images, &self.weight, Some(&self.bias)),
            // The map already contains the bias.
            Some(map) => {
                self.convolve(images, &self.weight.narrow(1, 0, image_channels), None) + map
            }
        }
    }

    /// Records [`Conv::forward`] of this input for its gradient on a CPU; `None` if it is padded.
    pub(super) fn pass(&self, input: ConvInput) -> Option<ConvPass> {
        if self.padding != Padding::Valid {
            return None;
        }
        let coordinates = match &self.coordinates {
            CoordinatePart::None => CoordinatePass::None,
            CoordinatePart::Window(channels) => {
                CoordinatePass::Window(ConvInput::Numbers(channels_last(channels.image())))
            }
            CoordinatePart::Centre { channels, .. } => {
                CoordinatePass::Centre(channels_last(channels.image()))
            }
        };
        let weight = self.weight.narrow(1, 0, input.channels());
        Some(ConvPass::new(input, &weight, coordinates, self.window))
    }

    /// Applies [`Conv::forward`] to images with constant channels: `[N, in]` → `[N, out, H', W']`,
    /// at the size of the coordinates.
    ///
    /// Without padding, the contribution of such an image is one number per output channel, so only
    /// the coordinates are convolved per pixel, once for all N. Returns `None` if that does not
    /// hold (padding with a window larger than 1×1) or if there are no coordinates to define the
    /// size.
    pub fn forward_tiled(&self, numbers: &Tensor) -> Option<Tensor> {
        if self.padding != Padding::Valid && self.window.kernel > 1 {
            return None;
        }
        let image_channels = numbers.size()[1];
        let map = self.coordinate_map(image_channels)?;
        let weight = self.weight.narrow(1, 0, image_channels).sum_dim_intlist(
            [2i64, 3].as_slice(),
            false,
            self.weight.kind(),
        );
        let part = numbers.matmul(&weight.transpose(0, 1)); // [N, out]
        Some(part.unsqueeze(-1).unsqueeze(-1) + map) // [N, out, H', W']
    }

    /// Returns the coordinates' contribution plus the bias: `[1, out, H', W']`.
    fn coordinate_map(&self, image_channels: i64) -> Option<Tensor> {
        match &self.coordinates {
            CoordinatePart::None => None,
            CoordinatePart::Window(channels) => {
                let image = channels.image();
                // Convolved like the image, zero padding included, as if the channels had been
                // appended to it.
                let weight = self.weight.narrow(1, image_channels, image.size()[1]);
                Some(self.convolve(image, &weight, Some(&self.bias)))
            }
            CoordinatePart::Centre { channels, weight } => {
                // With stride 1, because the channels were sampled at the windows' centres.
                Some(channels.image().conv2d(weight, Some(&self.bias), 1, 0, 1, 1))
            }
        }
    }

    fn convolve(&self, images: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let Window { kernel, stride, .. } = self.window;
        match self.padding {
            Padding::Valid => images.conv2d(weight, bias, stride, 0, 1, 1),
            Padding::Same => {
                let [_, _, height, width] = images.size()[..] else {
                    return images.conv2d(weight, bias, stride, 0, 1, 1); // libtorch reports the error
                };
                let [(top, bottom), (left, right)] =
                    [height, width].map(|size| same_padding(size, kernel, stride));
                if (top, left) == (bottom, right) {
                    return images.conv2d(weight, bias, stride, [top, left], 1, 1);
                }
                // `conv2d` pads both ends alike, so uneven padding costs a copy. The last dimension
                // comes first.
                let padded = images.constant_pad_nd([left, right, top, bottom]);
                padded.conv2d(weight, bias, stride, 0, 1, 1)
            }
        }
    }
}

impl CoordinatePart {
    fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        ConvSpec { window, padding, init }: ConvSpec,
        coordinates: Coordinates,
    ) -> Result<Self, NetworkError> {
        let channels = CoordinateChannels::build(scope, name, coordinates)?;
        if coordinates.spec.taps == Taps::Window {
            return Ok(Self::Window(channels));
        }

        let size = [coordinates.height, coordinates.width];
        // The centre of an even window is the upper left of its four central pixels, so that the
        // layer equals a window whose other taps are 0.
        let first = size.map(|size| padding.first_window(size, window) + (window.kernel - 1) / 2);
        let count = size.map(|size| padding.windows(size, window));
        let channels = channels.sampled(first, count, window.stride);

        let init = match coordinates.spec.start {
            CoordinateStart::Drawn => init,
            CoordinateStart::Zeros => Init::Zeros,
        };

        let shape = [window.channels_out, coordinates.channels(), 1, 1];
        let weight = scope.get(&format!("{name}.coordinate_weight"), &shape, init)?;
        Ok(Self::Centre { channels, weight })
    }
}

impl Padding {
    /// Returns the number of windows along a side of `size` pixels.
    fn windows(self, size: i64, Window { kernel, stride, .. }: Window) -> i64 {
        match self {
            Self::Valid => (size - kernel) / stride + 1,
            Self::Same => (size + stride - 1) / stride,
        }
    }

    /// Returns the start of the first window along a side of `size` pixels, at most 0. Every
    /// window's centre lies inside the image.
    fn first_window(self, size: i64, Window { kernel, stride, .. }: Window) -> i64 {
        match self {
            Self::Valid => 0,
            Self::Same => -same_padding(size, kernel, stride).0,
        }
    }
}

/// Returns the number of zeros before and after a side of `size` pixels.
fn same_padding(size: i64, kernel: i64, stride: i64) -> (i64, i64) {
    let windows = (size + stride - 1) / stride; // rounded up
    // Negative where the stride exceeds the kernel and the last window ends inside the image.
    let zeros = ((windows - 1) * stride + kernel - size).max(0);
    (zeros / 2, zeros - zeros / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ChannelSource, CoordinateSpec, ParamStore, Radius};
    use tch::{Device, Kind};

    /// Builds the channels of layer `c` in a store with seed 1.
    fn channels(coordinates: Coordinates) -> CoordinateChannels {
        let mut store = ParamStore::new(1, Device::Cpu);
        CoordinateChannels::build(&mut ParamScope::new(&mut store), "c", coordinates).unwrap()
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
        let images = Tensor::rand([2, 2, 6, 8], (Kind::Float, Device::Cpu));
        for (kernel, stride) in [(3, 1), (3, 2), (5, 2), (2, 1)] {
            let conv = padded(kernel, stride, None);
            let found = conv.forward(&images);
            assert_eq!(found.size(), [2, 3, 6 / stride, 8 / stride]);
            let (before, after) = same_padding(6, kernel, stride);
            let wide = images.constant_pad_nd([before, after, before, after]);
            let expected = wide.conv2d(&conv.weight, Some(&conv.bias), stride, 0, 1, 1);
            assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{kernel}×{kernel} by {stride}");
        }
    }

    #[test]
    fn coordinates_of_a_padded_convolution_are_those_of_the_appended_picture() {
        let images = Tensor::rand([2, 2, 6, 8], (Kind::Float, Device::Cpu));
        let coordinates = Coordinates::new(6, 8, Radius::Without);
        let conv = padded(3, 1, Some(coordinates));
        let wide = channels(coordinates).append_to(&images);
        let expected = wide.conv2d(&conv.weight, Some(&conv.bias), 1, 1, 1, 1);
        assert!(conv.forward(&images).allclose(&expected, 1e-5, 1e-5, false));
    }

    #[test]
    fn tiled_numbers_are_a_picture_of_them() {
        let numbers = Tensor::rand([2, 2], (Kind::Float, Device::Cpu));
        let images = numbers.unsqueeze(-1).unsqueeze(-1).expand([2, 2, 6, 8], false);
        for (kernel, stride) in [(1, 1), (3, 2)] {
            let mut store = ParamStore::new(1, Device::Cpu);
            let window = Window { channels_out: 3, kernel, stride };
            let coordinates = Some(Coordinates::new(6, 8, Radius::With));
            let mut scope = ParamScope::new(&mut store);
            let conv = Conv::build(&mut scope, "c", 2, window, coordinates).unwrap();
            let tiled = conv.forward_tiled(&numbers).unwrap();
            assert!(tiled.allclose(&conv.forward(&images), 1e-5, 1e-5, false), "{kernel}×{kernel}");
        }

        assert!(
            padded(3, 1, Some(Coordinates::new(6, 8, Radius::Without)))
                .forward_tiled(&numbers)
                .is_none()
        );
        assert!(padded(1, 1, None).forward_tiled(&numbers).is_none());
    }

    /// Returns small integers, so that every `f32` sum is exact in any order.
    fn small_integers(shape: &[i64], salt: i64) -> Tensor {
        let count: i64 = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7 + salt) % 5 - 2) as f32).collect();
        Tensor::from_slice(&values).view(shape)
    }

    /// Extends `conv` weights to those of a CoordConv, with 0 for the coordinates.
    fn with_zero_coordinates(weights: &Tensor, extra: i64) -> Tensor {
        let [out, _, h, w] = weights.size()[..] else { panic!("a convolution's weights") };
        Tensor::cat(&[weights, &Tensor::zeros([out, extra, h, w], (Kind::Float, Device::Cpu))], 1)
    }

    fn window(kernel: i64, stride: i64) -> Window {
        Window { channels_out: 5, kernel, stride }
    }

    /// Builds a layer of 3 + K input channels with the given weights and small integers as bias.
    fn build_layer(weights: &Tensor, coordinates: Option<Coordinates>, window: Window) -> Conv {
        let spec = ConvSpec { window, padding: Padding::Valid, init: Init::BEFORE_RELU };
        build_with_weights(&[("c.weight", weights)], coordinates, spec)
    }

    fn build_with_weights(
        weights: &[(&str, &Tensor)],
        coordinates: Option<Coordinates>,
        spec: ConvSpec,
    ) -> Conv {
        let mut store = ParamStore::new(1, Device::Cpu);
        let conv =
            Conv::build_with(&mut ParamScope::new(&mut store), "c", 3, spec, coordinates).unwrap();
        let bias = small_integers(&[5], 4);
        let given = |name: &str| {
            weights.iter().find(|(known, _)| *known == name).map(|(_, values)| *values)
        };

        let fill = |(name, values): (String, Tensor)| {
            let values = match given(&name) {
                Some(values) => values.shallow_clone(),
                None if name == "c.bias" => bias.shallow_clone(),
                None => values, // the channels keep their values
            };
            (name, values)
        };

        let filled: Vec<_> = store.to_named().into_iter().map(fill).collect();
        store.load(&filled).unwrap();
        conv
    }

    #[test]
    fn zero_coordinate_weights_are_a_plain_convolution_exactly() {
        let images = small_integers(&[2, 3, 9, 7], 1);
        let weights = small_integers(&[5, 3, 3, 3], 2);
        let plain = build_layer(&weights, None, window(3, 1)).forward(&images);
        for (radius, extra) in [(Radius::Without, 2), (Radius::With, 3)] {
            let coordinates = Some(Coordinates::new(9, 7, radius));
            let weights = with_zero_coordinates(&weights, extra);
            assert_eq!(build_layer(&weights, coordinates, window(3, 1)).forward(&images), plain);
            // With non-zero weights the result differs.
            let other = build_layer(&(weights + 1.0), coordinates, window(3, 1));
            assert_ne!(other.forward(&images), plain);
        }
    }

    #[test]
    fn a_layer_equals_a_convolution_of_the_picture_with_coordinates_appended() {
        // 9 and 5 pixels give steps of ¼ and ½, so every sum is exact in any order.
        let images = small_integers(&[2, 3, 9, 5], 1);
        for (kernel, stride) in [(3, 1), (4, 2)] {
            let weights = small_integers(&[5, 5, kernel, kernel], 2);
            let coordinates = Coordinates::new(9, 5, Radius::Without);
            let appended = channels(coordinates).append_to(&images);
            let expected =
                appended.conv2d(&weights, Some(small_integers(&[5], 4)), stride, 0, 1, 1);
            let layer = build_layer(&weights, Some(coordinates), window(kernel, stride));
            assert_eq!(layer.forward(&images), expected);
        }
    }

    #[test]
    fn louder_channels_and_quieter_weights_are_the_same_layer() {
        let images = Tensor::rand([2, 3, 9, 7], (Kind::Float, Device::Cpu));
        let weights = Tensor::rand([5, 5, 3, 3], (Kind::Float, Device::Cpu)) - 0.5;
        let with = |amplitude: f64| {
            let spec = CoordinateSpec { amplitude, ..CoordinateSpec::PAPER };
            let weights = weights.copy();
            let _ = weights.narrow(1, 3, 2).g_div_scalar_(amplitude);
            build_layer(&weights, Some(Coordinates::with_spec(9, 7, spec)), window(3, 1))
                .forward(&images)
        };

        let plain = with(1.0);
        for amplitude in [0.125, 3.0] {
            assert!(with(amplitude).allclose(&plain, 1e-5, 1e-5, false), "{amplitude}");
        }
    }

    #[test]
    fn one_tap_is_a_window_whose_other_taps_are_zero() {
        let images = Tensor::rand([2, 3, 13, 10], (Kind::Float, Device::Cpu));
        for source in [ChannelSource::Coordinates, ChannelSource::Noise] {
            for padding in [Padding::Valid, Padding::Same] {
                for (kernel, stride) in [(3, 1), (3, 2), (4, 2), (8, 4), (1, 1), (2, 3)] {
                    let spec = ConvSpec {
                        window: window(kernel, stride),
                        padding,
                        init: Init::BEFORE_RELU,
                    };
                    let pixels =
                        Tensor::rand([5, 3, kernel, kernel], (Kind::Float, Device::Cpu)) - 0.5;
                    let tap = Tensor::rand([5, 2, 1, 1], (Kind::Float, Device::Cpu)) - 0.5;
                    let at = |taps| {
                        let spec = CoordinateSpec { taps, source, ..CoordinateSpec::PAPER };
                        Some(Coordinates::with_spec(13, 10, spec))
                    };

                    let given = [("c.weight", &pixels), ("c.coordinate_weight", &tap)];
                    let found = build_with_weights(&given, at(Taps::Centre), spec).forward(&images);

                    let centre = (kernel - 1) / 2;
                    let whole = with_zero_coordinates(&pixels, 2);
                    let mut place = whole.narrow(1, 3, 2).narrow(2, centre, 1).narrow(3, centre, 1);
                    place.copy_(&tap);
                    let layer = build_with_weights(&[("c.weight", &whole)], at(Taps::Window), spec);
                    let expected = layer.forward(&images);

                    assert_eq!(found.size(), expected.size());
                    let case = format!("{source:?}, {padding:?}, {kernel}×{kernel} by {stride}");
                    assert!(found.allclose(&expected, 1e-5, 1e-5, false), "{case}");
                }
            }
        }
    }

    #[test]
    fn weights_that_start_at_zero_are_those_of_the_coordinates_alone() {
        let draw = |start, taps| {
            let mut store = ParamStore::new(1, Device::Cpu);
            let spec = CoordinateSpec { start, taps, ..CoordinateSpec::PAPER };
            let coordinates = Some(Coordinates::with_spec(9, 7, spec));
            Conv::build(&mut ParamScope::new(&mut store), "c", 3, window(3, 1), coordinates)
                .unwrap();
            store.to_named()
        };

        let largest = |values: &Tensor| values.abs().max().double_value(&[]);

        let drawn = &draw(CoordinateStart::Drawn, Taps::Window)[0].1;
        let zeros = &draw(CoordinateStart::Zeros, Taps::Window)[0].1;
        assert_eq!(zeros.narrow(1, 0, 3), drawn.narrow(1, 0, 3));
        assert!(largest(&drawn.narrow(1, 3, 2)) > 0.0);
        assert_eq!(largest(&zeros.narrow(1, 3, 2)), 0.0);

        let (drawn, zeros) = (
            draw(CoordinateStart::Drawn, Taps::Centre),
            draw(CoordinateStart::Zeros, Taps::Centre),
        );
        assert_eq!(drawn[..2], zeros[..2]);
        assert_eq!(drawn[2].0, "c.coordinate_weight");
        assert!(largest(&drawn[2].1) > 0.0);
        assert_eq!(largest(&zeros[2].1), 0.0);
    }
}
