//! What of an Ape-X agent is in a checkpoint beside weights, moments and replay.

use coordrl_envs::Rng;
use serde::{Deserialize, Serialize};

use super::actor::ActorState;
use super::limiter::Rates;
use crate::{AgentError, Counters};

/// Raised when the layout of [`TrainerState`] changes.
const VERSION: u32 = 1;

/// Counters, generators and environments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainerState {
    version: u32,
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

/// The first field alone, readable whatever follows.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A state but for its version.
pub(super) struct Content {
    pub counters: Counters,
    pub rates: Rates,
    pub replay_inserted: u64,
    pub draws: Rng,
    pub acting_version: u64,
    pub actors: Vec<ActorState>,
}

impl TrainerState {
    pub fn new(content: Content) -> Self {
        let Content { counters, rates, replay_inserted, draws, acting_version, actors } = content;
        Self { version: VERSION, counters, rates, replay_inserted, draws, acting_version, actors }
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        rmp_serde::to_vec_named(self).map_err(|error| bad(format!("it cannot be written: {error}")))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        let parse = |error| bad(format!("it does not parse: {error}"));
        let Version { version } = rmp_serde::from_slice(bytes).map_err(parse)?;
        if version != VERSION {
            return Err(bad(format!("it is of version {version}; this build reads {VERSION}")));
        }
        rmp_serde::from_slice(bytes).map_err(parse)
    }
}

pub(super) fn bad(reason: String) -> AgentError {
    AgentError::State { reason }
}
