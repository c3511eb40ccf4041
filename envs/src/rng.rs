//! Every random draw outside libtorch comes from a generator made here.
//!
//! Streams are told apart by (seed, role, index), so that adding an environment or an actor never
//! shifts the draws of another, and each generator can be saved and restored.

use rand::SeedableRng;
use serde::{Deserialize, Serialize};

/// The one generator used: small state, fast, the same on every platform, and it can be saved.
pub type Rng = rand_chacha::ChaCha8Rng;

/// What a generator is for. The number is part of the stream: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u64)]
pub enum Role {
    /// An environment that trains.
    TrainEnv = 1,
    /// An environment that evaluates.
    EvalEnv = 2,
    /// Sampling of actions while training; the index is that of the environment.
    TrainPolicy = 3,
    /// Sampling of actions while evaluating.
    EvalPolicy = 4,
    /// Random actions of the parity tool.
    TraceActions = 5,
    /// First values of the weights.
    Init = 6,
    /// Draws from the replay; the index is that of the thread that draws.
    ReplayDraws = 7,
}

/// The generator of one (seed, role, index).
///
/// The three numbers fill the generator's 256-bit key side by side, so distinct inputs always
/// give distinct streams.
pub fn derive_rng(seed: u64, role: Role, index: u64) -> Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(role as u64).to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    #[test]
    fn streams_differ_in_every_coordinate_and_repeat() {
        let draw = |s, r, i| derive_rng(s, r, i).next_u64();
        assert_eq!(draw(1, Role::TrainEnv, 0), draw(1, Role::TrainEnv, 0));
        assert_ne!(draw(1, Role::TrainEnv, 0), draw(2, Role::TrainEnv, 0));
        assert_ne!(draw(1, Role::TrainEnv, 0), draw(1, Role::EvalEnv, 0));
        assert_ne!(draw(1, Role::TrainEnv, 0), draw(1, Role::TrainEnv, 1));
    }
}
