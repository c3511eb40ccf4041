//! The torso trait (pixels to features) and the registry of torsos.

use coordrl_envs::suggest::{LOOSE, nearest};
use tch::Tensor;

use super::brightness::build_brightness;
use super::conv_torso::{build_conv, build_conv_gap};
use super::coord_conv::{
    build_coord_conv, build_coord_conv_all, build_coord_conv_all_r, build_coord_conv_gap,
    build_coord_conv_r, build_coord_conv_scaled, build_coord_conv_shuffled, build_coord_conv_tap,
    build_coord_conv_zero, build_noise_conv,
};
use super::impala::{
    build_coord_conv_impala, build_coord_conv_impala_gap, build_impala, build_impala_gap,
};
use super::{Linear, NetworkError, ParamScope};

/// Maps observations to features.
pub trait Torso: Send {
    /// Maps `obs`, `u8 [N, C, H, W]` as produced by the environments, to `f32 [N, F]`.
    ///
    /// Scaling to [0, 1] happens here and nowhere else. No feature is negative: a torso ends in a
    /// ReLU, so that a feature that is 0 on every row counts as dead in the metrics.
    fn forward(&self, obs: &Tensor) -> Tensor;

    /// Returns the number of features, F.
    fn features(&self) -> i64;

    /// Returns the torso in two stages if it has them; `None`, the default, is always right.
    ///
    /// A torso with stages learns faster on policy: see [`Stages`].
    fn stages(&self) -> Option<&dyn Stages> {
        None
    }

    /// Returns the first layer's output, after its activation if any: `f32 [N, K, H', W']`. For
    /// visualisation; `None` if the torso has no such layer.
    fn first_layer(&self, _obs: &Tensor) -> Option<Tensor> {
        None
    }
}

/// A torso in two stages: [`Torso::forward`] is [`Stages::features_of`] applied to
/// [`Stages::maps`].
///
/// An on-policy learner differentiates rows that it has just evaluated, with the same weights, in
/// order to act. From acting it keeps the maps with the way back through them, an autograd graph or
/// [`Stages::maps_and_way_back`], and the features. The convolutions are gone back through step by
/// step, the dense layer, which has most of the parameters, for all steps at once.
///
/// The first stage must treat every row alone: it may see the rows of one step, or of all.
pub trait Stages {
    /// Maps `obs`, `u8 [N, C, H, W]`, to the inputs of the dense layer, `f32 [N, M]`.
    fn maps(&self, obs: &Tensor) -> Tensor;

    /// Returns the dense layer from maps to features, which a ReLU follows.
    fn dense(&self) -> &Linear;

    /// Computes [`Stages::maps`] with a way back that is faster than autograd's, for observations on
    /// a CPU that do not change meanwhile; called without a graph. `None`, the default, is always
    /// right.
    fn maps_and_way_back(&self, _obs: &Tensor) -> Option<(Tensor, Box<dyn WayBack>)> {
        None
    }

    /// Maps the first stage's output, `f32 [N, M]`, to features, `f32 [N, F]`.
    fn features_of(&self, maps: &Tensor) -> Tensor {
        self.dense().forward(maps).relu_()
    }
}

/// The way back through a torso's first stage.
pub trait WayBack: Send {
    /// Goes back from the gradient of the maps, `f32 [N, M]`, to those of the first stage's
    /// parameters. These must be the first of the network's, in the order in which the torso's builder
    /// asked for them; gradients come in that order, in the parameters' shapes.
    fn gradient(&self, of_maps: &Tensor) -> Result<Vec<Tensor>, NetworkError>;
}

/// Torso as its builder returns it.
pub type BuiltTorso = Result<Box<dyn Torso>, NetworkError>;

/// Builds a torso for observations of shape `[C, H, W]`.
pub type BuildTorso = fn(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> BuiltTorso;

/// A torso selectable by name.
///
/// To train with a custom torso, pass a custom entry: the registry only lists the names available
/// on the command line.
#[derive(Clone, Copy, Debug)]
pub struct TorsoEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Builder function.
    pub build: BuildTorso,
}

