//! The layer under study, and the registry of available layers.

use coordrl_agents::nn::{
    Conv, ConvSpec, CoordinateSpec, CoordinateStart, Coordinates, Init, NetworkError, Padding,
    ParamScope, Radius, Window,
};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::StudyError;
use crate::blocks::{CoordDouble, Double};
use crate::error::unknown;

/// A layer that can replace the CoordConv layer in the published networks.
pub trait Layer: Send {
    /// Maps `[N, C, H, W]` to `[N, out, H', W']`, linear or not, of the size that window, stride and
    /// padding of its [`LayerPlace`] give; fastest with channels last in memory.
    fn forward(&self, picture: &Tensor) -> Tensor;

    /// Applies [`Layer::forward`] to pictures whose every channel is constant, given as `[N, C]`:
    /// the inputs of the painting tasks. Override where constancy saves work.
    fn forward_tiled(&self, numbers: &Tensor, [height, width]: [i64; 2]) -> Tensor {
        let [rows, channels] = numbers.size()[..] else { return self.forward(numbers) };
        let picture =
            numbers.view([rows, channels, 1, 1]).expand([rows, channels, height, width], false);
        self.forward(&picture)
    }
}

/// Shapes and settings that a layer must fit.
#[derive(Clone, Copy, Debug)]
pub struct LayerShape {
    /// Its place in the network.
    pub place: LayerPlace,
    /// Initial weights.
    pub start: LayerStart,
    /// Factor on its coordinate channels, or on any other source of positional information.
    pub amplitude: f64,
}

/// A place for the layer under study in a task's network.
#[derive(Clone, Copy, Debug)]
pub struct LayerPlace {
    /// Prefix of the names of its parameters.
    pub name: &'static str,
    /// Form of its input.
    pub input: LayerInput,
    /// Input channels, C, and output channels.
    pub channels: [i64; 2],
    /// Height and width of its input.
    pub size: [i64; 2],
    /// Height and width of its window.
    pub kernel: i64,
    /// Distance between windows, in pixels.
    pub stride: i64,
    /// A transposed convolution, by which the map becomes `stride` times as high and wide instead of
    /// smaller; the stride is 2 then.
    pub transposed: bool,
    /// Zero padding.
    pub padding: Padding,
    /// Initial weights of its convolution.
    pub init: Init,
    /// Presence of the radius among its coordinates, if it has some.
    pub radius: Radius,
}

impl LayerPlace {
    /// A place named `layer` for a layer that sees one pixel at a time.
    pub fn pointwise(input: LayerInput, channels: [i64; 2], size: [i64; 2]) -> Self {
        let padding = Padding::Valid;
        let kernel = 1;
        let stride = 1;
        let init = Init::HeNormal;
        let radius = Radius::Without;
        let transposed = false;
        Self {
            name: "layer",
            input,
            channels,
            size,
            kernel,
            stride,
            transposed,
            padding,
            init,
            radius,
        }
    }

    /// A place for a square picture that the layer makes half as high and wide.
    pub(crate) fn halving(
        name: &'static str,
        channels: [i64; 2],
        side: i64,
        kernel: i64,
        init: Init,
    ) -> Self {
        let place = Self::pointwise(LayerInput::Pictures, channels, [side; 2]);
        Self { name, kernel, stride: 2, padding: Padding::Same, init, ..place }
    }

    /// Returns height and width of the layer's output.
    fn size_out(&self) -> [i64; 2] {
        self.size.map(|side| match self.padding {
            _ if self.transposed => self.stride * side,
            Padding::Valid => (side - self.kernel) / self.stride + 1,
            Padding::Same => (side + self.stride - 1) / self.stride,
        })
    }

    /// Returns window, padding and initial weights of a convolution here.
    pub(crate) fn conv_spec(&self) -> ConvSpec {
        let Self { channels: [_, channels_out], kernel, stride, .. } = *self;
        let window = Window { channels_out, kernel, stride };
        ConvSpec { window, padding: self.padding, init: self.init }
    }
}

/// Initial weights of the layer under study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerStart {
    /// All drawn from the same distribution, as in the authors' code.
    Drawn,
    /// Zero for the coordinates, or any other source of positional information: the layer starts
    /// out as a plain convolution.
    Plain,
}

