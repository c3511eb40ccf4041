//! A larger adversarial network on pictures of a folder, as the paper's of bedrooms (Liu et al. 2018,
//! section 5): along a walk through its latent space things fade, and move or change shape with
//! CoordConv.
//!
//! The paper publishes pictures and this sentence. The networks are those of Radford et al. 2015
//! (arXiv:1511.06434), the measures are ours.

mod learner;
mod rooms;
mod walks;

use std::path::Path;
use std::sync::Arc;

use coordrl_agents::nn::{Init, ParamScope};
use coordrl_agents::tags;
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use self::learner::LsunLearner;
use crate::adversary::{DISCRIMINATOR, Discriminator, DoublingGenerator, Latents, channels};
use crate::config::StudyConfig;
use crate::data::{Split, SplitIndices};
use crate::folder::found::Found;
use crate::folder::loader::{Loader, Prepare};
use crate::folder::{FolderError, PictureFolder, centre_square, signed};
use crate::layer::UnderStudy;
use crate::task::{
    Measure, MeasureRange, Objective, Prepared, Task, TaskSetup, as_they_are, joined,
};
use crate::{LayerKind, StudyError};

/// Training pictures that an evaluation scores.
const SCORED: usize = 200;
/// Initial weights of all convolutions and dense layers.
const INIT: Init = Init::Normal { deviation: 0.02 };

/// Settings of the task `lsun`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LsunConfig {
    /// Height and width of the pictures: 32 or 64.
    pub side: u32,
    /// Latent variables.
    pub latents: u32,
    /// Channels of the widest maps, over 8; 128 in the published networks.
    pub width: u32,
    /// The layer under study also stands first in the discriminator.
    pub discriminator_coordinates: bool,
    /// Pictures of a folder that are held out.
    pub test_pictures: u32,
}

impl Default for LsunConfig {
    fn default() -> Self {
        Self {
            side: 32,
            latents: 100,
            width: 16,
            discriminator_coordinates: true,
            test_pictures: 500,
        }
    }
}

impl LsunConfig {
    /// Lists every problem with these settings; keys start with `study.lsun.`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("study.lsun.{key}"), message));
        };
        for (key, count) in [("latents", self.latents), ("width", self.width)] {
            if count == 0 {
                refuse(key, "is 0; the least is 1".to_owned());
            }
        }
        if ![32, 64].contains(&self.side) {
            refuse("side", format!("is {}; there are 64 and 32", self.side));
        }
        if self.test_pictures < 3 {
            let text = format!(
                "is {}; the least is 3, among which are a walk's ends whatever they are counted from",
                self.test_pictures
            );
            refuse("test_pictures", text);
        }
        problems
    }
}

tags! {
    TEST_VARIETY: "study/test_variety", "ratio",
        "Squared differences between two samples over those between two pictures held out: lsun.";
    TEST_SHARPNESS: "study/test_sharpness", "ratio",
        "Squared differences between neighbouring pixels of samples over those of pictures held out: lsun.";
    TEST_WALK_LENGTH: "study/test_walk_length", "ratio",
        "Sum of the distances between neighbouring frames of a walk over the distance between its ends, as vectors of pixels; 1 where one fades into the other: lsun.";
    TEST_WALK_SHARPNESS: "study/test_walk_sharpness", "ratio",
        "Squared differences between neighbouring pixels of a walk's middle frame over those of its ends; below 1 where both are laid over one another: lsun.";
}

const WALKS: [Measure; 4] = [
    over_time("variety", "variety", "Variety of samples", &TEST_VARIETY),
    over_time("sharpness", "sharpness", "Sharpness of samples", &TEST_SHARPNESS),
    over_time("walk_length", "length of walks", "Length of walks", &TEST_WALK_LENGTH),
    over_time(
        "walk_sharpness",
        "sharpness, middle of walks",
        "Sharpness in the middle of walks",
        &TEST_WALK_SHARPNESS,
    ),
];

const fn over_time(
    name: &'static str,
    label: &'static str,
    title: &'static str,
    test: &'static coordrl_agents::Tag,
) -> Measure {
    let measure = Measure::error(name, label, test, test);
    Measure { title, range: MeasureRange::Ratio, train: None, over_time: true, ..measure }
}

/// One step each. Source: Radford et al. 2015.
const OBJECTIVES: [Objective; 2] = [
    Objective { parameters: "discriminator.", steps: 1, rate_factor: |_| 1.0 },
    Objective { parameters: "generator.", steps: 1, rate_factor: |_| 1.0 },
];

pub(crate) const TASK: Task = Task {
    name: "lsun",
    summary: "Paint pictures like those of a folder, and walk between them",
    mark: None,
    measures: &joined::<5>([&WALKS, &DISCRIMINATOR, &[]]),
    splits: &[Split::Pictures],
    losses: &[],
    objectives: &OBJECTIVES,
    takes_long: true,
    fixed_epochs: 80,
    with_layer: recipe,
    baseline: Some(recipe),
    published: |_, kind| match kind {
        LayerKind::InPlace(_) => "things move or change shape",
        LayerKind::Baseline => "things fade",
    },
    drawn: Some(rooms::DRAWN),
    train_rows: |_, config, data| Ok(pictures_of(data, &config.lsun)?.1.train.len()),
    fit_weights: as_they_are,
    prepare,
};

/// Ten thousand updates on the drawn rooms. Rates: Radford et al. 2015.
fn recipe() -> StudyConfig {
    StudyConfig {
        batch_size: 32,
        epochs: 80,
        learning_rate: 2e-4,
        beta1: 0.5,
        beta2: 0.999,
        eval_every_epochs: 10,
        ..Default::default()
    }
}

fn pictures_of(data: &Path, config: &LsunConfig) -> Result<(Found, SplitIndices), FolderError> {
    let held_out = config.test_pictures as usize;
    Found::at(data, rooms::DRAWN, |folder| PictureFolder::list_flat(folder, held_out))
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let config = setup.config.lsun.clone();
    let layer = setup.under_study();
    let device = setup.device;
    let (found, rows) = pictures_of(setup.data_dir, &config)?;
    let (pictures, fingerprint) = found.checked(setup.data_dir, setup.notes_dir)?;
    let loader = Arc::new(Loader::new(pictures, &rows, setup.threads, squares(config.side))?);
    let held_out = rows.train.len()..rows.train.len() + rows.test.len();
    Ok(Prepared {
        scored: rows.train.iter().copied().take(SCORED).collect(),
        rows,
        data: fingerprint,
        build: Box::new(move |scope| {
            let (discriminator, generator) = networks(scope, layer, &config)?;
            Ok(Box::new(LsunLearner {
                discriminator,
                generator,
                latents: Latents { count: config.latents as usize, device },
                loader: loader.clone(),
                held_out: held_out.clone(),
                device,
            }))
        }),
    })
}

fn networks(
    scope: &mut ParamScope<'_>,
    layer: Option<UnderStudy>,
    config: &LsunConfig,
) -> Result<(Discriminator, DoublingGenerator), StudyError> {
    let mut channels = channels(config.side.into(), config.width.into());
    let in_discriminator = layer.filter(|_| config.discriminator_coordinates);
    let discriminator = Discriminator::build(scope, in_discriminator, &channels, INIT)?;
    channels.reverse();
    let latents = config.latents.into();
    let generator = DoublingGenerator::build(scope, layer, latents, &channels, INIT)?;
    Ok((discriminator, generator))
}

/// The middle of a picture, from −1 to 1.
fn squares(side: u32) -> Prepare {
    Box::new(move |picture, _| Ok(signed(&centre_square(picture, side)?)))
}
