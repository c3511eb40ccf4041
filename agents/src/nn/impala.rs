//! The larger residual torso of Espeholt et al. 2018 (IMPALA), with and without coordinates.
//!
//! Source: arXiv:1802.01561, figure 3 (right), without the recurrent part.

use tch::Tensor;

use super::{
    BuiltTorso, Conv, ConvSpec, Coordinates, Init, Linear, NetworkError, Padding, ParamScope,
    Pooling, Radius, Stages, Torso, Window, scale_pixels,
};

/// Output channels of the three sections.
const SECTIONS: [i64; 3] = [16, 32, 32];
const BLOCKS_PER_SECTION: usize = 2;
const FEATURES: i64 = 256;
/// Smallest height and width that all three poolings can still halve.
const LEAST_SIZE: usize = 8;

/// Three sections, a ReLU, a dense layer and a final ReLU. Each section is a convolution, a pooling
/// that halves the image and two residual blocks. All windows are 3×3 with padding.
#[derive(Debug)]
struct ImpalaTorso {
    sections: Vec<Section>,
    pooling: Pooling,
    fc: Linear,
}

#[derive(Debug)]
struct Section {
    conv: Conv,
    blocks: Vec<Block>,
}

/// Residual block: x + conv(relu(conv(relu(x)))).
#[derive(Debug)]
struct Block {
    conv1: Conv,
    conv2: Conv,
}

impl ImpalaTorso {
    /// Builds the torso. `coordinates`, of the observations' size, are inserted before the first
    /// convolution.
    fn build(
        scope: &mut ParamScope<'_>,
        [channels, height, width]: [usize; 3],
        mut coordinates: Option<Coordinates>,
        pooling: Pooling,
    ) -> Result<Self, NetworkError> {
        if height.min(width) < LEAST_SIZE {
            return Err(NetworkError::ObsTooSmall { height, width, least: LEAST_SIZE });
        }

        let mut c = channels as i64;
        let mut h = height as i64;
        let mut w = width as i64;
        let mut sections = Vec::new();
        for (index, channels_out) in SECTIONS.into_iter().enumerate() {
            let name = format!("torso.section{}", index + 1);
            // `take` leaves no coordinates for the later sections.
            sections.push(Section::build(scope, &name, [c, channels_out], coordinates.take())?);
            (c, h, w) = (channels_out, halved(h), halved(w));
        }

        let fc =
            Linear::build(scope, "torso.fc", pooling.inputs(c, h, w), FEATURES, Init::BEFORE_RELU)?;
        Ok(Self { sections, pooling, fc })
    }
}

impl Section {
    fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        [channels_in, channels]: [i64; 2],
        coordinates: Option<Coordinates>,
    ) -> Result<Self, NetworkError> {
        let spec = conv_spec(channels);
        let conv =
            Conv::build_with(scope, &format!("{name}.conv"), channels_in, spec, coordinates)?;
        let blocks = (1..=BLOCKS_PER_SECTION)
            .map(|index| Block::build(scope, &format!("{name}.block{index}"), channels))
            .collect::<Result<_, _>>()?;
        Ok(Self { conv, blocks })
    }

    /// Maps `[N, in, H, W]` to `[N, out, H / 2, W / 2]`, rounded up.
    fn forward(&self, maps: &Tensor) -> Tensor {
        let pooled = halve(&self.conv.forward(maps)); // [N, out, H / 2, W / 2]
        self.blocks.iter().fold(pooled, |seen, block| block.forward(&seen))
    }
}

impl Block {
    fn build(scope: &mut ParamScope<'_>, name: &str, channels: i64) -> Result<Self, NetworkError> {
        Ok(Self {
            conv1: Self::build_conv(scope, &format!("{name}.conv1"), channels)?,
            conv2: Self::build_conv(scope, &format!("{name}.conv2"), channels)?,
        })
    }

