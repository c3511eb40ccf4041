//! The variational autoencoder, layer by layer. The paper does not publish its own: all sizes are
//! ours.

use coordrl_agents::nn::{Init, Linear, Padding, ParamScope};
use tch::Tensor;

use crate::StudyError;
use crate::blocks::{Double, PixelConv, map_of, pixels_of};
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy, plain, studied};
use crate::objects::scene::Scale;

/// Width of the dense layers next to the latent variables.
const DENSE: i64 = 256;
/// Channels and side of the map between dense layers and convolutions.
const MAP: [i64; 2] = [64, 4];
/// Window of the convolutions that halve a map, and of those that double it.
const WINDOW: i64 = 4;
/// Standard deviation of the encoding layer's first weights: encodings start out near the prior.
const ENCODING_DEVIATION: f64 = 0.01;

/// Encoder and decoder.
pub(super) struct Vae {
    halvings: Vec<Box<dyn Layer>>,
    features: Linear,
    encoding: Linear,
    decoder: Decoder,
    latents: i64,
}

/// A normal distribution per picture and latent variable, each `[N, Z]`.
pub(super) struct Encoding {
    pub mean: Tensor,
    pub log_variance: Tensor,
}

enum Decoder {
    /// Dense layers, then transposed convolutions.
    Plain { dense: [Linear; 2], doublings: Vec<Double> },
    /// The latent variables tiled over the canvas, the layer under study, then windows of one pixel
    /// but for a last look around.
    Tiled {
        size: [i64; 2],
        first: Box<dyn Layer>,
        before: [PixelConv; 2],
        around: Box<dyn Layer>,
        last: PixelConv,
    },
}

impl Vae {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        scale: Scale,
        latents: i64,
    ) -> Result<Self, StudyError> {
        let [map_channels, map_side] = MAP;
        let map_size = map_channels * map_side * map_side;
        let encoding = Init::Normal { deviation: ENCODING_DEVIATION };
        Ok(Self {
            halvings: halvings(scope, layer, scale)?,
            features: Linear::build(scope, "features", map_size, DENSE, Init::HeNormal)?,
            encoding: Linear::build(scope, "encoding", DENSE, 2 * latents, encoding)?,
            decoder: match layer {
                None => Decoder::plain(scope, scale, latents)?,
                Some(layer) => Decoder::tiled(scope, layer, scale, latents)?,
            },
            latents,
        })
    }

    /// Encodes pictures, `f32 [N, 3, H, H]`.
    pub fn encode(&self, pictures: &Tensor) -> Encoding {
        let mut map = self.halvings[0].forward(pictures).relu();
        for halving in &self.halvings[1..] {
            map = halving.forward(&map).relu();
        }
        let features = self.features.forward(&map.flatten(1, -1)).relu();
        let both = self.encoding.forward(&features); // [N, 2 · Z]
        Encoding {
            mean: both.narrow(1, 0, self.latents),
            log_variance: both.narrow(1, self.latents, self.latents),
        }
    }

    /// Decodes latent variables, `[N, Z]`, to logits of pictures, `[N, 3, H, H]`.
    pub fn decode(&self, latents: &Tensor) -> Tensor {
        self.decoder.forward(latents)
    }
}

/// Channels after each halving, down to a map of 4 × 4.
fn channels(scale: Scale) -> &'static [i64] {
    if scale == Scale::FULL { &[32, 32, 64, 64] } else { &[32, 64, 64] }
}

/// Builds the encoder's convolutions; the layer under study stands first.
fn halvings(
    scope: &mut ParamScope<'_>,
    layer: Option<UnderStudy>,
    scale: Scale,
) -> Result<Vec<Box<dyn Layer>>, StudyError> {
    const NAMES: [&str; 4] = ["encoder1", "encoder2", "encoder3", "encoder4"];
    let mut halvings = Vec::new();
    let mut channels_in = 3;
    let mut side = scale.side as i64;
    for (name, &channels_out) in NAMES.into_iter().zip(channels(scale)) {
        let channels = [channels_in, channels_out];
        let place = LayerPlace::halving(name, channels, side, WINDOW, Init::HeNormal);
        let here = if halvings.is_empty() { layer } else { None };
        halvings.push(studied(scope, here, place)?);
        (channels_in, side) = (channels_out, side / 2);
    }
    Ok(halvings)
}

impl Decoder {
    fn plain(scope: &mut ParamScope<'_>, scale: Scale, latents: i64) -> Result<Self, StudyError> {
        let [map_channels, map_side] = MAP;
        let map_size = map_channels * map_side * map_side;
        let dense = [
            Linear::build(scope, "dense1", latents, DENSE, Init::HeNormal)?,
            Linear::build(scope, "dense2", DENSE, map_size, Init::HeNormal)?,
        ];
        // The encoder's channels, backwards.
        let mut doublings = Vec::new();
        let mut channels_in = map_channels;
        let outputs = channels(scale).iter().rev().skip(1).copied().chain([3]);
        for (number, channels_out) in (1..).zip(outputs) {
            let name = format!("decoder{number}");
            let ends = [channels_in, channels_out];
            doublings.push(Double::build(scope, &name, ends, WINDOW, Init::HeNormal)?);
            channels_in = channels_out;
        }
        Ok(Self::Plain { dense, doublings })
    }