/// Registry: a new torso is one file in this folder and one line here.
const TORSOS: &[TorsoEntry] = &[
    entry("conv", "three convolutions and a dense layer (Mnih et al. 2015)", build_conv),
    entry("coordconv", "conv, with coordinates before the first convolution", build_coord_conv),
    entry("coordconv-all", "conv, with coordinates before each convolution", build_coord_conv_all),
    entry("coordconv-r", "coordconv, with the radius as a third coordinate", build_coord_conv_r),
    entry("coordconv-all-r", "coordconv-all, with the radius too", build_coord_conv_all_r),
    entry("coordconv-scaled", "coordconv, with coordinates × 1/8", build_coord_conv_scaled),
    entry(
        "coordconv-tap",
        "coordconv, with one weight per coordinate and filter",
        build_coord_conv_tap,
    ),
    entry(
        "coordconv-zero",
        "coordconv, with initial coordinate weights of 0",
        build_coord_conv_zero,
    ),
    entry(
        "noiseconv",
        "a control: fixed noise in place of coordconv's coordinates",
        build_noise_conv,
    ),
    entry(
        "coordconv-shuffled",
        "a control: coordconv's coordinates, places shuffled",
        build_coord_conv_shuffled,
    ),
    entry("conv-gap", "conv, with global average pooling before the dense layer", build_conv_gap),
    entry(
        "coordconv-gap",
        "conv-gap, with coordinates before the first convolution",
        build_coord_conv_gap,
    ),
    entry("impala", "three sections of residual blocks (Espeholt et al. 2018)", build_impala),
    entry("coordconv-impala", "impala, with coordinates first", build_coord_conv_impala),
    entry(
        "impala-gap",
        "impala, with global average pooling before the dense layer",
        build_impala_gap,
    ),
    entry(
        "coordconv-impala-gap",
        "impala-gap, with coordinates first",
        build_coord_conv_impala_gap,
    ),
    entry(
        "brightness",
        "a control that sees how bright the screen is, not where",
        build_brightness,
    ),
];

const fn entry(name: &'static str, summary: &'static str, build: BuildTorso) -> TorsoEntry {
    TorsoEntry { name, summary, build }
}

/// Returns all registered torsos.
pub fn torsos() -> &'static [TorsoEntry] {
    TORSOS
}

/// Returns the torso named `name`.
///
/// # Errors
/// [`NetworkError::UnknownTorso`], with the nearest name.
pub fn find_torso(name: &str) -> Result<&'static TorsoEntry, NetworkError> {
    TORSOS.iter().find(|torso| torso.name == name).ok_or_else(|| NetworkError::UnknownTorso {
        name: name.to_owned(),
        nearest: nearest(name, TORSOS.iter().map(|torso| torso.name), LOOSE).map(str::to_owned),
        known: TORSOS.iter().map(|torso| torso.name.to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ParamStore;
    use tch::{Device, Kind};

    #[test]
    fn every_torso_gives_its_features_for_square_and_oblong_observations() {
        for torso in torsos() {
            for [c, h, w] in [[4, 84, 84], [1, 36, 50], [3, 64, 40]] {
                let mut store = ParamStore::new(1, Device::Cpu);
                let mut scope = ParamScope::new(&mut store);
                let built = (torso.build)(&mut scope, [c, h, w]).unwrap();
                let size = [2, c as i64, h as i64, w as i64];
                let obs = Tensor::randint(256, size, (Kind::Uint8, Device::Cpu));
                let features = built.forward(&obs);
                assert_eq!(features.size(), [2, built.features()], "{} {size:?}", torso.name);
                assert!(features.min().double_value(&[]) >= 0.0, "{}", torso.name);
            }
        }
    }

    #[test]
    fn observations_too_small_are_refused_at_the_door() {
        for torso in torsos() {
            let Some(missing) = (1..84).take_while(|&width| build(torso, width).is_err()).last()
            else {
                continue; // accepts any size
            };
            let error = build(torso, missing).unwrap_err().to_string();
            let given = format!("84×{missing}");
            let least = missing + 1;
            assert!(
                error.contains(&given) && error.contains(&format!("{least}×{least}")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_least_sizes_are_those_of_the_published_networks() {
        for (name, least) in [
            ("conv", 36),
            ("coordconv", 36),
            ("conv-gap", 36),
            ("coordconv-gap", 36),
            ("impala", 8),
            ("coordconv-impala", 8),
            ("impala-gap", 8),
        ] {
            let torso = find_torso(name).unwrap();
            assert!(build(torso, least).is_ok() && build(torso, least - 1).is_err(), "{name}");
        }
    }

    fn build(torso: &TorsoEntry, width: usize) -> Result<(), NetworkError> {
        let mut store = ParamStore::new(1, Device::Cpu);
        (torso.build)(&mut ParamScope::new(&mut store), [4, 84, width]).map(drop)
    }

    #[test]
    fn an_unknown_name_meets_the_nearest_and_the_list() {
        let error = find_torso("coord-conv").unwrap_err().to_string();
        assert!(error.contains("did you mean `coordconv`"), "{error}");
        assert!(error.contains("conv, coordconv, coordconv-all, coordconv-r"), "{error}");
        let error = find_torso("xyz").unwrap_err().to_string();
        assert!(error.starts_with("no torso `xyz`; there are"), "{error}");
        assert_eq!(find_torso("conv").unwrap().name, "conv");
    }
}
