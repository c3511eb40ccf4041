//! The paper's finding, in one epoch: with coordinates the classifier is correct on every pixel of
//! the held-out quarter; without them it learns nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::NetworkError;
use coordrl_agents::nn::{Conv, ParamScope, Window};
use coordrl_studies::{
    Exhibit, Layer, LayerKind, LayerPlace, LayerShape, Study, StudyLayer, find_layer,
};
use support::{how, study_of};
use tch::Tensor;

/// A CoordConv layer without its coordinates.
struct Plain(Conv);

impl Layer for Plain {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.0.forward(picture)
    }
}

fn build_plain(
    scope: &mut ParamScope<'_>,
    shape: LayerShape,
) -> Result<Box<dyn Layer>, NetworkError> {
    let LayerPlace { name, channels: [channels_in, channels_out], kernel, .. } = shape.place;
    let window = Window { channels_out, kernel, stride: 1 };
    Ok(Box::new(Plain(Conv::build(scope, name, channels_in, window, None)?)))
}

fn after_one_epoch(layer: &StudyLayer) -> (Study, [f64; 2]) {
    let how = how("classify");
    let mut study = study_of(layer, &how.recipe(), how);
    study.train_epoch().unwrap();
    let evaluation = study.evaluate().unwrap();
    let accuracies = [evaluation.train, evaluation.test].map(|score| score.measures.main());
    (study, accuracies)
}

#[test]
fn coordinates_find_every_pixel_even_where_none_was_shown() {
    let (study, [train, test]) = after_one_epoch(find_layer("coordconv").unwrap());
    assert!(train > 0.99 && test > 0.99, "accuracy {train} on train, {test} on test");
    // What people are shown agrees.
    let [Exhibit::Picture { truth, painted, .. }] = &study.exhibits().unwrap()[..] else {
        panic!("the classifier paints");
    };
    let pixel = truth.iter().position(|&value| value == 1.0).unwrap();
    assert!(painted[pixel] > 0.8, "{}", painted[pixel]); // the fourth root of a half and more
    let sum: f32 = painted.iter().map(|value| value.powi(4)).sum();
    assert!(sum < 1.001, "{sum}");
}

#[test]
fn without_coordinates_the_same_network_learns_nothing() {
    let kind = LayerKind::InPlace(build_plain);
    let plain =
        StudyLayer { name: "plain", summary: "the CoordConv layer without coordinates", kind };
    let (_, [train, test]) = after_one_epoch(&plain);
    assert!(train < 0.01 && test < 0.01, "accuracy {train} on train, {test} on test");
}
