//! Action selection, and networks used for acting only.

use coordrl_envs::{EnvSpec, Rng};
use tch::{Device, Kind, Tensor};

use crate::AgentError;
use crate::nn::{
    KeptMaps, Network, NetworkError, Output, ParamStore, QHead, QNetwork, TorsoEntry, uniform,
};

/// Rule for choosing an action from the network's scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActMode {
    /// Samples from the policy, as A2C does in training. Meaningless for Q-values.
    Sampled,
    /// Takes the argmax of the policy or the Q-values; the first one on ties.
    Greedy,
    /// Takes a uniformly random action with probability ε, otherwise as `Greedy`.
    EpsilonGreedy {
        /// ε, between 0 and 1.
        epsilon: f64,
    },
}

impl ActMode {
    /// Chooses an action for one row of logits or Q-values, one per action, all finite.
    ///
    /// # Panics
    /// If there is no action.
    pub fn choose(self, logits: &[f32], rng: &mut Rng) -> usize {
        match self {
            Self::Sampled => sample(logits, rng),
            Self::Greedy => argmax(logits),
            Self::EpsilonGreedy { epsilon } => epsilon_greedy(logits, epsilon, rng),
        }
    }
}

/// Draws index i with probability exp(logit_i) / Σ exp(logit), using one uniform number.
fn sample(logits: &[f32], rng: &mut Rng) -> usize {
    // Relative to the maximum, so that exp cannot overflow.
    let top = logits[argmax(logits)];
    let weight = |logit: &f32| f64::from(logit - top).exp();
    let total: f64 = logits.iter().map(weight).sum();
    let mut left = uniform(rng) * total;
    for (index, logit) in logits.iter().enumerate() {
        left -= weight(logit);
        if left < 0.0 {
            return index;
        }
    }

    // Rounding left no mass; fall back to the argmax.
    argmax(logits)
}

/// Chooses ε-greedily. Always consumes two random numbers, so that the generator's state does not
/// depend on the values.
pub(crate) fn epsilon_greedy(values: &[f32], epsilon: f64, rng: &mut Rng) -> usize {
    let explores = uniform(rng) < epsilon;
    let random = uniform(rng);
    // `random` is at most 1 − 2⁻⁵³, so the product never rounds up to the number of actions.
    if explores { (random * values.len() as f64) as usize } else { argmax(values) }
}

/// Returns the index of the maximum; the first one on ties.
pub(crate) fn argmax(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, index| if logits[index] > logits[best] { index } else { best })
}

/// Network output for one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionScores {
    /// Probability or Q-value of each action.
    pub scores: Vec<f32>,
    /// `true` if the scores are probabilities.
    pub are_probabilities: bool,
    /// Value of the observation: the value head's, or the maximum Q.
    pub value: f32,
}

/// Layer output for one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Maps {
    /// K maps of H rows and W columns, concatenated.
    pub values: Vec<f32>,
    /// Shape `[K, H, W]`.
    pub shape: [usize; 3],
}

/// Computes exp(logit_i) / Σ exp(logit).
fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits[argmax(logits)];
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let total: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// A trained network that acts without learning.
#[derive(Debug)]
pub struct Policy {
    network: AnyNetwork,
    store: ParamStore,
    obs_shape: [usize; 3],
    num_actions: usize,
}

#[derive(Debug)]
enum AnyNetwork {
    ActorCritic(Network),
    Q(QNetwork),
}

impl Policy {
    /// Builds an actor-critic network with this torso for environments of this kind, with `weights`
    /// by name.
    ///
    /// # Errors
    /// If names or shapes of the weights do not match the network.
    pub fn build(
        torso: &TorsoEntry,
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
    ) -> Result<Self, AgentError> {
        Self::with_weights(spec, weights, device, |store| {
            let network = Network::build(torso, spec.obs_shape, spec.num_actions(), store)?;
            Ok(AnyNetwork::ActorCritic(network))
        })
    }

