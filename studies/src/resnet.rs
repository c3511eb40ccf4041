//! Residual networks with the names and shapes of torchvision's, so that weights go both ways.

use coordrl_agents::nn::{
    BatchNorm, Init, Linear, Mode, NamedTensors, NetworkError, ParamScope, Radius,
};
use tch::Tensor;

use crate::StudyError;
use crate::blocks::BareConv;
use crate::layer::{Layer, LayerInput, LayerPlace, UnderStudy};

/// Channels that the layer under study adds up to: the paper's eight.
const COORD_CHANNELS: i64 = 8;
/// Name of the layer under study.
const COORD: &str = "coord";

/// Number of layers. Source: He et al. 2015 (arXiv:1512.03385), table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Blocks of two convolutions.
    Eighteen,
    /// Blocks of three convolutions.
    Fifty,
}

impl Depth {
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2, 2, 2, 2],
            Self::Fifty => [3, 4, 6, 3],
        }
    }

    /// Channels that leave a block, over those inside.
    fn expansion(self) -> i64 {
        match self {
            Self::Eighteen => 1,
            Self::Fifty => 4,
        }
    }
}

/// Size of a network.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Number of layers.
    pub depth: Depth,
    /// Channels after the first convolution: 64 in the published networks.
    pub width: i64,
    /// Height and width of the pictures.
    pub side: i64,
    /// Number of classes.
    pub classes: i64,
}

/// A residual network, with a layer under study before it or without.
pub struct ResNet {
    coord: Option<Box<dyn Layer>>,
    stem: Normed,
    blocks: Vec<Block>,
    last: Linear,
}

/// A convolution with batch normalisation.
struct Normed {
    conv: BareConv,
    norm: BatchNorm,
}

/// Convolutions beside a shortcut.
struct Block {
    layers: Vec<Normed>,
    /// Absent where input and output have the same shape.
    downsample: Option<Normed>,
}

/// Ends of a block: channels before, inside and after it, and its stride.
#[derive(Clone, Copy)]
struct BlockEnds {
    before: i64,
    inside: i64,
    after: i64,
    stride: i64,
}

impl ResNet {
    /// Builds it with torchvision's names. The layer under study, `coord`, is a convolution of one
    /// pixel and the paper's eight channels, with the radius as a third coordinate; the first three
    /// pass red, green and blue on at first.
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        size: Size,
    ) -> Result<Self, StudyError> {
        let Size { depth, width, side, classes } = size;
        let place = LayerPlace {
            name: COORD,
            init: Init::PassOn { channels: 3 },
            radius: Radius::With,
            ..LayerPlace::pointwise(LayerInput::Pictures, [3, COORD_CHANNELS], [side; 2])
        };
        let coord = layer.map(|layer| layer.build(scope, place)).transpose()?;
        let channels_in = if coord.is_some() { COORD_CHANNELS } else { 3 };
        let stem = Normed {
            conv: BareConv::build(scope, "conv1", [channels_in, width], 7, 2)?,
            norm: BatchNorm::build(scope, "bn1", width)?,
        };
        let mut blocks = Vec::new();
        let mut before = width;
        for (stage, count) in depth.blocks().into_iter().enumerate() {
            let inside = width << stage;
            let after = inside * depth.expansion();
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let name = format!("layer{}.{index}", stage + 1);
                let ends = BlockEnds { before, inside, after, stride };
                blocks.push(Block::build(scope, &name, depth, ends)?);
                before = after;
            }
        }
        let deviation = (1.0 / before as f64).sqrt();
        let last = Linear::build(scope, "fc", before, classes, Init::Normal { deviation })?;
        Ok(Self { coord, stem, blocks, last })
    }

    /// Maps pictures, normalised, `f32 [N, 3, H, H]`, to logits `[N, classes]`.
    pub fn forward(&self, pictures: &Tensor, mode: Mode) -> Tensor {
        let map = match &self.coord {
            Some(coord) => self.stem.forward(&coord.forward(pictures), mode),
            None => self.stem.forward(pictures, mode),
        };
        let mut map = map.relu().max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            map = block.forward(&map, mode);
        }
        let features = map.mean_dim([2i64, 3].as_slice(), false, map.kind()); // [N, F]
        self.last.forward(&features)
    }
}

