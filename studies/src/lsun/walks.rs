//! Measures of pictures of which nothing is known: whether samples vary, and whether they fade along a
//! walk or change otherwise.

use tch::{Kind, Tensor};

use crate::StudyError;
use crate::objects::walk::FRAMES;
use crate::task::Tally;

/// Compares the differences within pairs of samples and of pictures: 1 where samples vary as much as
/// the data, 0 where all are the same. Pairs are neighbours, `[2 · P, 3, H, H]` each.
pub(super) fn variety(samples: &Tensor, pictures: &Tensor) -> Result<Tally, StudyError> {
    let within = |pairs: &Tensor| -> Result<f64, StudyError> {
        let size = pairs.size();
        let pairs = pairs.f_view([size[0] / 2, 2, -1])?;
        let difference = pairs.f_select(1, 0)? - pairs.f_select(1, 1)?;
        sum(&difference.f_square()?)
    };
    Ok(Tally::Mean { sum: within(samples)?, count: within(pictures)? })
}

/// Compares the edges in samples with those in pictures, `[N, 3, H, H]` each: below 1 where samples
/// are blurred.
pub(super) fn sharpness(samples: &Tensor, pictures: &Tensor) -> Result<Tally, StudyError> {
    Ok(Tally::Mean { sum: sum(&edges(samples)?)?, count: sum(&edges(pictures)?)? })
}

/// Sums over walks how far their frames, `[W · 9, 3, H, H]`, lead over the distance between the ends:
/// 1 for a picture that fades into another, more for things that move.
pub(super) fn length(frames: &Tensor) -> Result<Tally, StudyError> {
    let walks = of_walks(&frames.f_flatten(1, -1)?)?; // [W, 9, pixels]
    let last = FRAMES as i64 - 1;
    let steps = walks.f_narrow(1, 1, last)? - walks.f_narrow(1, 0, last)?;
    let way = norms(&steps)?.f_sum_dim_intlist(1, false, Kind::Double)?; // [W]
    let straight = norms(&(walks.f_select(1, last)? - walks.f_select(1, 0)?))?; // [W]
    mean_ratio(&way, &straight)
}

/// Sums over walks the edges in the middle frame over those at the ends: below 1 where ends are laid
/// over one another.
pub(super) fn middle(frames: &Tensor) -> Result<Tally, StudyError> {
    let edges = edges(frames)?.f_view([-1, FRAMES as i64])?; // [W, 9]
    let last = FRAMES as i64 - 1;
    let ends = (edges.f_select(1, 0)? + edges.f_select(1, last)?) / 2.0;
    mean_ratio(&edges.f_select(1, last / 2)?, &ends)
}

/// Sums squared differences between neighbouring pixels, `[N, 3, H, H]` → `[N]`.
fn edges(pictures: &Tensor) -> Result<Tensor, StudyError> {
    let mut all = Vec::new();
    for axis in [2, 3] {
        let count = pictures.size()[axis as usize] - 1;
        let difference = pictures.f_narrow(axis, 1, count)? - pictures.f_narrow(axis, 0, count)?;
        let squares = difference.f_square()?.f_flatten(1, -1)?;
        all.push(squares.f_sum_dim_intlist(1, false, Kind::Double)?);
    }
    Ok(&all[0] + &all[1])
}

fn of_walks(frames: &Tensor) -> Result<Tensor, StudyError> {
    Ok(frames.f_view([frames.size()[0] / FRAMES as i64, FRAMES as i64, -1])?)
}

fn norms(vectors: &Tensor) -> Result<Tensor, StudyError> {
    Ok(vectors.f_norm_scalaropt_dim(2.0, -1, false)?)
}

/// Averages quotients; where the lower number is 0, as between equal ends, there is none.
fn mean_ratio(upper: &Tensor, lower: &Tensor) -> Result<Tally, StudyError> {
    let known = lower.f_gt(0.0)?;
    let ratios = upper.f_masked_select(&known)?.f_div(&lower.f_masked_select(&known)?)?;
    Ok(Tally::Mean { sum: sum(&ratios)?, count: ratios.numel() as f64 })
}

fn sum(numbers: &Tensor) -> Result<f64, StudyError> {
    Ok(numbers.f_sum(Kind::Double)?.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// A white column in a black picture of 16 × 16, `[1, 3, 16, 16]`.
    fn column(place: i64) -> Tensor {
        let picture = Tensor::zeros([1, 3, 16, 16], (Kind::Float, Device::Cpu));
        let _ = picture.narrow(3, place, 1).fill_(1.0);
        picture
    }

    fn frames(frame: impl Fn(i64) -> Tensor) -> Tensor {
        Tensor::cat(&(0..9).map(frame).collect::<Vec<_>>(), 0)
    }

    #[test]
    fn what_fades_takes_the_straight_way_and_is_dim_in_the_middle() {
        let fades = frames(|step| {
            let share = step as f64 / 8.0;
            column(3) * (1.0 - share) + column(11) * share
        });
        assert!((length(&fades).unwrap().value() - 1.0).abs() < 1e-6);
        // Two columns, half as bright: twice the edges, a quarter each.
        assert!((middle(&fades).unwrap().value() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_moves_goes_a_longer_way_and_stays_sharp() {
        let moves = frames(|step| column(3 + step));
        // Every step changes as much as the whole way does.
        assert!((length(&moves).unwrap().value() - 8.0).abs() < 1e-6);
        assert!((middle(&moves).unwrap().value() - 1.0).abs() < 1e-6);
        // Two walks are averaged, and one that stays where it is does not count.
        let stays = frames(|_| column(3));
        let both = Tensor::cat(&[&moves, &stays], 0);
        assert!((length(&both).unwrap().value() - 8.0).abs() < 1e-6);
    }

    #[test]
    fn samples_are_as_varied_and_sharp_as_the_data_if_they_are_the_data() {
        let pictures = Tensor::cat(&[column(2), column(9)], 0);
        assert_eq!(variety(&pictures, &pictures).unwrap().value(), 1.0);
        assert_eq!(sharpness(&pictures, &pictures).unwrap().value(), 1.0);
        let same = Tensor::cat(&[column(2), column(2)], 0);
        assert_eq!(variety(&same, &pictures).unwrap().value(), 0.0);
        assert_eq!(sharpness(&(&same / 2.0), &pictures).unwrap().value(), 0.25);
    }
}
