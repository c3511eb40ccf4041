//! Detection of scattered digits, after the paper's Faster R-CNN (Liu et al. 2018, section 5): the
//! proposal half as in the authors' released code, and a second stage of ours.

mod anchors;
pub mod boxes;
pub mod canvas;
pub mod digits;
mod learner;
mod measures;
mod network;
mod pairs;
mod regions;
mod roi_align;
mod roi_head;
mod second_stage;

use std::sync::Arc;

use coordrl_agents::{Tag, tags};
use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

pub use self::network::TrunkPadding;
pub use self::pairs::PairRule;

use self::digits::Digits;
use self::learner::{DetectData, DetectLearner};
use self::network::ProposalNetwork;
use self::second_stage::SecondStage;
use crate::config::{RateSchedule, StudyConfig};
use crate::data::{Split, SplitIndices};
use crate::task::{Measure, Prepared, Task, TaskSetup, WHOLE, as_they_are};
use crate::{LayerKind, StudyError};

/// Training canvases that an evaluation scores.
const SCORED: usize = 1000;

/// Settings of the task `detect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Rule by which a step draws the boxes that it learns from.
    pub pair_rule: PairRule,
    /// Zero padding of the first two convolutions.
    pub padding: TrunkPadding,
    /// Clips boxes to the canvas, and targets too where they are compared.
    pub clip: bool,
    /// Learns the second stage too: which digit, and finer boxes.
    pub second_stage: bool,
    /// Canvases to learn from; an epoch.
    pub train_canvases: u32,
    /// Canvases of digits never learnt from.
    pub test_canvases: u32,
}

/// The released code's settings, with its two defects mended and its option `clip` on, without
/// which boxes far off the canvas count.
impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            pair_rule: PairRule::Mended,
            padding: TrunkPadding::Valid,
            clip: true,
            second_stage: false,
            train_canvases: 9000,
            test_canvases: 1000,
        }
    }
}

impl DetectConfig {
    /// Lists every problem with these settings; keys start with `study.detect.`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let counts =
            [("train_canvases", self.train_canvases), ("test_canvases", self.test_canvases)];
        let zeros = counts.into_iter().filter(|(_, count)| *count == 0);
        zeros
            .map(|(key, _)| Problem::new(format!("study.detect.{key}"), "is 0; the least is 1"))
            .collect()
    }
}

tags! {
    TRAIN_AVERAGE: "study/train_iou_average", "IoU",
        "Mean overlap of the boxes kept with all targets, training canvases: detect.";
    TEST_AVERAGE: "study/test_iou_average", "IoU",
        "Mean overlap of the boxes kept with all targets, test canvases: detect.";
    TRAIN_SELECT: "study/train_iou_select", "IoU",
        "Mean overlap of each box kept with its best target, training canvases: detect.";
    TEST_SELECT: "study/test_iou_select", "IoU",
        "Mean overlap of each box kept with its best target, test canvases: detect.";
    TRAIN_PAIRS: "study/train_iou_pairs", "IoU",
        "Mean overlap of the pairs learnt from, training canvases: detect.";
    TEST_PAIRS: "study/test_iou_pairs", "IoU",
        "Mean overlap of such pairs, test canvases: detect.";
    TRAIN_RECALL: "study/train_recall", "share of visible digits",
        "Visible digits that a box overlaps by at least a half, training canvases: detect.";
    TEST_RECALL: "study/test_recall", "share of visible digits",
        "Visible digits that a box overlaps by at least a half, test canvases: detect.";
    TRAIN_BEST: "study/train_iou_best", "IoU",
        "Mean overlap of each visible digit with its best box, training canvases: detect.";
    TEST_BEST: "study/test_iou_best", "IoU",
        "Mean overlap of each visible digit with its best box, test canvases: detect.";
    TRAIN_AP50: "study/train_ap50", "AP",
        "Average precision at an overlap of a half, training canvases: detect.";
    TEST_AP50: "study/test_ap50", "AP",
        "Average precision at an overlap of a half, test canvases: detect.";
    TRAIN_MAP50: "study/train_map50", "AP",
        "The same for each digit, averaged over the ten, training canvases; with a second stage: detect.";
    TEST_MAP50: "study/test_map50", "AP",
        "The same for each digit, averaged over the ten, test canvases; with a second stage: detect.";
    TRAIN_BOX_LOSS: "study/train_box_loss", "none",
        "Loss of moves, training canvases: detect.";
    TEST_BOX_LOSS: "study/test_box_loss", "none",
        "Loss of moves, test canvases: detect.";
    TRAIN_SCORE_LOSS: "study/train_score_loss", "nats",
        "Loss of scores, training canvases: detect.";
    TEST_SCORE_LOSS: "study/test_score_loss", "nats",
        "Loss of scores, test canvases: detect.";
    TRAIN_CLASS_LOSS: "study/train_class_loss", "nats",
        "Loss of classes, training canvases; with a second stage: detect.";
    TEST_CLASS_LOSS: "study/test_class_loss", "nats",
        "Loss of classes, test canvases; with a second stage: detect.";
    TRAIN_REGION_LOSS: "study/train_region_box_loss", "none",
        "Loss of the second stage's moves, training canvases: detect.";
    TEST_REGION_LOSS: "study/test_region_box_loss", "none",
        "Loss of the second stage's moves, test canvases: detect.";
}

