//! Moments of past gradients kept by an optimiser.

use tch::Tensor;

use super::{OptimizerConfig, OptimizerKind};

/// Running averages, each with the shape of the parameters; `None` if the rule does not use them.
#[derive(Debug)]
pub(super) struct Moments {
    /// Mean of the squared gradient.
    pub mean_square: Tensor,
    /// Mean of the gradient: Adam, and centred RMSProp.
    pub mean: Option<Tensor>,
    /// Accumulated changes: RMSProp with momentum.
    pub momentum: Option<Tensor>,
}

impl Moments {
    /// Creates the moments before the first step.
    pub fn fresh(config: &OptimizerConfig, params: &Tensor) -> Self {
        let adam = config.kind == OptimizerKind::Adam;
        // The first step divides by the root of this: at 1 it is short where gradients are below 1,
        // at 0 its length does not depend on them (docs/adr/0020).
        let first = if config.kind == OptimizerKind::RmspropTf { 1.0 } else { 0.0 };
        let zeros = || params.detach().zeros_like();
        Self {
            mean_square: params.detach().full_like(first),
            mean: (adam || config.centered).then(zeros),
            momentum: (!adam && config.momentum > 0.0).then(zeros),
        }
    }

    /// Returns the moments in use, by name.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let mut named = vec![("mean_square", &self.mean_square)];
        named.extend(self.mean.as_ref().map(|mean| ("mean", mean)));
        named.extend(self.momentum.as_ref().map(|momentum| ("momentum", momentum)));
        named
    }

    /// Splits the moments into views of `size` elements.
    pub fn split(&self, size: i64) -> impl Iterator<Item = Self> {
        // Views, so that a rule that changes its chunk in place changes the whole moment.
        let views = |moment: &Tensor| moment.split(size, 0).into_iter();
        let mut mean = self.mean.as_ref().map(views);
        let mut momentum = self.momentum.as_ref().map(views);
        views(&self.mean_square).map(move |mean_square| Self {
            mean_square,
            mean: mean.as_mut().and_then(Iterator::next),
            momentum: momentum.as_mut().and_then(Iterator::next),
        })
    }
}
