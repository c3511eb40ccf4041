//! Ape-X checkpoint state other than weights, optimiser and replay.

use coordrl_envs::Rng;
use serde::{Deserialize, Serialize};

use super::actor::ApexActorState;
use super::fleet::FleetState;
use super::limiter::Rates;
use crate::versioned::{decode, encode};
use crate::{AgentError, Counters};

/// Format version; incremented when the layout of [`ApexTrainerState`] changes.
const VERSION: u32 = 2;

/// Counters, generators and environments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ApexTrainerState {
    pub counters: Counters,
    pub rates: Rates,
    /// Number of transitions ever inserted into the matching replay: one from another time would
    /// not fit the actors.
    pub replay_inserted: u64,
    /// State of the link to other processes, in a run that has had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetState>,
    /// Generator for sampling the replay, in serial mode.
    pub draws: Rng,
    /// Version of the weights the actors use, in serial mode.
    pub acting_version: u64,
    pub actors: Vec<ApexActorState>,
}

impl ApexTrainerState {
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("trainer", VERSION, bytes)
    }
}
