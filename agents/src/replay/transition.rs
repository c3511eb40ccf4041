//! Data sent from actors to the replay.

use serde::{Deserialize, Serialize};

use super::{ObsRef, Plane};

/// An n-step transition: the action is taken in `obs`, the value is bootstrapped from `next_obs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Observation acted on.
    pub obs: ObsRef,
    /// Observation n agent steps later, or the final one if the episode was truncated before.
    /// Unused at a true end (`discount` is 0), where a copy of `obs` costs no plane.
    pub next_obs: ObsRef,
    /// Action index.
    pub action: u16,
    /// Discounted sum of the rewards in between.
    pub reward: f32,
    /// Factor on the value of `next_obs`: γⁿ, or 0 at a true end.
    pub discount: f32,
    /// |td_error| estimated by the actor, which sets the initial priority.
    pub td_error_abs: f32,
}

/// Transitions of one environment with the planes they need beyond those already sent. It may
/// include planes of observations whose transitions follow later.
///
/// A stream is the output of one [`PlaneWriter`](super::PlaneWriter). Its planes have no gaps and
/// its transitions are in the order in which their observations were acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamPart {
    /// Index of the environment across all actors.
    pub stream: u32,
    /// Number of the first plane within the stream.
    pub first_plane: u64,
    /// New planes.
    pub planes: Vec<Plane>,
    /// New transitions.
    pub transitions: Vec<Transition>,
}
