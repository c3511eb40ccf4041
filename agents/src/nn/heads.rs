//! Dense layers: the last layer of a torso, and the heads on top of it.

use tch::Tensor;

use super::{Init, NetworkError, ParamScope};

/// A dense layer with a bias.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Parameters `{name}.weight` `[out, in]` and `{name}.bias` `[out]`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        features_in: i64,
        features_out: i64,
        init: Init,
    ) -> Result<Self, NetworkError> {
        let weight = scope.get(&format!("{name}.weight"), &[features_out, features_in], init)?;
        let bias = scope.get(&format!("{name}.bias"), &[features_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// `[N, in]` → `[N, out]`.
    pub fn forward(&self, features: &Tensor) -> Tensor {
        features.linear(&self.weight, Some(&self.bias))
    }
}