/// Measures of the paper's table first, then those over the digits that can be seen.
const MEASURES: &[Measure] = &[
    share("iou_average", "IoU, average", "Boxes on targets", &TRAIN_AVERAGE, &TEST_AVERAGE),
    share("iou_select", "IoU, best target", "Boxes on their targets", &TRAIN_SELECT, &TEST_SELECT),
    share("iou_pairs", "IoU of pairs", "Pairs", &TRAIN_PAIRS, &TEST_PAIRS),
    share("recall", "recall at IoU 0.5", "Digits found", &TRAIN_RECALL, &TEST_RECALL),
    share("iou_best", "IoU, best box", "Digits under their boxes", &TRAIN_BEST, &TEST_BEST),
    share("ap50", "AP at IoU 0.5", "Average precision", &TRAIN_AP50, &TEST_AP50),
    share("map50", "mAP at IoU 0.5", "Mean average precision", &TRAIN_MAP50, &TEST_MAP50),
    Measure::error("box_loss", "box loss", &TRAIN_BOX_LOSS, &TEST_BOX_LOSS),
    Measure::error("score_loss", "score loss", &TRAIN_SCORE_LOSS, &TEST_SCORE_LOSS),
    Measure::error("class_loss", "class loss", &TRAIN_CLASS_LOSS, &TEST_CLASS_LOSS),
    Measure::error("region_box_loss", "region box loss", &TRAIN_REGION_LOSS, &TEST_REGION_LOSS),
];

const fn share(
    name: &'static str,
    label: &'static str,
    title: &'static str,
    train: &'static Tag,
    test: &'static Tag,
) -> Measure {
    Measure { title, ..Measure::share(name, label, train, test) }
}

pub(crate) const TASK: Task = Task {
    name: "detect",
    summary: "Propose boxes around digits scattered over a canvas",
    mark: None,
    measures: MEASURES,
    splits: &[Split::Digits],
    losses: &[],
    objectives: &[WHOLE],
    takes_long: false,
    fixed_epochs: 3,
    with_layer: recipe,
    baseline: Some(recipe),
    published,
    drawn: None,
    train_rows: |_, config, _| Ok(config.detect.train_canvases as usize),
    fit_weights: as_they_are,
    prepare,
};

/// One canvas a step, as released. Optimiser and length are ours, as none were published: Adam as in
/// the authors' other tasks, and a tenth of its rate for the last third.
fn recipe() -> StudyConfig {
    StudyConfig {
        batch_size: 1,
        epochs: 3,
        learning_rate: 0.001,
        schedule: RateSchedule::Step,
        step_every_epochs: 2,
        step_ratio: 0.1,
        step_limit: 1,
        shards: 1,
        ..Default::default()
    }
}

/// Test IoU, average. The paper's abstract names the ratio only, 1.24.
fn published(_: Split, kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::InPlace(_) => "1.24 × conv",
        LayerKind::Baseline => "–",
    }
}

fn prepare(setup: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    let config = setup.config.detect.clone();
    let layer = setup.under_study();
    let device = setup.device;
    let data = Arc::new(DetectData::new(Digits::read(setup.data_dir)?, &config));
    let anchors = Arc::new(config.padding.anchors());
    let rows = SplitIndices::in_turn(config.train_canvases as usize, config.test_canvases as usize);
    Ok(Prepared {
        scored: rows.train.iter().copied().take(SCORED).collect(),
        rows,
        data: None,
        build: Box::new(move |scope| {
            let DetectConfig { padding, clip, .. } = config;
            let network = ProposalNetwork::build(scope, layer, padding)?;
            let second_stage = match config.second_stage {
                true => Some(SecondStage::build(scope, layer, padding, clip, device)?),
                false => None,
            };
            Ok(Box::new(DetectLearner {
                network,
                second_stage,
                anchors: anchors.clone(),
                data: data.clone(),
                config: config.clone(),
                device,
            }))
        }),
    })
}
