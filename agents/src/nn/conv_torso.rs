//! The convolutional torso of Mnih et al. 2015 (Nature) and its settings.

use tch::Tensor;

use super::conv_pass::{ConvInput, ConvPass, channels_last, stop_at_zeros};
use super::coordinates::{CoordinateChannels, CoordinateSpec, CoordinateStart, Coordinates};
use super::{
    BuiltTorso, Conv, Init, Linear, NetworkError, ParamScope, Pooling, Stages, Torso, WayBack,
    Window, scale_pixels,
};

const LAYERS: [Window; 3] = [
    Window { channels_out: 32, kernel: FIRST_KERNEL, stride: 4 },
    Window { channels_out: 64, kernel: 4, stride: 2 },
    Window { channels_out: 64, kernel: 3, stride: 1 },
];
/// Height and width of the first convolution's window.
pub(super) const FIRST_KERNEL: i64 = 8;
const FEATURES: i64 = 512;
/// Smallest height and width that leave one pixel after the three layers.
const LEAST_SIZE: usize = 36;

/// Settings of a [`ConvTorso`]. The default is the published network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTorsoSpec {
    /// Coordinate channels and the layers that receive them.
    pub coordinates: Option<(CoordinateSpec, Position)>,
    /// Pooling between the last convolution and the dense layer.
    pub pooling: Pooling,
}

impl ConvTorsoSpec {
    /// The published network: three convolutions, flattened, and a dense layer.
    pub const PUBLISHED: Self = Self { coordinates: None, pooling: Pooling::Flatten };

    fn coordinates_before(&self, layer: ConvLayer, height: i64, width: i64) -> Option<Coordinates> {
        let (spec, position) = self.coordinates?;
        position.includes(layer).then(|| Coordinates::with_spec(height, width, spec))
    }
}

impl Default for ConvTorsoSpec {
    fn default() -> Self {
        Self::PUBLISHED
    }
}

/// Layers that receive coordinate channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The first convolution.
    FirstConvolution,
    /// Every convolution.
    EveryConvolution,
    /// The last convolution.
    LastConvolution,
    /// The dense layer. Its extra inputs are equal for every observation, so they amount to a
    /// second bias that learns faster than the first but adds no information. A control, like
    /// noise. [`Taps`](super::Taps) does not apply, as there is no window.
    DenseLayer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConvLayer {
    Convolution(usize),
    Dense,
}

impl Position {
    fn includes(self, layer: ConvLayer) -> bool {
        match self {
            Self::FirstConvolution => layer == ConvLayer::Convolution(0),
            Self::EveryConvolution => layer != ConvLayer::Dense,
            Self::LastConvolution => layer == ConvLayer::Convolution(LAYERS.len() - 1),
            Self::DenseLayer => layer == ConvLayer::Dense,
        }
    }
}

/// Three convolutions and a dense layer, each followed by a ReLU.
#[derive(Debug)]
pub struct ConvTorso {
    convolutions: Vec<Conv>,
    pooling: Pooling,
    dense_coordinates: Option<CoordinateChannels>,
    fc: Linear,
}

impl ConvTorso {
    /// Builds the layers `torso.conv1`, `torso.conv2`, `torso.conv3` and `torso.fc`.
    ///
    /// # Errors
    /// If observations are smaller than 36×36.
    pub fn build(
        scope: &mut ParamScope<'_>,
        [channels, height, width]: [usize; 3],
        spec: &ConvTorsoSpec,
    ) -> Result<Self, NetworkError> {
        if height.min(width) < LEAST_SIZE {
            return Err(NetworkError::ObsTooSmall { height, width, least: LEAST_SIZE });
        }

        let mut c = channels as i64;
        let mut h = height as i64;
        let mut w = width as i64;
        let mut convolutions = Vec::new();
        for (index, window) in LAYERS.into_iter().enumerate() {
            let name = format!("torso.conv{}", index + 1);
            let coordinates = spec.coordinates_before(ConvLayer::Convolution(index), h, w);
            convolutions.push(Conv::build(scope, &name, c, window, coordinates)?);
            c = window.channels_out;
            h = (h - window.kernel) / window.stride + 1;
            w = (w - window.kernel) / window.stride + 1;
        }

        let coordinates = spec.coordinates_before(ConvLayer::Dense, h, w);
        let extra = coordinates.map_or(0, |coordinates| coordinates.channels());
        // Maps are flattened one after the other, so the coordinates have the last weights.
        let zeros = coordinates
            .filter(|coordinates| coordinates.spec.start == CoordinateStart::Zeros)
            .map_or(0, |_| extra);
        let fc = Linear::build_with_zeros(
            scope,
            "torso.fc",
            spec.pooling.inputs(c + extra, h, w),
            FEATURES,
            Init::BEFORE_RELU,
            spec.pooling.inputs(zeros, h, w),
        )?;
        let dense_coordinates = coordinates
            .map(|coordinates| CoordinateChannels::build(scope, "torso.fc", coordinates))
            .transpose()?;
        Ok(Self { convolutions, pooling: spec.pooling, dense_coordinates, fc })
    }
}

