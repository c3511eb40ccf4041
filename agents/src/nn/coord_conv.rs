//! Variants of the convolutional torso with coordinate channels or controls in their place.
//!
//! Each is a function with its settings and one entry in the registry.

use super::conv_torso::FIRST_KERNEL;
use super::{
    BuiltTorso, ChannelSource, ConvTorso, ConvTorsoSpec, CoordinateSpec, CoordinateStart,
    ParamScope, Pooling, Position, Radius, Taps,
};

const PAPER: CoordinateSpec = CoordinateSpec::PAPER;
const WITH_RADIUS: CoordinateSpec = CoordinateSpec { radius: Radius::With, ..PAPER };

fn build(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
    spec: CoordinateSpec,
    position: Position,
    pooling: Pooling,
) -> BuiltTorso {
    let spec = ConvTorsoSpec { coordinates: Some((spec, position)), pooling };
    Ok(Box::new(ConvTorso::build(scope, obs_shape, &spec)?))
}

/// Adds coordinates before the first convolution; otherwise as published.
fn build_first(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
    spec: CoordinateSpec,
) -> BuiltTorso {
    build(scope, obs_shape, spec, Position::FirstConvolution, Pooling::Flatten)
}

fn build_every(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
    spec: CoordinateSpec,
) -> BuiltTorso {
    build(scope, obs_shape, spec, Position::EveryConvolution, Pooling::Flatten)
}

/// The paper's layer, comparable with results in other papers.
pub(super) fn build_coord_conv(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    build_first(scope, obs_shape, PAPER)
}

pub(super) fn build_coord_conv_all(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_every(scope, obs_shape, PAPER)
}

pub(super) fn build_coord_conv_r(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    build_first(scope, obs_shape, WITH_RADIUS)
}

pub(super) fn build_coord_conv_all_r(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_every(scope, obs_shape, WITH_RADIUS)
}

/// Amplitude 1 / kernel. Initial weights are those of `coordconv`; only the channels are scaled.
pub(super) fn build_coord_conv_scaled(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_first(scope, obs_shape, CoordinateSpec { amplitude: 1.0 / FIRST_KERNEL as f64, ..PAPER })
}

/// One weight per coordinate and filter, at full amplitude. The image weights have the shape and
/// the initial values of `conv`.
pub(super) fn build_coord_conv_tap(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_first(scope, obs_shape, CoordinateSpec { taps: Taps::Centre, ..PAPER })
}

/// Initial coordinate weights are zero; the image weights are those of `coordconv`.
pub(super) fn build_coord_conv_zero(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_first(scope, obs_shape, CoordinateSpec { start: CoordinateStart::Zeros, ..PAPER })
}

