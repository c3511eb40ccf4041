//! Learning to name pictures.

use std::sync::Arc;

use coordrl_agents::nn::Mode;
use tch::{Device, Kind, Reduction, Tensor};

use crate::StudyError;
use crate::folder::loader::{Batch, Loader};
use crate::resnet::ResNet;
use crate::task::{Draws, Intake, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per pass of an evaluation.
const ROWS: usize = 64;
/// Guesses that the second measure allows.
const GUESSES: i64 = 5;

/// One thread's network. Rows are numbers of pictures.
pub(super) struct ImageNetLearner {
    pub network: ResNet,
    pub loader: Arc<Loader>,
    pub device: Device,
}

impl TaskLearner for ImageNetLearner {
    fn loss(&self, _: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Batch { pictures, classes } = self.loader.take(rows, Some(draws), self.device)?;
        cross_entropy(&self.network.forward(&pictures, Mode::Train), &classes)
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let Batch { pictures, classes } = self.loader.take(rows, None, self.device)?;
        let logits = self.network.forward(&pictures, Mode::Evaluate); // [N, classes]
        let ranks = ranks(&logits, &classes)?; // [N]
        let within = |count: i64| -> Result<Tally, StudyError> {
            let found = ranks.f_lt(count)?.f_sum(Kind::Double)?;
            Ok(Tally::over_rows(found.f_double_value(&[])?, rows.len()))
        };
        let loss = cross_entropy(&logits, &classes)?.f_double_value(&[])?;
        Ok(ScoreSums { loss, measures: vec![within(1)?, within(GUESSES)?] })
    }

    /// Under batch normalisation rows depend on each other.
    fn row_split(&self) -> RowSplit {
        RowSplit::Whole(ROWS)
    }

    fn expect(&self, rows: &[usize], draws: Option<Draws>) {
        self.loader.expect(rows, draws);
    }

    fn load(&self, rows: &[usize], draws: Draws) -> Result<bool, StudyError> {
        self.loader.take(rows, Some(draws), self.device)?;
        Ok(true)
    }

    fn take_intake(&self) -> Intake {
        self.loader.take_intake()
    }
}

/// Cross-entropy summed over the rows.
fn cross_entropy(logits: &Tensor, classes: &Tensor) -> Result<Tensor, StudyError> {
    Ok(logits.f_cross_entropy_loss::<Tensor>(classes, None, Reduction::Sum, -100, 0.0)?)
}

/// Counts the classes that rank before the right one, `[N]`; of equal logits, and of those that are no
/// numbers, all others do.
fn ranks(logits: &Tensor, classes: &Tensor) -> Result<Tensor, StudyError> {
    let right = logits.f_gather(1, &classes.f_unsqueeze(1)?, false)?; // [N, 1]
    let not_behind = logits.f_lt_tensor(&right)?.f_logical_not()?; // [N, classes]
    // Without the right one itself.
    Ok(not_behind.f_sum_dim_intlist(1, false, Kind::Int64)? - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_the_classes_before() {
        let nan = f32::NAN;
        let logits = Tensor::from_slice(&[0.5f32, 2.0, 1.0, 3.0, 3.0, 3.0, nan, nan, nan]);
        let classes = Tensor::from_slice(&[2i64, 0, 1]);
        let found: Vec<i64> = ranks(&logits.view([3, 3]), &classes).unwrap().try_into().unwrap();
        // A network that gives every class the same, or no number, has found none.
        assert_eq!(found, [1, 2, 2]);
    }
}
