//! Networks: torsos, heads, first values, optimisers. Nothing here knows of environments.

mod batch_norm;
mod brightness;
mod conv;
mod coord_conv;
mod dead_features;
mod error;
mod heads;
mod impala;
mod init;
mod network;
mod optim;
mod param_store;
mod q_network;
mod torso;

pub use batch_norm::{BatchNorm, Mode};
pub use conv::{Conv, ConvSpec, ConvTorso, Padding, Window, scale_pixels};
pub use coord_conv::{Coordinates, Radius, coordinate_channels};
pub(crate) use dead_features::{LiveFeatures, live_features};
pub use error::NetworkError;
pub use heads::Linear;
pub use init::Init;
pub(crate) use init::uniform;
pub use network::{Network, Output};
pub use optim::{Optimizer, OptimizerConfig, OptimizerKind};
pub(crate) use optim::{clip_to_norm, norm_of};
pub(crate) use param_store::is_finite;
pub use param_store::{NamedTensors, ParamScope, ParamStore, flatten_gradients};
pub use q_network::{QHead, QNetwork};
pub use torso::{BuildTorso, Torso, TorsoEntry, find_torso, torsos};
