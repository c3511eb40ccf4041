//! Two objects on a white canvas: the data of the generative studies, and what a picture of them
//! shows.
//!
//! After the two-object Sort-of-CLEVR of the authors' code (uber-research/CoordConv).

pub(crate) mod judged;
pub(crate) mod painter;
pub(crate) mod pictures;
pub(crate) mod scene;
pub(crate) mod sight;
pub(crate) mod spread;
pub(crate) mod walk;
