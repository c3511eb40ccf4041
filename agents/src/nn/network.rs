//! Actor-critic network: a torso with a policy head and a value head.

use tch::{Kind, Tensor};

use super::param_store::flatten_gradients;
use super::{
    Init, KeptMaps, Linear, NetworkError, ParamScope, ParamStore, Pass, Torso, TorsoEntry,
};

/// Gain of the policy head, small so that the initial policy is nearly uniform.
const POLICY_GAIN: f64 = 0.01;
const VALUE_GAIN: f64 = 1.0;

/// Torso, policy head and value head on the parameters of a [`ParamStore`].
pub struct Network {
    torso: Box<dyn Torso>,
    policy: Linear,
    value: Linear,
    parameters: Vec<Tensor>,
}

/// Network output for N observations.
#[derive(Debug)]
pub struct Output {
    /// Unnormalised log-probabilities of the actions, `f32 [N, A]`.
    pub logits: Tensor,
    /// Expected discounted return, `f32 [N]`.
    pub value: Tensor,
    /// Torso features that feed both heads, `f32 [N, F]`.
    pub features: Tensor,
}

impl Network {
    /// Builds a network for observations of shape `[C, H, W]` and `num_actions` actions on the
    /// parameters of `store`, initialising any that are missing.
    pub fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        store: &mut ParamStore,
    ) -> Result<Self, NetworkError> {
        let mut scope = ParamScope::new(store);
        let torso = (torso.build)(&mut scope, obs_shape)?;
        let features = torso.features();
        let mut head = |name, outputs, gain| {
            Linear::build(&mut scope, name, features, outputs, Init::Orthogonal { gain })
        };
        let policy = head("policy", num_actions as i64, POLICY_GAIN)?;
        let value = head("value", 1, VALUE_GAIN)?;
        Ok(Self { torso, policy, value, parameters: scope.into_leaves()? })
    }

    /// Checks that a network can be built for these observations, without drawing or keeping
    /// weights.
    ///
    /// # Errors
    /// As [`Network::build`].
    pub fn check(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
    ) -> Result<(), NetworkError> {
        Self::build(torso, obs_shape, num_actions, &mut ParamStore::of_shapes(tch::Device::Cpu))
            .map(drop)
    }

    /// Evaluates `obs`, `u8 [N, C, H, W]` on the parameters' device.
    pub fn forward(&self, obs: &Tensor) -> Output {
        self.heads(self.torso.forward(obs))
    }

    /// Evaluates `obs` as [`Network::forward`] does, to be differentiated.
    pub(crate) fn pass(&self, obs: &Tensor) -> Pass<Output> {
        let kept = self.torso.stages().and_then(|stages| KeptMaps::without_graph(stages, obs));
        match kept {
            Some(maps) => self.pass_of(vec![maps]),
            None => Pass::whole(self.forward(obs)),
        }
    }

    /// Evaluates `obs` without a graph, and keeps what [`Network::pass_of`] needs of the torso's
    /// stages; `None` if it has none.
    pub(crate) fn forward_keeping(&self, obs: &Tensor) -> (Output, Option<KeptMaps>) {
        let kept = self.torso.stages().map(|stages| KeptMaps::of(stages, obs));
        let _no_graph = tch::no_grad_guard();
        match kept {
            None => (self.forward(obs), None),
            Some(kept) => (self.heads(kept.features()), Some(kept)),
        }
    }

    /// Evaluates the observations that these maps are from, in their order, to be differentiated.
    /// There must be some, and the weights must not have changed.
    pub(crate) fn pass_of(&self, maps: Vec<KeptMaps>) -> Pass<Output> {
        let Some(stages) = self.torso.stages() else { unreachable!("these maps are its own") };
        Pass::of_maps(maps, stages.dense(), |features| self.heads(features))
    }

    fn heads(&self, features: Tensor) -> Output {
        let logits = self.policy.forward(&features); // [N, A]
        // Names the dimension, because a plain squeeze would also drop a batch of one row.
        let value = self.value.forward(&features).squeeze_dim(1); // [N]
        Output { logits, value, features }
    }

    /// Delegates to [`Torso::first_layer`].
    pub fn first_layer(&self, obs: &Tensor) -> Option<Tensor> {
        self.torso.first_layer(obs)
    }

    /// Returns the trainable parameters, in the order of [`ParamStore::pack`].
    pub(crate) fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// Computes the gradient of a scalar `loss` for all parameters, flat `[P]` in the order of
    /// [`ParamStore::pack`]. Frees the graph and does not touch `.grad`.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor, NetworkError> {
        let gradients = Tensor::f_run_backward(&[loss], &self.parameters, false, false)?;
        Ok(flatten_gradients(&gradients, &self.parameters))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes: Vec<_> = self.parameters.iter().map(Tensor::size).collect();
        f.debug_struct("Network").field("parameters", &shapes).finish_non_exhaustive()
    }
}