    /// Builds a Q-network with this torso and head in the same way.
    ///
    /// # Errors
    /// If names or shapes of the weights do not match the network.
    pub fn build_q(
        torso: &TorsoEntry,
        head: QHead,
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
    ) -> Result<Self, AgentError> {
        Self::with_weights(spec, weights, device, |store| {
            let network = QNetwork::build(torso, spec.obs_shape, spec.num_actions(), head, store)?;
            Ok(AnyNetwork::Q(network))
        })
    }

    fn with_weights(
        spec: &EnvSpec,
        weights: &[(String, Tensor)],
        device: Device,
        build: impl FnOnce(&mut ParamStore) -> Result<AnyNetwork, NetworkError>,
    ) -> Result<Self, AgentError> {
        // `load` overwrites every number or fails.
        let mut store = ParamStore::of_shapes(device);
        let network = build(&mut store)?;
        store.load(weights)?;
        Ok(Self { network, store, obs_shape: spec.obs_shape, num_actions: spec.num_actions() })
    }

    /// Chooses one action per row of `obs`, `u8 [N, C, H, W]`, using the row's own generator.
    ///
    /// # Errors
    /// If the number of generators differs from the number of rows, or a network output is not
    /// finite.
    pub fn act(
        &self,
        obs: &[u8],
        mode: ActMode,
        rngs: &mut [&mut Rng],
    ) -> Result<Vec<usize>, AgentError> {
        let rows = rngs.len();
        // An empty batch ends here, because `infer` divides by the number of rows.
        if rows == 0 && obs.is_empty() {
            return Ok(Vec::new());
        }
        let outputs = self.outputs(obs, rows)?;
        Ok(outputs.iter().zip(rngs).map(|(output, rng)| mode.choose(&output.scores, rng)).collect())
    }

    /// Chooses an action for one observation, `u8 [C, H, W]`, and returns the network's scores.
    ///
    /// # Errors
    /// As [`Policy::act`].
    pub fn act_with_scores(
        &self,
        obs: &[u8],
        mode: ActMode,
        rng: &mut Rng,
    ) -> Result<(usize, ActionScores), AgentError> {
        let Some(output) = self.outputs(obs, 1)?.pop() else {
            unreachable!("one observation, one output")
        };
        let action = mode.choose(&output.scores, rng);
        let scores = match &self.network {
            AnyNetwork::ActorCritic(_) => softmax(&output.scores),
            AnyNetwork::Q(_) => output.scores,
        };
        let are_probabilities = matches!(self.network, AnyNetwork::ActorCritic(_));
        Ok((action, ActionScores { scores, are_probabilities, value: output.value }))
    }

    /// Returns the torso's first-layer output for one observation, `u8 [C, H, W]`; `None` for a
    /// torso without one.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn first_layer(&self, obs: &[u8]) -> Result<Option<Maps>, AgentError> {
        let _no_graph = tch::no_grad_guard();
        let obs = obs_tensor(obs, 1, self.obs_shape).to_device(self.store.device());
        let seen = match &self.network {
            AnyNetwork::ActorCritic(network) => network.first_layer(&obs),
            AnyNetwork::Q(network) => network.first_layer(&obs),
        };
        let Some(seen) = seen else { return Ok(None) };
        let [_, maps, height, width] = seen.size()[..] else { return Ok(None) };
        // Channels-last in memory, whereas callers expect one map after the other.
        let flat = seen.f_contiguous().and_then(|seen| seen.f_view([-1])).and_then(Vec::try_from);
        let shape = [maps, height, width].map(|size| size as usize);
        Ok(Some(Maps { values: flat.map_err(NetworkError::from)?, shape }))
    }

    /// Returns outputs for `rows` observations, in order; all finite.
    fn outputs(&self, obs: &[u8], rows: usize) -> Result<Vec<ScoredObs>, AgentError> {
        let row_bytes = self.obs_shape.iter().product();
        if obs.len() != rows * row_bytes {
            return Err(AgentError::ObsLength { bytes: obs.len(), rows, row_bytes });
        }

        let obs = obs_tensor(obs, rows, self.obs_shape);
        let device = self.store.device();
        let outputs: Vec<ScoredObs> = match &self.network {
            AnyNetwork::ActorCritic(network) => {
                let output = infer(network, &obs, device)?;
                output
                    .rows()
                    .map(|row| ScoredObs { scores: row.logits.to_vec(), value: row.value })
                    .collect()
            }
            AnyNetwork::Q(network) => infer_q(network, &obs, device)?
                .chunks(self.num_actions)
                .map(ScoredObs::of_q)
                .collect(),
        };

        // `argmax` passes over NaN: unchecked, a network of NaN would silently play action 0.
        if outputs.iter().all(ScoredObs::is_finite) {
            return Ok(outputs);
        }

        let reason = "its weights give logits or values that are not finite".to_owned();
        Err(AgentError::State { reason })
    }
}