    /// Builds a convolution that keeps the number of channels.
    fn build_conv(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels: i64,
    ) -> Result<Conv, NetworkError> {
        Conv::build_with(scope, name, channels, conv_spec(channels), None)
    }

    /// Maps `[N, C, H, W]` to the same shape.
    fn forward(&self, maps: &Tensor) -> Tensor {
        // The first ReLU is not in place, because the sum needs the block's input unchanged.
        maps + self.conv2.forward(&self.conv1.forward(&maps.relu()).relu_())
    }
}

impl Stages for ImpalaTorso {
    fn maps(&self, obs: &Tensor) -> Tensor {
        let maps =
            self.sections.iter().fold(scale_pixels(obs), |seen, section| section.forward(&seen));
        // The last block ends in a sum without an activation, hence the ReLU before the dense
        // layer.
        self.pooling.apply(&maps.relu()) // [N, M]
    }

    fn dense(&self) -> &Linear {
        &self.fc
    }
}

impl Torso for ImpalaTorso {
    fn forward(&self, obs: &Tensor) -> Tensor {
        self.features_of(&self.maps(obs)) // [N, 256]
    }

    fn stages(&self) -> Option<&dyn Stages> {
        Some(self)
    }

    fn features(&self) -> i64 {
        FEATURES
    }

    fn first_layer(&self, obs: &Tensor) -> Option<Tensor> {
        Some(self.sections.first()?.conv.forward(&scale_pixels(obs)))
    }
}

fn conv_spec(channels_out: i64) -> ConvSpec {
    let window = Window { channels_out, kernel: 3, stride: 1 };
    ConvSpec { window, padding: Padding::Same, init: Init::BEFORE_RELU }
}

/// Max-pools 3×3 windows with stride 2, the first centred on the first pixel.
///
/// The authors' TensorFlow code pads even sides at the end only, which shifts the windows by one
/// pixel; this follows the PyTorch versions of the network.
fn halve(maps: &Tensor) -> Tensor {
    maps.max_pool2d(3, 2, 1, 1, false)
}

/// Returns the length of a side after [`halve`].
fn halved(size: i64) -> i64 {
    (size + 1) / 2
}

pub(super) fn build_impala(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    Ok(Box::new(ImpalaTorso::build(scope, obs_shape, None, Pooling::Flatten)?))
}

pub(super) fn build_coord_conv_impala(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    let coordinates = Some(coordinates_for(obs_shape));
    Ok(Box::new(ImpalaTorso::build(scope, obs_shape, coordinates, Pooling::Flatten)?))
}

pub(super) fn build_impala_gap(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    Ok(Box::new(ImpalaTorso::build(scope, obs_shape, None, Pooling::GlobalMean)?))
}

pub(super) fn build_coord_conv_impala_gap(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    let coordinates = Some(coordinates_for(obs_shape));
    Ok(Box::new(ImpalaTorso::build(scope, obs_shape, coordinates, Pooling::GlobalMean)?))
}

