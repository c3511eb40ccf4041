//! The second stage's network: from regions of a map to classes and finer boxes.
//!
//! It was not released and its layers are not published: its form is that of Fast R-CNN (Girshick
//! 2015, arXiv:1504.08083), its sizes are ours.

use coordrl_agents::nn::{Init, Linear, Padding, ParamScope};
use tch::Tensor;

use super::network::{TrunkPadding, place};
use super::regions::NO_DIGIT;
use super::roi_align::{BINS, PictureRegion, roi_align};
use crate::StudyError;
use crate::layer::{Layer, UnderStudy, studied};

/// Channels of the map that regions are cut from.
const CHANNELS: i64 = 64;
/// Width of the hidden layer.
const HIDDEN: i64 = 128;
/// Ten digits, and none.
const CLASSES: i64 = NO_DIGIT as i64 + 1;

/// Recognises regions. The layer under study stands before the regions are cut, where it still sees
/// the whole map.
pub(super) struct RoiHead {
    before: Box<dyn Layer>,
    hidden: Linear,
    classes: Linear,
    mover: Linear,
    padding: TrunkPadding,
}

/// Outputs for R regions.
pub(super) struct Recognised {
    /// Of ten digits and none, `[R, 11]`.
    pub logits: Tensor,
    /// One move for all classes, see [`BoundingBox::moved`](super::boxes::BoundingBox::moved);
    /// `[R, 4]`.
    pub moves: Tensor,
}

impl RoiHead {
    pub fn build(
        scope: &mut ParamScope<'_>,
        layer: Option<UnderStudy>,
        padding: TrunkPadding,
    ) -> Result<Self, StudyError> {
        let side = padding.map_side();
        let place = place("regions", [CHANNELS, CHANNELS], side, 1, Padding::Valid);
        let features = CHANNELS * BINS * BINS;
        Ok(Self {
            before: studied(scope, layer, place)?,
            hidden: Linear::build(scope, "hidden", features, HIDDEN, Init::HeNormal)?,
            classes: Linear::build(scope, "classes", HIDDEN, CLASSES, Init::HeNormal)?,
            // Starts at 0: every box is its proposal.
            mover: Linear::build(scope, "refiner", HIDDEN, 4, Init::Zeros)?,
            padding,
        })
    }

    /// Evaluates regions, in the order of their pictures, of maps `[N, 64, H, H]`.
    pub fn forward(
        &self,
        maps: &Tensor,
        regions: &[PictureRegion],
    ) -> Result<Recognised, StudyError> {
        let maps = self.before.forward(maps).f_relu()?;
        let features = roi_align(&maps, regions, self.padding)?.f_flatten(1, -1)?; // [R, 3136]
        let hidden = self.hidden.forward(&features).f_relu()?;
        Ok(Recognised { logits: self.classes.forward(&hidden), moves: self.mover.forward(&hidden) })
    }
}
