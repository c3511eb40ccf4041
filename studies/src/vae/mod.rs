//! A variational autoencoder of two objects (Liu et al. 2018, section 6): with convolutions objects
//! fade in and out along a walk through the latent space, with CoordConv they move.
//!
//! The paper publishes pictures and this sentence; network, loss and measures are ours.

mod learner;
mod network;

use coordrl_agents::tags;
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use self::learner::VaeLearner;
use self::network::Vae;
use crate::config::StudyConfig;
use crate::data::{Split, SplitIndices};
use crate::objects::judged;
use crate::objects::painter::Canvases;
use crate::objects::scene::Scale;
use crate::task::{Measure, Prepared, Task, TaskSetup, WHOLE, as_they_are, joined};
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
        let counts = [("latents", self.latents), ("train_pictures", self.train_pictures)];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            refuse(key, "is 0; the least is 1".to_owned());
        }
        if !(self.beta.is_finite() && self.beta >= 0.0) {
            refuse("beta", format!("is {}; it must be 0 or more", self.beta));
        }
        problems.extend(Canvases::check("study.vae", self.canvas, self.test_pictures));
        problems
    }

    fn scale(&self) -> Option<Scale> {
        Scale::of_side(self.canvas)
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
}

const RECONSTRUCTION: [Measure; 2] = [
    Measure::error("squared_error", "squared error", &TRAIN_ERROR, &TEST_ERROR),
    Measure::error("divergence", "divergence (nats)", &TRAIN_DIVERGENCE, &TEST_DIVERGENCE),
];

pub(crate) const TASK: Task = Task {
    name: "vae",
    summary: "Encode pictures of two objects and walk between encodings",
    mark: None,
    measures: &joined::<18>([&RECONSTRUCTION, &judged::WALKS, &judged::SAMPLES]),
    splits: &[Split::Scenes],
    losses: &[],
    objectives: &[WHOLE],
    takes_long: true,
    fixed_epochs: 13,
    with_layer: recipe,
    baseline: Some(recipe),
    published: |_, kind| match kind {
        LayerKind::InPlace(_) => "objects move",
        LayerKind::Baseline => "objects fade",
    },
    drawn: None,
    train_rows: |_, config, _| Ok(config.vae.train_pictures as usize),
    fit_weights: as_they_are,
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
    let rows = SplitIndices::in_turn(config.train_pictures as usize, config.test_pictures as usize);
    let held_out = rows.train.len()..rows.train.len() + rows.test.len();
    let canvases = Canvases { scale, held_out, device };
    Ok(Prepared {
        scored: rows.train.iter().copied().take(SCORED).collect(),
        rows,
        data: None,
        build: Box::new(move |scope| {
            Ok(Box::new(VaeLearner {
                network: Vae::build(scope, layer, scale, config.latents.into())?,
                canvases: canvases.clone(),
                latents: config.latents as usize,
                beta: config.beta,
            }))
        }),
    })
}
