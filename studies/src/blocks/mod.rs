//! Layers that networks of several tasks share.

mod bare_conv;
mod double;
mod pixel_conv;

pub(crate) use bare_conv::BareConv;
pub(crate) use double::{CoordDouble, Double};
pub(crate) use pixel_conv::{PixelConv, map_of, pixels_of};
