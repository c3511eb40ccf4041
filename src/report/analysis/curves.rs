//! Learning curves of a game on a common grid, since seeds log at slightly different frames.

use coordrl_stats::{Bootstrap, Scores, StatsError, mean};
use serde::Serialize;

use crate::report::runs::{CurvePoint, Run};

/// Maximum number of points of a drawn curve; more would add page size but no visible detail.
const DRAWN: usize = 240;
/// Bootstrap repetitions for the band of a curve: enough for a figure.
const BAND_REPETITIONS: u32 = 2000;
/// Minimum number of seeds for a bootstrap band.
const SEEDS_FOR_BAND: usize = 3;

/// Common grid on which a game's curves can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// Frames, increasing: the log points of the shortest run, from the first frame at which every
    /// run has a mean return to the last that every run reached.
    pub frames: Vec<f64>,
}

/// Kind of band around a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Pointwise bootstrap interval of the mean.
    Interval,
    /// Range of two seeds.
    Range,
    /// No band: a single seed.
    None,
}

/// Learning curve of an arm in a game.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// Emulator frames of each point.
    pub frames: Vec<f64>,
    /// Training hours at each point, averaged over seeds.
    pub hours: Vec<f64>,
    /// Mean over seeds.
    pub mean: Vec<f64>,
    /// Kind of band.
    pub band: Band,
    /// Lower edge of the band.
    pub low: Vec<f64>,
    /// Upper edge of the band.
    pub high: Vec<f64>,
    /// Curve of each seed.
    pub seeds: Vec<Vec<f64>>,
}

impl Common {
    /// Builds the common grid of runs whose curves all begin before the shortest run ends.
    pub fn of(runs: &[Run]) -> Self {
        let shortest = runs.iter().min_by_key(|run| run.frames);
        let end = shortest.map_or(0.0, |run| run.frames as f64);
        let firsts = runs.iter().map(|run| run.curve.first().map_or(0.0, |point| point.frames));
        // A run whose curve begins beyond the end leaves a single frame, at which it has no score.
        let start = firsts.fold(0.0, f64::max).min(end);
        let between = shortest.into_iter().flat_map(|run| &run.curve).map(|point| point.frames);
        let mut frames = vec![start];
        frames.extend(between.filter(|&frames| start < frames && frames <= end));
        Self { frames }
    }

    /// Returns the last frame that every run reached.
    pub fn budget(&self) -> f64 {
        self.frames.last().copied().unwrap_or(0.0)
    }

    /// Returns a run's curve on the grid, as (frames, score).
    pub fn scores(&self, run: &Run) -> Vec<(f64, f64)> {
        self.frames
            .iter()
            .map(|&frames| (frames, at(&run.curve, frames, |point| point.score)))
            .collect()
    }

    /// Returns at most [`DRAWN`] frames of the grid, including both ends.
    fn drawn(&self) -> Vec<f64> {
        let last = self.frames.len() - 1;
        if last < DRAWN {
            return self.frames.clone();
        }
        (0..DRAWN).map(|index| self.frames[index * last / (DRAWN - 1)]).collect()
    }
}

/// Interpolates a curve linearly between log points; after the last point the value stays constant.
/// Returns NaN before the first point, so that later values do not leak backwards.
pub fn at(curve: &[CurvePoint], frames: f64, value: impl Fn(&CurvePoint) -> f64) -> f64 {
    let next = curve.partition_point(|point| point.frames < frames);
    match (next.checked_sub(1).and_then(|before| curve.get(before)), curve.get(next)) {
        (_, Some(point)) if point.frames == frames => value(point),
        (Some(before), Some(after)) => {
            let share = (frames - before.frames) / (after.frames - before.frames);
            value(before) + share * (value(after) - value(before))
        }
        (Some(last), None) => value(last),
        (None, _) => f64::NAN,
    }
}

/// Builds the curve of an arm from its runs, one per seed and at least one.
///
/// # Errors
/// If the bootstrap rejects its input.
pub fn curve(runs: &[Run], common: &Common, bootstrap: Bootstrap) -> Result<Curve, StatsError> {
    let frames = common.drawn();
    let seeds = on_grid(runs, &frames, |point| point.score);
    let hours = on_grid(runs, &frames, |point| point.hours);
    let (band, low, high) = band_of(&seeds, bootstrap)?;
    let hours = pointwise(&hours, mean_of);
    let mean = pointwise(&seeds, mean_of);
    Ok(Curve { frames, hours, mean, band, low, high, seeds })
}

/// Returns a value of each run at each of these frames.
fn on_grid(runs: &[Run], frames: &[f64], value: fn(&CurvePoint) -> f64) -> Vec<Vec<f64>> {
    runs.iter()
        .map(|run| frames.iter().map(|&frames| at(&run.curve, frames, value)).collect())
        .collect()
}

