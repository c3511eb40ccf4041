//! What an optimiser remembers of earlier gradients.

use tch::Tensor;

use super::{OptimizerConfig, OptimizerKind};

/// Running averages, each shaped as the parameters; those that a rule does not use are absent.
#[derive(Debug)]
pub(super) struct Moments {
    /// Of the squared gradient.
    pub mean_square: Tensor,
    /// Of the gradient: Adam, and RMSProp when centred.
    pub mean: Option<Tensor>,
    /// Of the changes made: RMSProp with momentum.
    pub momentum: Option<Tensor>,
}

impl Moments {
    /// What they are before the first step.
    pub fn fresh(config: &OptimizerConfig, params: &Tensor) -> Self {
        let adam = config.kind == OptimizerKind::Adam;
        let first = if config.kind == OptimizerKind::RmspropTf { 1.0 } else { 0.0 };
        let zeros = || params.detach().zeros_like();
        Self {
            mean_square: params.detach().full_like(first),
            mean: (adam || config.centered).then(zeros),
            momentum: (!adam && config.momentum > 0.0).then(zeros),
        }
    }

    /// Those there are, by name.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let mut named = vec![("mean_square", &self.mean_square)];
        named.extend(self.mean.as_ref().map(|mean| ("mean", mean)));
        named.extend(self.momentum.as_ref().map(|momentum| ("momentum", momentum)));
        named
    }

    /// Views of stretches of `size` numbers.
    pub fn split(&self, size: i64) -> impl Iterator<Item = Self> {
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
