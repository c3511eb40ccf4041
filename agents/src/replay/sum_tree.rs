//! Sampling in proportion to priority in O(log n).

use super::ReplayError;
use super::alloc::vec_of;

/// Number of concurrent descents: enough to overlap the memory loads of one level.
const WALKS: usize = 64;

/// A complete binary tree whose leaves are priorities and whose inner nodes are the sums of their
/// two children. Source: Schaul et al. 2016, appendix B.2.1 (arXiv:1511.05952).
///
/// Sums are recomputed as left + right, never adjusted by a difference: rounding errors do not
/// accumulate, and the tree is a function of its leaves, so that a restored one is equal bit for
/// bit. It stores `f64`: among millions of priorities, an `f32` sum would lose the small ones.
#[derive(Clone, Debug, PartialEq)]
pub struct SumTree {
    /// Node 1 is the root, node i has children 2i and 2i + 1, leaf i is node `leaves` + i.
    nodes: Vec<f64>,
    /// Number of leaves, a power of two.
    leaves: usize,
}

impl SumTree {
    /// Creates a tree of zeros with at least `capacity` leaves, rounded up to a power of two.
    pub fn try_new(capacity: usize) -> Result<Self, ReplayError> {
        let leaves = Self::leaves_for(capacity);
        Ok(Self { nodes: vec_of(0.0, leaves.saturating_mul(2))?, leaves })
    }

    /// Returns the number of leaves for `capacity` priorities.
    pub(super) fn leaves_for(capacity: usize) -> usize {
        capacity.checked_next_power_of_two().unwrap_or(usize::MAX)
    }

    /// Returns the number of leaves.
    pub fn capacity(&self) -> usize {
        self.leaves
    }

    /// Returns the sum of all priorities.
    pub fn total(&self) -> f64 {
        self.nodes[1]
    }

    /// Returns the priority at `index`.
    ///
    /// # Panics
    /// If there is no such leaf: a bug in the caller.
    pub fn get(&self, index: usize) -> f64 {
        self.nodes[self.node_of(index)]
    }

    /// Sets the priority at `index`.
    ///
    /// # Panics
    /// If there is no such leaf: a bug in the caller.
    pub fn set(&mut self, index: usize, priority: f64) -> Result<(), ReplayError> {
        self.set_batch(&[index], &[priority])
    }

    /// Sets many priorities, or none if one is rejected. For a repeated index the last priority
    /// counts.
    ///
    /// # Panics
    /// If there is no such leaf, or the lengths differ: a bug in the caller.
    pub fn set_batch(&mut self, indices: &[usize], priorities: &[f64]) -> Result<(), ReplayError> {
        assert_eq!(indices.len(), priorities.len(), "one priority an index");
        // With this bound the total stays finite.
        let largest = f64::MAX / self.leaves as f64;
        for (&index, &priority) in indices.iter().zip(priorities) {
            // Also refuses NaN, which no range contains.
            if !(0.0..=largest).contains(&priority) {
                return Err(ReplayError::Priority { index, priority });
            }
        }
        self.write(indices, priorities.iter().copied());
        Ok(())
    }

    /// Sets the priorities at `indices` to 0.
    pub(super) fn clear(&mut self, indices: &[usize]) {
        self.write(indices, std::iter::repeat(0.0));
    }

    /// Finds the leaf at cumulative priority `mass`: the first i with p_0 + … + p_i > mass. Never
    /// returns a leaf of priority 0; a mass outside [0, total) yields the first or last leaf above
    /// 0.
    ///
    /// # Errors
    /// If all priorities are 0.
    pub fn find(&self, mass: f64) -> Result<usize, ReplayError> {
        let mut found = [0];
        self.find_batch(&[mass], &mut found)?;
        Ok(found[0])
    }

    /// Performs [`SumTree::find`] for each of `masses`.
    ///
    /// # Panics
    /// If the lengths differ: a bug in the caller.
    pub fn find_batch(&self, masses: &[f64], found: &mut [usize]) -> Result<(), ReplayError> {
        assert_eq!(masses.len(), found.len(), "one place for every mass");
        if self.total() <= 0.0 {
            return Err(ReplayError::NothingToDraw);
        }
        for (masses, found) in masses.chunks(WALKS).zip(found.chunks_mut(WALKS)) {
            self.walk(masses, found);
        }
        Ok(())
    }