/// Builds a layer; its parameters are named after its [`LayerPlace`], as in `layer.weight`.
pub type BuildLayer =
    fn(scope: &mut ParamScope<'_>, shape: LayerShape) -> Result<Box<dyn Layer>, NetworkError>;

/// The subject of a study: a registered layer, or a custom one.
///
/// ```
/// use coordrl_agents::nn::{Conv, NetworkError, ParamScope, Window};
/// use coordrl_studies::{Layer, LayerKind, LayerPlace, LayerShape, StudyLayer};
/// use tch::Tensor;
///
/// /// The CoordConv layer without its coordinates.
/// struct Plain(Conv);
///
/// impl Layer for Plain {
///     fn forward(&self, picture: &Tensor) -> Tensor {
///         self.0.forward(picture)
///     }
/// }
///
/// fn build(scope: &mut ParamScope<'_>, shape: LayerShape) -> Result<Box<dyn Layer>, NetworkError> {
///     let LayerPlace { name, channels: [channels_in, channels_out], kernel, stride, .. } =
///         shape.place;
///     let window = Window { channels_out, kernel, stride };
///     Ok(Box::new(Plain(Conv::build(scope, name, channels_in, window, None)?)))
/// }
///
/// let plain = StudyLayer { name: "plain", summary: "no coordinates", kind: LayerKind::InPlace(build) };
/// # assert_eq!(plain.name, "plain");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StudyLayer {
    /// Name on the command line.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Network in which it is studied.
    pub kind: LayerKind,
}

/// Network in which a layer is studied.
#[derive(Clone, Copy, Debug)]
pub enum LayerKind {
    /// The task's published network of convolutions only: the paper's baseline.
    Baseline,
    /// The task's published CoordConv network, with this layer in place of its CoordConv layer.
    InPlace(BuildLayer),
}

/// The layer under study with its settings, ready to be built into a task's network.
#[derive(Clone, Copy, Debug)]
pub struct UnderStudy {
    /// Builds it.
    pub build: BuildLayer,
    /// Its initial weights.
    pub start: LayerStart,
    /// Factor on its coordinate channels.
    pub amplitude: f64,
}

/// Form in which a task's network feeds its layer under study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerInput {
    /// Whole pictures: [`Layer::forward`].
    Pictures,
    /// Numbers, tiled to pictures: [`Layer::forward_tiled`].
    Tiled,
}

impl UnderStudy {
    /// Builds the layer, and tests it once, since a custom one may not fit.
    ///
    /// # Errors
    /// [`StudyError::LayerShape`] if its output has another shape than the network needs.
    pub fn build(
        self,
        scope: &mut ParamScope<'_>,
        place: LayerPlace,
    ) -> Result<Box<dyn Layer>, StudyError> {
        let Self { build, start, amplitude } = self;
        let layer = build(scope, LayerShape { place, start, amplitude })?;
        let LayerPlace { input, channels: [channels_in, channels_out], size, .. } = place;
        let [height, width] = size;
        // A custom layer may get one of its two methods wrong, so try the one that will be used.
        let made = match input {
            LayerInput::Tiled => {
                let numbers = scope.constant(zeros(&[1, channels_in]))?;
                layer.forward_tiled(&numbers, size)
            }
            LayerInput::Pictures => {
                layer.forward(&scope.constant(zeros(&[1, channels_in, height, width]))?)
            }
        };

        let found = made.size();
        let [height, width] = place.size_out();
        let expected = vec![1, channels_out, height, width];
        if found == expected { Ok(layer) } else { Err(StudyError::LayerShape { found, expected }) }
    }
}

/// Builds the layer under study, or a convolution for the baseline.
pub(crate) fn studied(
    scope: &mut ParamScope<'_>,
    layer: Option<UnderStudy>,
    place: LayerPlace,
) -> Result<Box<dyn Layer>, StudyError> {
    match layer {
        Some(layer) => layer.build(scope, place),
        None => Ok(plain(scope, place)?),
    }
}

/// Builds a convolution without coordinates.
pub(crate) fn plain(
    scope: &mut ParamScope<'_>,
    place: LayerPlace,
) -> Result<Box<dyn Layer>, NetworkError> {
    let LayerPlace { name, channels, kernel, init, .. } = place;
    match place.transposed {
        true => Ok(Box::new(Double::build(scope, name, channels, kernel, init)?)),
        false => {
            let [channels_in, _] = channels;
            Ok(Box::new(Conv::build_with(scope, name, channels_in, place.conv_spec(), None)?))
        }
    }
}

fn zeros(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
}

/// The registry: a new layer is one file and one line here.
const LAYERS: &[StudyLayer] = &[
    StudyLayer {
        name: "conv",
        summary: "the paper's baseline: (transposed) convolutions without coordinates",
        kind: LayerKind::Baseline,
    },
    StudyLayer {
        name: "coordconv",
        summary: "the paper's network: one CoordConv layer, then convolutions",
        kind: LayerKind::InPlace(build_coord_conv),
    },
];

