//! Networks: torsos, heads, initial weights and optimisers, independent of environments.

mod batch_norm;
mod brightness;
mod conv;
mod conv_pass;
mod conv_torso;
mod coord_conv;
mod coordinates;
mod dead_features;
mod elements;
mod error;
mod heads;
mod impala;
mod init;
mod network;
mod optim;
mod param_store;
mod pass;
mod pixels;
mod pooling;
mod q_network;
mod torso;

pub use batch_norm::{BatchNorm, Mode};
pub use conv::{Conv, ConvSpec, Padding, Window};
pub use conv_torso::{ConvTorso, ConvTorsoSpec, Position};
pub use coordinates::{
    ChannelSource, CoordinateChannels, CoordinateRange, CoordinateSpec, CoordinateStart,
    Coordinates, Radius, Taps, coordinate_channels,
};
pub(crate) use dead_features::{LiveFeatures, live_features};
pub use error::NetworkError;
pub use heads::Linear;
pub use init::{Init, normal_draws, uniform};
pub use network::{Network, Output};
pub use optim::{Optimizer, OptimizerConfig, OptimizerKind};
pub(crate) use param_store::is_finite;
pub use param_store::{NamedTensors, ParamScope, ParamStore, flatten_gradients};
pub(crate) use pass::{KeptMaps, Pass};
pub use pixels::scale_pixels;
pub use pooling::Pooling;
pub use q_network::{QHead, QNetwork};
pub use torso::{BuildTorso, BuiltTorso, Stages, Torso, TorsoEntry, WayBack, find_torso, torsos};
