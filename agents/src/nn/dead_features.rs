//! Dead features: always 0, so that no gradient passes through their ReLU.

use tch::{Kind, Tensor};

/// Marks features that are non-zero on at least one row with 1, all others with 0.
///
/// # Shapes
/// - `features`: `f32 [N, F]`; result: `f32 [F]`, without a graph
pub(crate) fn live_features(features: &Tensor) -> Tensor {
    // As floats, so that the marks travel to the host in one copy with the losses.
    features.detach().ne(0.0).any_dim(0, false).to_kind(Kind::Float)
}

/// Features that were alive in any shard of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveFeatures(Vec<bool>);

impl LiveFeatures {
    /// Converts the marks of [`live_features`] after their transfer to the host.
    pub fn from_marks(marks: &[f32]) -> Self {
        Self(marks.iter().map(|&mark| mark != 0.0).collect())
    }

    /// Merges the rows of another shard: a feature is alive if it is alive in any shard.
    pub fn merge(&mut self, other: &Self) {
        // The default is empty, because only a shard knows the number of features.
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            *own |= theirs;
        }
    }

    /// Returns the fraction of features that were 0 on every row.
    pub fn dead_share(&self) -> f64 {
        let dead = self.0.iter().filter(|alive| !**alive).count();

        dead as f64 / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(rows: &[[f32; 4]]) -> LiveFeatures {
        let features = Tensor::from_slice(rows.as_flattened()).view([-1, 4]);
        let marks = Vec::<f32>::try_from(live_features(&features)).unwrap();
        LiveFeatures::from_marks(&marks)
    }

    #[test]
    fn a_feature_is_dead_if_it_is_zero_on_every_row_of_every_shard() {
        let mut all = LiveFeatures::default();
        all.merge(&live(&[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]));
        assert_eq!(all.dead_share(), 0.75);

        all.merge(&live(&[[0.0, 0.0, 1e-30, 0.0], [0.0, 2.0, -1.0, 0.0]]));
        assert_eq!(all.dead_share(), 0.5);
    }
}
