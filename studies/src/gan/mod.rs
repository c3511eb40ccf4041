//! A generative adversarial network of two objects (Liu et al. 2018, section 5): the positions of a
//! plain generator's objects collapse to a curve, with CoordConv they cover the plane better.
//!
//! Networks, losses and steps are those of the authors' code (uber-research/CoordConv); the measures
//! are ours.

mod learner;
mod network;

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use self::learner::GanLearner;
use self::network::{Generator, discriminator};
use crate::adversary::{DISCRIMINATOR, Latents};
use crate::config::StudyConfig;
use crate::data::{Split, SplitIndices};
use crate::objects::judged;
use crate::objects::painter::Canvases;
use crate::objects::scene::Scale;
use crate::task::{Objective, Prepared, Task, TaskSetup, as_they_are, joined, of_held_out};
use crate::{LayerKind, StudyError};

/// Training pictures that an evaluation scores.
const SCORED: usize = 200;

/// Settings of the task `gan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GanConfig {
    /// Height and width of the pictures: 64, or 32 for objects of half the size.
    pub canvas: u32,
    /// Latent variables.
    pub latents: u32,
    /// Channels of the narrowest layers; 64 in the authors' code.
    pub width: u32,
    /// The layer under study also stands first in the discriminator.
    pub discriminator_coordinates: bool,
    /// Factor on the generator's learning rate; 5 in the authors' code.
    pub generator_rate_factor: f64,
    /// Pictures to learn from; an epoch.
    pub train_pictures: u32,
    /// Pictures held out; an evaluation looks at as many samples and half as many walks.
    pub test_pictures: u32,
}

impl Default for GanConfig {
    fn default() -> Self {
        Self {
            canvas: 32,
            latents: 64,
            width: 16,
            discriminator_coordinates: true,
            generator_rate_factor: 1.0,
            train_pictures: 32_000,
            test_pictures: 1000,
        }
    }
}

impl GanConfig {
    /// Lists every problem with these settings; keys start with `study.gan.`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("study.gan.{key}"), message));
        };
        let counts = [
            ("latents", self.latents),
            ("width", self.width),
            ("train_pictures", self.train_pictures),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            refuse(key, "is 0; the least is 1".to_owned());
        }
        let factor = self.generator_rate_factor;
        if !(factor.is_finite() && factor > 0.0) {
            refuse("generator_rate_factor", format!("is {factor}; it must be a number above 0"));
        }
        problems.extend(Canvases::check("study.gan", self.canvas, self.test_pictures));
        problems
    }

    fn scale(&self) -> Option<Scale> {
        Scale::of_side(self.canvas)
    }
}

/// The discriminator steps once, then the generator twice with the same latent variables.
const OBJECTIVES: [Objective; 2] = [
    Objective { parameters: "discriminator.", steps: 1, rate_factor: |_| 1.0 },
    Objective {
        parameters: "generator.",
        steps: 2,
        rate_factor: |config| config.gan.generator_rate_factor,
    },
];

pub(crate) const TASK: Task = Task {
    name: "gan",
    summary: "Paint pictures of two objects that a discriminator takes for real",
    mark: None,
    measures: &joined::<17>([&judged::SAMPLES, &of_held_out(judged::WALKS), &DISCRIMINATOR]),
    splits: &[Split::Scenes],
    losses: &[],
    objectives: &OBJECTIVES,
    takes_long: true,
    fixed_epochs: 10,
    with_layer: recipe,
    baseline: Some(recipe),
    published: |_, kind| match kind {
        LayerKind::InPlace(_) => "covers the plane better",
        LayerKind::Baseline => "collapses to a curve",
    },
    drawn: None,
    train_rows: |_, config, _| Ok(config.gan.train_pictures as usize),
    fit_weights: as_they_are,
    prepare,
};

/// Twenty thousand updates.
fn recipe() -> StudyConfig {
    StudyConfig {
        batch_size: 16,
        epochs: 10,
        learning_rate: 2e-4,
        beta1: 0.5,
        beta2: 0.999,
        ..Default::default()
    }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let config = setup.config.gan.clone();
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
            Ok(Box::new(GanLearner {
                discriminator: discriminator(scope, layer, scale, &config)?,
                generator: Generator::build(scope, layer, scale, &config)?,
                canvases: canvases.clone(),
                latents: Latents { count: config.latents as usize, device },
            }))
        }),
    })
}