    fn tiled(
        scope: &mut ParamScope<'_>,
        layer: UnderStudy,
        scale: Scale,
        latents: i64,
    ) -> Result<Self, StudyError> {
        let size = [scale.side as i64; 2];
        let first = LayerPlace::pointwise(LayerInput::Tiled, [latents, 64], size);
        let around = LayerPlace {
            name: "decoder4",
            kernel: 3,
            padding: Padding::Same,
            ..LayerPlace::pointwise(LayerInput::Pictures, [32, 32], size)
        };
        Ok(Self::Tiled {
            size,
            first: layer.build(scope, LayerPlace { name: "decoder1", ..first })?,
            before: [
                PixelConv::build(scope, "decoder2", 64, 64)?,
                PixelConv::build(scope, "decoder3", 64, 32)?,
            ],
            around: plain(scope, around)?,
            last: PixelConv::build(scope, "decoder5", 32, 3)?,
        })
    }

    fn forward(&self, latents: &Tensor) -> Tensor {
        match self {
            Self::Plain { dense: [first, second], doublings } => {
                let [channels, side] = MAP;
                let features = second.forward(&first.forward(latents).relu()).relu();
                let mut map = features.view([-1, channels, side, side]);
                for (index, doubling) in doublings.iter().enumerate() {
                    map = doubling.forward(&if index == 0 { map } else { map.relu() });
                }
                map
            }
            Self::Tiled { size, first, before: [second, third], around, last } => {
                let map = first.forward_tiled(latents, *size).relu();
                let pixels = third.forward(&second.forward(&pixels_of(&map)).relu()).relu();
                let map = around.forward(&map_of(&pixels, &map)).relu();
                map_of(&last.forward(&pixels_of(&map)), &map)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{multiply_adds, under_study};
    use coordrl_agents::nn::ParamStore;
    use tch::{Device, Kind};

    /// Builds a network; returns its parameters by name too.
    fn build(layer: &str, scale: Scale) -> (Vae, Vec<(String, Tensor)>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let vae = Vae::build(&mut scope, under_study(layer), scale, 8).unwrap();
        let leaves = scope.into_leaves().unwrap();
        let names = store.to_named().into_iter().map(|(name, _)| name);
        (vae, names.zip(leaves).collect())
    }

    #[test]
    fn decoders_at_full_size_have_as_many_parameters_as_planned() {
        for (layer, expected) in [("conv", 381_827), ("coordconv", 16_291)] {
            let (_, named) = build(layer, Scale::FULL);
            let of_decoder = named
                .iter()
                .filter(|(name, _)| ["dense", "decoder"].iter().any(|part| name.starts_with(part)));
            assert_eq!(of_decoder.map(|(_, values)| values.numel()).sum::<usize>(), expected);
        }
    }

    #[test]
    fn networks_at_full_size_take_as_many_multiply_adds_as_planned() {
        let places = |layer: &str, name: &str| {
            let number = name.bytes().find(u8::is_ascii_digit).map_or(0, |digit| digit - b'0');
            let side = match name.trim_end_matches(".weight").trim_end_matches(char::is_numeric) {
                "encoder" => 64 >> number,
                "decoder" if layer == "conv" => 2 << number,
                "decoder" => 64,
                _ => 1, // dense
            };
            side * side
        };
        for (layer, encoder, decoder) in [("conv", 9.2, 9.2), ("coordconv", 10.2, 65.9)] {
            let (_, named) = build(layer, Scale::FULL);
            let of_encoder = |name: &str| name.starts_with("enc") || name.starts_with("features");
            let (encoders, decoders): (Vec<_>, Vec<_>) =
                named.into_iter().partition(|(name, _)| of_encoder(name));
            assert_eq!(multiply_adds(&encoders, |name| places(layer, name)), encoder);
            assert_eq!(multiply_adds(&decoders, |name| places(layer, name)), decoder);
        }
    }

    #[test]
    fn pictures_come_out_as_large_as_they_went_in() {
        for scale in [Scale::FULL, Scale::HALF] {
            let side = scale.side as i64;
            let pictures = Tensor::rand([2, 3, side, side], (Kind::Float, Device::Cpu));
            for layer in ["conv", "coordconv"] {
                let (vae, _) = build(layer, scale);
                let Encoding { mean, log_variance } = vae.encode(&pictures);
                assert_eq!((mean.size(), log_variance.size()), (vec![2, 8], vec![2, 8]));
                assert!(mean.abs().max().double_value(&[]) < 0.5, "near the prior at first");
                assert_eq!(vae.decode(&mean).size(), pictures.size());
            }
        }
    }

    /// Without coordinates, the decoder of tiled latents knows no place: its picture is constant,
    /// but for the edge that the last window sees.
    #[test]
    fn a_decoder_without_its_coordinates_paints_one_colour() {
        let (vae, named) = build("coordconv", Scale::HALF);
        let latents = Tensor::rand([1, 8], (Kind::Float, Device::Cpu));
        let varies = || {
            let inner = vae.decode(&latents).narrow(2, 1, 30).narrow(3, 1, 30);
            inner.flatten(2, -1).std_dim([-1i64].as_slice(), false, false).max().double_value(&[])
        };
        assert!(varies() > 1e-3);
        let (_, weight) = named.iter().find(|(name, _)| name == "decoder1.weight").unwrap();
        let _ = tch::no_grad(|| weight.narrow(1, 8, 2).zero_());
        assert!(varies() < 1e-6);
    }
}
