//! Naming pictures with a residual network, plain or with one CoordConv layer before it (Liu et al.
//! 2018, section 4): the paper found no harm and next to no gain.
//!
//! The paper says what it changed in ResNet-50 and nothing of the recipe, which is torchvision's.

mod learner;
mod shapes;

use std::path::Path;
use std::sync::Arc;

use coordrl_agents::tags;
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use self::learner::ImageNetLearner;
use crate::config::{RateSchedule, StudyConfig, StudyOptimizer};
use crate::data::{Split, SplitIndices};
use crate::folder::found::Found;
use crate::folder::loader::{Loader, Prepare};
use crate::folder::{FolderError, PictureFolder, normalised, test_square, train_square};
use crate::resnet::{self, Depth, ResNet, Size};
use crate::task::{Measure, Prepared, Task, TaskSetup, WHOLE};
use crate::{LayerKind, StudyError};

/// Training pictures that an evaluation scores.
const SCORED: usize = 200;
/// Below this the last maps of a residual network are a single pixel, of which a batch of one has no
/// variance to normalise by.
const LEAST_SIDE: u32 = 33;

/// Settings of the task `imagenet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageNetConfig {
    /// Layers of the network: 18 or 50.
    pub depth: u32,
    /// Channels after its first convolution: 64 in the published networks.
    pub width: u32,
    /// Height and width of the pictures, in pixels.
    pub side: u32,
    /// Classes that the data must have; 0 takes as many as there are.
    pub classes: u32,
}

impl Default for ImageNetConfig {
    fn default() -> Self {
        Self { depth: 18, width: 64, side: 64, classes: 0 }
    }
}

impl ImageNetConfig {
    /// Lists every problem with these settings; keys start with `study.imagenet.`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("study.imagenet.{key}"), message));
        };
        if self.depth().is_none() {
            refuse("depth", format!("is {}; there are 18 and 50", self.depth));
        }
        if self.width == 0 {
            refuse("width", "is 0; the least is 1".to_owned());
        }
        if self.side < LEAST_SIDE {
            refuse("side", format!("is {}; the least is {LEAST_SIDE}", self.side));
        }
        problems
    }

    fn depth(&self) -> Option<Depth> {
        match self.depth {
            18 => Some(Depth::Eighteen),
            50 => Some(Depth::Fifty),
            _ => None,
        }
    }

    /// Checks the number of classes.
    fn check_classes(&self, found: usize, data: &Path) -> Result<(), StudyError> {
        let wanted = self.classes;
        if wanted == 0 || wanted as usize == found {
            return Ok(());
        }
        let text = format!(
            "is {wanted}, but {} has {found}; name another folder with `--data`, or set it to 0",
            data.display()
        );
        Err(StudyError::Config(vec![Problem::new("study.imagenet.classes", text)]))
    }
}

tags! {
    TRAIN_TOP1: "study/train_top1", "share of pictures",
        "Pictures whose class ranks first, training pictures: imagenet.";
    TEST_TOP1: "study/test_top1", "share of pictures",
        "Pictures whose class ranks first, pictures held out: imagenet.";
    TRAIN_TOP5: "study/train_top5", "share of pictures",
        "Pictures whose class is among the first five, training pictures: imagenet.";
    TEST_TOP5: "study/test_top5", "share of pictures",
        "Pictures whose class is among the first five, pictures held out: imagenet.";
}

const MEASURES: &[Measure] = &[
    Measure {
        title: "Pictures named",
        ..Measure::share("top1", "top-1 accuracy", &TRAIN_TOP1, &TEST_TOP1)
    },
    Measure {
        title: "Pictures named in five guesses",
        ..Measure::share("top5", "top-5 accuracy", &TRAIN_TOP5, &TEST_TOP5)
    },
];

pub(crate) const TASK: Task = Task {
    name: "imagenet",
    summary: "Name pictures of a folder with a residual network",
    mark: None,
    measures: MEASURES,
    splits: &[Split::Pictures],
    losses: &[],
    objectives: &[WHOLE],
    takes_long: true,
    fixed_epochs: 15,
    with_layer: recipe,
    baseline: Some(recipe),
    published,
    drawn: Some(shapes::DRAWN),
    train_rows: |_, _, data| Ok(pictures_of(data)?.1.train.len()),
    fit_weights: resnet::fit_weights,
    prepare,
};

/// For the drawn shapes; the rate falls as in torchvision's recipe.
fn recipe() -> StudyConfig {
    StudyConfig {
        batch_size: 16,
        epochs: 15,
        optimizer: StudyOptimizer::Sgd,
        learning_rate: 0.05,
        momentum: 0.9,
        weight_decay: 1e-4,
        schedule: RateSchedule::Step,
        step_every_epochs: 5,
        step_ratio: 0.1,
        ..Default::default()
    }
}

/// Top-5 accuracy, the mean of five runs each.
fn published(_: Split, kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::InPlace(_) => "top-5 +0.04 %",
        LayerKind::Baseline => "–",
    }
}

fn pictures_of(data: &Path) -> Result<(Found, SplitIndices), FolderError> {
    Found::at(data, shapes::DRAWN, PictureFolder::list_split)
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let config = setup.config.imagenet.clone();
    let layer = setup.under_study();
    let device = setup.device;
    let (found, rows) = pictures_of(setup.data_dir)?;
    let (pictures, fingerprint) = found.checked(setup.data_dir, setup.notes_dir)?;
    let classes = pictures.classes().len();
    config.check_classes(classes, setup.data_dir)?;

    let loader = Arc::new(Loader::new(pictures, &rows, setup.threads, squares(config.side))?);
    let size = Size {
        depth: config.depth().unwrap_or(Depth::Eighteen), // another one was refused before
        width: config.width.into(),
        side: config.side.into(),
        classes: classes as i64,
    };
    Ok(Prepared {
        scored: spread(&rows.train, SCORED),
        rows,
        data: fingerprint,
        build: Box::new(move |scope| {
            let network = ResNet::build(scope, layer, size)?;
            Ok(Box::new(ImageNetLearner { network, loader: loader.clone(), device }))
        }),
    })
}

/// Cuts pictures as torchvision's recipe does: at random to learn from them, in the middle to score.
fn squares(side: u32) -> Prepare {
    Box::new(move |picture, rng| {
        let square = match rng {
            Some(rng) => train_square(picture, side, rng)?,
            None => test_square(picture, side)?,
        };
        Ok(normalised(&square))
    })
}

/// Takes up to `count` rows, evenly spread: pictures are listed class by class.
fn spread(rows: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(rows.len());
    (0..count).map(|index| rows[index * rows.len() / count]).collect()
}