/// Fits weights of a residual network to another one, whose own are given: PyTorch's counters of
/// batches are left out, and a network without the layer under study starts one with it at the same
/// logits. The layer passes red, green and blue on at first, so what the first convolution reads of
/// its other channels is set to 0.
pub fn fit_weights(weights: NamedTensors, own: &NamedTensors) -> NamedTensors {
    let has = |tensors: &NamedTensors, wanted: &str| tensors.iter().any(|(name, _)| name == wanted);
    let coord = format!("{COORD}.weight");
    let lacks_layer = has(own, &coord) && !has(&weights, &coord);
    let mut fitted = NamedTensors::new();
    for (name, tensor) in weights {
        let counter = name.ends_with(".num_batches_tracked");
        match name.as_str() {
            _ if counter => {}
            "conv1.weight" if lacks_layer => fitted.push((name, padded(&tensor))),
            _ => fitted.push((name, tensor)),
        }
    }
    if lacks_layer {
        let of_layer = own.iter().filter(|(name, _)| name.starts_with(&format!("{COORD}.")));
        fitted.extend(of_layer.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())));
    }
    fitted
}

/// Appends inputs of weight 0 to a convolution of three; any other stays, and is refused later.
fn padded(conv: &Tensor) -> Tensor {
    match conv.size()[..] {
        [_, 3, _, _] => conv.constant_pad_nd([0, 0, 0, 0, 0, COORD_CHANNELS - 3]),
        _ => conv.shallow_clone(),
    }
}

impl Normed {
    fn forward(&self, map: &Tensor, mode: Mode) -> Tensor {
        self.norm.forward(&self.conv.forward(map), mode)
    }
}