/// Output of either kind of network for one observation.
struct ScoredObs {
    /// Logit or Q-value of each action.
    scores: Vec<f32>,
    value: f32,
}

impl ScoredObs {
    fn of_q(q: &[f32]) -> Self {
        Self { scores: q.to_vec(), value: q[argmax(q)] }
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.scores.iter().all(|score| score.is_finite())
    }
}

/// Copies bytes `[N, C, H, W]` into a tensor of the same shape.
pub(crate) fn obs_tensor(obs: &[u8], rows: usize, [c, h, w]: [usize; 3]) -> Tensor {
    let shape = [rows as i64, c as i64, h as i64, w as i64];
    Tensor::from_data_size(obs, &shape, Kind::Uint8)
}

/// Host copy of an actor-critic network's output for N observations.
pub(crate) struct PolicyOutput {
    /// N rows of A logits and the value, in one device-to-host copy.
    numbers: Vec<f32>,
    row_len: usize,
}

/// Output of an actor-critic network for one observation.
pub(crate) struct PolicyRow<'a> {
    /// One per action.
    pub logits: &'a [f32],
    pub value: f32,
}

impl PolicyOutput {
    fn of(output: &Output) -> Result<Self, NetworkError> {
        let numbers = output.to_host()?;
        let row_len = numbers.len() / output.value.size()[0] as usize;
        Ok(Self { numbers, row_len })
    }

    /// Returns the outputs in the order of the observations.
    pub fn rows(&self) -> impl Iterator<Item = PolicyRow<'_>> + Clone {
        self.numbers.chunks(self.row_len).map(|row| match row {
            [logits @ .., value] => PolicyRow { logits, value: *value },
            [] => unreachable!("chunks are never empty"),
        })
    }

    /// Returns the values of the observations.
    pub fn values(&self) -> impl Iterator<Item = f32> + '_ {
        self.rows().map(|row| row.value)
    }

    pub fn is_finite(&self) -> bool {
        self.numbers.iter().all(|number| number.is_finite())
    }
}

/// Runs the network on `obs`, `u8 [N, C, H, W]` with N > 0.
///
/// The no-grad guard is thread-local and must be dropped before returning: rayon may run other work
/// on this thread afterwards.
pub(crate) fn infer(
    network: &Network,
    obs: &Tensor,
    device: Device,
) -> Result<PolicyOutput, AgentError> {
    let _no_graph = tch::no_grad_guard();
    Ok(PolicyOutput::of(&network.forward(&obs.to_device(device)))?)
}

/// Runs the network as [`infer`] does, and returns the maps of [`Network::forward_keeping`] too.
pub(crate) fn infer_keeping(
    network: &Network,
    obs: &Tensor,
    device: Device,
) -> Result<(PolicyOutput, Option<KeptMaps>), AgentError> {
    let (output, maps) = network.forward_keeping(&obs.to_device(device));
    Ok((PolicyOutput::of(&output)?, maps))
}