type Edges = (Band, Vec<f64>, Vec<f64>);

fn band_of(seeds: &[Vec<f64>], bootstrap: Bootstrap) -> Result<Edges, StatsError> {
    // From two seeds a bootstrap can only draw one, the other or both.
    if seeds.len() < SEEDS_FOR_BAND {
        let band = if seeds.len() > 1 { Band::Range } else { Band::None };
        let low = pointwise(seeds, |values| values.iter().copied().fold(f64::NAN, f64::min));
        let high = pointwise(seeds, |values| values.iter().copied().fold(f64::NAN, f64::max));
        return Ok((band, low, high));
    }

    // Resample whole curves, not points: the scores here are indices of seeds.
    let places = Scores::try_new(vec![(0..seeds.len()).map(|place| place as f64).collect()])?;
    let repetitions = bootstrap.repetitions.min(BAND_REPETITIONS);
    let intervals = Bootstrap { repetitions, ..bootstrap }.of_many(&places, |drawn| {
        let curves: Vec<&Vec<f64>> = drawn.all().map(|place| &seeds[place as usize]).collect();
        (0..seeds[0].len()).map(|point| mean(curves.iter().map(|curve| curve[point]))).collect()
    })?;

    Ok((
        Band::Interval,
        intervals.iter().map(|interval| interval.low).collect(),
        intervals.iter().map(|interval| interval.high).collect(),
    ))
}

fn mean_of(values: &[f64]) -> f64 {
    mean(values.iter().copied())
}

fn pointwise(curves: &[Vec<f64>], sum_up: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let points = curves.first().map_or(0, Vec::len);
    (0..points)
        .map(|point| {
            let values: Vec<f64> = curves.iter().map(|curve| curve[point]).collect();
            sum_up(&values)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_support::{Fake, read_all};

    const FEW: Bootstrap = Bootstrap { repetitions: 500, level: 0.95, seed: 1 };

    fn point(frames: f64, score: f64) -> CurvePoint {
        CurvePoint { frames, hours: frames / 10.0, score }
    }

    #[test]
    fn values_lie_on_straight_lines_between_log_points() {
        let curve = [point(10.0, 1.0), point(20.0, 3.0)];
        let score = |frames: f64| at(&curve, frames, |point| point.score);
        assert_eq!([10.0, 15.0, 20.0, 99.0].map(score), [1.0, 2.0, 3.0, 3.0]);
        assert!(score(9.0).is_nan());
        assert!(at(&[], 1.0, |point| point.score).is_nan());
    }

    #[test]
    fn the_grid_is_where_every_run_has_a_mean() {
        let folder = tempfile::tempdir().unwrap();
        let late = Fake::new("pong", "conv", 1).with_scores(&[f64::NAN, 2.0, 3.0, 4.0]);
        let short = Fake::new("pong", "conv", 2).with_scores(&[1.0, 2.0, 3.0]);
        let runs = read_all(folder.path(), [late, short].into_iter());
        let common = Common::of(&runs);
        assert_eq!(common.frames, [2000.0, 3000.0]);
        assert_eq!(common.budget(), 3000.0);
        assert_eq!(common.scores(&runs[1]), [(2000.0, 2.0), (3000.0, 3.0)]);
    }

    #[test]
    fn bands_are_what_the_number_of_seeds_allows() {
        let folder = tempfile::tempdir().unwrap();
        let seed = |seed: u64| Fake::new("pong", "conv", seed).with_scores(&[0.0, seed as f64]);
        let runs = read_all(folder.path(), [seed(1), seed(2), seed(3)].into_iter());
        let common = Common::of(&runs);
        let of = |count: usize| curve(&runs[..count], &common, FEW).unwrap();
        assert_eq!((of(1).band, of(1).mean), (Band::None, vec![0.0, 1.0]));
        let two = of(2);
        assert_eq!((two.band, two.low, two.high), (Band::Range, vec![0.0, 1.0], vec![0.0, 2.0]));
        let three = of(3);
        assert_eq!((three.band, three.mean.as_slice()), (Band::Interval, &[0.0, 2.0][..]));
        assert!(three.low[1] < 2.0 && three.high[1] > 2.0 && three.low[0] == 0.0, "{three:?}");
    }

    #[test]
    fn long_curves_are_drawn_with_fewer_points_and_both_ends() {
        let common = Common { frames: (0..10_000).map(f64::from).collect() };
        let drawn = common.drawn();
        assert_eq!((drawn.len(), drawn[0], drawn[DRAWN - 1]), (DRAWN, 0.0, 9999.0));
        assert!(drawn.is_sorted_by(|a, b| a < b));
    }
}
