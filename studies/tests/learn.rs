//! The paper's finding, in one epoch: with coordinates the classifier is correct on every pixel of
//! the held-out quarter; without them it learns nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::NetworkError;
use coordrl_agents::nn::{Conv, ParamScope, Window};
use coordrl_studies::{
    Evaluation, Layer, LayerKind, LayerShape, Measures, Study, StudyLayer, find_layer,
};
use support::{HOW, study_of};
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
    let window = Window { channels_out: shape.channels_out, kernel: 1, stride: 1 };
    Ok(Box::new(Plain(Conv::build(scope, "layer", shape.channels_in, window, None)?)))
}

fn accuracies(evaluation: &Evaluation) -> [f64; 2] {
    [evaluation.train, evaluation.test].map(|score| match score.measures {
        Measures::Classify { accuracy, .. } => accuracy,
        other => panic!("not a classification: {other:?}"),
    })
}

fn after_one_epoch(layer: &StudyLayer) -> (Study, [f64; 2]) {
    let mut study = study_of(layer, &HOW.recipe(), HOW);
    study.train_epoch().unwrap();
    let evaluation = study.evaluate().unwrap();
    (study, accuracies(&evaluation))
}

#[test]
fn coordinates_find_every_pixel_even_where_none_was_shown() {
    let (study, [train, test]) = after_one_epoch(find_layer("coordconv").unwrap());
    assert!(train > 0.99 && test > 0.99, "accuracy {train} on train, {test} on test");
    // The predicted positions agree.
    let places = study.places().unwrap();
    let right = |index: &usize| {
        let centre = study.centres()[*index];
        let place = places[*index];
        place == [f64::from(centre.x), f64::from(centre.y)]
    };

    let members = &study.indices().test;
    assert_eq!(
        members.iter().filter(|index| right(index)).count() as f64 / members.len() as f64,
        test
    );
    let centre = study.centres()[study.indices().test[100]];
    let picture = study.picture(centre).unwrap();
    assert!((picture.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    assert!(picture[centre.pixel()] > 0.5, "{}", picture[centre.pixel()]);
}

#[test]
fn without_coordinates_the_same_network_learns_nothing() {
    let kind = LayerKind::InPlace(build_plain);
    let plain =
        StudyLayer { name: "plain", summary: "the CoordConv layer without coordinates", kind };
    let (_, [train, test]) = after_one_epoch(&plain);
    assert!(train < 0.01 && test < 0.01, "accuracy {train} on train, {test} on test");
}