impl ConvTorso {
    /// Pools the last convolution's output, `[N, C, H', W']`, to `[N, M]`.
    fn pool(&self, maps: &Tensor) -> Tensor {
        match &self.dense_coordinates {
            None => self.pooling.apply(maps),
            Some(coordinates) => self.pooling.apply(&coordinates.append_to(maps)),
        }
    }
}

impl Stages for ConvTorso {
    fn maps(&self, obs: &Tensor) -> Tensor {
        let mut maps = scale_pixels(obs); // [N, C, H, W]
        for conv in &self.convolutions {
            // In place, because the backward pass of a convolution does not need its output.
            maps = conv.forward(&maps).relu_();
        }
        self.pool(&maps)
    }

    fn dense(&self) -> &Linear {
        &self.fc
    }

    fn maps_and_way_back(&self, obs: &Tensor) -> Option<(Tensor, Box<dyn WayBack>)> {
        let mut maps = scale_pixels(obs); // [N, C, H, W]
        let mut input = ConvInput::Pixels(obs.shallow_clone());
        let mut layers = Vec::new();
        for conv in &self.convolutions {
            let pass = conv.pass(input)?;
            maps = conv.forward(&maps).relu_();
            let output = channels_last(&maps);
            input = ConvInput::Numbers(output.shallow_clone());
            layers.push(PassedLayer { pass, output });
        }

        let extra = self.dense_coordinates.as_ref().map_or(0, |made| made.image().size()[1]);
        let way_back = ConvWayBack { layers, pooling: self.pooling, extra };
        Some((self.pool(&maps), Box::new(way_back)))
    }
}

/// The way back through the convolutions.
struct ConvWayBack {
    layers: Vec<PassedLayer>,
    pooling: Pooling,
    /// Number of channels that were appended to the last output.
    extra: i64,
}

struct PassedLayer {
    pass: ConvPass,
    /// Output after the ReLU, `[N, H', W', C]`.
    output: Tensor,
}

impl WayBack for ConvWayBack {
    fn gradient(&self, of_maps: &Tensor) -> Result<Vec<Tensor>, NetworkError> {
        let last = self.layers.last().map(|layer| layer.output.size());
        let Some([_, height, width, channels]) = last.as_deref() else {
            unreachable!("the last convolution's output is [N, H, W, C]")
        };
        let of_last = self.pooling.gradient(of_maps, [channels + self.extra, *height, *width]);
        // A copy even where it would be stored that way already, to be changed in place.
        let mut gradient = channels_last(&of_last.f_narrow(1, 0, *channels)?).copy();

        let mut parameters = Vec::new();
        for (index, PassedLayer { pass, output }) in self.layers.iter().enumerate().rev() {
            stop_at_zeros(&gradient, output);
            let found = pass.gradient(&gradient, index > 0)?;
            parameters.push(found.parameters);
            if let Some(of_input) = found.input {
                gradient = of_input;
            }
        }
        Ok(parameters.into_iter().rev().flatten().collect())
    }
}

impl Torso for ConvTorso {
    fn forward(&self, obs: &Tensor) -> Tensor {
        self.features_of(&self.maps(obs)) // [N, 512]
    }

    fn stages(&self) -> Option<&dyn Stages> {
        Some(self)
    }

    fn features(&self) -> i64 {
        FEATURES
    }

    fn first_layer(&self, obs: &Tensor) -> Option<Tensor> {
        Some(self.convolutions.first()?.forward(&scale_pixels(obs)).relu_())
    }
}

pub(super) fn build_conv(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    Ok(Box::new(ConvTorso::build(scope, obs_shape, &ConvTorsoSpec::PUBLISHED)?))
}

