//! A variational autoencoder of two objects (Liu et al. 2018, section 6): with convolutions objects
//! fade in and out along a walk through the latent space, with CoordConv they move.
//!
//! The paper publishes pictures and this sentence; network, loss and measures are ours.

mod learner;
mod network;

use coordrl_agents::{Tag, tags};
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use self::learner::VaeLearner;
use self::network::Vae;
use crate::config::StudyConfig;
use crate::data::{Split, SplitIndices};
use crate::objects::scene::Scale;
use crate::task::{Measure, Prepared, Task, TaskSetup};
use crate::{LayerKind, StudyError};

/// Training pictures that an evaluation scores.
const SCORED: usize = 200;

/// Settings of the task `vae`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeConfig {
    /// Height and width of the pictures: 64, or 32 for objects of half the size.
    pub canvas: u32,
    /// Latent variables; a scene has six degrees of freedom, two of them yes or no.
    pub latents: u32,
    /// Weight of the divergence from the prior.
    pub beta: f64,
    /// Pictures to learn from; an epoch.
    pub train_pictures: u32,
    /// Pictures held out.
    pub test_pictures: u32,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self { canvas: 32, latents: 8, beta: 1.0, train_pictures: 50_000, test_pictures: 1000 }
    }
}

impl VaeConfig {
    /// Lists every problem with these settings; keys start with `study.vae.`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("study.vae.{key}"), message));
        };
        let counts = [
            ("latents", self.latents),
            ("train_pictures", self.train_pictures),
            ("test_pictures", self.test_pictures),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            refuse(key, "is 0; the least is 1".to_owned());
        }
        if self.scale().is_none() {
            refuse("canvas", format!("is {}; there are 64 and 32", self.canvas));
        }
        if !(self.beta.is_finite() && self.beta >= 0.0) {
            refuse("beta", format!("is {}; it must be 0 or more", self.beta));
        }
        problems
    }

    fn scale(&self) -> Option<Scale> {
        [Scale::FULL, Scale::HALF].into_iter().find(|scale| scale.side == self.canvas as usize)
    }
}

tags! {
    TRAIN_ERROR: "study/train_squared_error", "none",
        "Squared error of a picture decoded again, summed over pixels and colours, training pictures: vae.";
    TEST_ERROR: "study/test_squared_error", "none",
        "Squared error of a picture decoded again, summed over pixels and colours, test pictures: vae.";
    TRAIN_DIVERGENCE: "study/train_divergence", "nats",
        "Divergence of a picture's encoding from the prior, training pictures: vae.";
    TEST_DIVERGENCE: "study/test_divergence", "nats",
        "Divergence of a picture's encoding from the prior, test pictures: vae.";
    TRAIN_FADED: "study/train_faded", "share of frames",
        "Frames without one of the objects, on walks between encodings of training pictures: vae.";
    TEST_FADED: "study/test_faded", "share of frames",
        "Frames without one of the objects, on walks between encodings of test pictures: vae.";
    TRAIN_COHERENCE: "study/train_coherence", "IoU",
        "Overlap of both objects with the best square or disc, mean over frames of walks, training pictures: vae.";
    TEST_COHERENCE: "study/test_coherence", "IoU",
        "Overlap of both objects with the best square or disc, mean over frames of walks, test pictures: vae.";
    TRAIN_WORST: "study/train_worst_frame", "IoU",
        "The same in the worst frame of a walk, training pictures: vae.";
    TEST_WORST: "study/test_worst_frame", "IoU",
        "The same in the worst frame of a walk, test pictures: vae.";
    TRAIN_DETOUR: "study/train_detour", "ratio",
        "Length of an object's way along a walk over the distance between its ends, training pictures: vae.";
    TEST_DETOUR: "study/test_detour", "ratio",
        "Length of an object's way along a walk over the distance between its ends, test pictures: vae.";
    TRAIN_JUMP: "study/train_jump", "px",
        "Largest distance between neighbouring frames of a walk, training pictures: vae.";
    TEST_JUMP: "study/test_jump", "px",
        "Largest distance between neighbouring frames of a walk, test pictures: vae.";
    TEST_WHOLE: "study/test_whole", "share of samples",
        "Samples from the prior with both objects: vae.";
    TEST_GOOD: "study/test_good", "share of samples",
        "Samples from the prior with both objects, each of which a square or disc overlaps by more than 0.7: vae.";
    TEST_CELLS_BLUE: "study/test_cells_blue", "share of cells",
        "Cells of an 8 × 8 grid in which the blue object of some sample lies: vae.";
    TEST_CELLS_RED: "study/test_cells_red", "share of cells",
        "Cells of an 8 × 8 grid in which the red object of some sample lies: vae.";
    TEST_CELLS_BETWEEN: "study/test_cells_between", "share of cells",
        "Cells of an 8 × 8 grid in which the red object, seen from the blue one, lies in some sample: vae.";
    TEST_ENTROPY_BLUE: "study/test_entropy_blue", "bits",
        "Entropy of the blue object's counts over these cells: vae.";
    TEST_ENTROPY_RED: "study/test_entropy_red", "bits",
        "Entropy of the red object's counts over these cells: vae.";
    TEST_ENTROPY_BETWEEN: "study/test_entropy_between", "bits",
        "Entropy of the counts of the red object seen from the blue one: vae.";
    TEST_DIMENSION_BLUE: "study/test_dimension_blue", "none",
        "Correlation dimension of the blue object's places over samples; about 2 all over the plane, 1 along a curve: vae.";
    TEST_DIMENSION_RED: "study/test_dimension_red", "none",
        "Correlation dimension of the red object's places over samples: vae.";
    TEST_DIMENSION_BETWEEN: "study/test_dimension_between", "none",
        "Correlation dimension of the red object's places seen from the blue one: vae.";
}

