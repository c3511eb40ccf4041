//! The networks of the three tasks, following the authors' released code (uber-research/CoordConv).
//!
//! Differences from that code, none of which changes results: pictures are `[N, C, H, W]` by name
//! and channels last in memory; TensorFlow's "same" padding is explicit.

mod deconv;
mod pointwise;
mod read;
mod render;

use coordrl_agents::nn::{Conv, ConvSpec, Init, Mode, NetworkError, Padding, ParamScope, Window};
use tch::{Device, Kind, Tensor};

use crate::data::{CANVAS, Split};
use crate::layer::{BuildLayer, Layer, LayerShape, LayerStart};
use crate::{LayerKind, StudyConfig, StudyError, StudyLayer, Task};

/// Height and width of the canvas.
const SIDE: i64 = CANVAS as i64;

/// Interface of every network of a study.
pub(crate) trait StudyNetwork: Send {
    /// Painting tasks: `f32 [N, 2]`, x and y in pixels → logits `[N, 4096]`. Regression: pictures
    /// `f32 [N, 1, 64, 64]` → (x, y) / 64, `[N, 2]`.
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor;

    /// Runs [`Self::forward`] and also returns the intermediate map, if the network has one.
    fn forward_with_map(&self, input: &Tensor, mode: Mode) -> (Tensor, Option<FirstMap>) {
        (self.forward(input, mode), None)
    }

    /// Splitting of a batch on a CPU.
    fn row_split(&self) -> RowSplit;
}

/// The map between the two stages of a renderer.
pub(crate) struct FirstMap {
    /// Its logits over all pixels, `[N, 4096]`.
    pub logits: Tensor,
    /// Required contents of the map.
    pub holds: MapHolds,
}

/// Required contents of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapHolds {
    /// The centre: the second stage's windows reach around it.
    Centre,
    /// The square: the second stage sees one pixel at a time.
    Square,
}

/// Splitting of a batch into passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowSplit {
    /// No splitting while training: rows depend on each other. Evaluated in passes of this many
    /// rows.
    Whole(usize),
    /// Passes of at most this many rows, whose activations then stay in a core's cache.
    Rows(usize),
}

impl RowSplit {
    /// Rows per pass while training.
    pub fn train_rows(self) -> usize {
        match self {
            Self::Whole(_) => usize::MAX,
            Self::Rows(rows) => rows,
        }
    }

    /// Rows per pass while evaluating.
    pub fn evaluate_rows(self) -> usize {
        match self {
            Self::Whole(rows) | Self::Rows(rows) => rows,
        }
    }
}

/// Everything that determines a network's parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkSpec<'a> {
    pub task: Task,
    pub split: Split,
    pub layer: &'a StudyLayer,
    pub config: &'a StudyConfig,
}

/// The layer under study.
#[derive(Clone, Copy, Debug)]
struct UnderStudy {
    build: BuildLayer,
    start: LayerStart,
    amplitude: f64,
}

type Built = Result<Box<dyn StudyNetwork>, StudyError>;

/// Builds the task's network for this layer.
pub(crate) fn build(spec: NetworkSpec<'_>, scope: &mut ParamScope<'_>) -> Built {
    let NetworkSpec { task, split, layer, config } = spec;
    let mul = i64::from(config.channel_mul);
    let filter = i64::from(config.filter_size);
    let under_study = |build| UnderStudy {
        build,
        start: config.layer_start,
        amplitude: config.coordinate_amplitude,
    };

    match (task, layer.kind) {
        (Task::Classify | Task::Render, LayerKind::Baseline) => {
            Ok(Box::new(deconv::Deconv::build(scope, mul, filter)?))
        }
        (Task::Classify, LayerKind::InPlace(build)) => {
            Ok(Box::new(pointwise::Pointwise::build(scope, under_study(build), mul)?))
        }
        (Task::Render, LayerKind::InPlace(build)) => {
            let stages = render::Stages { mul, filter, map_scale: config.map_scale };
            Ok(Box::new(render::Render::build(scope, under_study(build), stages)?))
        }
        (Task::Regress, LayerKind::Baseline) => match split {
            Split::Uniform => Ok(Box::new(read::ConvDense::build(scope, mul)?)),
            Split::Quadrant => Ok(Box::new(read::ConvMean::build(scope, mul)?)),
        },
        (Task::Regress, LayerKind::InPlace(build)) => {
            Ok(Box::new(read::CoordMax::build(scope, under_study(build))?))
        }
    }
}

