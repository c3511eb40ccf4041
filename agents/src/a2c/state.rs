//! Saved training state.

use serde::{Deserialize, Serialize};

use crate::on_policy::ActorState;
use crate::versioned::{decode, encode};
use crate::{AgentError, Counters};

/// Layout version of [`A2cTrainerState`]; increment it with every change.
const VERSION: u32 = 2;

/// Content of [`AgentState::trainer`](crate::AgentState::trainer).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct A2cTrainerState {
    pub counters: Counters,
    pub actors: Vec<ActorState>,
}

impl A2cTrainerState {
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("trainer", VERSION, bytes)
    }
}
