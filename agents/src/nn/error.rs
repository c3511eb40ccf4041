//! What can go wrong while a network is built or its weights are loaded.

/// Why a network or its weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No torso of that name in the registry.
    #[error("no torso `{name}`{}; there are {}", hint(.nearest), .known.join(", "))]
    UnknownTorso {
        /// The name asked for.
        name: String,
        /// The registered name most like it, if one is.
        nearest: Option<String>,
        /// All registered names.
        known: Vec<String>,
    },
    /// The torso's convolutions shrink the picture to nothing.
    #[error(
        "observations of {height}×{width} pixels are too small for the torso, which needs at least \
         {least}×{least}; raise `env.screen_size`"
    )]
    ObsTooSmall {
        /// Height of the observation.
        height: usize,
        /// Width of the observation.
        width: usize,
        /// Smallest height and width that work.
        least: usize,
    },
    /// One name was asked for in two shapes.
    #[error("parameter `{name}` is {found:?}, not {expected:?}")]
    WrongShape {
        /// Name of the parameter.
        name: String,
        /// Shape that the network needs.
        expected: Vec<i64>,
        /// Shape that was given.
        found: Vec<i64>,
    },
    /// Plain numbers that are more or fewer than the network's.
    #[error("{found} numbers are not the {expected} of this network's parameters")]
    WrongCount {
        /// How many the network has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A parameter that the network needs is not there.
    #[error("parameter `{name}` is missing")]
    MissingParameter {
        /// Name of the parameter.
        name: String,
    },
    /// A parameter that the network does not have.
    #[error("parameter `{name}` is not one of this network's")]
    UnknownParameter {
        /// Name of the parameter.
        name: String,
    },
    /// libtorch refused, for instance because memory ran out.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}
