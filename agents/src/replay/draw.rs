//! Sampling a batch: a short step under the lock, then a longer one outside it.

use coordrl_envs::Rng;

use super::{Plane, Replay, ReplayError};
use crate::nn::uniform;

/// Data for each of the B rows of a draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawnRows {
    /// Transition ids, for [`Replay::update_priorities`].
    pub ids: Vec<u64>,
    /// Number of transitions inserted since, including this one.
    pub ages: Vec<u64>,
    /// P: share of the sum of all priorities.
    pub probabilities: Vec<f64>,
    /// w = (N · P)^−β / max w, with the maximum over the batch.
    pub importance_weights: Vec<f32>,
    /// Action indices, in the type that libtorch's `gather` requires.
    pub actions: Vec<i64>,
    /// n-step rewards.
    pub rewards: Vec<f32>,
    /// Factors on the value of the next observation.
    pub discounts: Vec<f32>,
}

/// Sampled transitions, with planes shared with the replay.
///
/// The planes live as long as the draw, even if the replay drops them.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// Data of each row.
    pub rows: DrawnRows,
    /// Planes `[B, C]`, `None` for zeros.
    obs: Vec<Option<Plane>>,
    /// Planes `[B, C]`, `None` for zeros.
    next_obs: Vec<Option<Plane>>,
    plane_len: usize,
}

/// A training batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Data of each row.
    pub rows: DrawnRows,
    /// Observations `u8 [B, C, H, W]`.
    pub obs: Vec<u8>,
    /// Next observations `u8 [B, C, H, W]`.
    pub next_obs: Vec<u8>,
}

impl Replay {
    /// Samples `batch` transitions in proportion to priority, with replacement.
    ///
    /// Each row uses an independent uniform number over the whole sum of priorities. (Schaul et al.
    /// 2016, appendix B.2.1, use stratified sampling, one draw from each of `batch` equal parts of
    /// the sum; implementations of Ape-X sample independently, as here, so that the rows of one
    /// draw do not depend on each other.)
    ///
    /// # Errors
    /// If no transition has a priority above 0.
    pub fn draw(&self, batch: usize, rng: &mut Rng) -> Result<Draw, ReplayError> {
        let total = self.tree.total();
        // All numbers are drawn before the first descent, because `find_batch` overlaps the
        // descents.
        // A product may round up to `total` itself; `find_batch` then gives the last leaf above 0.
        let masses: Vec<f64> = (0..batch).map(|_| uniform(rng) * total).collect();
        let mut places = vec![0; batch];
        self.tree.find_batch(&masses, &mut places)?;
        let rows = self.rows_at(&places);
        let planes = batch * self.planes.channels;
        let mut obs = Vec::with_capacity(planes);
        let mut next_obs = Vec::with_capacity(planes);
        // Under the lock only reference counts change; `assemble` copies the bytes outside it.
        for &place in &places {
            let rank = self.rank_at(place);
            let record = &self.records[rank];
            self.planes
                .share(record.stream, &record.obs, &mut obs)
                .and_then(|()| self.planes.share(record.stream, &record.next_obs, &mut next_obs))
                .ok_or(ReplayError::PlaneGone { id: self.oldest_id() + rank as u64 })?;
        }

        Ok(Draw { rows, obs, next_obs, plane_len: self.planes.plane_len })
    }

    fn rows_at(&self, places: &[usize]) -> DrawnRows {
        let ranks: Vec<usize> = places.iter().map(|&place| self.rank_at(place)).collect();
        let records = || ranks.iter().map(|&rank| &self.records[rank]);
        let count = self.len() as u64;
        let total = self.tree.total();
        let priorities: Vec<f64> = places.iter().map(|&place| self.tree.get(place)).collect();
        DrawnRows {
            ids: ranks.iter().map(|&rank| self.oldest_id() + rank as u64).collect(),
            ages: ranks.iter().map(|&rank| count - rank as u64).collect(),
            importance_weights: importance_weights(&priorities, self.config.importance_exponent),
            probabilities: priorities.iter().map(|priority| priority / total).collect(),
            actions: records().map(|record| i64::from(record.action)).collect(),
            rewards: records().map(|record| record.reward).collect(),
            discounts: records().map(|record| record.discount).collect(),
        }
    }
}

/// Computes w_i = (N · P_i)^−β / max_j w_j = (min_j p_j / p_i)^β: the smallest priority has the
/// largest weight, and N and the sum of all priorities cancel. This form cannot overflow. Source:
/// Schaul et al. 2016, section 3.4 (arXiv:1511.05952). Priorities are above 0.
fn importance_weights(priorities: &[f64], importance_exponent: f64) -> Vec<f32> {
    let smallest = priorities.iter().copied().fold(f64::INFINITY, f64::min);
    priorities
        .iter()
        .map(|priority| (smallest / priority).powf(importance_exponent) as f32)
        .collect()
}

impl Draw {
    /// Copies (and decompresses) the observations into a new batch.
    pub fn assemble(self) -> Result<Batch, ReplayError> {
        let mut batch = Batch::default();
        self.assemble_into(&mut batch)?;
        Ok(batch)
    }

