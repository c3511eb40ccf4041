//! What an actor hands over.

use serde::{Deserialize, Serialize};

use super::{ObsRef, Plane};

/// n agent steps as one: `obs` was acted on, `next_obs` is what the next value is taken of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The observation that was acted on.
    pub obs: ObsRef,
    /// The observation n agent steps later, or the true last one of an episode cut short before.
    /// At a true end nothing is seen of it (`discount` is 0): `obs` does, and costs no plane.
    pub next_obs: ObsRef,
    /// Index of the action.
    pub action: u16,
    /// The discounted sum of the rewards in between.
    pub reward: f32,
    /// Factor on the value of `next_obs`: γⁿ, or 0 at a true end.
    pub discount: f32,
    /// |td_error| as the actor sees it: the first priority comes from it.
    pub td_error_abs: f32,
}

/// Transitions of one environment, and the planes that their observations need beyond those sent
/// before. Observations ahead of their transitions may be among them.
///
/// A stream is what one [`PlaneWriter`](super::PlaneWriter) writes. Its planes come without gaps
/// and its transitions in the order in which their observations were acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamPart {
    /// Which environment, over all actors.
    pub stream: u32,
    /// Number of the first plane within the stream.
    pub first_plane: u64,
    /// New planes.
    pub planes: Vec<Plane>,
    /// New transitions.
    pub transitions: Vec<Transition>,
}
