//! Region-of-interest align: the same number of features for every region of a map.

use tch::{TchError, Tensor};

use super::boxes::BoundingBox;
use super::network::TrunkPadding;

/// Height and width of a region's features.
pub const BINS: i64 = 7;
/// Samples per bin and axis.
const SAMPLES: i64 = 2;
/// Bilinear, in `grid_sampler`.
const BILINEAR: i64 = 0;
/// Beyond the outermost places, their values, in `grid_sampler`.
const BORDER: i64 = 1;

/// A region of one of several pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureRegion {
    /// Index of the picture.
    pub picture: usize,
    /// Region in the picture's pixels.
    pub place: BoundingBox,
}

/// Cuts each region into 7 × 7 bins and averages 2 × 2 samples of the map in each, interpolated
/// bilinearly. Source: He et al. 2017 (arXiv:1703.06870), section 3.
///
/// A sample beyond the outermost places of the map takes their value, as an unpadded map needs that
/// does not reach the canvas's edges; torchvision's is 0 from one place further on.
///
/// # Shapes
/// - `maps`: `[N, C, H, H]`; `regions`: R of them, in the order of their pictures; result:
///   `[R, C, 7, 7]`
///
/// # Errors
/// Those of libtorch.
pub fn roi_align(
    maps: &Tensor,
    regions: &[PictureRegion],
    padding: TrunkPadding,
) -> Result<Tensor, TchError> {
    let (_, channels, ..) = maps.size4()?;
    let mut aligned = Vec::new();
    for of_picture in regions.chunk_by(|a, b| a.picture == b.picture) {
        let count = of_picture.len() as i64;
        let places = of_picture.iter().flat_map(|region| sample_places(region.place));
        let grid: Vec<f32> = places.map(|at| padding.map_share(at)).collect();
        let grid = Tensor::f_from_slice(&grid)?.f_view([1, count * BINS * SAMPLES, -1, 2])?;
        let map = maps.f_narrow(0, of_picture[0].picture as i64, 1)?;
        let grid = grid.f_to_device(maps.device())?;
        let samples = map.f_grid_sampler(&grid, BILINEAR, BORDER, true)?; // [1, C, R · 14, 14]
        let bins = samples.f_avg_pool2d(SAMPLES, SAMPLES, 0, false, true, None)?;
        let bins = bins.f_view([channels, count, BINS, BINS])?;
        aligned.push(bins.f_permute([1, 0, 2, 3])?);
    }
    Tensor::f_cat(&aligned, 0)
}

/// Lists column and row of every sample of a region, row by row.
fn sample_places(place: BoundingBox) -> Vec<f32> {
    let edges = place.edges();
    let count = BINS * SAMPLES;
    let along = |start: f32, size: f32| -> Vec<f32> {
        (0..count).map(|at| start + size * (at as f32 + 0.5) / count as f32).collect()
    };
    let columns = along(edges.left, place.width);
    let rows = along(edges.top, place.height);
    rows.iter().flat_map(|&row| columns.iter().flat_map(move |&column| [column, row])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn region(picture: usize, row: f32, column: f32, height: f32, width: f32) -> PictureRegion {
        PictureRegion { picture, place: BoundingBox { row, column, height, width } }
    }

    /// A map that is linear in the place has, in each bin, the value at the bin's centre.
    #[test]
    fn a_linear_map_is_read_off_exactly_at_the_centres_of_bins() {
        let options = (Kind::Float, Device::Cpu);
        for (padding, side, first) in
            [(TrunkPadding::Valid, 13, 8.0), (TrunkPadding::Same, 16, 2.0)]
        {
            let pixels = Tensor::arange(side, options) * 4.0 + first; // where map places lie
            let rows = pixels.view([1, 1, -1, 1]).expand([2, 1, side, side], false);
            let columns = pixels.view([1, 1, 1, -1]).expand([2, 1, side, side], false);
            let maps = Tensor::cat(&[rows, columns], 1);
            let regions = [
                region(0, 30.0, 20.0, 21.0, 14.0),
                region(0, 25.0, 40.0, 7.0, 28.0),
                region(1, 32.0, 32.0, 24.5, 24.5),
            ];
            let aligned = roi_align(&maps, &regions, padding).unwrap();
            assert_eq!(aligned.size(), [3, 2, 7, 7]);
            for (index, PictureRegion { place, .. }) in regions.iter().enumerate() {
                let edges = place.edges();
                for (row, column) in [(0, 0), (2, 5), (6, 6)] {
                    let at = |channel| aligned.double_value(&[index as i64, channel, row, column]);
                    let share = |bin: i64| (bin as f32 + 0.5) / 7.0;
                    let expected_row = edges.top + place.height * share(row);
                    let expected_column = edges.left + place.width * share(column);
                    assert!((at(0) - f64::from(expected_row)).abs() < 1e-4, "{padding:?} {index}");
                    assert!((at(1) - f64::from(expected_column)).abs() < 1e-4, "{padding:?}");
                }
            }
        }
    }

    #[test]
    fn each_region_reads_its_own_picture() {
        let maps = Tensor::from_slice(&[1.0f32, 2.0]).view([2, 1, 1, 1]).repeat([1, 3, 13, 13]);
        let regions = [region(0, 30.0, 30.0, 20.0, 20.0), region(1, 30.0, 30.0, 20.0, 20.0)];
        let aligned = roi_align(&maps, &regions, TrunkPadding::Valid).unwrap();
        let of = |index: i64| aligned.get(index).mean(Kind::Float).double_value(&[]);
        assert_eq!([of(0), of(1)], [1.0, 2.0]);
    }
}