impl Block {
    /// The stride is on the convolution of 3 × 3, as in torchvision, not on the first one.
    fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        depth: Depth,
        ends: BlockEnds,
    ) -> Result<Self, NetworkError> {
        let BlockEnds { before, inside, after, stride } = ends;
        let convs: &[([i64; 2], i64, i64)] = match depth {
            Depth::Eighteen => &[([before, inside], 3, stride), ([inside, after], 3, 1)],
            Depth::Fifty => {
                &[([before, inside], 1, 1), ([inside, inside], 3, stride), ([inside, after], 1, 1)]
            }
        };
        let mut layers = Vec::new();
        for (number, &(channels, kernel, stride)) in (1..).zip(convs) {
            let conv =
                BareConv::build(scope, &format!("{name}.conv{number}"), channels, kernel, stride)?;
            let norm = BatchNorm::build(scope, &format!("{name}.bn{number}"), channels[1])?;
            layers.push(Normed { conv, norm });
        }
        let downsample = match before == after && stride == 1 {
            true => None,
            false => {
                let name = format!("{name}.downsample");
                let conv =
                    BareConv::build(scope, &format!("{name}.0"), [before, after], 1, stride)?;
                Some(Normed { conv, norm: BatchNorm::build(scope, &format!("{name}.1"), after)? })
            }
        };
        Ok(Self { layers, downsample })
    }

    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let mut map = self.layers[0].forward(input, mode);
        for layer in &self.layers[1..] {
            map = layer.forward(&map.relu(), mode);
        }
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(input, mode),
            None => input.shallow_clone(),
        };
        (map + shortcut).relu()
    }
}

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::ParamStore;
    use serde_json::Value;
    use tch::{Device, Kind, Reduction};

    use super::*;
    use crate::test_support::{assert_near, multiply_adds, noise, store_of_doubles, under_study};

    struct Built {
        network: ResNet,
        store: ParamStore,
        leaves: Vec<Tensor>,
    }

    fn build(layer: &str, size: Size) -> Built {
        let mut store = store_of_doubles();
        let mut scope = ParamScope::new(&mut store);
        let network = ResNet::build(&mut scope, under_study(layer), size).unwrap();
        let leaves = scope.into_leaves().unwrap();
        Built { network, store, leaves }
    }

    /// Overwrites the parameters as `golden/resnet.py` has them.
    fn fill(named: &NamedTensors, leaves: &[Tensor]) {
        for (index, ((name, _), leaf)) in named.iter().zip(leaves).enumerate() {
            let shape = leaf.size();
            let inputs = shape[1..].iter().product::<i64>() as f64;
            let (scale, centre) = match (name.as_str(), shape.len()) {
                ("fc.weight", _) => ((1.0 / inputs).sqrt(), 0.0),
                (_, 4) => ((2.0 / inputs).sqrt(), 0.0),
                (name, _) if name.ends_with("weight") => (0.5, 1.0),
                _ => (0.1, 0.0),
            };
            let values = noise(&shape, index as f64, scale).to_kind(Kind::Double) + centre;
            let rounded = values.to_kind(Kind::Float);
            tch::no_grad(|| leaf.shallow_clone().copy_(&rounded));
        }
    }

    fn blocks_of_colour() -> Tensor {
        let repeats = |pictures: &Tensor, axis| pictures.repeat_interleave_self_int(16, axis, None);
        let blocks = noise(&[6, 3, 4, 4], 0.0, 1.0).to_kind(Kind::Double);
        repeats(&repeats(&blocks, 2), 3)
    }

    #[test]
    fn a_step_equals_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../golden/resnet.json")).unwrap();
        const SHARE: f64 = 1e-5;
        for (depth, width, layer) in [
            (Depth::Eighteen, 2, "coordconv"),
            (Depth::Fifty, 2, "coordconv"),
            (Depth::Eighteen, 64, "conv"),
            (Depth::Fifty, 64, "conv"),
            (Depth::Fifty, 64, "coordconv"),
        ] {
            let size = Size { depth, width, side: 64, classes: 5 };
            let Built { network, store, leaves } = build(layer, size);
            let named = store.to_named();
            fill(&named, &leaves);
            let number = if depth == Depth::Fifty { 50 } else { 18 };
            let key = format!("{number} {width} {layer}");
            let golden = &golden[&key];
            assert_eq!(store.parameter_count(), golden["parameters"].as_u64().unwrap(), "{key}");

            let logits = network.forward(&blocks_of_colour(), Mode::Train);
            let classes = Tensor::from_slice(&[0i64, 1, 2, 3, 4, 0]);
            let loss =
                logits.cross_entropy_loss::<Tensor>(&classes, None, Reduction::Sum, -100, 0.0);
            let expected = golden["loss"].as_f64().unwrap();
            let found = loss.double_value(&[]);
            assert!((found - expected).abs() < SHARE * expected, "{key}: {found}, not {expected}");
            let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
            let norms = gradients.iter().map(|gradient| gradient.norm().double_value(&[]));
            let least = 0.01 * norms.fold(0.0, f64::max);
            for ((name, _), gradient) in named.iter().zip(&gradients) {
                assert_near([SHARE, least], gradient, &golden["gradients"][name], name);
            }
            for (name, value) in &store.to_named()[leaves.len()..] {
                assert_near([SHARE, 0.0], value, &golden["statistics"][name], name);
            }
        }
    }

    #[test]
    fn a_plain_network_starts_one_with_coordinates_at_the_same_logits() {
        let size = Size { depth: Depth::Fifty, width: 16, side: 64, classes: 5 };
        let [plain, mut with] = ["conv", "coordconv"].map(|layer| build(layer, size));
        fill(&plain.store.to_named(), &plain.leaves);
        // As PyTorch saves it.
        let mut weights = plain.store.to_named();
        weights.push(("bn1.num_batches_tracked".to_owned(), Tensor::from_slice(&[7i64])));
        with.store.load(&fit_weights(weights, &with.store.to_named())).unwrap();
        let logits = |built: &Built| built.network.forward(&blocks_of_colour(), Mode::Evaluate);
        let [of_plain, of_with] = [&plain, &with].map(logits);
        assert!(of_plain.allclose(&of_with, 1e-5, 1e-5, false), "{of_plain:?} {of_with:?}");
        // And a network with the layer takes its own as they are.
        let own = with.store.to_named();
        assert_eq!(
            fit_weights(own.iter().map(|(n, t)| (n.clone(), t.copy())).collect(), &own),
            own
        );
    }

    /// The published 4.089 G of ResNet-50, and 0.199 G that CoordConv adds.
    #[test]
    fn published_networks_take_the_published_multiply_adds() {
        for (layer, expected) in [("conv", 4089.2), ("coordconv", 4288.3)] {
            let size = Size { depth: Depth::Fifty, width: 64, side: 224, classes: 1000 };
            let Built { store, leaves, .. } = build(layer, size);
            let names = store.to_named().into_iter().map(|(name, _)| name);
            let places = |name: &str| {
                let side = match name.split('.').collect::<Vec<_>>()[..] {
                    [COORD, ..] => 224,
                    ["conv1", ..] => 112,
                    // The stride is on the second convolution of a stage's first block.
                    ["layer1", "0", "conv1", ..] => 56,
                    [stage, "0", "conv1", ..] => 112 >> (stage.as_bytes()[5] - b'1'),
                    [stage, ..] if stage.starts_with("layer") => 56 >> (stage.as_bytes()[5] - b'1'),
                    _ => 1,
                };
                side * side
            };
            assert_eq!(multiply_adds(&names.zip(leaves).collect::<Vec<_>>(), places), expected);
        }
    }

    #[test]
    fn published_networks_have_the_published_numbers_of_parameters() {
        for (layer, count) in [("conv", 25_557_032), ("coordconv", 25_572_768)] {
            let size = Size { depth: Depth::Fifty, width: 64, side: 224, classes: 1000 };
            let mut store = ParamStore::new(1, Device::Cpu);
            let mut scope = ParamScope::new(&mut store);
            ResNet::build(&mut scope, under_study(layer), size).unwrap();
            assert_eq!(store.parameter_count(), count);
        }
    }
}
