//! Published results for the tables: Liu et al. 2018 (arXiv:1807.03247) and the authors' article
//! (eng.uber.com/coordconv). Other layers have no published number.

use coordrl_studies::{LayerKind, Split, StudyLayer, Task};

/// Returns the published result on the test centres.
pub(super) fn published(task: Task, split: Split, layer: &StudyLayer) -> &'static str {
    let baseline = matches!(layer.kind, LayerKind::Baseline);
    if !baseline && layer.name != "coordconv" {
        return "–";
    }

    match (task, split, baseline) {
        (Task::Classify, _, false) => "1.00",
        (Task::Classify, Split::Uniform, true) => "at most 0.86",
        (Task::Classify, Split::Quadrant, true) => "not learnt",
        (Task::Render, _, false) => "1.00",
        (Task::Render, Split::Uniform, true) => "at most 0.83",
        (Task::Render, Split::Quadrant, true) => "at most 0.36",
        (Task::Regress, _, false) => "good",
        (Task::Regress, _, true) => "poor",
    }
}