/// A control: two constant channels, like coordinates, but without spatial correlation.
pub(super) fn build_noise_conv(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso {
    build_first(scope, obs_shape, CoordinateSpec { source: ChannelSource::Noise, ..PAPER })
}

/// A control: the values of `coordconv` at permuted positions.
pub(super) fn build_coord_conv_shuffled(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build_first(scope, obs_shape, CoordinateSpec { source: ChannelSource::Shuffled, ..PAPER })
}

pub(super) fn build_coord_conv_gap(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> BuiltTorso {
    build(scope, obs_shape, PAPER, Position::FirstConvolution, Pooling::GlobalMean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NamedTensors, ParamStore, Torso, coordinate_channels, find_torso};
    use tch::{Device, Kind, Tensor};

    /// Leaves 2×3 positions after the last convolution.
    const OBS_SHAPE: [usize; 3] = [4, 44, 52];

    fn build(name: &str) -> (ParamStore, Box<dyn Torso>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let torso =
            (find_torso(name).unwrap().build)(&mut ParamScope::new(&mut store), OBS_SHAPE).unwrap();
        (store, torso)
    }

    fn weights(name: &str) -> NamedTensors {
        build(name).0.to_named()
    }

    fn get<'a>(weights: &'a NamedTensors, name: &str) -> &'a Tensor {
        &weights.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn observations() -> Tensor {
        Tensor::randint(256, [2, 4, 44, 52], (Kind::Uint8, Device::Cpu))
    }

    #[test]
    fn a_torso_whose_coordinate_weights_are_zero_is_its_plain_twin() {
        let obs = observations();
        let twins = [
            ("conv", "coordconv"),
            ("conv", "coordconv-r"),
            ("conv", "coordconv-all"),
            ("conv", "coordconv-all-r"),
            ("conv", "coordconv-scaled"),
            ("conv", "coordconv-tap"),
            ("conv", "coordconv-zero"),
            ("conv", "noiseconv"),
            ("conv", "coordconv-shuffled"),
            ("conv-gap", "coordconv-gap"),
        ];
        for (plain, name) in twins {
            let (plain_store, plain_torso) = build(plain);
            let plain_weights = plain_store.to_named();
            let (mut store, torso) = build(name);
            let fill = |(name, values): (String, Tensor)| {
                let filled = match plain_weights.iter().find(|(known, _)| *known == name) {
                    None if name.ends_with("coordinate_weight") => values.zeros_like(),
                    None => values, // the channels
                    Some((_, plain)) if plain.size() == values.size() => plain.shallow_clone(),
                    Some((_, plain)) => {
                        let filled = values.zeros_like();
                        filled.narrow(1, 0, plain.size()[1]).copy_(plain);
                        filled.shallow_clone()
                    }
                };
                (name, filled)
            };
            let filled: NamedTensors = store.to_named().into_iter().map(fill).collect();
            store.load(&filled).unwrap();
            let (expected, found) =
                tch::no_grad(|| (plain_torso.forward(&obs), torso.forward(&obs)));
            assert!(expected.max().double_value(&[]) > 0.0);
            assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{name}");
        }
    }

    #[test]
    fn a_zero_start_is_a_convolution_with_the_same_pixel_weights() {
        let (zero_store, zero) = build("coordconv-zero");
        let (mut plain_store, plain) = build("conv");
        let mut plain_weights = plain_store.to_named();
        let pixels = get(&zero_store.to_named(), "torso.conv1.weight").narrow(1, 0, 4);
        assert_ne!(plain_weights[0].1, pixels);
        plain_weights[0].1 = pixels;
        plain_store.load(&plain_weights).unwrap();
        let obs = observations();
        let (found, expected) = tch::no_grad(|| (zero.forward(&obs), plain.forward(&obs)));
        assert!(found.allclose(&expected, 1e-5, 1e-6, false));
    }

    #[test]
    fn initial_weights_are_shared_wherever_shapes_are() {
        let coordconv = weights("coordconv");
        for name in ["coordconv-scaled", "noiseconv", "coordconv-shuffled"] {
            let found = weights(name);
            assert_eq!(found[..coordconv.len()], coordconv[..], "{name}");
            assert_eq!(found[coordconv.len()].0, "torso.conv1.channels", "{name}");
        }

        let pixels = |weights: &NamedTensors| get(weights, "torso.conv1.weight").narrow(1, 0, 4);
        assert_eq!(pixels(&weights("coordconv-zero")), pixels(&coordconv));
        assert_eq!(pixels(&weights("coordconv-tap")), pixels(&weights("conv")));
        let gap = weights("coordconv-gap");
        let without_dense = 6;
        assert_eq!(gap[..without_dense], coordconv[..without_dense]);
    }

    #[test]
    fn scaled_channels_are_an_eighth_of_the_coordinates() {
        let found = weights("coordconv-scaled");
        let expected = coordinate_channels(44, 52, Radius::Without) / 8.0;
        assert_eq!(*get(&found, "torso.conv1.channels"), expected);
    }

    #[test]
    fn channels_are_saved_but_not_counted_as_parameters() {
        let count = |name| build(name).0.parameter_count();
        for name in ["coordconv-scaled", "coordconv-zero", "noiseconv", "coordconv-shuffled"] {
            assert_eq!(count(name), count("coordconv"), "{name}");
        }
        assert_eq!(count("coordconv"), count("conv") + 32 * 2 * 64);
        assert_eq!(count("coordconv-tap"), count("conv") + 32 * 2);
        assert_eq!(count("conv-gap"), count("conv") - 512 * 64 * (2 * 3 - 1));
    }
}
