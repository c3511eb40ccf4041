//! The painting tasks' baseline: transposed convolutions from one pixel to 64 × 64.

use coordrl_agents::nn::{BatchNorm, Init, Mode, NetworkError, ParamScope};
use tch::Tensor;

use super::{SIDE, StudyNetwork};
use crate::blocks::Double;
use crate::task::RowSplit;

/// Channels of the layers; each doubles height and width.
const CHANNELS: [i64; 6] = [64, 64, 64, 32, 32, 1];
/// Pictures per evaluation pass.
const EVALUATE_ROWS: usize = 16;

/// Six doublings, with batch normalisation and a ReLU after all but the last, which outputs the
/// logits.
#[derive(Debug)]
pub(in crate::tasks) struct Deconv {
    doublings: Vec<Double>,
    norms: Vec<BatchNorm>,
}

impl Deconv {
    pub fn build(scope: &mut ParamScope<'_>, mul: i64, kernel: i64) -> Result<Self, NetworkError> {
        let mut doublings = Vec::new();
        let mut norms = Vec::new();
        let mut channels = 2;
        for (index, hidden) in CHANNELS.into_iter().enumerate() {
            let last = index + 1 == CHANNELS.len();
            let channels_out = if last { hidden } else { hidden * mul };
            let name = format!("deconv{}", index + 1);
            let ends = [channels, channels_out];
            doublings.push(Double::build(scope, &name, ends, kernel, Init::HeNormal)?);
            if !last {
                norms.push(BatchNorm::build(scope, &format!("norm{}", index + 1), channels_out)?);
            }
            channels = channels_out;
        }

        Ok(Self { doublings, norms })
    }
}

impl StudyNetwork for Deconv {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let mut picture = input.unsqueeze(-1).unsqueeze(-1); // [N, 2, 1, 1]
        for (index, double) in self.doublings.iter().enumerate() {
            picture = double.forward(&picture);
            if let Some(norm) = self.norms.get(index) {
                picture = norm.forward(&picture, mode).relu();
            }
        }
        picture.reshape([-1, SIDE * SIDE]) // [N, 4096]
    }

    fn row_split(&self) -> RowSplit {
        // Batch normalisation in training takes its mean and variance over the whole batch.
        RowSplit::Whole(EVALUATE_ROWS)
    }
}
