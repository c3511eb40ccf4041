//! Everything that can go wrong with a replay.

/// Why a replay could not be built, filled, drawn from, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A setting out of range.
    #[error("the replay's `{key}` is {value}: it must be {allowed}")]
    Config {
        /// The field of [`super::ReplayConfig`].
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The machine has less memory than a full replay needs.
    #[error("no memory for {bytes} bytes of the replay's tables; set a smaller `capacity`")]
    Memory {
        /// What was asked for.
        bytes: u64,
    },
    /// A priority that no tree of sums can hold.
    #[error("the priority at {index} is {priority}: it must be finite, and 0 or more")]
    Priority {
        /// The leaf it was meant for.
        index: usize,
        /// The priority.
        priority: f64,
    },
    /// Nothing in there has a priority above 0.
    #[error("there is nothing to draw: no transition of the replay has a priority above 0")]
    NothingToDraw,
    /// Bytes that are not one observation.
    #[error("{found} bytes are not one observation of {expected}")]
    ObsLength {
        /// Bytes given.
        found: usize,
        /// C · H · W.
        expected: usize,
    },
    /// An observation was to follow another, but there was none.
    #[error("no observation to follow: an episode must be begun first")]
    NoEpisode,
    /// A writer's saved state that is not one of such observations.
    #[error("the saved state of a plane writer cannot be used: {reason}")]
    WriterState {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A plane of a size that is not the replay's.
    #[error("plane {plane} of stream {stream} has {found} bytes, but H · W is {expected}")]
    PlaneLength {
        /// The environment's stream.
        stream: u32,
        /// Its number within the stream.
        plane: u64,
        /// Bytes it has.
        found: usize,
        /// Bytes it should have.
        expected: usize,
    },
    /// Compressed bytes that are none.
    #[error("a plane's compressed bytes are damaged: {reason}")]
    DamagedPlane {
        /// In the words of the decompressor.
        reason: String,
    },
    /// Planes that do not go on where the stream stopped: something was lost, or came twice.
    #[error("stream {stream} goes on at plane {expected}, but planes from {found} on were given")]
    PlaneGap {
        /// The environment's stream.
        stream: u32,
        /// Number of the first plane given.
        found: u64,
        /// Number of the first plane wanted.
        expected: u64,
    },
    /// A transition that refers to planes which are not there, or to older ones than the
    /// transition before it.
    #[error(
        "transition {index} of stream {stream} refers to planes {found:?}, \
         but such a transition may refer to {available:?} only"
    )]
    MissingPlane {
        /// The environment's stream.
        stream: u32,
        /// Position of the transition among those given.
        index: usize,
        /// From the oldest plane it needs to one past the newest.
        found: std::ops::Range<u64>,
        /// The planes it could refer to.
        available: std::ops::Range<u64>,
    },
    /// A bug, caught so that the run ends with its cause.
    #[error("transition {id} needs a plane that is gone: a bug in the replay")]
    PlaneGone {
        /// The transition.
        id: u64,
    },
    /// A number that ends a run: training diverged.
    #[error("the {what} of transition {index} is {value}: not finite")]
    NonFinite {
        /// `"td_error"`, `"reward"` or `"discount"`.
        what: &'static str,
        /// The transition: its id where it has one, else its position among those given.
        index: u64,
        /// The number.
        value: f32,
    },
    /// Not one TD error an id.
    #[error("{td_errors} TD errors were given for {ids} transitions")]
    UpdateLength {
        /// Ids given.
        ids: usize,
        /// TD errors given.
        td_errors: usize,
    },
    /// An id that no draw can have given.
    #[error("there never was a transition {id}: the replay has seen {inserted}")]
    UnknownId {
        /// The id.
        id: u64,
        /// One past the newest id.
        inserted: u64,
    },
    /// A snapshot of another replay.
    #[error("the snapshot's {what} is {found}, but this replay's is {expected}")]
    SnapshotMismatch {
        /// `"version"`, `"obs_shape"` or `"capacity with slack"`.
        what: &'static str,
        /// As the snapshot has it.
        found: String,
        /// As it should be.
        expected: String,
    },
    /// Bytes that are not a whole snapshot.
    #[error("the snapshot is damaged: {reason}")]
    SnapshotDamaged {
        /// What does not fit.
        reason: &'static str,
    },
    /// Reading or writing itself failed.
    #[error("the snapshot could not be written or read: {0}")]
    Io(#[source] std::io::Error),
}

impl From<std::io::Error> for ReplayError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::SnapshotDamaged { reason: "it ends too early" },
            _ => Self::Io(error),
        }
    }
}