/// Computes Q of every action, N rows of A, on the host.
pub(crate) fn infer_q(
    network: &QNetwork,
    obs: &Tensor,
    device: Device,
) -> Result<Vec<f32>, AgentError> {
    let _no_graph = tch::no_grad_guard();
    let values = obs.f_to_device(device).map(|obs| network.forward(&obs)); // [N, A]
    let values =
        values.and_then(|values| values.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1]));
    Ok(values.and_then(Vec::try_from).map_err(NetworkError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::find_torso;
    use coordrl_envs::{Role, derive_rng};

    #[test]
    fn sampling_frequencies_follow_the_probabilities() {
        let logits = [1.0f32, -0.5, 0.0, 2.0];
        let mut rng = derive_rng(1, Role::EvalPolicy, 0);
        let mut counts = [0u32; 4];
        const DRAWS: u32 = 100_000;
        (0..DRAWS).for_each(|_| counts[sample(&logits, &mut rng)] += 1);
        let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        for (count, logit) in counts.iter().zip(logits) {
            let expected = f64::from(logit).exp() / total;
            let found = f64::from(*count) / f64::from(DRAWS);
            assert!((found - expected).abs() < 0.006, "{found} for {expected}");
        }
    }

    #[test]
    fn epsilon_is_the_share_of_random_actions() {
        let mut rng = derive_rng(1, Role::EvalPolicy, 0);
        let mut counts = [0u32; 4];
        let mode = ActMode::EpsilonGreedy { epsilon: 0.2 };
        (0..100_000).for_each(|_| counts[mode.choose(&[0.0, 3.0, -1.0, 2.0], &mut rng)] += 1);
        for (count, expected) in counts.iter().zip([5_000f64, 85_000.0, 5_000.0, 5_000.0]) {
            assert!((f64::from(*count) - expected).abs() < 400.0, "{counts:?}");
        }
    }

    #[test]
    fn extreme_logits_are_safe() {
        let mut rng = derive_rng(1, Role::EvalPolicy, 0);
        for _ in 0..1000 {
            assert_eq!(sample(&[-3e38, 3e38, 0.0], &mut rng), 1);
        }
        assert_eq!(sample(&[7.0], &mut rng), 0);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    fn spec() -> EnvSpec {
        let actions = vec!["A".to_owned(), "B".to_owned()];
        EnvSpec { name: "toy".to_owned(), obs_shape: [1, 36, 36], actions, frame_skip: 1 }
    }

    fn weights() -> Vec<(String, Tensor)> {
        let mut store = ParamStore::new(4, Device::Cpu);
        Network::build(find_torso("conv").unwrap(), [1, 36, 36], 2, &mut store).unwrap();
        store.to_named()
    }

    #[test]
    fn greedy_takes_the_likeliest_action_of_each_row() {
        let mut weights = weights();
        for (name, values) in &mut weights {
            if name == "policy.bias" {
                *values = Tensor::from_slice(&[0f32, 9.0]);
            }
        }

        let torso = find_torso("conv").unwrap();
        let policy = Policy::build(torso, &spec(), &weights, Device::Cpu).unwrap();
        let mut a = derive_rng(1, Role::EvalPolicy, 0);
        let mut b = derive_rng(1, Role::EvalPolicy, 1);
        let obs = vec![100; 2 * 36 * 36];
        let actions = policy.act(&obs, ActMode::Greedy, &mut [&mut a, &mut b]).unwrap();
        assert_eq!(actions, [1, 1]);
        assert_eq!(policy.act(&[], ActMode::Sampled, &mut []).unwrap(), Vec::<usize>::new());
        let error = policy.act(&obs, ActMode::Greedy, &mut [&mut a]).unwrap_err();
        assert_eq!(error.to_string(), "2592 bytes of observations are not 1 rows of 1296");
    }

    #[test]
    fn weights_that_do_not_fit_or_are_not_finite_are_errors() {
        let torso = find_torso("conv").unwrap();
        let mut weights = weights();
        let coords = find_torso("coordconv").unwrap();
        let error = Policy::build(coords, &spec(), &weights, Device::Cpu).unwrap_err().to_string();
        assert_eq!(error, "parameter `torso.conv1.weight` is [32, 1, 8, 8], not [32, 3, 8, 8]");
        weights[0].1 = weights[0].1.full_like(f64::NAN);
        let policy = Policy::build(torso, &spec(), &weights, Device::Cpu).unwrap();
        let mut rng = derive_rng(1, Role::EvalPolicy, 0);
        let result = policy.act(&[1; 1296], ActMode::Sampled, &mut [&mut rng]);
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("give logits or values that are not finite"), "{error}");
    }
}
