//! Order of the training centres within an epoch.

use coordrl_envs::Rng;
use rand::{Rng as _, SeedableRng};

/// Purpose of these generators, as a number distinct from every [`coordrl_envs::Role`].
const PURPOSE: [u8; 8] = *b"study/sh";

/// Shuffles `members` for this epoch. The order depends on (seed, epoch) only, so resuming in
/// mid-epoch needs no generator state.
pub(crate) fn shuffled(members: &[usize], seed: u64, epoch: u32) -> Vec<usize> {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&PURPOSE);
    key[16..20].copy_from_slice(&epoch.to_le_bytes());
    let mut rng = Rng::from_seed(key);
    let mut order = members.to_vec();
    for place in (1..order.len()).rev() {
        // Fisher–Yates; the modulo bias of 64-bit draws is below 10⁻¹⁵.
        let other = rng.next_u64() % (place as u64 + 1);
        order.swap(place, other as usize);
    }

    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_differ_by_seed_and_epoch_and_lose_nobody() {
        let members: Vec<usize> = (0..100).collect();
        let order = shuffled(&members, 1, 0);
        assert_eq!(order, shuffled(&members, 1, 0));
        assert_ne!(order, shuffled(&members, 1, 1));
        assert_ne!(order, shuffled(&members, 2, 0));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, members);
    }
}
