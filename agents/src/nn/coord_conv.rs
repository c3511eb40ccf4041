//! Convolutions that know where they are: coordinate channels appended to their input.
//!
//! Source: Liu et al. 2018 (arXiv:1807.03247). Order as in the authors' code: the picture's own
//! channels, then xx (varies along the columns), then yy (varies along the rows), then the radius
//! where asked for.

use tch::{Device, Kind, Tensor};

use super::conv::ConvTorso;
use super::{NetworkError, ParamScope, Torso};

/// Coordinate channels of one picture size, ready to be appended.
#[derive(Debug)]
pub struct Coordinates {
    /// `[1, H, W, K]`: channels last in memory, as the pictures are.
    values: Tensor,
}

impl Coordinates {
    /// Coordinates for pictures of `height` × `width`, with or without the radius channel.
    pub fn new(height: i64, width: i64, radius: Radius) -> Self {
        let channels = coordinate_channels(height, width, radius); // [K, H, W]
        Self { values: channels.permute([1, 2, 0]).contiguous().unsqueeze(0) }
    }

    /// The same, where the parameters are.
    pub(crate) fn place(self, scope: &ParamScope<'_>) -> Result<Self, NetworkError> {
        Ok(Self { values: scope.constant(self.values)? })
    }

    /// Number of channels appended, K.
    pub fn channels(&self) -> i64 {
        self.values.size()[3]
    }

    /// The channels alone, `[1, K, H, W]`.
    pub fn picture(&self) -> Tensor {
        self.values.permute([0, 3, 1, 2])
    }

    /// `[N, C, H, W]` → `[N, C + K, H, W]`, channels last in memory both.
    ///
    /// This is what a CoordConv is *defined* by; [`Conv`](super::Conv) gets the same numbers with
    /// less work.
    pub fn append_to(&self, picture: &Tensor) -> Tensor {
        let [_, height, width, channels] = self.values.size()[..] else {
            unreachable!("four dimensions by construction")
        };
        let rows = picture.permute([0, 2, 3, 1]); // [N, H, W, C]
        let coordinates = self.values.expand([rows.size()[0], height, width, channels], false);
        Tensor::cat(&[rows, coordinates], 3).permute([0, 3, 1, 2])
    }
}

/// Whether the radius √(xx² + yy²) is a third coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radius {
    /// xx and yy only.
    Without,
    /// xx, yy and r.
    With,
}

/// Coordinates in [−1, 1], both ends reached: xx = 2·column/(W − 1) − 1, yy = 2·row/(H − 1) − 1,
/// r = √(xx² + yy²), between 0 and √2. A picture one pixel wide or high has coordinate 0 there.
///
/// The authors' code divides by the *other* side's size, which is the same for the square pictures
/// of their experiments; their printed listing measures r from (0.5, 0.5), which looks like a slip.
///
/// # Shapes
/// - result: `f32 [2, H, W]`, or `[3, H, W]` with the radius
pub fn coordinate_channels(height: i64, width: i64, radius: Radius) -> Tensor {
    let shape = [height, width];
    let xx = axis(width).view([1, width]).expand(shape, false);
    let yy = axis(height).view([height, 1]).expand(shape, false);
    let mut channels = vec![xx.shallow_clone(), yy.shallow_clone()];
    if radius == Radius::With {
        channels.push((xx.square() + yy.square()).sqrt());
    }
    Tensor::stack(&channels, 0)
}

fn axis(size: i64) -> Tensor {
    let last = (size - 1) as f64;
    let at = |index: i64| if size == 1 { 0.0 } else { (index as f64 / last * 2.0 - 1.0) as f32 };
    let values: Vec<f32> = (0..size).map(at).collect();
    Tensor::from_slice(&values).to_kind(Kind::Float).to_device(Device::Cpu)
}

/// Before which of the convolutions coordinates are appended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    First,
    All,
}

fn build(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
    place: Where,
    radius: Radius,
) -> Result<Box<dyn Torso>, NetworkError> {
    let coordinates = |layer, height, width| {
        (layer == 0 || place == Where::All).then(|| Coordinates::new(height, width, radius))
    };
    Ok(Box::new(ConvTorso::build(scope, obs_shape, coordinates)?))
}

/// What every builder returns.
type Built = Result<Box<dyn Torso>, NetworkError>;

