//! Random draws of studies: every purpose has streams of its own.

use coordrl_agents::nn::uniform;
use coordrl_envs::Rng;
use rand::{Rng as _, SeedableRng};

/// Purpose of a stream, as eight bytes that differ from the number of every
/// [`coordrl_envs::Role`]. Part of the stream: never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Order of the training rows; the index is that of the epoch.
    EpochOrder,
    /// Digits that canvases take; the index is that of the slot.
    DigitOrder,
    /// Sizes and places of digits; the index is that of the canvas.
    DigitPlaces,
    /// Pairs of boxes and targets that a step learns from.
    BoxPairs,
    /// The same for an evaluation; the index is that of the canvas.
    TestPairs,
    /// Scenes of two objects; the index is that of the picture.
    Scenes,
    /// Noise of an encoding, for a picture in an epoch.
    Encodings,
    /// Latent variables of a generator, for a row of an epoch.
    Latents,
    /// Crops of pictures, for a picture in an epoch.
    Crops,
    /// Pictures of shapes; the index is that of the picture.
    Shapes,
    /// Pictures of rooms; the index is that of the picture.
    Rooms,
    /// Latent variables drawn from the prior, for an evaluation; the index is that of the picture.
    Prior,
}

impl Purpose {
    fn bytes(self) -> [u8; 8] {
        *match self {
            Self::EpochOrder => b"study/sh",
            Self::DigitOrder => b"detect/o",
            Self::DigitPlaces => b"detect/p",
            Self::BoxPairs => b"detect/b",
            Self::TestPairs => b"detect/t",
            Self::Scenes => b"object/s",
            Self::Encodings => b"latent/n",
            Self::Latents => b"latent/g",
            Self::Crops => b"folder/c",
            Self::Shapes => b"drawn/sh",
            Self::Rooms => b"drawn/rm",
            Self::Prior => b"latent/p",
        }
    }
}

/// Derives the stream of one (seed, purpose, index). Each depends on nothing drawn before, so that
/// resuming needs no generator's state.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&purpose.bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    Rng::from_seed(key)
}

/// Draws uniformly from [low, high).
pub(crate) fn between(rng: &mut Rng, [low, high]: [f64; 2]) -> f64 {
    low + uniform(rng) * (high - low)
}

/// Draws a number below `count`, which is at least 1.
pub(crate) fn below(rng: &mut Rng, count: usize) -> usize {
    // The modulo bias of 64-bit draws is below 10⁻¹⁵.
    (rng.next_u64() % count as u64) as usize
}

/// Shuffles in place (Fisher–Yates).
pub(crate) fn shuffle<T>(rng: &mut Rng, items: &mut [T]) {
    for place in (1..items.len()).rev() {
        items.swap(place, below(rng, place + 1));
    }
}

/// Shuffles `members` for this epoch. The order depends on (seed, epoch) only.
pub(crate) fn epoch_order(members: &[usize], seed: u64, epoch: u32) -> Vec<usize> {
    let mut order = members.to_vec();
    shuffle(&mut stream(seed, Purpose::EpochOrder, epoch.into()), &mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_differ_by_seed_and_epoch_and_lose_nobody() {
        let members: Vec<usize> = (0..100).collect();
        let order = epoch_order(&members, 1, 0);
        assert_eq!(order, epoch_order(&members, 1, 0));
        assert_ne!(order, epoch_order(&members, 1, 1));
        assert_ne!(order, epoch_order(&members, 2, 0));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, members);
    }

    /// Stored studies resume in the middle of an epoch in this order.
    #[test]
    fn the_order_of_an_epoch_never_changes() {
        let members = [0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(epoch_order(&members, 1, 3), [1, 5, 4, 3, 6, 7, 2, 0]);
    }

    #[test]
    fn streams_of_purposes_and_indices_differ() {
        let draw = |purpose, index| stream(1, purpose, index).next_u64();
        assert_ne!(draw(Purpose::DigitOrder, 0), draw(Purpose::DigitPlaces, 0));
        assert_ne!(draw(Purpose::BoxPairs, 0), draw(Purpose::BoxPairs, 1));
        let mut rng = stream(1, Purpose::BoxPairs, 0);
        assert!((0..1000).all(|_| (15.0..25.0).contains(&between(&mut rng, [15.0, 25.0]))));
        let mut drawn = [0; 3];
        (0..300).for_each(|_| drawn[below(&mut rng, 3)] += 1);
        assert!(drawn.iter().all(|&count| count > 70), "{drawn:?}");
    }
}
