//! A generator of transposed convolutions.

use coordrl_agents::nn::{BatchNorm, Init, Linear, Mode, ParamScope};
use tch::Tensor;

use super::MAP_SIDE;
use crate::StudyError;
use crate::layer::{Layer, LayerPlace, UnderStudy, studied};

/// Window of the convolutions that double a map.
const WINDOW: i64 = 5;

/// A dense layer, then transposed convolutions, each after batch normalisation and a ReLU. Source:
/// Radford et al. 2015 (arXiv:1511.06434).
pub(crate) struct DoublingGenerator {
    dense: Linear,
    channels: i64,
    norms: Vec<BatchNorm>,
    doublings: Vec<Box<dyn Layer>>,
}

impl DoublingGenerator {
    /// Builds it for maps of these channels from 4 × 4 on, each twice as high and wide as the one
    /// before, with the layer under study at every doubling if there is one.
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        latents: i64,
        channels: &[i64],
        init: Init,
    ) -> Result<Self, StudyError> {
        const NAMES: [&str; 4] =
            ["generator.double1", "generator.double2", "generator.double3", "generator.double4"];
        let size = channels[0] * MAP_SIDE * MAP_SIDE;
        let dense = Linear::build(scope, "generator.dense", latents, size, init)?;
        let mut norms = Vec::new();
        for (number, &channels) in (1..).zip(channels) {
            norms.push(BatchNorm::build(scope, &format!("generator.norm{number}"), channels)?);
        }
        let mut doublings = Vec::new();
        let after = channels[1..].iter().copied().chain([3]);
        let mut side = MAP_SIDE;
        for (name, (&before, after)) in NAMES.into_iter().zip(channels.iter().zip(after)) {
            let halving = LayerPlace::halving(name, [before, after], side, WINDOW, init);
            let place = LayerPlace { transposed: true, ..halving };
            doublings.push(studied(scope, layer, place)?);
            side *= 2;
        }
        Ok(Self { dense, channels: channels[0], norms, doublings })
    }

    /// Maps latent variables, `[N, Z]`, to pictures from −1 to 1, `[N, 3, H, H]`.
    pub fn forward(&self, latents: &Tensor, mode: Mode) -> Tensor {
        let mut map = self.dense.forward(latents).view([-1, self.channels, MAP_SIDE, MAP_SIDE]);
        for (norm, doubling) in self.norms.iter().zip(&self.doublings) {
            map = doubling.forward(&norm.forward(&map, mode).relu());
        }
        map.tanh()
    }
}
