//! Dense layers: the last layer of a torso and the heads on top of it.

use tch::Tensor;

use super::{Init, NetworkError, ParamScope};

/// A dense layer with bias.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Builds a layer with parameters `{name}.weight` `[out, in]` and `{name}.bias` `[out]`.
    pub fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        features_in: i64,
        features_out: i64,
        init: Init,
    ) -> Result<Self, NetworkError> {
        Self::build_with_zeros(scope, name, features_in, features_out, init, 0)
    }

    /// Builds the same layer with initial weights of 0 for the last `zeros` inputs.
    pub(super) fn build_with_zeros(
        scope: &mut ParamScope<'_>,
        name: &str,
        features_in: i64,
        features_out: i64,
        init: Init,
        zeros: i64,
    ) -> Result<Self, NetworkError> {
        let shape = [features_out, features_in];
        let weight = scope.get_with_zeros(&format!("{name}.weight"), &shape, init, zeros)?;
        let bias = scope.get(&format!("{name}.bias"), &[features_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// Returns the weight, `[out, in]`.
    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Returns the bias, `[out]`.
    pub(super) fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// Maps `[N, in]` to `[N, out]`.
    pub fn forward(&self, features: &Tensor) -> Tensor {
        features.linear(&self.weight, Some(&self.bias))
    }
}
