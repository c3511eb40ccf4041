//! The learner of the coordinate tasks: its rows are the centres of Not-so-Clevr.

use std::path::Path;
use std::sync::Arc;

use coordrl_agents::nn::{Mode, ParamScope};
use tch::{Device, Kind, Tensor};

use super::networks::{FirstMap, StudyNetwork};
use super::rows::{loss_sum, map_target};
use crate::StudyError;
use crate::config::{Inputs, StudyConfig, StudyLoss};
use crate::data::{Centre, Split, centres};
use crate::task::{Draws, Exhibit, Prepared, RowSplit, ScoreSums, Tally, TaskLearner, TaskSetup};

/// A test centre in both splits, away from the edge of the held-out quarter.
pub(super) const SHOWN: Centre = Centre { x: 46, y: 48 };

/// A coordinate task: its tensors and its measures.
pub(super) trait CentreTask: Sync {
    /// Builds the network's input, on the CPU. `inputs` affects the painting tasks only.
    fn input(&self, inputs: Inputs, centres: &[Centre]) -> Result<Tensor, StudyError>;

    /// Builds what the loss compares the output with, on the CPU.
    fn target(&self, loss: StudyLoss, centres: &[Centre]) -> Result<Tensor, StudyError>;

    /// Sums the task's measures over the rows of an output.
    fn measure(
        &self,
        loss: StudyLoss,
        output: &Tensor,
        target: &Tensor,
        centres: &[Centre],
    ) -> Result<Vec<f64>, StudyError>;

    /// Shows what the network makes of its centres.
    fn exhibit(&self, learner: &CentreLearner) -> Result<Exhibit, StudyError>;
}

/// One thread's network, and the centres.
pub(super) struct CentreLearner {
    task: &'static dyn CentreTask,
    /// In the order of [`centres`], by which rows are numbered.
    pub centres: Arc<[Centre]>,
    network: Box<dyn StudyNetwork>,
    inputs: Inputs,
    pub loss: StudyLoss,
    map_loss: f64,
    device: Device,
}

/// Number of training centres.
pub(super) fn train_rows(split: Split, _: &StudyConfig, _: &Path) -> Result<usize, StudyError> {
    Ok(split.indices().train.len())
}

/// Prepares a coordinate task with the network that `build` makes.
pub(super) fn prepare<N: StudyNetwork + 'static>(
    task: &'static dyn CentreTask,
    setup: TaskSetup<'_>,
    build: impl Fn(&mut ParamScope<'_>) -> Result<N, StudyError> + Send + Sync + 'static,
) -> Result<Prepared, StudyError> {
    let centres: Arc<[Centre]> = centres().into();
    let StudyConfig { inputs, loss, map_loss, .. } = *setup.config;
    let device = setup.device;

    let rows = setup.split.indices();
    Ok(Prepared {
        scored: rows.train.clone(),
        rows,
        data: None,
        build: Box::new(move |scope| {
            let network = Box::new(build(scope)?);
            let centres = centres.clone();
            Ok(Box::new(CentreLearner { task, centres, network, inputs, loss, map_loss, device }))
        }),
    })
}

impl CentreLearner {
    /// Runs the network in evaluation mode.
    pub fn output(&self, centres: &[Centre]) -> Result<Tensor, StudyError> {
        let _no_graph = tch::no_grad_guard();
        let input = self.task.input(self.inputs, centres)?.f_to_device(self.device)?;
        Ok(self.network.forward(&input, Mode::Evaluate))
    }

    fn centres_of(&self, rows: &[usize]) -> Vec<Centre> {
        rows.iter().map(|&row| self.centres[row]).collect()
    }
}

impl TaskLearner for CentreLearner {
    fn loss(&self, _: usize, rows: &[usize], _: Draws) -> Result<Tensor, StudyError> {
        let centres = self.centres_of(rows);
        let input = self.task.input(self.inputs, &centres)?.f_to_device(self.device)?;
        let target = self.task.target(self.loss, &centres)?.f_to_device(self.device)?;
        let (output, map) = self.network.forward_with_map(&input, Mode::Train);
        let drawn = loss_sum(self.loss, &output, &target);

        match map.filter(|_| self.map_loss > 0.0) {
            None => Ok(drawn),
            Some(FirstMap { logits, holds }) => {
                let target = map_target(holds, &centres)?.f_to_device(self.device)?;
                Ok(drawn + loss_sum(StudyLoss::CrossEntropy, &logits, &target) * self.map_loss)
            }
        }
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let centres = self.centres_of(rows);
        let output = self.output(&centres)?;
        let target = self.task.target(self.loss, &centres)?.f_to_device(self.device)?;
        let measures = self.task.measure(self.loss, &output, &target, &centres)?;
        let loss = loss_sum(self.loss, &output, &target);
        let loss = loss.f_to_kind(Kind::Double)?.f_double_value(&[])?;
        Ok(ScoreSums { loss, measures: over_rows(measures, rows.len()) })
    }

    fn row_split(&self) -> RowSplit {
        self.network.row_split()
    }

    fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        Ok(vec![self.task.exhibit(self)?])
    }
}

fn over_rows(sums: Vec<f64>, rows: usize) -> Vec<Tally> {
    sums.into_iter().map(|sum| Tally::over_rows(sum, rows)).collect()
}

/// Sums the loss and the measures of an output, as tests make it.
#[cfg(test)]
pub(super) fn score_of(
    task: &crate::Task,
    centre_task: &dyn CentreTask,
    loss: StudyLoss,
    output: &Tensor,
    centres: &[Centre],
) -> crate::Score {
    let target = centre_task.target(loss, centres).unwrap();
    let measures = centre_task.measure(loss, output, &target, centres).unwrap();
    let loss = loss_sum(loss, output, &target).double_value(&[]);
    let sums = ScoreSums { loss, measures: over_rows(measures, centres.len()) };
    crate::Score::new(task, &sums, centres.len())
}
