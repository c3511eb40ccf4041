//! Replay errors.

/// Reason why a replay could not be built, filled, sampled, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A setting is out of range.
    #[error("the replay's `{key}` is {value}: it must be {allowed}")]
    Config {
        /// Field of [`super::ReplayConfig`].
        key: &'static str,
        /// Configured value.
        value: String,
        /// Allowed range.
        allowed: &'static str,
    },
    /// Memory is too small for a full replay.
    #[error("no memory for {bytes} bytes of the replay's tables; set a smaller `capacity`")]
    Memory {
        /// Bytes requested.
        bytes: u64,
    },
    /// A priority is negative, not finite or too large for the sum tree.
    #[error("the priority at {index} is {priority}: it must be finite, and 0 or more")]
    Priority {
        /// Leaf index.
        index: usize,
        /// Rejected priority.
        priority: f64,
    },
    /// No transition has a priority above 0.
    #[error("there is nothing to draw: no transition of the replay has a priority above 0")]
    NothingToDraw,
    /// The number of bytes is not that of one observation.
    #[error("{found} bytes are not one observation of {expected}")]
    ObsLength {
        /// Bytes supplied.
        found: usize,
        /// Bytes expected: C · H · W.
        expected: usize,
    },
    /// An observation was to follow another before any episode was begun.
    #[error("no observation to follow: an episode must be begun first")]
    NoEpisode,
    /// A writer's saved state does not match its observations.
    #[error("the saved state of a plane writer cannot be used: {reason}")]
    WriterState {
        /// Mismatch found.
        reason: &'static str,
    },
    /// A plane's size is not that of the replay.
    #[error("plane {plane} of stream {stream} has {found} bytes, but H · W is {expected}")]
    PlaneLength {
        /// Stream of the environment.
        stream: u32,
        /// Number within the stream.
        plane: u64,
        /// Bytes in the plane.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// Compressed bytes are corrupt.
    #[error("a plane's compressed bytes are damaged: {reason}")]
    DamagedPlane {
        /// Message of the decompressor.
        reason: String,
    },
    /// Planes do not continue their stream: some are missing or duplicated.
    #[error("stream {stream} goes on at plane {expected}, but planes from {found} on were given")]
    PlaneGap {
        /// Stream of the environment.
        stream: u32,
        /// Number of the first plane supplied.
        found: u64,
        /// Number of the first plane expected.
        expected: u64,
    },
    /// A transition refers to planes that are not stored, or to older ones than the previous
    /// transition.
    #[error(
        "transition {index} of stream {stream} refers to planes {found:?}, \
         but such a transition may refer to {available:?} only"
    )]
    MissingPlane {
        /// Stream of the environment.
        stream: u32,
        /// Position of the transition in the part.
        index: usize,
        /// Required planes, from the oldest to one past the newest.
        found: std::ops::Range<u64>,
        /// Planes it may refer to.
        available: std::ops::Range<u64>,
    },
    /// A stored transition lost a plane: a bug, reported so that the run ends with its cause.
    #[error("transition {id} needs a plane that is gone: a bug in the replay")]
    PlaneGone {
        /// Transition id.
        id: u64,
    },
    /// A number is not finite, which ends the run: training diverged.
    #[error("the {what} of transition {index} is {value}: not finite")]
    NonFinite {
        /// `"td_error"`, `"reward"` or `"discount"`.
        what: &'static str,
        /// Id of the transition if it has one, else its position in the part.
        index: u64,
        /// Offending value.
        value: f32,
    },
    /// The number of TD errors differs from the number of ids.
    #[error("{td_errors} TD errors were given for {ids} transitions")]
    UpdateLength {
        /// Ids supplied.
        ids: usize,
        /// TD errors supplied.
        td_errors: usize,
    },
    /// An id was never assigned.
    #[error("there never was a transition {id}: the replay has seen {inserted}")]
    UnknownId {
        /// Unknown id.
        id: u64,
        /// One past the newest id.
        inserted: u64,
    },
    /// The snapshot belongs to another replay.
    #[error("the snapshot's {what} is {found}, but this replay's is {expected}")]
    SnapshotMismatch {
        /// `"version"`, `"obs_shape"` or `"capacity with slack"`.
        what: &'static str,
        /// Value in the snapshot.
        found: String,
        /// Value in this replay.
        expected: String,
    },
    /// The bytes are not a complete snapshot.
    #[error("the snapshot is damaged: {reason}")]
    SnapshotDamaged {
        /// Inconsistency found.
        reason: &'static str,
    },
    /// The underlying read or write failed.
    #[error("the snapshot could not be written or read: {0}")]
    Io(#[source] std::io::Error),
}

impl From<std::io::Error> for ReplayError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self::SnapshotDamaged { reason: "it ends too early" }
            }
            _ => Self::Io(error),
        }
    }
}