impl Output {
    /// Copies logits and values to the host in one transfer: N rows of A + 1 numbers, the value
    /// last.
    pub(crate) fn to_host(&self) -> Result<Vec<f32>, NetworkError> {
        let both = Tensor::f_cat(&[&self.logits, &self.value.unsqueeze(1)], 1)?; // [N, A + 1]
        let both = both.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?;
        Ok(Vec::try_from(both)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{find_torso, torsos};
    use tch::Device;

    fn build(torso: &str, seed: u64) -> (ParamStore, Network) {
        let mut store = ParamStore::new(seed, Device::Cpu);
        let network = Network::build(find_torso(torso).unwrap(), [4, 84, 84], 6, &mut store);
        (store, network.unwrap())
    }

    #[test]
    fn shapes_count_and_first_policy() {
        let (store, network) = build("conv", 1);
        // 4·32·64 + 32, 32·64·16 + 64, 64·64·9 + 64, 3136·512 + 512, 512·7 + 7
        assert_eq!(store.parameter_count(), 8224 + 32832 + 36928 + 1_606_144 + 3591);
        let obs = Tensor::randint(256, [3, 4, 84, 84], (Kind::Uint8, Device::Cpu));
        let output = network.forward(&obs);
        assert_eq!((output.logits.size(), output.value.size()), (vec![3, 6], vec![3]));
        let entropy = crate::maths::entropy(&output.logits).min().double_value(&[]);
        assert!((entropy - 6f64.ln()).abs() < 1e-3, "first policy is not uniform: {entropy}");
        let host = output.to_host().unwrap();
        assert_eq!(host.len(), 21);
        assert_eq!(f64::from(host[13]), output.value.double_value(&[1]));
    }

    #[test]
    fn ways_back_kept_while_acting_give_the_gradient_of_one_pass() {
        let loss = |output: &Output| {
            output.value.square().sum(Kind::Float)
                + output.logits.logsumexp([1i64], false).sum(Kind::Float)
        };

        let mut compared = 0;
        for torso in torsos() {
            let mut store = ParamStore::new(2, Device::Cpu);
            let build = |store: &mut _| Network::build(torso, [4, 44, 52], 3, store);
            let (_, networks) = store.build_packed(1, build).unwrap();
            let network = &networks[0];
            let steps: Vec<Tensor> = (0..3)
                .map(|_| Tensor::randint(256, [2, 4, 44, 52], (Kind::Uint8, Device::Cpu)))
                .collect();

            let maps: Vec<KeptMaps> = steps
                .iter()
                .filter_map(|obs| {
                    let (output, maps) = network.forward_keeping(obs);
                    assert!(!output.value.requires_grad());
                    assert_eq!(output.value, tch::no_grad(|| network.forward(obs)).value);
                    maps
                })
                .collect();

            if maps.is_empty() {
                continue;
            }
            let mut kept = network.pass_of(maps);
            let of_kept = loss(&kept.output);
            let found = kept.gradient(network.parameters(), &of_kept).unwrap();
            let whole = network.forward(&Tensor::cat(&steps, 0));
            let expected = network.gradient(&loss(&whole)).unwrap();
            let size = expected.abs().max().double_value(&[]);
            assert!(found.allclose(&expected, 1e-4, 1e-6 * size, false), "{}", torso.name);

            let mut pass = network.pass(&Tensor::cat(&steps, 0));
            let of_pass = loss(&pass.output);
            let found = pass.gradient(network.parameters(), &of_pass).unwrap();
            assert!(found.allclose(&expected, 1e-4, 1e-6 * size, false), "{}", torso.name);
            compared += 1;
        }
        assert!(compared >= VARIANTS.len(), "only {compared} torsos have stages");
    }

    #[test]
    fn a_torso_without_stages_keeps_nothing() {
        let (_, network) = build("brightness", 1);
        let obs = Tensor::randint(256, [2, 4, 84, 84], (Kind::Uint8, Device::Cpu));
        let (output, maps) = network.forward_keeping(&obs);
        assert!(maps.is_none() && !output.logits.requires_grad());
    }

    /// Variants of published torsos: name, plain twin, number of layers whose shape differs.
    const VARIANTS: [(&str, &str, usize); 14] = [
        ("coordconv", "conv", 1),
        ("coordconv-all", "conv", 3),
        ("coordconv-r", "conv", 1),
        ("coordconv-all-r", "conv", 3),
        ("coordconv-scaled", "conv", 1),
        ("coordconv-tap", "conv", 0),
        ("coordconv-zero", "conv", 1),
        ("noiseconv", "conv", 1),
        ("coordconv-shuffled", "conv", 1),
        ("conv-gap", "conv", 1),
        ("coordconv-gap", "conv", 2),
        ("coordconv-impala", "impala", 1),
        ("impala-gap", "impala", 1),
        ("coordconv-impala-gap", "impala", 2),
    ];

    #[test]
    fn torsos_with_one_seed_share_every_layer_of_the_same_shape() {
        for (name, twin, differing) in VARIANTS {
            let plain = build(twin, 3).0.to_named();
            let mut shared = 0;
            for (parameter, values) in build(name, 3).0.to_named() {
                let of_twin = plain.iter().find(|(known, _)| *known == parameter);
                if let Some((_, of_twin)) =
                    of_twin.filter(|(_, plain)| plain.size() == values.size())
                {
                    assert_eq!(values, *of_twin, "{name}: {parameter}");
                    shared += 1;
                }
            }
            assert_eq!(shared, plain.len() - differing, "{name}");
        }
    }

    #[test]
    fn gradients_are_laid_out_as_the_parameters_are() {
        let (mut store, _) = build("conv", 1);
        let flat = store.pack().unwrap();
        let network =
            Network::build(find_torso("conv").unwrap(), [4, 84, 84], 6, &mut store).unwrap();
        let obs = Tensor::randint(256, [2, 4, 84, 84], (Kind::Uint8, Device::Cpu));
        let loss = network.forward(&obs).value.sum(Kind::Float);
        let gradient = network.gradient(&loss).unwrap();
        assert_eq!(gradient.size(), flat.size());
        // The value head's bias comes last and has gradient 2, one per row.
        assert_eq!(gradient.double_value(&[flat.size()[0] - 1]), 2.0);
        // The policy head before it does not contribute to the loss.
        assert_eq!(gradient.double_value(&[flat.size()[0] - 1 - 512 - 1]), 0.0);
    }
}