    /// Performs [`Draw::assemble`] into an existing batch, reusing its buffers. After an error its
    /// observations are unusable.
    pub fn assemble_into(self, batch: &mut Batch) -> Result<(), ReplayError> {
        copy_planes(&self.obs, self.plane_len, &mut batch.obs)?;
        copy_planes(&self.next_obs, self.plane_len, &mut batch.next_obs)?;
        batch.rows = self.rows;
        Ok(())
    }
}

fn copy_planes(
    planes: &[Option<Plane>],
    plane_len: usize,
    out: &mut Vec<u8>,
) -> Result<(), ReplayError> {
    // A reused buffer keeps its old bytes, so that planes of zeros must be written too.
    out.resize(planes.len() * plane_len, 0);
    for (plane, out) in planes.iter().zip(out.chunks_exact_mut(plane_len)) {
        match plane {
            Some(plane) => plane.unpack_into(out)?,
            None => out.fill(0),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use coordrl_envs::{Role, derive_rng};

    use super::super::config::tests::small;
    use super::super::prioritized::tests::{filled, small_part};
    use super::*;

    fn rng() -> Rng {
        derive_rng(5, Role::TrainPolicy, 0)
    }

    #[test]
    fn importance_weights_by_hand() {
        // N = 4, P = 1/8, 1/2, 1/4, 1/8: (N · P)^−½ = √2, 1/√2, 1, √2; the largest is √2.
        let weights = importance_weights(&[1.0, 4.0, 2.0, 1.0], 0.5);
        assert_eq!(weights, [1.0, 0.5, 0.5f32.sqrt(), 1.0]);
        assert_eq!(importance_weights(&[1.0, 4.0], 0.0), [1.0, 1.0]);
        assert_eq!(importance_weights(&[1e-300, 1e300], 3.0), [1.0, 0.0]);
        assert!(importance_weights(&[], 0.5).is_empty());
    }

    /// Compares with the paper's formula, row by row.
    #[test]
    fn rows_tell_what_was_drawn() {
        let replay = filled(&[1.0, 4.0, 2.0, 1.0]);
        let rows = replay.draw(64, &mut rng()).unwrap().rows;
        let priorities = [1.0, 4.0, 2.0, 1.0];
        let weight = |p: f64| (4.0 * p).powf(-0.5);
        let largest = rows.probabilities.iter().copied().map(weight).fold(0.0, f64::max);
        assert!((0..4).all(|id| rows.ids.contains(&id)));
        for (row, &id) in rows.ids.iter().enumerate() {
            assert_eq!(rows.probabilities[row], priorities[id as usize] / 8.0);
            let expected = weight(rows.probabilities[row]) / largest;
            assert!((f64::from(rows.importance_weights[row]) - expected).abs() < 1e-6);
            assert_eq!(rows.ages[row], 4 - id);
            assert_eq!(rows.actions[row], id as i64);
            assert_eq!((rows.rewards[row], rows.discounts[row]), (id as f32 / 2.0, 0.75));
        }
    }

    #[test]
    fn buffers_are_reused_and_overwritten() {
        let replay = filled(&[1.0, 1.0, 1.0]);
        let expected = replay.draw(3, &mut rng()).unwrap().assemble().unwrap();
        let mut batch = replay.draw(8, &mut rng()).unwrap().assemble().unwrap();
        batch.obs.fill(0xAB);
        batch.next_obs.fill(0xAB);
        let before = batch.obs.as_ptr();
        replay.draw(3, &mut rng()).unwrap().assemble_into(&mut batch).unwrap();
        assert_eq!(batch, expected);
        assert_eq!(batch.obs.as_ptr(), before);
    }

    #[test]
    fn draws_outlive_what_they_drew() {
        let mut replay = filled(&[1.0, 1.0]);
        let draw = replay.draw(8, &mut rng()).unwrap();
        let expected = draw.clone().assemble().unwrap();
        for start in 1..20 {
            replay.insert(small_part(start * 2, &[1.0, 1.0])).unwrap();
        }
        assert!(draw.rows.ids.iter().all(|&id| !replay.is_live(id)));
        assert_eq!(draw.assemble().unwrap(), expected);
    }

    #[test]
    fn nothing_to_draw_is_an_error_and_no_rows_are_none() {
        let text = "there is nothing to draw: no transition of the replay has a priority above 0";
        let nothing = |replay: &Replay| replay.draw(1, &mut rng()).unwrap_err().to_string();
        assert_eq!(nothing(&filled(&[])), text);
        assert_eq!(nothing(&filled(&[0.0, 0.0])), text);
        let empty = filled(&[1.0]).draw(0, &mut rng()).unwrap().assemble().unwrap();
        assert_eq!(empty, Batch::default());
    }

    #[test]
    fn a_lost_plane_or_a_damaged_one_is_an_error() {
        let mut replay = filled(&[1.0]);
        replay.planes.free_before(0, 1);
        let error = replay.draw(1, &mut rng()).unwrap_err().to_string();
        assert_eq!(error, "transition 0 needs a plane that is gone: a bug in the replay");
        let mut replay = Replay::try_new(small(8)).unwrap();
        let mut part = small_part(0, &[1.0]);
        part.planes.fill(Plane::Lz4(vec![0xFFu8].into()));
        replay.insert(part).unwrap();
        let error = replay.draw(1, &mut rng()).unwrap().assemble().unwrap_err();
        assert!(matches!(error, ReplayError::DamagedPlane { .. }), "{error}");
    }
}