fn coordinates_for([_, height, width]: [usize; 3]) -> Coordinates {
    Coordinates::new(height as i64, width as i64, Radius::Without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ParamStore, find_torso};
    use tch::{Device, Kind};

    fn build(name: &str, obs_shape: [usize; 3]) -> (ParamStore, Box<dyn Torso>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let torso =
            (find_torso(name).unwrap().build)(&mut ParamScope::new(&mut store), obs_shape).unwrap();
        (store, torso)
    }

    #[test]
    fn parameters_counted_by_hand() {
        // 3×3 windows and one bias per output channel.
        let conv =
            |channels_in: u64, channels_out: u64| channels_out * channels_in * 9 + channels_out;
        let sections =
            conv(4, 16) + 4 * conv(16, 16) + conv(16, 32) + 4 * conv(32, 32) + 5 * conv(32, 32);
        let dense = 32 * 11 * 11 * 256 + 256; // 84 → 42 → 21 → 11
        assert_eq!(sections + dense, 1_089_232);
        assert_eq!(build("impala", [4, 84, 84]).0.parameter_count(), 1_089_232);
        let coordinates = 16 * 2 * 9;
        assert_eq!(
            build("coordconv-impala", [4, 84, 84]).0.parameter_count(),
            1_089_232 + coordinates
        );
    }

    #[test]
    fn parameters_are_named_by_section_and_block() {
        let names: Vec<String> =
            build("impala", [4, 84, 84]).0.to_named().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 2 * (3 * 5 + 1));
        for name in [
            "torso.section1.conv.weight",
            "torso.section2.block1.conv2.bias",
            "torso.section3.block2.conv1.weight",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        assert_eq!(names[30..], ["torso.fc.weight", "torso.fc.bias"]);
    }

    /// Recomputes the whole network with libtorch functions, channels-first.
    fn written_out(store: &ParamStore, obs: &Tensor, coordinates: Option<Tensor>) -> Tensor {
        let named = store.to_named();
        let get = |name: String| &named.iter().find(|(known, _)| *known == name).expect(&name).1;
        let conv = |x: &Tensor, name: String| {
            x.conv2d(get(format!("{name}.weight")), Some(get(format!("{name}.bias"))), 1, 1, 1, 1)
        };

        let mut x = obs.to_kind(Kind::Float) / 255;
        if let Some(coordinates) = coordinates {
            let rows = x.size()[0];
            x = Tensor::cat(&[x, coordinates.unsqueeze(0).expand([rows, -1, -1, -1], false)], 1);
        }

        for section in (1..=3).map(|index| format!("torso.section{index}")) {
            x = conv(&x, format!("{section}.conv")).max_pool2d(3, 2, 1, 1, false);
            for block in (1..=2).map(|index| format!("{section}.block{index}")) {
                let inner = conv(&x.relu(), format!("{block}.conv1")).relu();
                x += conv(&inner, format!("{block}.conv2"));
            }
        }

        let flat = x.relu().contiguous().flatten(1, -1);
        flat.linear(get("torso.fc.weight".into()), Some(get("torso.fc.bias".into()))).relu()
    }

    #[test]
    fn the_network_is_that_of_the_figure() {
        let shape = [3, 21, 34]; // odd and even sides
        let obs = Tensor::randint(256, [2, 3, 21, 34], (Kind::Uint8, Device::Cpu));
        let coordinates = crate::nn::coordinate_channels(21, 34, Radius::Without);
        for (name, coordinates) in [("impala", None), ("coordconv-impala", Some(coordinates))] {
            let (store, torso) = build(name, shape);
            let found = tch::no_grad(|| torso.forward(&obs));
            let expected = written_out(&store, &obs, coordinates);
            assert!(found.max().double_value(&[]) > 0.0);
            assert!(found.allclose(&expected, 1e-4, 1e-4, false), "{name}");
        }
    }

    #[test]
    fn the_twins_agree_when_coordinate_weights_are_zero() {
        let obs = Tensor::randint(256, [2, 4, 40, 36], (Kind::Uint8, Device::Cpu));
        let (_, plain) = build("impala", [4, 40, 36]);
        let (mut store, torso) = build("coordconv-impala", [4, 40, 36]);
        let plain_weights = build("impala", [4, 40, 36]).0.to_named();
        let mut weights = store.to_named();
        assert_eq!(weights[0].1.size(), [16, 6, 3, 3]);
        let zeros = Tensor::zeros([16, 2, 3, 3], (Kind::Float, Device::Cpu));
        weights[0].1 = Tensor::cat(&[&plain_weights[0].1, &zeros], 1);
        store.load(&weights).unwrap();
        let (plain, found) = tch::no_grad(|| (plain.forward(&obs), torso.forward(&obs)));
        assert!(found.allclose(&plain, 1e-5, 1e-5, false));
    }
}
