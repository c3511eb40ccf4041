//! Moments of past gradients kept by an optimiser.

use tch::Tensor;

use super::{OptimizerConfig, OptimizerKind};

/// Running averages, each with the shape of the parameters; `None` if the rule does not use them.
#[derive(Debug)]
pub(super) struct Moments {
    /// Mean of the squared gradient: all but SGD.
    pub mean_square: Option<Tensor>,
    /// Mean of the gradient: Adam, and centred RMSProp.
    pub mean: Option<Tensor>,
    /// Accumulated changes: RMSProp and SGD with momentum.
    pub momentum: Option<Tensor>,
}

impl Moments {
    /// Creates the moments before the first step.
    pub fn fresh(config: &OptimizerConfig, params: &Tensor) -> Self {
        let adam = config.kind == OptimizerKind::Adam;
        let sgd = config.kind == OptimizerKind::Sgd;
        // The first step divides by the root of this: at 1 it is short where gradients are below 1,
        // at 0 its length does not depend on them (docs/adr/0020).
        let first = if config.kind == OptimizerKind::RmspropTf { 1.0 } else { 0.0 };
        let zeros = || params.detach().zeros_like();
        Self {
            mean_square: (!sgd).then(|| params.detach().full_like(first)),
            mean: (adam || (!sgd && config.centered)).then(zeros),
            momentum: (!adam && config.momentum > 0.0).then(zeros),
        }
    }

    /// Returns the moments in use, by name.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let all = [
            ("mean_square", &self.mean_square),
            ("mean", &self.mean),
            ("momentum", &self.momentum),
        ];
        all.into_iter().filter_map(|(name, moment)| Some((name, moment.as_ref()?))).collect()
    }

    /// Returns the mean of the squared gradient.
    ///
    /// # Panics
    /// For SGD, which has none.
    pub fn mean_square(&self) -> &Tensor {
        let Some(mean_square) = &self.mean_square else {
            unreachable!("SGD has no mean square, and no rule that asks for it")
        };
        mean_square
    }

    /// Splits the moments into `count` views of up to `size` elements.
    pub fn split(&self, size: i64, count: usize) -> impl Iterator<Item = Self> {
        // Views, so that a rule that changes its chunk in place changes the whole moment.
        let views = |moment: &Tensor| moment.split(size, 0).into_iter();
        let [mut mean_square, mut mean, mut momentum] =
            [&self.mean_square, &self.mean, &self.momentum]
                .map(|moment| moment.as_ref().map(views));
        (0..count).map(move |_| Self {
            mean_square: mean_square.as_mut().and_then(Iterator::next),
            mean: mean.as_mut().and_then(Iterator::next),
            momentum: momentum.as_mut().and_then(Iterator::next),
        })
    }
}