/// Values of the data are those of 1 000 scenes on the canvas of 32; a test computes them.
const MEASURES: &[Measure] = &[
    Measure::error("squared_error", "squared error", &TRAIN_ERROR, &TEST_ERROR),
    Measure::error("divergence", "divergence (nats)", &TRAIN_DIVERGENCE, &TEST_DIVERGENCE),
    Measure::share("faded", "faded frames", &TRAIN_FADED, &TEST_FADED),
    Measure::share("coherence", "coherence on walks", &TRAIN_COHERENCE, &TEST_COHERENCE),
    Measure::share("worst_frame", "worst frame", &TRAIN_WORST, &TEST_WORST),
    Measure::error("detour", "detour", &TRAIN_DETOUR, &TEST_DETOUR),
    Measure::error("jump", "largest jump (px)", &TRAIN_JUMP, &TEST_JUMP),
    sample("whole", "samples with both", 1.0, &TEST_WHOLE),
    sample("good", "good samples", 1.0, &TEST_GOOD),
    sample("cells_blue", "cells, blue", 1.0, &TEST_CELLS_BLUE),
    sample("cells_red", "cells, red", 1.0, &TEST_CELLS_RED),
    sample("cells_between", "cells, between", 0.906, &TEST_CELLS_BETWEEN),
    sample("entropy_blue", "entropy, blue", 5.93, &TEST_ENTROPY_BLUE),
    sample("entropy_red", "entropy, red", 5.885, &TEST_ENTROPY_RED),
    sample("entropy_between", "entropy, between", 5.455, &TEST_ENTROPY_BETWEEN),
    sample("dimension_blue", "dimension, blue", 1.80, &TEST_DIMENSION_BLUE),
    sample("dimension_red", "dimension, red", 1.694, &TEST_DIMENSION_RED),
    sample("dimension_between", "dimension, between", 1.717, &TEST_DIMENSION_BETWEEN),
];

/// A measure of samples from the prior, of which the data has a value too.
const fn sample(
    name: &'static str,
    label: &'static str,
    of_data: f64,
    test: &'static Tag,
) -> Measure {
    Measure { train: None, of_data: Some(of_data), ..Measure::share(name, label, test, test) }
}

pub(crate) const TASK: Task = Task {
    name: "vae",
    summary: "Encode pictures of two objects and walk between encodings",
    mark: None,
    measures: MEASURES,
    splits: &[Split::Scenes],
    losses: &[],
    shows_walks: true,
    takes_long: true,
    fixed_epochs: 13,
    with_layer: recipe,
    baseline: Some(recipe),
    published: |_, kind| match kind {
        LayerKind::InPlace(_) => "objects move",
        LayerKind::Baseline => "objects fade",
    },
    train_rows: |_, config| config.vae.train_pictures as usize,
    prepare,
};

/// Twenty thousand steps.
fn recipe() -> StudyConfig {
    StudyConfig { batch_size: 32, epochs: 13, learning_rate: 0.001, ..Default::default() }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let config = setup.config.vae.clone();
    let layer = setup.under_study();
    let device = setup.device;
    let scale = config.scale().unwrap_or(Scale::HALF); // another one was refused before
    let [train, test] = [config.train_pictures, config.test_pictures].map(|count| count as usize);
    let rows = SplitIndices { train: (0..train).collect(), test: (train..train + test).collect() };
    Ok(Prepared {
        scored: rows.train.iter().copied().take(SCORED).collect(),
        rows,
        build: Box::new(move |scope| {
            Ok(Box::new(VaeLearner {
                network: Vae::build(scope, layer, scale, config.latents.into())?,
                scale,
                latents: config.latents as usize,
                beta: config.beta,
                held_out_from: train,
                device,
            }))
        }),
    })
}
