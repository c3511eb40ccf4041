//! The channels that a CoordConv appends to its input, and their settings.
//!
//! Source: Liu et al. 2018 (arXiv:1807.03247). Order as in the authors' code: the image channels,
//! then xx (varies along the columns), then yy (varies along the rows), then the optional radius.

use coordrl_envs::rng::Rng;
use rand::Rng as _;
use tch::Tensor;

use super::init::uniform;
use super::{NetworkError, ParamScope};

/// Settings of a layer's coordinate channels. The default is the paper's layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoordinateSpec {
    /// Presence of the radius as a third channel.
    pub radius: Radius,
    /// Content of the channels.
    pub source: ChannelSource,
    /// Interval spanned by xx and yy before the amplitude is applied.
    pub range: CoordinateRange,
    /// Factor on the channels. RMSProp and Adam change each weight by about the learning rate
    /// regardless of its gradient. All k² taps of a window see nearly the same coordinate and so
    /// move together, which changes the coordinates' contribution up to k² times as fast as a bias;
    /// a smaller amplitude slows it.
    pub amplitude: f64,
    /// Number of weights per coordinate channel and filter.
    pub taps: Taps,
    /// Initial values of those weights.
    pub start: CoordinateStart,
}

impl CoordinateSpec {
    /// The paper's layer: xx and yy in [−1, 1], one weight per tap, initialised like the other
    /// weights.
    pub const PAPER: Self = Self {
        radius: Radius::Without,
        source: ChannelSource::Coordinates,
        range: CoordinateRange::Symmetric,
        amplitude: 1.0,
        taps: Taps::Window,
        start: CoordinateStart::Drawn,
    };

    /// Returns the number of channels, K.
    pub fn channels(&self) -> i64 {
        match self.radius {
            Radius::Without => 2,
            Radius::With => 3,
        }
    }

    /// Returns `true` if the names and shapes of the weights determine the channels. All others are
    /// saved with the weights.
    fn is_implied_by_the_weights(&self) -> bool {
        let plain = (ChannelSource::Coordinates, CoordinateRange::Symmetric);
        (self.source, self.range) == plain && self.amplitude == 1.0
    }

    /// Computes the channels, `f32 [K, H, W]`. Random draws come from `rng`.
    fn values(&self, height: i64, width: i64, rng: &mut Rng) -> Tensor {
        let channels = match self.source {
            ChannelSource::Coordinates => coordinate_channels(height, width, self.radius),
            ChannelSource::Shuffled => {
                let places = permutation((height * width) as usize, rng);
                let channels = coordinate_channels(height, width, self.radius).flatten(1, -1);
                channels.index_select(1, &Tensor::from_slice(&places)).view([-1, height, width])
            }
            ChannelSource::Noise => noise(self.channels(), height, width, rng),
        }; // [K, H, W]

        let ranged = match self.range {
            CoordinateRange::Symmetric => channels,
            CoordinateRange::Unit => self.in_unit_range(&channels),
        };

        ranged * self.amplitude
    }

    fn in_unit_range(&self, channels: &Tensor) -> Tensor {
        let halved = channels * 0.5;
        // A radius is a distance, so only its scale changes.
        let moved = if self.source == ChannelSource::Noise { self.channels() } else { 2 };
        // In place on a view, so that the sum lands in `halved`.
        let _ = halved.narrow(0, 0, moved).g_add_scalar_(0.5);
        halved
    }
}

impl Default for CoordinateSpec {
    fn default() -> Self {
        Self::PAPER
    }
}

/// Presence of the radius √(xx² + yy²) as a third coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radius {
    /// xx and yy only.
    Without,
    /// xx, yy and r.
    With,
}

/// Content of the channels: coordinates, or a control in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSource {
    /// Coordinates.
    Coordinates,
    /// A control: uniform draws from [−1, 1], one per channel and position.
    Noise,
    /// A control: the coordinates of other positions. One permutation moves all channels together,
    /// so every position keeps a unique coordinate vector.
    Shuffled,
}

/// Interval spanned by xx and yy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateRange {
    /// [−1, 1].
    Symmetric,
    /// [0, 1]: half the distances, centred on ½. The radius is halved.
    Unit,
}

/// Number of weights per coordinate channel and filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taps {
    /// One per window position, as for the image channels.
    Window,
    /// One: the coordinates of the window's centre, weighted by a 1×1 convolution and added to the
    /// window's output. An even window uses the upper left of its four central positions: row and
    /// column (k − 1) / 2, rounded down, counted from 0.
    Centre,
}

