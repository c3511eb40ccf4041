//! Saved training state.

use serde::{Deserialize, Serialize};

use crate::on_policy::ActorState;
use crate::versioned::{bad, decode, encode};
use crate::{AgentError, Counters};

/// Layout version of [`TrainerState`]; increment it with every change.
const VERSION: u32 = 2;

/// Content of [`AgentState::trainer`](crate::AgentState::trainer).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    pub counters: Counters,
    pub actors: Vec<ActorState>,
}

impl TrainerState {
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("trainer", VERSION, bytes)
    }

    /// Checks that the numbers of environments match this agent's actors.
    pub fn check_sizes(&self, expected: &[usize]) -> Result<(), AgentError> {
        let found: Vec<usize> = self.actors.iter().map(|actor| actor.envs.len()).collect();
        let generators: Vec<usize> = self.actors.iter().map(|actor| actor.rngs.len()).collect();
        if found != expected || generators != expected {
            return Err(bad(format!(
                "it has actors of {found:?} environments, this agent has {expected:?}; \
                 see `a2c.envs` and `a2c.actors`"
            )));
        }
        Ok(())
    }
}
