//! Errors while building a network or loading its weights.

use coordrl_envs::suggest::hint;

/// Reason why a network or its weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The registry has no torso with this name.
    #[error("no torso `{name}`{}; there are {}", hint(.nearest), .known.join(", "))]
    UnknownTorso {
        /// Requested name.
        name: String,
        /// Most similar registered name, if any.
        nearest: Option<String>,
        /// All registered names.
        known: Vec<String>,
    },
    /// The torso's convolutions leave no output at this image size.
    #[error(
        "observations of {height}×{width} pixels are too small for the torso, which needs at least \
         {least}×{least}; raise `env.screen_size`"
    )]
    ObsTooSmall {
        /// Height of the observation.
        height: usize,
        /// Width of the observation.
        width: usize,
        /// Smallest supported height and width.
        least: usize,
    },
    /// One name was requested with two shapes.
    #[error("parameter `{name}` is {found:?}, not {expected:?}")]
    WrongShape {
        /// Name of the parameter.
        name: String,
        /// Shape required by the network.
        expected: Vec<i64>,
        /// Shape supplied.
        found: Vec<i64>,
    },
    /// The number of flat values does not match the network.
    #[error("{found} numbers are not the {expected} of this network's parameters")]
    WrongCount {
        /// Number of values in the network.
        expected: usize,
        /// Number of values supplied.
        found: usize,
    },
    /// A parameter required by the network is missing.
    #[error("parameter `{name}` is missing")]
    MissingParameter {
        /// Name of the parameter.
        name: String,
    },
    /// A parameter does not belong to the network.
    #[error("parameter `{name}` is not one of this network's")]
    UnknownParameter {
        /// Name of the parameter.
        name: String,
    },
    /// The torso's way back returned gradients of something else.
    #[error(
        "the torso's way back gives gradients of shapes {found:?}, but the first parameters have \
         {expected:?}"
    )]
    WrongWayBack {
        /// Shapes of the gradients.
        found: Vec<Vec<i64>>,
        /// Shapes of as many parameters, or of all if there are fewer.
        expected: Vec<Vec<i64>>,
    },
    /// libtorch failed, for instance for lack of memory.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
