//! The generators of the authors' code (uber-research/CoordConv), layer by layer.

use coordrl_agents::nn::{Init, Mode, Padding, ParamScope};
use tch::Tensor;

use super::GanConfig;
use crate::StudyError;
use crate::adversary::{Discriminator, DoublingGenerator, Paints, channels};
use crate::blocks::{PixelConv, map_of, pixels_of};
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy, plain};
use crate::objects::scene::Scale;

/// Turns latent variables into pictures.
pub(super) enum Generator {
    /// A dense layer, then transposed convolutions with batch normalisation.
    Plain(DoublingGenerator),
    /// The latent variables tiled over the canvas, the layer under study, then windows of one pixel
    /// but for two looks around.
    Tiled {
        size: [i64; 2],
        first: Box<dyn Layer>,
        pixels: [PixelConv; 4],
        around: [Box<dyn Layer>; 2],
        last: PixelConv,
    },
}

/// Builds the discriminator, the same for both generators but for the layer under study.
pub(super) fn discriminator(
    scope: &mut ParamScope<'_>,
    layer: Option<UnderStudy>,
    scale: Scale,
    config: &GanConfig,
) -> Result<Discriminator, StudyError> {
    let layer = layer.filter(|_| config.discriminator_coordinates);
    let channels = channels(scale.side as i64, config.width.into());
    Discriminator::build(scope, layer, &channels, Init::GlorotUniform)
}

impl Generator {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        scale: Scale,
        config: &GanConfig,
    ) -> Result<Self, StudyError> {
        match layer {
            None => Self::plain(scope, scale, config),
            Some(layer) => Self::tiled(scope, layer, scale, config),
        }
    }

    fn plain(
        scope: &mut ParamScope<'_>,
        scale: Scale,
        config: &GanConfig,
    ) -> Result<Self, StudyError> {
        let mut channels = channels(scale.side as i64, config.width.into());
        channels.reverse();
        let glorot = Init::GlorotUniform;
        let latents = config.latents.into();
        Ok(Self::Plain(DoublingGenerator::build(scope, None, latents, &channels, glorot)?))
    }

    fn tiled(
        scope: &mut ParamScope<'_>,
        layer: UnderStudy,
        scale: Scale,
        config: &GanConfig,
    ) -> Result<Self, StudyError> {
        let width = i64::from(config.width);
        let size = [scale.side as i64; 2];
        let latents = config.latents.into();
        let first = LayerPlace::pointwise(LayerInput::Tiled, [latents, 8 * width], size);
        let around = LayerPlace {
            kernel: 3,
            padding: Padding::Same,
            ..LayerPlace::pointwise(LayerInput::Pictures, [width; 2], size)
        };
        let first = layer.build(scope, LayerPlace { name: "generator.layer1", ..first })?;
        let mut pixel = |name, channels_in, channels_out| {
            PixelConv::build(scope, name, channels_in * width, channels_out * width)
        };
        let pixels = [
            pixel("generator.layer2", 8, 4)?,
            pixel("generator.layer3", 4, 4)?,
            pixel("generator.layer4", 4, 2)?,
            pixel("generator.layer5", 2, 1)?,
        ];
        Ok(Self::Tiled {
            size,
            first,
            pixels,
            around: [
                plain(scope, LayerPlace { name: "generator.layer6", ..around })?,
                plain(scope, LayerPlace { name: "generator.layer7", ..around })?,
            ],
            last: PixelConv::build(scope, "generator.layer8", width, 3)?,
        })
    }

    /// Turns what it paints into pictures from 0 to 1.
    pub fn pictures(&self, made: &Tensor) -> Tensor {
        match self {
            Self::Plain(_) => (made + 1.0) / 2.0,
            Self::Tiled { .. } => (made.tanh() + 1.0) / 2.0,
        }
    }
}