/// Returns all registered layers.
pub fn layers() -> &'static [StudyLayer] {
    LAYERS
}

/// Finds the layer of that name.
///
/// # Errors
/// [`StudyError::Unknown`], with the nearest name.
pub fn find_layer(name: &str) -> Result<&'static StudyLayer, StudyError> {
    let known = LAYERS.iter().map(|layer| layer.name);
    LAYERS.iter().find(|layer| layer.name == name).ok_or_else(|| unknown("layer", name, known))
}

impl Layer for Conv {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.forward(picture)
    }

    fn forward_tiled(&self, numbers: &Tensor, [height, width]: [i64; 2]) -> Tensor {
        self.forward_tiled(numbers).unwrap_or_else(|| {
            let numbers = numbers.unsqueeze(-1).unsqueeze(-1); // [N, C, 1, 1]
            self.forward(&numbers.expand([-1, -1, height, width], false))
        })
    }
}

impl Layer for Double {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.forward(picture)
    }
}

impl Layer for CoordDouble {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.forward(picture)
    }
}

/// Builds the paper's layer: coordinates xx and yy appended to the picture, then a convolution,
/// transposed or not.
fn build_coord_conv(
    scope: &mut ParamScope<'_>,
    shape: LayerShape,
) -> Result<Box<dyn Layer>, NetworkError> {
    let LayerShape { place, start, amplitude } = shape;
    let start = match start {
        LayerStart::Drawn => CoordinateStart::Drawn,
        LayerStart::Plain => CoordinateStart::Zeros,
    };
    let radius = place.radius;
    let coordinates = CoordinateSpec { start, amplitude, radius, ..CoordinateSpec::PAPER };
    let coordinates = Coordinates::with_spec(place.size[0], place.size[1], coordinates);
    let LayerPlace { name, channels, kernel, init, .. } = place;
    if place.transposed {
        return Ok(Box::new(CoordDouble::build(scope, name, channels, kernel, init, coordinates)?));
    }
    let [channels_in, _] = channels;
    let spec = place.conv_spec();
    Ok(Box::new(Conv::build_with(scope, name, channels_in, spec, Some(coordinates))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_agents::nn::ParamStore;

    fn shape(start: LayerStart, amplitude: f64) -> LayerShape {
        let place = LayerPlace::pointwise(LayerInput::Tiled, [2, 5], [6, 9]);
        LayerShape { place, start, amplitude }
    }

    #[test]
    fn an_amplitude_scales_what_coordinates_add_and_nothing_else() {
        let forward = |start, amplitude, numbers: &Tensor| {
            let mut store = ParamStore::new(1, Device::Cpu);
            let shape = shape(start, amplitude);
            let layer = build_coord_conv(&mut ParamScope::new(&mut store), shape).unwrap();
            tch::no_grad(|| layer.forward_tiled(numbers, [6, 9]))
        };

        let numbers = Tensor::rand([3, 2], (Kind::Float, Device::Cpu));
        let plain = forward(LayerStart::Plain, 1.0, &numbers);
        let added = forward(LayerStart::Drawn, 1.0, &numbers) - &plain;
        let quiet = forward(LayerStart::Drawn, 0.125, &numbers) - &plain;
        assert!(added.abs().max().double_value(&[]) > 0.1);
        assert!(quiet.allclose(&(added / 8.0), 1e-5, 1e-6, false));
        assert_eq!(forward(LayerStart::Plain, 0.125, &numbers), plain);
    }

    #[test]
    fn every_layer_keeps_the_size_and_tiles_alike() {
        let shape = shape(LayerStart::Drawn, 1.0);
        for layer in layers() {
            let LayerKind::InPlace(build) = layer.kind else { continue };
            let mut store = ParamStore::new(1, Device::Cpu);
            let built = build(&mut ParamScope::new(&mut store), shape).unwrap();
            let numbers = Tensor::rand([3, 2], (Kind::Float, Device::Cpu));
            let tiled = built.forward_tiled(&numbers, [6, 9]);
            assert_eq!(tiled.size(), [3, 5, 6, 9], "{}", layer.name);
            let picture = numbers.view([3, 2, 1, 1]).expand([3, 2, 6, 9], false);
            assert!(built.forward(&picture).allclose(&tiled, 1e-5, 1e-5, false), "{}", layer.name);
        }
    }

    #[test]
    fn an_unknown_name_meets_the_nearest_and_the_list() {
        let error = find_layer("coord-conv").unwrap_err().to_string();
        let start = "no layer `coord-conv` (did you mean `coordconv`?); there are conv, coordconv";
        assert!(error.starts_with(start), "{error}");
        assert_eq!(find_layer("conv").unwrap().name, "conv");
    }
}
