//! A discriminator of strided convolutions.

use coordrl_agents::nn::{BatchNorm, Init, Linear, Mode, ParamScope};
use tch::Tensor;

use super::MAP_SIDE;
use crate::StudyError;
use crate::layer::{Layer, LayerPlace, UnderStudy, plain, studied};

/// Window of the convolutions that halve a map.
const WINDOW: i64 = 5;
/// Slope of the activations below 0.
const LEAK: f64 = 0.2;

/// Classifies pictures as those of the data or as the generator's.
pub(crate) struct Discriminator {
    halvings: Vec<Box<dyn Layer>>,
    /// Of all halvings but the first.
    norms: Vec<BatchNorm>,
    last: Linear,
}

impl Discriminator {
    /// Builds it for maps of these channels down to 4 × 4, each half as high and wide as the one
    /// before, with the layer under study at the first halving if there is one.
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        channels: &[i64],
        init: Init,
    ) -> Result<Self, StudyError> {
        const NAMES: [&str; 4] = [
            "discriminator.halve1",
            "discriminator.halve2",
            "discriminator.halve3",
            "discriminator.halve4",
        ];
        let mut halvings: Vec<Box<dyn Layer>> = Vec::new();
        let mut norms = Vec::new();
        let mut channels_in = 3;
        let mut side = MAP_SIDE << channels.len();
        for (name, &channels_out) in NAMES.into_iter().zip(channels) {
            let place = LayerPlace::halving(name, [channels_in, channels_out], side, WINDOW, init);
            if halvings.is_empty() {
                halvings.push(studied(scope, layer, place)?);
            } else {
                halvings.push(plain(scope, place)?);
                norms.push(BatchNorm::build(scope, &format!("{name}.norm"), channels_out)?);
            }
            (channels_in, side) = (channels_out, side / 2);
        }
        let size = channels_in * MAP_SIDE * MAP_SIDE;
        let last = Linear::build(scope, "discriminator.last", size, 1, init)?;
        Ok(Self { halvings, norms, last })
    }

    /// Judges pictures from −1 to 1, `[N, 3, H, H]`: logits of being of the data, `[N]`.
    pub fn forward(&self, pictures: &Tensor, mode: Mode) -> Tensor {
        let mut map = leaky(&self.halvings[0].forward(pictures));
        for (halving, norm) in self.halvings[1..].iter().zip(&self.norms) {
            map = leaky(&norm.forward(&halving.forward(&map), mode));
        }
        self.last.forward(&map.flatten(1, -1)).squeeze_dim(1)
    }
}

fn leaky(map: &Tensor) -> Tensor {
    map.maximum(&(map * LEAK))
}