impl Paints for Generator {
    /// The plain generator ends in a tanh. In the authors' code the discriminator sees the CoordConv
    /// generator's output before its tanh, which only saved pictures pass. It has to: shown what comes
    /// after it, a generator a quarter as wide saturated within a thousand steps.
    fn forward(&self, latents: &Tensor, mode: Mode) -> Tensor {
        match self {
            Self::Plain(plain) => plain.forward(latents, mode),
            Self::Tiled { size, first, pixels, around: [sixth, seventh], last } => {
                let map = first.forward_tiled(latents, *size).relu();
                let mut rows = pixels_of(&map);
                for layer in pixels {
                    rows = layer.forward(&rows).relu();
                }
                let map = sixth.forward(&map_of(&rows, &map)).relu();
                let map = seventh.forward(&map).relu();
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

    struct Built {
        discriminator: Discriminator,
        generator: Generator,
        named: Vec<(String, Tensor)>,
    }

    fn build(layer: &str, scale: Scale, config: &GanConfig) -> Built {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let layer = under_study(layer);
        let discriminator = discriminator(&mut scope, layer, scale, config).unwrap();
        let generator = Generator::build(&mut scope, layer, scale, config).unwrap();
        let leaves = scope.into_leaves().unwrap();
        let names = store.to_named().into_iter().map(|(name, _)| name);
        Built { discriminator, generator, named: names.zip(leaves).collect() }
    }

    #[test]
    fn the_published_networks_have_the_published_numbers_of_parameters() {
        let published = GanConfig { latents: 256, width: 64, canvas: 64, ..Default::default() };
        for (layer, generator, discriminator) in
            [("conv", 6_413_315, 4_316_545), ("coordconv", 444_931, 4_319_745)]
        {
            let built = build(layer, Scale::FULL, &published);
            let count = |part: &str| -> usize {
                let its = built.named.iter().filter(|(name, _)| name.starts_with(part));
                its.map(|(_, values)| values.numel()).sum()
            };
            assert_eq!((count("generator."), count("discriminator.")), (generator, discriminator));
        }
    }

    /// The first layer of tiled latent variables as if they were multiplied at every place.
    #[test]
    fn the_published_networks_take_the_published_multiply_adds() {
        let published = GanConfig { latents: 256, width: 64, canvas: 64, ..Default::default() };
        let places = |name: &str| {
            let layer = name.split('.').nth(1).unwrap();
            let number = layer.bytes().next_back().unwrap().wrapping_sub(b'0');
            let side = match layer.trim_end_matches(char::is_numeric) {
                "halve" => 64 >> number,
                "double" => 2 << number,
                "layer" => 64,
                _ => 1, // dense
            };
            side * side
        };
        for (layer, generator, discriminator) in
            [("conv", 164.3, 162.2), ("coordconv", 1816.9, 165.5)]
        {
            let Built { named, .. } = build(layer, Scale::FULL, &published);
            let (of_generator, others): (Vec<_>, Vec<_>) =
                named.into_iter().partition(|(name, _)| name.starts_with("generator."));
            assert_eq!(multiply_adds(&of_generator, places), generator);
            assert_eq!(multiply_adds(&others, places), discriminator);
        }
    }

    #[test]
    fn pictures_have_the_size_of_the_canvas_and_values_from_0_to_1() {
        let config = GanConfig { width: 2, ..Default::default() };
        for scale in [Scale::FULL, Scale::HALF] {
            let side = scale.side as i64;
            for layer in ["conv", "coordconv"] {
                let Built { discriminator, generator, .. } = build(layer, scale, &config);
                let latents = Tensor::rand([2, 64], (Kind::Float, Device::Cpu));
                let made = generator.forward(&latents, Mode::Train);
                assert_eq!(made.size(), [2, 3, side, side]);
                assert_eq!(discriminator.forward(&made, Mode::Train).size(), [2]);
                let pictures = generator.pictures(&made);
                let [least, most] = [pictures.min(), pictures.max()].map(|x| x.double_value(&[]));
                assert!((0.0..=1.0).contains(&least) && (0.0..=1.0).contains(&most));
            }
        }
    }

    /// Without coordinates, the generator of tiled latents knows no place: its picture is constant,
    /// but for the edge that the last windows see.
    #[test]
    fn a_generator_without_its_coordinates_paints_one_colour() {
        let config = GanConfig::default();
        let Built { generator, named, .. } = build("coordconv", Scale::HALF, &config);
        let latents = Tensor::rand([1, 64], (Kind::Float, Device::Cpu));
        let varies = || {
            let made = generator.forward(&latents, Mode::Evaluate);
            let inner = made.narrow(2, 2, 28).narrow(3, 2, 28).flatten(2, -1);
            inner.std_dim([-1i64].as_slice(), false, false).max().double_value(&[])
        };
        assert!(varies() > 1e-3);
        let (_, weight) = named.iter().find(|(name, _)| name == "generator.layer1.weight").unwrap();
        let _ = tch::no_grad(|| weight.narrow(1, 64, 2).zero_());
        assert!(varies() < 1e-6);
    }
}