    /// Performs at most [`WALKS`] descents, level by level.
    ///
    /// A descent visits only nodes above 0. It goes left if the left sum exceeds the non-negative
    /// mass, or if the right sum is 0; in that case the left one is not 0, since both add up to the
    /// parent. This holds however the mass is rounded.
    fn walk(&self, masses: &[f64], found: &mut [usize]) {
        let mut left_over = [0.0; WALKS];
        for (left_over, mass) in left_over.iter_mut().zip(masses) {
            *left_over = mass.max(0.0); // NaN becomes 0 too
        }

        found.fill(1);
        for _ in 0..self.depth() {
            for (node, mass) in found.iter_mut().zip(&mut left_over) {
                let left = self.nodes[2 * *node];
                let right = self.nodes[2 * *node + 1];
                // Branch-free: the direction is random, so a branch would be mispredicted half the
                // time.
                let go_right = (*mass >= left) & (right > 0.0);
                *mass -= if go_right { left } else { 0.0 };
                *node = 2 * *node + usize::from(go_right);
            }
        }

        found.iter_mut().for_each(|node| *node -= self.leaves);
    }

    /// Writes leaves, then recomputes the nodes above them level by level.
    fn write(&mut self, indices: &[usize], priorities: impl Iterator<Item = f64>) {
        for (&index, priority) in indices.iter().zip(priorities) {
            let node = self.node_of(index);
            self.nodes[node] = priority;
        }

        for level in 1..=self.depth() {
            // The root is node 1, so 0 stands for none.
            let mut last = 0;
            for index in indices {
                let node = (self.leaves + index) >> level;
                // Neighbours share parents, so a run of leaves costs little more than one.
                if node != last {
                    self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1];
                    last = node;
                }
            }
        }
    }

    /// Returns the number of levels above the leaves.
    fn depth(&self) -> u32 {
        self.leaves.trailing_zeros()
    }

    fn node_of(&self, index: usize) -> usize {
        assert!(index < self.leaves, "leaf {index} of {}", self.leaves);
        self.leaves + index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_envs::{Role, derive_rng};
    use proptest::prelude::*;

    use crate::nn::uniform;

    fn tree_of(priorities: &[f64]) -> SumTree {
        let mut tree = SumTree::try_new(priorities.len()).unwrap();
        let indices: Vec<usize> = (0..priorities.len()).collect();
        tree.set_batch(&indices, priorities).unwrap();
        tree
    }

    /// Finds the leaf by linear summation; exact where the sums are.
    fn naive_find(priorities: &[f64], mass: f64) -> usize {
        let mut sum = 0.0;
        let inside = priorities.iter().position(|priority| {
            sum += priority;
            sum > mass
        });
        inside.unwrap_or_else(|| priorities.iter().rposition(|&priority| priority > 0.0).unwrap())
    }

    #[test]
    fn capacity_is_the_next_power_of_two() {
        let capacity = |n| SumTree::try_new(n).unwrap().capacity();
        assert_eq!([0, 1, 2, 3, 4, 5, 1000].map(capacity), [1, 1, 2, 4, 4, 8, 1024]);
        assert!(matches!(SumTree::try_new(usize::MAX), Err(ReplayError::Memory { .. })));
    }

    #[test]
    fn each_leaf_owns_the_masses_from_its_running_sum_on() {
        let tree = tree_of(&[1.0, 0.0, 2.0, 0.5, 0.0]);
        assert_eq!(tree.total(), 3.5);
        let find = |mass| tree.find(mass).unwrap();
        assert_eq!([0.0, 0.999, 1.0, 2.999, 3.0, 3.499].map(find), [0, 0, 2, 2, 3, 3]);
        assert_eq!((tree.get(2), tree.get(4)), (2.0, 0.0));
    }

    #[test]
    fn masses_outside_give_the_first_or_last_leaf_above_zero() {
        let tree = tree_of(&[0.0, 1.0, 2.0, 0.0]);
        let find = |mass| tree.find(mass).unwrap();
        let outside = [-1.0, f64::NEG_INFINITY, f64::NAN, 3.0, 3.1, f64::INFINITY];
        assert_eq!(outside.map(find), [1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn a_tree_of_one_leaf() {
        let mut tree = SumTree::try_new(1).unwrap();
        assert_eq!(tree.find(0.0).unwrap_err().to_string(), NOTHING);
        tree.set(0, 0.25).unwrap();
        assert_eq!((tree.total(), tree.find(0.1).unwrap()), (0.25, 0));
    }

    const NOTHING: &str =
        "there is nothing to draw: no transition of the replay has a priority above 0";

    #[test]
    fn refused_priorities_change_nothing() {
        let mut tree = tree_of(&[1.0, 2.0, 3.0]);
        let before = tree.clone();
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            let error = tree.set_batch(&[0, 2], &[5.0, bad]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("the priority at 2 is {bad}: it must be finite, and 0 or more")
            );
        }
        assert_eq!(tree, before);
    }

    #[test]
    fn of_two_priorities_for_one_leaf_the_later_stays() {
        let mut tree = SumTree::try_new(4).unwrap();
        tree.set_batch(&[1, 1, 3], &[5.0, 2.0, 1.0]).unwrap();
        assert_eq!((tree.get(1), tree.total()), (2.0, 3.0));
        tree.clear(&[1, 3]);
        assert_eq!(tree.total(), 0.0);
    }

    /// Uses sums that round, with masses at and next to every partial sum.
    #[test]
    fn zeros_are_never_found_at_the_edges() {
        let mut rng = derive_rng(1, Role::TrainPolicy, 0);
        for _ in 0..50 {
            let priority =
                |_| if uniform(&mut rng) < 0.5 { 0.0 } else { uniform(&mut rng).powi(30) };
            let mut priorities: Vec<f64> = (0..37).map(priority).collect();
            priorities[17] = 1e-300;
            let tree = tree_of(&priorities);
            let mut sum = 0.0;
            for priority in &priorities {
                sum += priority;
                for mass in [0.0, sum, sum.next_up(), sum.next_down(), tree.total()] {
                    let found = tree.find(mass).unwrap();
                    assert!(priorities[found] > 0.0, "mass {mass} gave leaf {found} of priority 0");
                }
            }
        }
    }

    /// 4σ of a binomial proportion; deterministic because the seed is fixed.
    #[test]
    fn shares_of_draws_are_the_priorities() {
        let priorities = [0.5, 0.0, 4.0, 1.0, 0.01, 2.49];
        let tree = tree_of(&priorities);
        let mut rng = derive_rng(3, Role::TrainPolicy, 0);
        let draws = 200_000;
        let masses: Vec<f64> = (0..draws).map(|_| uniform(&mut rng) * tree.total()).collect();
        let mut found = vec![0; draws];
        tree.find_batch(&masses, &mut found).unwrap();
        for (leaf, priority) in priorities.iter().enumerate() {
            let share = found.iter().filter(|found| **found == leaf).count() as f64 / draws as f64;
            let expected = priority / 8.0;
            let deviation = (expected * (1.0 - expected) / draws as f64).sqrt();
            assert!(
                (share - expected).abs() <= 4.0 * deviation,
                "leaf {leaf}: {share} for {expected}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]
        /// Uses eighths, so that naive sums are exact and every result is determined.
        #[test]
        fn any_operations_agree_with_a_list(
            capacity in 1usize..70,
            rounds in prop::collection::vec(
                (prop::collection::vec((0usize..70, 0u32..40), 0..12), prop::collection::vec(0.0f64..1.1, 0..80)),
                1..12,
            ),
        ) {
            let mut tree = SumTree::try_new(capacity).unwrap();
            let mut list = vec![0.0; capacity];
            for (changes, shares) in rounds {
                let changes = changes.iter().map(|&(index, eighths)| {
                    (index % capacity, f64::from(eighths.saturating_sub(8)) / 8.0)
                });
                let (indices, priorities): (Vec<usize>, Vec<f64>) = changes.unzip();
                tree.set_batch(&indices, &priorities).unwrap();
                indices.iter().zip(&priorities).for_each(|(&index, &priority)| list[index] = priority);
                prop_assert_eq!(tree.total(), list.iter().sum::<f64>());
                prop_assert!((0..capacity).all(|index| tree.get(index) == list[index]));
                let masses: Vec<f64> = shares.iter().map(|share| share * tree.total()).collect();
                let mut found = vec![usize::MAX; masses.len()];
                if tree.total() > 0.0 {
                    tree.find_batch(&masses, &mut found).unwrap();
                    let expected: Vec<usize> = masses.iter().map(|&mass| naive_find(&list, mass)).collect();
                    prop_assert_eq!(found, expected);
                } else {
                    prop_assert!(tree.find_batch(&masses, &mut found).is_err());
                }
            }
        }
    }
}