pub(super) fn build_conv_gap(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    let spec = ConvTorsoSpec { pooling: Pooling::GlobalMean, ..ConvTorsoSpec::PUBLISHED };
    Ok(Box::new(ConvTorso::build(scope, obs_shape, &spec)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ChannelSource, ParamStore};
    use tch::{Device, Kind};

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
    fn coordinates_go_before_the_layers_that_the_position_names() {
        let inputs = |position| {
            let mut store = ParamStore::new(1, Device::Cpu);
            let spec = ConvTorsoSpec {
                coordinates: Some((CoordinateSpec::PAPER, position)),
                ..ConvTorsoSpec::PUBLISHED
            };
            ConvTorso::build(&mut ParamScope::new(&mut store), [4, 84, 84], &spec).unwrap();
            let weights = store.to_named().into_iter().filter(|(name, _)| name.ends_with("weight"));
            weights.map(|(_, values)| values.size()[1]).collect::<Vec<_>>()
        };

        assert_eq!(inputs(Position::FirstConvolution), [6, 32, 64, 3136]);
        assert_eq!(inputs(Position::EveryConvolution), [6, 34, 66, 3136]);
        assert_eq!(inputs(Position::LastConvolution), [4, 32, 66, 3136]);
        assert_eq!(inputs(Position::DenseLayer), [4, 32, 64, 3136 + 2 * 49]);
    }

    /// Images of 36 × 36 leave one window, and those with one channel are stored alike first and
    /// last: nothing is copied then where a copy is needed.
    #[test]
    fn the_way_back_is_that_of_autograd() {
        let dense = Some((CoordinateSpec::PAPER, Position::DenseLayer));
        for pooling in [Pooling::Flatten, Pooling::GlobalMean] {
            for (coordinates, [c, h, w]) in [
                (None, [1, 36, 36]),
                (dense, [1, 36, 36]),
                (None, [4, 44, 52]),
                (dense, [4, 44, 52]),
            ] {
                let mut store = ParamStore::new(1, Device::Cpu);
                let mut scope = ParamScope::new(&mut store);
                let spec = ConvTorsoSpec { coordinates, pooling };
                let torso = ConvTorso::build(&mut scope, [c, h, w], &spec).unwrap();
                let parameters = scope.into_leaves().unwrap();

                let shape = [3, c as i64, h as i64, w as i64];
                let obs = Tensor::randint(256, shape, (Kind::Uint8, Device::Cpu));
                let maps = torso.maps(&obs);
                let of_maps = maps.rand_like();
                let loss = (&maps * &of_maps).sum(Kind::Float);
                let expected = Tensor::run_backward(&[loss], &parameters, false, false);

                let (found, way_back) = tch::no_grad(|| torso.maps_and_way_back(&obs)).unwrap();
                assert!(found.allclose(&maps, 1e-5, 1e-6, false));
                let given = of_maps.copy();
                let found = way_back.gradient(&given).unwrap();
                assert_eq!(given, of_maps, "what was given is not changed");
                assert_eq!(found.len(), 6);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(found.allclose(expected, 1e-4, 1e-5, false), "{spec:?}");
                }
            }
        }
    }

    #[test]
    fn coordinates_before_the_dense_layer_are_a_second_bias() {
        for source in [ChannelSource::Coordinates, ChannelSource::Noise] {
            let spec = CoordinateSpec { source, ..CoordinateSpec::PAPER };
            let spec = ConvTorsoSpec {
                coordinates: Some((spec, Position::DenseLayer)),
                ..ConvTorsoSpec::PUBLISHED
            };
            let mut store = ParamStore::new(1, Device::Cpu);
            let torso =
                ConvTorso::build(&mut ParamScope::new(&mut store), [4, 44, 52], &spec).unwrap();
            let named = store.to_named();
            let get = |name: &str| named.iter().find(|(known, _)| known == name).unwrap().1.copy();

            // The same network with the coordinates' contribution moved into the bias.
            let mut plain_store = ParamStore::new(1, Device::Cpu);
            let plain = build_conv(&mut ParamScope::new(&mut plain_store), [4, 44, 52]).unwrap();
            let pixels = plain_store.to_named()[6].1.size()[1];
            let weight = get("torso.fc.weight");
            let channels = torso.dense_coordinates.as_ref().unwrap().image().reshape([-1]);
            let added = weight.narrow(1, pixels, channels.size()[0]).mv(&channels);
            let given = plain_store.to_named().into_iter().map(|(name, _)| match name.as_str() {
                "torso.fc.weight" => (name, weight.narrow(1, 0, pixels)),
                "torso.fc.bias" => (name, &added + get("torso.fc.bias")),
                _ => (name.clone(), get(&name)),
            });
            plain_store.load(&given.collect::<Vec<_>>()).unwrap();

            let obs = Tensor::randint(256, [3, 4, 44, 52], (Kind::Uint8, Device::Cpu));
            assert!(added.abs().max().double_value(&[]) > 0.01);
            assert!(
                torso.forward(&obs).allclose(&plain.forward(&obs), 1e-4, 1e-5, false),
                "{source:?}"
            );
        }
    }

    #[test]
    fn a_zero_start_before_the_dense_layer_is_the_published_network() {
        let spec = CoordinateSpec { start: CoordinateStart::Zeros, ..CoordinateSpec::PAPER };
        for pooling in [Pooling::Flatten, Pooling::GlobalMean] {
            let spec = ConvTorsoSpec { coordinates: Some((spec, Position::DenseLayer)), pooling };
            let mut store = ParamStore::new(1, Device::Cpu);
            ConvTorso::build(&mut ParamScope::new(&mut store), [4, 44, 52], &spec).unwrap();
            let (name, weight) = &store.to_named()[6];
            assert_eq!(name, "torso.fc.weight");
            let maps = if pooling == Pooling::Flatten { 2 * 3 } else { 1 };
            let pixels = weight.narrow(1, 0, 64 * maps);
            let coordinates = weight.narrow(1, 64 * maps, 2 * maps);
            assert_eq!(weight.size()[1], 66 * maps);
            assert_eq!(coordinates.abs().max().double_value(&[]), 0.0);
            assert!(pixels.abs().max().double_value(&[]) > 0.0);
        }
    }
}
