//! Everything that decides how training goes on.

use coordrl_envs::Rng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tch::Tensor;

use crate::versioned::{bad, decode, encode};
use crate::{AgentError, Counters};

/// Raised when the layout of [`TrainerState`] changes.
const VERSION: u32 = 2;

/// A whole agent: an agent that loads this goes on exactly as the one that saved it.
#[derive(Debug)]
pub struct AgentState {
    /// Parameters by name, `f32`, on the CPU.
    pub weights: Vec<(String, Tensor)>,
    /// Moments and step counter of the optimiser, by name, on the CPU.
    pub optimizer: Vec<(String, Tensor)>,
    /// Parameters of the target network, by name; empty for an agent without one.
    pub target: Vec<(String, Tensor)>,
    /// Counters, generators and environments, in MessagePack with a version.
    pub trainer: Vec<u8>,
}

/// What is in [`AgentState::trainer`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    pub counters: Counters,
    pub actors: Vec<ActorState>,
}

/// Generators and environments of one actor, one of each an environment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActorState {
    pub rngs: Vec<Rng>,
    pub envs: Vec<ByteBuf>,
}

impl TrainerState {
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("trainer", VERSION, bytes)
    }

    /// Whether the numbers of environments are those of this agent's actors.
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
