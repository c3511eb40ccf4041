//! Failures are reported, and in time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use std::sync::Arc;

use coordrl_agents::nn::{Conv, ParamScope, Window};
use coordrl_agents::{NetworkError, build_pool};
use coordrl_studies::{
    Layer, LayerKind, LayerShape, Study, StudyConfig, StudyError, StudyLayer, StudyLoss,
    StudySetup, find_layer,
};
use support::{How, assert_same_state, digits, how, study};
use tch::{Device, Tensor};

fn try_study(layer: &StudyLayer, config: &StudyConfig, how: How) -> Result<Study, StudyError> {
    let How { task, split, seed, .. } = how;
    let pool = Arc::new(build_pool(1, 1).unwrap());
    let device = Device::Cpu;
    let data_dir = &digits();
    Study::build(StudySetup { task, split, layer, config, seed, data_dir, device, pool })
}

#[test]
fn wrong_settings_are_refused_before_anything_is_built() {
    let config = StudyConfig { batch_size: 0, loss: StudyLoss::Bce, ..Default::default() };
    let error =
        try_study(find_layer("conv").unwrap(), &config, how("regress")).unwrap_err().to_string();
    assert!(error.contains("`study.batch_size` is 0") && error.contains("`study.loss`"), "{error}");
}

/// A layer that ignores the requested number of channels.
struct Narrow(Conv);

impl Layer for Narrow {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.0.forward(picture)
    }
}

fn build_narrow(
    scope: &mut ParamScope<'_>,
    shape: LayerShape,
) -> Result<Box<dyn Layer>, NetworkError> {
    let window = Window { channels_out: 5, kernel: 1, stride: 1 };
    let [channels_in, _] = shape.place.channels;
    Ok(Box::new(Narrow(Conv::build(scope, shape.place.name, channels_in, window, None)?)))
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_both_shapes() {
    let kind = LayerKind::InPlace(build_narrow);
    let layer = StudyLayer { name: "narrow", summary: "five channels", kind };
    for (task, channels) in [("classify", 32), ("render", 32), ("regress", 8)] {
        let how = how(task);
        let error = try_study(&layer, &how.recipe(), how).unwrap_err().to_string();
        let expected =
            format!("makes [1, 5, 64, 64], but the network needs [1, {channels}, 64, 64]");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn divergence_is_an_error_and_leaves_the_weights_alone() {
    for what in ["loss", "gradient"] {
        let how = how("classify");
        let mut study = study(&StudyConfig { l2: 1e-3, ..how.recipe() }, how);
        let mut weights = study.save().unwrap().weights;
        // Infinite weights make the loss infinite; huge ones only its gradient.
        let value = if what == "loss" { f64::INFINITY } else { 3e19 };
        let (_, bias) = weights.iter_mut().find(|(name, _)| name == "conv5.weight").unwrap();
        let _ = bias.fill_(value);
        study.load_weights(&weights).unwrap();
        let before = study.save().unwrap();
        let error = study.update().unwrap_err();
        assert!(matches!(error, StudyError::NonFinite { update: 0, .. }), "{error}");
        assert!(error.to_string().contains("not finite in update 0: training diverged"), "{error}");
        assert_same_state(&study.save().unwrap(), &before);
    }
}
