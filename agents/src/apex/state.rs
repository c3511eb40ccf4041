//! What of an Ape-X agent is in a checkpoint beside weights, moments and replay.

use coordrl_envs::Rng;
use serde::{Deserialize, Serialize};

use super::actor::ActorState;
use super::limiter::Rates;
use crate::versioned::{decode, encode};
use crate::{AgentError, Counters};

/// Raised when the layout of [`TrainerState`] changes.
const VERSION: u32 = 2;

/// Counters, generators and environments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainerState {
    pub counters: Counters,
    pub rates: Rates,
    /// Transitions ever inserted into the replay that goes with this state: a replay of another
    /// moment would not fit the actors.
    pub replay_inserted: u64,
    /// Draws from the replay, in one thread.
    pub draws: Rng,
    /// Updates behind the weights that the actors of one thread act with.
    pub acting_version: u64,
    pub actors: Vec<ActorState>,
}

impl TrainerState {
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("trainer", VERSION, bytes)
    }
}