pub(super) fn build_coord_conv(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> Built {
    build(scope, obs_shape, Where::First, Radius::Without)
}

pub(super) fn build_coord_conv_all(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> Built {
    build(scope, obs_shape, Where::All, Radius::Without)
}

pub(super) fn build_coord_conv_r(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> Built {
    build(scope, obs_shape, Where::First, Radius::With)
}

pub(super) fn build_coord_conv_all_r(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> Built {
    build(scope, obs_shape, Where::All, Radius::With)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv, ParamStore, Window, find_torso};

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        (0..tensor.size()[0]).map(|i| Vec::try_from(tensor.get(i)).unwrap()).collect()
    }

    #[test]
    fn channels_are_the_coordinates_written_out() {
        let channels = coordinate_channels(3, 5, Radius::With);
        assert_eq!(channels.size(), [3, 3, 5]);
        assert_eq!(rows(&channels.get(0)), [[-1.0, -0.5, 0.0, 0.5, 1.0]; 3]); // by column
        assert_eq!(rows(&channels.get(1)), [[-1.0; 5], [0.0; 5], [1.0; 5]]); // by row
        let (a, b) = (2f32.sqrt(), 1.25f32.sqrt());
        let expected = [[a, b, 1.0, b, a], [1.0, 0.5, 0.0, 0.5, 1.0], [a, b, 1.0, b, a]];
        assert_eq!(rows(&channels.get(2)), expected);
        assert_eq!(coordinate_channels(3, 5, Radius::Without), channels.narrow(0, 0, 2));
    }

    #[test]
    fn one_pixel_has_coordinate_zero() {
        let flat = |tensor: Tensor| Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
        assert_eq!(flat(coordinate_channels(1, 1, Radius::With)), [0.0; 3]);
        let wide = coordinate_channels(1, 2, Radius::With);
        assert_eq!(flat(wide), [-1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn coordinates_go_after_the_channels_of_every_picture() {
        let picture = Tensor::rand([2, 4, 3, 5], (Kind::Float, Device::Cpu));
        let appended = Coordinates::new(3, 5, Radius::Without).append_to(&picture);
        assert_eq!(appended.size(), [2, 6, 3, 5]);
        assert_eq!(appended.narrow(1, 0, 4), picture);
        for n in 0..2 {
            let tail = appended.get(n).narrow(0, 4, 2);
            assert_eq!(tail, coordinate_channels(3, 5, Radius::Without));
        }
        assert_eq!(appended.stride()[1], 1); // still channels last
    }

    /// Small whole numbers, so that every sum is exact in `f32` whatever its order.
    fn small_integers(shape: &[i64], salt: i64) -> Tensor {
        let count: i64 = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7 + salt) % 5 - 2) as f32).collect();
        Tensor::from_slice(&values).view(shape)
    }

    /// Copies `conv`'s weights into a CoordConv of the same kind, with 0 for the coordinates.
    fn with_zero_coordinates(weights: &Tensor, extra: i64) -> Tensor {
        let [out, _, h, w] = weights.size()[..] else { panic!("a convolution's weights") };
        Tensor::cat(&[weights, &Tensor::zeros([out, extra, h, w], (Kind::Float, Device::Cpu))], 1)
    }

    fn window(kernel: i64, stride: i64) -> Window {
        Window { channels_out: 5, kernel, stride }
    }

    fn build_layer(weights: &Tensor, coordinates: Option<Coordinates>, window: Window) -> Conv {
        let mut store = ParamStore::new(1, Device::Cpu);
        let conv = Conv::build(&mut ParamScope::new(&mut store), "c", 3, window, coordinates).unwrap();
        let bias = small_integers(&[5], 4);
        store.load(&[("c.weight".into(), weights.shallow_clone()), ("c.bias".into(), bias)]).unwrap();
        conv
    }

    #[test]
    fn zero_coordinate_weights_are_a_plain_convolution_exactly() {
        let picture = small_integers(&[2, 3, 9, 7], 1);
        let weights = small_integers(&[5, 3, 3, 3], 2);
        let plain = build_layer(&weights, None, window(3, 1)).forward(&picture);
        for (radius, extra) in [(Radius::Without, 2), (Radius::With, 3)] {
            let coordinates = || Some(Coordinates::new(9, 7, radius));
            let weights = with_zero_coordinates(&weights, extra);
            assert_eq!(build_layer(&weights, coordinates(), window(3, 1)).forward(&picture), plain);
            // And it is the zeros that do it.
            let other = build_layer(&(weights + 1.0), coordinates(), window(3, 1));
            assert_ne!(other.forward(&picture), plain);
        }
    }

    #[test]
    fn a_layer_equals_a_convolution_of_the_picture_with_coordinates_appended() {
        // 9 and 5 pixels: steps of ¼ and ½, so that every sum is exact whatever its order.
        let picture = small_integers(&[2, 3, 9, 5], 1);
        for (kernel, stride) in [(3, 1), (4, 2)] {
            let weights = small_integers(&[5, 5, kernel, kernel], 2);
            let coordinates = Coordinates::new(9, 5, Radius::Without);
            let appended = coordinates.append_to(&picture);
            let expected = appended.conv2d(&weights, Some(small_integers(&[5], 4)), stride, 0, 1, 1);
            let layer = build_layer(&weights, Some(coordinates), window(kernel, stride));
            assert_eq!(layer.forward(&picture), expected);
        }
    }

    #[test]
    fn whole_torsos_agree_when_coordinate_weights_are_zero() {
        // Bytes 0 and 255 scale to exactly 0 and 1.
        let pixels = small_integers(&[2, 4, 40, 36], 3).gt(0.0).to_kind(Kind::Uint8) * 255;
        let forward = |name: &str, weights: Option<&[(String, Tensor)]>| {
            let mut store = ParamStore::new(1, Device::Cpu);
            let build = find_torso(name).unwrap().build;
            let torso = build(&mut ParamScope::new(&mut store), [4, 40, 36]).unwrap();
            let fill = |name: String, values: Tensor| match weights {
                None => (name, small_integers(&values.size(), 0)),
                Some(weights) => {
                    let (_, plain) = weights.iter().find(|(known, _)| *known == name).unwrap();
                    let extra = values.size()[1..].first().map_or(0, |c| c - plain.size()[1]);
                    match extra {
                        0 => (name, plain.shallow_clone()),
                        extra => (name, with_zero_coordinates(plain, extra)),
                    }
                }
            };
            let weights: Vec<(String, Tensor)> =
                store.to_named().into_iter().map(|(name, values)| fill(name, values)).collect();
            store.load(&weights).unwrap();
            (torso.forward(&pixels), weights)
        };
        let (plain, weights) = forward("conv", None);
        assert!(plain.max().double_value(&[]) > 0.0);
        for name in ["coordconv", "coordconv-r", "coordconv-all", "coordconv-all-r"] {
            assert_eq!(forward(name, Some(&weights)).0, plain, "{name}");
        }
    }
}