/// Builds the layer under study and tests it once, since a custom one may not fit.
fn build_layer(
    scope: &mut ParamScope<'_>,
    under_study: UnderStudy,
    task: Task,
    [channels_in, channels_out]: [i64; 2],
) -> Result<Box<dyn Layer>, StudyError> {
    let UnderStudy { build, start, amplitude } = under_study;
    let shape =
        LayerShape { channels_in, channels_out, height: SIDE, width: SIDE, start, amplitude };
    let layer = build(scope, shape)?;
    let zeros = |shape: &[i64]| scope.constant(Tensor::zeros(shape, (Kind::Float, Device::Cpu)));
    // A custom layer may get one of its two methods wrong, so try the one that the task will use.
    let made = if task.paints() {
        layer.forward_tiled(&zeros(&[1, channels_in])?, [SIDE, SIDE])
    } else {
        layer.forward(&zeros(&[1, channels_in, SIDE, SIDE])?)
    };

    let found = made.size();
    let expected = vec![1, channels_out, SIDE, SIDE];
    if found == expected { Ok(layer) } else { Err(StudyError::LayerShape { found, expected }) }
}

/// Builds a padded convolution with Keras's initialisation, without coordinates.
fn conv(
    scope: &mut ParamScope<'_>,
    name: &str,
    channels_in: i64,
    window: Window,
) -> Result<Conv, NetworkError> {
    let spec = ConvSpec { window, padding: Padding::Same, init: Init::HeNormal };
    Conv::build_with(scope, name, channels_in, spec, None)
}

/// Builds a square window.
fn window(channels_out: i64, kernel: i64, stride: i64) -> Window {
    Window { channels_out, kernel, stride }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_layer;
    use coordrl_agents::nn::ParamStore;

    fn build_on(store: &mut ParamStore, spec: NetworkSpec<'_>) -> Box<dyn StudyNetwork> {
        build(spec, &mut ParamScope::new(store)).unwrap()
    }

    fn count(task: Task, split: Split, layer: &str, channel_mul: u32, filter_size: u32) -> u64 {
        let layer = find_layer(layer).unwrap();
        let config =
            StudyConfig { channel_mul, filter_size, ..StudyConfig::recipe(task, layer, split) };
        let mut store = ParamStore::new(1, Device::Cpu);
        build_on(&mut store, NetworkSpec { task, split, layer, config: &config });
        store.parameter_count()
    }

    #[test]
    fn networks_have_as_many_parameters_as_the_published_ones() {
        let uniform = Split::Uniform;
        assert_eq!(count(Task::Classify, uniform, "coordconv", 1, 3), 7_553);
        assert_eq!(count(Task::Classify, uniform, "coordconv", 2, 3), 29_441);
        assert_eq!(count(Task::Render, uniform, "coordconv", 1, 1), 8_074);
        assert_eq!(count(Task::Render, uniform, "coordconv", 1, 3), 11_850);
        assert_eq!(count(Task::Render, uniform, "coordconv", 2, 1), 9_490);
        assert_eq!(count(Task::Render, uniform, "coordconv", 2, 3), 24_210);
        assert_eq!(count(Task::Regress, uniform, "coordconv", 1, 3), 906);
        assert_eq!(count(Task::Regress, Split::Quadrant, "coordconv", 1, 3), 906);
        for (mul, uniform, quadrant) in [(1, 72_850, 12_914), (2, 159_330, 49_890)] {
            assert_eq!(count(Task::Regress, Split::Uniform, "conv", mul, 3), uniform);
            assert_eq!(count(Task::Regress, Split::Quadrant, "conv", mul, 3), quadrant);
        }

        let deconv = [
            (1, [46_465, 103_585, 183_553]),
            (2, [183_041, 409_921, 727_553]),
            (3, [409_729, 919_009, 1_632_001]),
        ];
        for (mul, by_filter) in deconv {
            for (filter, expected) in (2..).zip(by_filter) {
                assert_eq!(count(Task::Classify, uniform, "conv", mul, filter), expected);
                assert_eq!(count(Task::Render, uniform, "conv", mul, filter), expected);
            }
        }
    }

    #[test]
    fn shapes_and_cuts_agree() {
        tch::set_num_threads(1); // the pictures are small, and other tests run beside this one
        for (task, split, layer) in combinations() {
            for filter_size in [1, 2, 3] {
                let layer = find_layer(layer).unwrap();
                let config = StudyConfig { filter_size, ..StudyConfig::recipe(task, layer, split) };
                let mut store = ParamStore::new(1, Device::Cpu);
                let network =
                    build_on(&mut store, NetworkSpec { task, split, layer, config: &config });
                let (shape, outputs) =
                    if task.paints() { (vec![3, 2], 4096) } else { (vec![3, 1, 64, 64], 2) };
                let input = Tensor::rand(&shape[..], (Kind::Float, Device::Cpu));
                let whole = network.forward(&input, Mode::Evaluate);
                assert_eq!(whole.size(), [3, outputs], "{task} {layer:?} {filter_size}");
                let part = network.forward(&input.narrow(0, 1, 1), Mode::Evaluate);
                assert!(
                    part.allclose(&whole.narrow(0, 1, 1), 1e-4, 1e-5, false),
                    "{task} {layer:?}"
                );
            }
        }
    }

    fn combinations() -> impl Iterator<Item = (Task, Split, &'static str)> {
        Task::ALL.into_iter().flat_map(|task| {
            let layers = ["conv", "coordconv"].into_iter();
            layers.flat_map(move |layer| Split::ALL.map(|split| (task, split, layer)))
        })
    }
}
