//! Batch normalisation with running statistics saved alongside the weights.

use tch::Tensor;

use super::{Init, NetworkError, ParamScope};

/// Weight of the current batch in the running statistics; the old value keeps 0.9.
const NEW_SHARE: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// Source of the normalisation statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Normalises with batch statistics and updates the running ones.
    Train,
    /// Normalises with the running statistics and leaves them unchanged.
    Evaluate,
}

/// Normalises each channel of `[N, C, H, W]` to mean 0 and variance 1 over the batch, then applies
/// a trainable scale and shift. Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
///
/// Each row's output depends on every row, so a batch must not be split across networks.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    /// Builds the layer with parameters `{name}.weight` and `{name}.bias` and buffers
    /// `{name}.running_mean` and `{name}.running_var`, all `[channels]`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        channels: i64,
    ) -> Result<Self, NetworkError> {
        let shape = [channels];
        Ok(Self {
            weight: scope.get(&format!("{name}.weight"), &shape, Init::Ones)?,
            bias: scope.get(&format!("{name}.bias"), &shape, Init::Zeros)?,
            running_mean: scope.buffer(&format!("{name}.running_mean"), &shape, Init::Zeros)?,
            running_var: scope.buffer(&format!("{name}.running_var"), &shape, Init::Ones)?,
        })
    }

    /// Normalises `[N, C, H, W]`, keeping the shape. The running variance is unbiased, as in
    /// PyTorch.
    pub fn forward(&self, maps: &Tensor, mode: Mode) -> Tensor {
        // In training libtorch changes the running statistics in place, although it borrows them.
        maps.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            mode == Mode::Train,
            NEW_SHARE,
            EPSILON,
            true,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ParamStore;
    use tch::{Device, Kind};

    #[test]
    fn training_uses_the_batch_and_moves_the_running_statistics() {
        let mut store = ParamStore::new(1, Device::Cpu);
        let norm = BatchNorm::build(&mut ParamScope::new(&mut store), "bn", 1).unwrap();
        let maps = Tensor::from_slice(&[1f32, 3.0]).view([2, 1, 1, 1]); // mean 2, variance 1 or 2
        let numbers = |tensor: Tensor| Vec::<f32>::try_from(tensor.view([-1])).unwrap();
        assert_eq!(numbers(norm.forward(&maps, Mode::Evaluate)).len(), 2);
        assert_eq!(numbers(norm.running_mean.copy()), [0.0]); // evaluation leaves them unchanged
        let trained = numbers(norm.forward(&maps, Mode::Train));
        assert!((trained[0] + 1.0).abs() < 1e-4 && (trained[1] - 1.0).abs() < 1e-4, "{trained:?}");
        assert!((numbers(norm.running_mean.copy())[0] - 0.2).abs() < 1e-6);
        assert!((numbers(norm.running_var.copy())[0] - 1.1).abs() < 1e-6);
        let evaluated = norm.forward(
            &(Tensor::zeros([1, 1, 1, 1], (Kind::Float, Device::Cpu)) + 0.2),
            Mode::Evaluate,
        );
        assert!(numbers(evaluated)[0].abs() < 1e-6);
    }
}