/// Initial values of the coordinate weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateStart {
    /// Drawn like the layer's other weights.
    Drawn,
    /// Zero: the layer starts as a convolution without coordinates.
    Zeros,
}

/// Settings and size of the coordinate channels of a layer to be built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// Settings.
    pub spec: CoordinateSpec,
    /// Height of the layer's input.
    pub height: i64,
    /// Width of the layer's input.
    pub width: i64,
}

impl Coordinates {
    /// Creates the paper's coordinates for images of `height` × `width`, with or without the
    /// radius.
    pub fn new(height: i64, width: i64, radius: Radius) -> Self {
        Self::with_spec(height, width, CoordinateSpec { radius, ..CoordinateSpec::PAPER })
    }

    /// Creates coordinates with custom settings.
    pub fn with_spec(height: i64, width: i64, spec: CoordinateSpec) -> Self {
        Self { spec, height, width }
    }

    /// Returns the number of channels, K.
    pub fn channels(&self) -> i64 {
        self.spec.channels()
    }
}

/// Coordinate channels on the parameters' device.
#[derive(Debug)]
pub struct CoordinateChannels {
    /// `[1, K, H, W]`.
    values: Tensor,
}

impl CoordinateChannels {
    /// Builds the channels of layer `layer`.
    ///
    /// The paper's coordinates are determined by the image size. All others (scaled, drawn or
    /// shuffled) are the buffer `{layer}.channels`, `[K, H, W]`, saved with the weights so that a
    /// network loading them computes the same result whatever its seed. Draws are derived from the
    /// store's seed and the buffer's name, and stay fixed for the whole run.
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: &str,
        Coordinates { spec, height, width }: Coordinates,
    ) -> Result<Self, NetworkError> {
        if spec.is_implied_by_the_weights() {
            let channels = coordinate_channels(height, width, spec.radius); // [K, H, W]
            // Channels-last in memory, like the images.
            let rows = channels.permute([1, 2, 0]).contiguous().unsqueeze(0); // [1, H, W, K]
            return Ok(Self { values: scope.constant(rows)?.permute([0, 3, 1, 2]) });
        }
        let shape = [spec.channels(), height, width];
        let channels = scope.drawn_buffer(&format!("{layer}.channels"), &shape, |rng| {
            spec.values(height, width, rng)
        })?;
        Ok(Self { values: channels.unsqueeze(0) })
    }

    /// Returns the channels alone, `[1, K, H, W]`.
    pub fn image(&self) -> &Tensor {
        &self.values
    }

    /// Appends the channels: `[N, C, H, W]` → `[N, C + K, H, W]`, channels-last in memory.
    ///
    /// This is the *definition* of a CoordConv; [`Conv`](super::Conv) computes the same result at
    /// lower cost.
    pub fn append_to(&self, images: &Tensor) -> Tensor {
        let rows = images.permute([0, 2, 3, 1]); // [N, H, W, C]
        let channels =
            self.values.permute([0, 2, 3, 1]).expand([rows.size()[0], -1, -1, -1], false);
        Tensor::cat(&[rows, channels], 3).permute([0, 3, 1, 2]) // [N, C + K, H, W]
    }

    /// Samples every `stride`-th position starting at `first`, `count` per side: `[1, K, …]`.
    pub(super) fn sampled(&self, first: [i64; 2], count: [i64; 2], stride: i64) -> Self {
        // One past the last sample, because `slice` excludes its end.
        let end = [0, 1].map(|side: usize| first[side] + (count[side] - 1) * stride + 1);
        let rows = self.values.slice(2, first[0], end[0], stride);
        Self { values: rows.slice(3, first[1], end[1], stride) }
    }
}

/// Computes coordinates in [−1, 1], both ends included: xx = 2·column/(W − 1) − 1, yy = 2·row/(H −
/// 1) − 1, r = √(xx² + yy²), between 0 and √2. The coordinate is 0 along a side of one pixel.
///
/// The authors' code divides by the *other* side's size, which is equal for the square images of
/// their experiments; their printed listing measures r from (0.5, 0.5), apparently a slip.
///
/// # Shapes
/// - result: `f32 [2, H, W]`, or `[3, H, W]` with the radius
pub fn coordinate_channels(height: i64, width: i64, radius: Radius) -> Tensor {
    let shape = [height, width];
    let xx = axis(width).view([1, width]).expand(shape, false); // [H, W]
    let yy = axis(height).view([height, 1]).expand(shape, false); // [H, W]
    let mut channels = vec![xx.shallow_clone(), yy.shallow_clone()];
    if radius == Radius::With {
        channels.push((xx.square() + yy.square()).sqrt());
    }
    Tensor::stack(&channels, 0) // [K, H, W]
}

