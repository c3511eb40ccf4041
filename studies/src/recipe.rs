//! The settings each task starts from.

use crate::config::{Inputs, Loss, RateSchedule};
use crate::{LayerKind, LayerStart, Split, StudyConfig, StudyLayer, Task};

impl StudyConfig {
    /// Settings with which the task's network for this layer learns it, or, for the baselines, with
    /// which the authors ran theirs.
    pub fn recipe(task: Task, layer: &StudyLayer, _split: Split) -> Self {
        match (task, layer.kind) {
            (Task::Classify, LayerKind::InPlace(_)) => classify(),
            (Task::Render, LayerKind::InPlace(_)) => render(),
            (Task::Regress, LayerKind::InPlace(_)) => regress(),
            (Task::Classify | Task::Render, LayerKind::Baseline) => paint_baseline(task),
            (Task::Regress, LayerKind::Baseline) => regress_baseline(),
        }
    }
}

/// As published, but for the unit of the inputs: see [`Inputs::Coordinates`].
fn classify() -> StudyConfig {
    StudyConfig { inputs: Inputs::Coordinates, ..Default::default() }
}

/// With windows of one pixel all of the square has to be in the first stage's map.
///
/// What carries it into the quarter never shown is the decay of the weights, and time at the full
/// learning rate. With a decay of 0.001 and a rate that falls after 6 epochs some seeds stop just
/// short of the mark; without falling the square comes and goes.
fn render() -> StudyConfig {
    StudyConfig {
        loss: Loss::Bce,
        batch_size: 8,
        epochs: 60,
        learning_rate: 0.01,
        schedule: RateSchedule::Step,
        step_every_epochs: 8,
        step_ratio: 0.3,
        step_limit: 2,
        l2: 0.003,
        map_loss: 1.0,
        // A square in the map is 1 / 81 everywhere: 1 in these units.
        map_scale: 81.0,
        inputs: Inputs::Coordinates,
        ..Default::default()
    }
}

/// Smaller batches than published, so that an epoch has more steps.
///
/// The network has no activation and ends in a maximum over all positions. With coordinates drawn
/// like the other weights that maximum is often at an edge from the start: the pixel then gets no
/// gradient, and all predictions fall to the mean place. Starting plain, the pixel wins first.
fn regress() -> StudyConfig {
    StudyConfig {
        loss: Loss::Mse,
        layer_start: LayerStart::Plain,
        batch_size: 32,
        learning_rate: 0.003,
        ..Default::default()
    }
}

/// The example of the authors' README.
fn paint_baseline(task: Task) -> StudyConfig {
    StudyConfig {
        loss: if task == Task::Classify { Loss::CrossEntropy } else { Loss::Bce },
        epochs: 1000,
        learning_rate: 0.01,
        schedule: RateSchedule::Step,
        step_every_epochs: 200,
        l2: 0.001,
        channel_mul: 2,
        filter_size: 3,
        eval_every_epochs: 5,
        ..Default::default()
    }
}

fn regress_baseline() -> StudyConfig {
    StudyConfig { loss: Loss::Mse, batch_size: 256, learning_rate: 0.001, l2: 1e-5, ..Default::default() }
}