fn axis(size: i64) -> Tensor {
    let last = (size - 1) as f64;
    let values: Vec<f32> = (0..size)
        .map(|index| if size == 1 { 0.0 } else { (index as f64 / last * 2.0 - 1.0) as f32 })
        .collect();
    Tensor::from_slice(&values)
}

/// Draws uniformly from [−1, 1), `[channels, height, width]`.
fn noise(channels: i64, height: i64, width: i64, rng: &mut Rng) -> Tensor {
    let count = channels * height * width;
    let values: Vec<f32> = (0..count).map(|_| (2.0 * uniform(rng) - 1.0) as f32).collect();
    Tensor::from_slice(&values).view([channels, height, width])
}

/// Draws a uniformly random permutation of 0, …, `count` − 1 (Fisher and Yates).
fn permutation(count: usize, rng: &mut Rng) -> Vec<i64> {
    let mut places: Vec<i64> = (0..count as i64).collect();
    for last in (1..count).rev() {
        // The modulo bias of 64 random bits is negligible for a few thousand positions.
        places.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ParamStore;
    use tch::{Device, Kind};

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        (0..tensor.size()[0]).map(|i| Vec::try_from(tensor.get(i)).unwrap()).collect()
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    /// Builds the channels of layer `c` with this seed; returns the store and `[K, H, W]`.
    fn build(seed: u64, spec: CoordinateSpec, height: i64, width: i64) -> (ParamStore, Tensor) {
        let mut store = ParamStore::new(seed, Device::Cpu);
        let coordinates = Coordinates::with_spec(height, width, spec);
        let channels =
            CoordinateChannels::build(&mut ParamScope::new(&mut store), "c", coordinates);
        (store, channels.unwrap().image().squeeze_dim(0))
    }

    fn of_source(source: ChannelSource) -> CoordinateSpec {
        CoordinateSpec { source, ..CoordinateSpec::PAPER }
    }

    #[test]
    fn channels_are_the_coordinates_written_out() {
        let channels = coordinate_channels(3, 5, Radius::With);
        assert_eq!(channels.size(), [3, 3, 5]);
        assert_eq!(rows(&channels.get(0)), [[-1.0, -0.5, 0.0, 0.5, 1.0]; 3]); // by column
        assert_eq!(rows(&channels.get(1)), [[-1.0; 5], [0.0; 5], [1.0; 5]]); // by row
        let a = 2f32.sqrt();
        let b = 1.25f32.sqrt();
        let expected = [[a, b, 1.0, b, a], [1.0, 0.5, 0.0, 0.5, 1.0], [a, b, 1.0, b, a]];
        assert_eq!(rows(&channels.get(2)), expected);
        assert_eq!(coordinate_channels(3, 5, Radius::Without), channels.narrow(0, 0, 2));
    }

    #[test]
    fn one_pixel_has_coordinate_zero() {
        assert_eq!(numbers(&coordinate_channels(1, 1, Radius::With)), [0.0; 3]);
        let wide = coordinate_channels(1, 2, Radius::With);
        assert_eq!(numbers(&wide), [-1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn channels_go_after_those_of_every_picture() {
        let images = Tensor::rand([2, 4, 3, 5], (Kind::Float, Device::Cpu));
        let mut store = ParamStore::new(1, Device::Cpu);
        let coordinates = Coordinates::new(3, 5, Radius::Without);
        let channels =
            CoordinateChannels::build(&mut ParamScope::new(&mut store), "c", coordinates).unwrap();
        let appended = channels.append_to(&images);
        assert_eq!(appended.size(), [2, 6, 3, 5]);
        assert_eq!(appended.narrow(1, 0, 4), images);
        for n in 0..2 {
            let tail = appended.get(n).narrow(0, 4, 2);
            assert_eq!(tail, coordinate_channels(3, 5, Radius::Without));
        }

        assert_eq!(appended.stride()[1], 1); // still channels-last
    }

    #[test]
    fn amplitude_and_range_are_applied_to_every_channel() {
        let plain = coordinate_channels(3, 5, Radius::With);
        let spec = CoordinateSpec { radius: Radius::With, ..CoordinateSpec::PAPER };

        let scaled = build(1, CoordinateSpec { amplitude: 0.125, ..spec }, 3, 5).1;
        assert_eq!(scaled, &plain * 0.125);

        let unit = build(1, CoordinateSpec { range: CoordinateRange::Unit, ..spec }, 3, 5).1;
        assert_eq!(rows(&unit.get(0)), [[0.0, 0.25, 0.5, 0.75, 1.0]; 3]);
        assert_eq!(rows(&unit.get(1)), [[0.0; 5], [0.5; 5], [1.0; 5]]);
        assert_eq!(unit.get(2), plain.get(2) * 0.5);
    }

    #[test]
    fn only_channels_that_the_weights_do_not_imply_are_saved() {
        let saved = |spec| build(1, spec, 3, 5).0.to_named();
        let paper = CoordinateSpec::PAPER;
        assert!(saved(paper).is_empty());
        assert!(saved(CoordinateSpec { start: CoordinateStart::Zeros, ..paper }).is_empty());
        for spec in [
            CoordinateSpec { amplitude: 0.5, ..paper },
            CoordinateSpec { range: CoordinateRange::Unit, ..paper },
            of_source(ChannelSource::Noise),
            of_source(ChannelSource::Shuffled),
        ] {
            let named = saved(spec);
            assert_eq!(
                (named[0].0.as_str(), named[0].1.size()),
                ("c.channels", vec![2, 3, 5]),
                "{spec:?}"
            );
        }
    }

    #[test]
    fn noise_is_spread_over_its_interval_and_follows_seed_and_name() {
        let draw = |seed| build(seed, of_source(ChannelSource::Noise), 40, 50).1;
        let found = draw(1);
        assert!(found.min().double_value(&[]) >= -1.0 && found.max().double_value(&[]) <= 1.0);
        // Standard deviations over 4000 draws: 0.009 for the mean, 0.005 for the variance.
        assert!(found.mean(Kind::Float).double_value(&[]).abs() < 0.05);
        assert!((found.var(true).double_value(&[]) - 1.0 / 3.0).abs() < 0.03);
        assert_eq!(found, draw(1));
        assert_ne!(found, draw(2));

        let unit = CoordinateSpec {
            range: CoordinateRange::Unit,
            radius: Radius::With,
            ..of_source(ChannelSource::Noise)
        };

        let unit = build(1, unit, 40, 50).1;
        assert!(unit.min().double_value(&[]) >= 0.0 && unit.max().double_value(&[]) <= 1.0);

        let mut store = ParamStore::new(1, Device::Cpu);
        let coordinates = Coordinates::with_spec(40, 50, of_source(ChannelSource::Noise));
        let other =
            CoordinateChannels::build(&mut ParamScope::new(&mut store), "d", coordinates).unwrap();
        assert_ne!(found, other.image().squeeze_dim(0));
    }

    #[test]
    fn shuffling_moves_whole_places() {
        let spec = CoordinateSpec { radius: Radius::With, ..of_source(ChannelSource::Shuffled) };
        // Each position's coordinates as sortable bits; the third is the radius of the other two.
        let places = |channels: &Tensor| {
            let triples = rows(&channels.flatten(1, -1).transpose(0, 1).contiguous());
            let mut bits: Vec<Vec<u32>> = triples
                .into_iter()
                .map(|triple| triple.into_iter().map(f32::to_bits).collect())
                .collect();
            bits.sort();
            bits
        };

        let plain = coordinate_channels(7, 9, Radius::With);
        let shuffled = build(1, spec, 7, 9).1;
        assert_eq!(places(&shuffled), places(&plain));
        assert_ne!(shuffled, plain);
        assert_eq!(shuffled, build(1, spec, 7, 9).1);
        assert_ne!(shuffled, build(2, spec, 7, 9).1);
    }

    #[test]
    fn a_permutation_is_one_and_any_place_may_go_anywhere() {
        let mut rng = coordrl_envs::rng::derive_rng(1, coordrl_envs::rng::Role::Init, 0);
        let mut counts = [[0u32; 4]; 4];
        for _ in 0..4000 {
            let places = permutation(4, &mut rng);
            let mut sorted = places.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            places.iter().enumerate().for_each(|(at, &place)| counts[at][place as usize] += 1);
        }

        // 1000 expected, standard deviation 27.
        assert!(counts.iter().flatten().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(permutation(1, &mut rng), [0]);
    }
}
