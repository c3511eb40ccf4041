//! Q-network: a torso with an action-value head.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::param_store::flatten_gradients;
use super::{
    Init, KeptMaps, Linear, NetworkError, ParamScope, ParamStore, Pass, Torso, TorsoEntry,
};

/// Width of each dueling stream.
const STREAM: i64 = 512;
/// Output layers have no activation, hence gain 1.
const LAST: Init = Init::Orthogonal { gain: 1.0 };

/// Head that maps features to action values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QHead {
    /// Two streams, each a dense layer of 512 with a ReLU and an output layer: V(s) and A(s, a),
    /// with Q = V + A − mean A. Source: Wang et al. 2016 (arXiv:1511.06581), equation 9. Their
    /// rescaling of the gradient into the torso by 1/√2 is omitted.
    Dueling,
    /// One dense layer: with the torso `conv`, the network of Mnih et al. 2015.
    Plain,
}

/// Torso and action-value head on the parameters of a [`ParamStore`].
///
/// The streams take the torso's *features*, so any torso fits. The torso `conv` already ends in a
/// dense layer of 512, whereas Wang et al. give each stream its own: their network has two parallel
/// dense layers of 3136 × 512 (3.3 M parameters for 6 actions); this one has a single such layer
/// and two of 512 × 512 (2.2 M), and is one layer deeper.
pub struct QNetwork {
    torso: Box<dyn Torso>,
    head: Head,
    parameters: Vec<Tensor>,
}

enum Head {
    Dueling { value: DuelingStream, advantage: DuelingStream },
    Plain(Linear),
}

struct DuelingStream {
    hidden: Linear,
    last: Linear,
}

impl QNetwork {
    /// Builds a network for observations of shape `[C, H, W]` and `num_actions` actions on the
    /// parameters of `store`, initialising any that are missing.
    ///
    /// Head parameters are `value_hidden`, `value`, `advantage_hidden` and `advantage`, or `q`
    /// alone.
    pub fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        head: QHead,
        store: &mut ParamStore,
    ) -> Result<Self, NetworkError> {
        let mut scope = ParamScope::new(store);
        let torso = (torso.build)(&mut scope, obs_shape)?;
        let head = Head::build(&mut scope, torso.features(), num_actions as i64, head)?;
        Ok(Self { torso, head, parameters: scope.into_leaves()? })
    }

    /// Checks that a network can be built for these observations, without drawing or keeping
    /// weights.
    ///
    /// # Errors
    /// As [`QNetwork::build`].
    pub fn check(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        head: QHead,
    ) -> Result<(), NetworkError> {
        let mut store = ParamStore::of_shapes(tch::Device::Cpu);
        Self::build(torso, obs_shape, num_actions, head, &mut store).map(drop)
    }

    /// Computes Q(s, a) of all actions: `u8 [N, C, H, W]` on the parameters' device → `f32 [N, A]`.
    pub fn forward(&self, obs: &Tensor) -> Tensor {
        self.head.forward(&self.torso.forward(obs))
    }

    /// Evaluates `obs` to be differentiated: Q(s, a), `f32 [N, A]`, and the torso's features, `f32
    /// [N, F]`.
    pub(crate) fn pass(&self, obs: &Tensor) -> Pass<(Tensor, Tensor)> {
        let output = |features| (self.head.forward(&features), features);
        let kept = self.torso.stages().and_then(|stages| {
            let maps = KeptMaps::without_graph(stages, obs)?;
            Some(Pass::of_maps(vec![maps], stages.dense(), output))
        });
        kept.unwrap_or_else(|| Pass::whole(output(self.torso.forward(obs))))
    }

    /// Returns the trainable parameters, in the order of [`ParamStore::pack`].
    pub(crate) fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// Delegates to [`Torso::first_layer`].
    pub fn first_layer(&self, obs: &Tensor) -> Option<Tensor> {
        self.torso.first_layer(obs)
    }

    /// Computes the gradient of a scalar `loss` for all parameters, flat `[P]` in the order of
    /// [`ParamStore::pack`]. Frees the graph and does not touch `.grad`.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor, NetworkError> {
        let gradients = Tensor::f_run_backward(&[loss], &self.parameters, false, false)?;
        Ok(flatten_gradients(&gradients, &self.parameters))
    }
}

impl Head {
    fn build(
        scope: &mut ParamScope<'_>,
        features: i64,
        num_actions: i64,
        head: QHead,
    ) -> Result<Self, NetworkError> {
        Ok(match head {
            QHead::Dueling => Self::Dueling {
                value: DuelingStream::build(scope, "value", features, 1)?,
                advantage: DuelingStream::build(scope, "advantage", features, num_actions)?,
            },
            QHead::Plain => Self::Plain(Linear::build(scope, "q", features, num_actions, LAST)?),
        })
    }

    /// Maps `[N, F]` to `[N, A]`.
    fn forward(&self, features: &Tensor) -> Tensor {
        match self {
            Self::Dueling { value, advantage } => {
                let advantage = advantage.forward(features); // [N, A]
                // Without a reference point, a constant could move freely between V and A. The mean
                // changes less than the maximum of equation 8 when another action becomes the best
                // one.
                let mean = advantage.mean_dim(1, true, tch::Kind::Float); // [N, 1]
                value.forward(features) + advantage - mean
            }
            Self::Plain(q) => q.forward(features),
        }
    }
}

impl DuelingStream {
    fn build(
        scope: &mut ParamScope<'_>,
        name: &str,
        features: i64,
        outputs: i64,
    ) -> Result<Self, NetworkError> {
        let hidden = format!("{name}_hidden");
        Ok(Self {
            hidden: Linear::build(scope, &hidden, features, STREAM, Init::BEFORE_RELU)?,
            last: Linear::build(scope, name, STREAM, outputs, LAST)?,
        })
    }

    fn forward(&self, features: &Tensor) -> Tensor {
        // In place, because the backward pass of a dense layer does not need its output.
        self.last.forward(&self.hidden.forward(features).relu_())
    }
}

impl std::fmt::Debug for QNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes: Vec<_> = self.parameters.iter().map(Tensor::size).collect();
        f.debug_struct("QNetwork").field("parameters", &shapes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Network, find_torso};
    use tch::{Device, Kind};

    fn build(torso: &str, head: QHead) -> (ParamStore, QNetwork) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let network = QNetwork::build(find_torso(torso).unwrap(), [4, 84, 84], 6, head, &mut store);
        (store, network.unwrap())
    }

    fn obs(rows: i64) -> Tensor {
        Tensor::randint(256, [rows, 4, 84, 84], (Kind::Uint8, Device::Cpu))
    }

    #[test]
    fn parameters_counted_by_hand() {
        let conv = 8224 + 32832 + 36928 + 1_606_144; // three convolutions, 3136·512 + 512
        let stream = |outputs: u64| 512 * 512 + 512 + 512 * outputs + outputs;
        let dueling = build("conv", QHead::Dueling).0.parameter_count();
        assert_eq!(dueling, conv + stream(1) + stream(6));
        assert_eq!(dueling, 2_213_031);
        assert_eq!(build("conv", QHead::Plain).0.parameter_count(), conv + 512 * 6 + 6);
        let impala = build("impala", QHead::Dueling).0.parameter_count();
        assert_eq!(impala, 1_089_232 + stream(1) + stream(6) - 2 * 256 * 512);
    }

    #[test]
    fn heads_are_named_and_torsos_are_those_of_other_networks_of_the_seed() {
        let names = |head| {
            let named = build("conv", head).0.to_named().into_iter().skip(8);
            named.map(|(name, _)| name).filter(|name| name.ends_with("weight")).collect::<Vec<_>>()
        };
        let streams =
            ["value_hidden.weight", "value.weight", "advantage_hidden.weight", "advantage.weight"];
        assert_eq!(names(QHead::Dueling), streams);
        assert_eq!(names(QHead::Plain), ["q.weight"]);
        let mut store = ParamStore::new(1, Device::Cpu);
        Network::build(find_torso("conv").unwrap(), [4, 84, 84], 6, &mut store).unwrap();
        assert_eq!(store.to_named()[..8], build("conv", QHead::Dueling).0.to_named()[..8]);
    }

    #[test]
    fn dueling_values_average_to_the_value_stream() {
        let (_, network) = build("coordconv", QHead::Dueling);
        let obs = obs(3);
        let Head::Dueling { value, advantage } = &network.head else { panic!("not dueling") };
        let features = network.torso.forward(&obs);
        let value = value.forward(&features);
        let advantage = advantage.forward(&features);
        let q = network.forward(&obs);
        assert_eq!(q.size(), [3, 6]);
        let mean = q.mean_dim(1, true, Kind::Float);
        assert!(mean.allclose(&value, 1e-4, 1e-4, false));
        // Differences between Q-values equal those between advantages.
        let over_first = |x: &Tensor| x - x.narrow(1, 0, 1);
        assert!(over_first(&q).allclose(&over_first(&advantage), 1e-4, 1e-4, false));
    }

    #[test]
    fn gradients_are_laid_out_as_the_parameters_are() {
        for head in [QHead::Dueling, QHead::Plain] {
            let (mut store, _) = build("conv", head);
            let flat = store.pack().unwrap();
            let torso = find_torso("conv").unwrap();
            let network = QNetwork::build(torso, [4, 84, 84], 6, head, &mut store).unwrap();
            let loss = network.forward(&obs(2)).select(1, 5).sum(Kind::Float);
            let gradient = network.gradient(&loss).unwrap();
            assert_eq!(gradient.size(), flat.size());
            // The last bias belongs to action 5: one per row, minus its share of the mean.
            let expected = if head == QHead::Dueling { 2.0 * (1.0 - 1.0 / 6.0) } else { 2.0 };
            let found = gradient.double_value(&[flat.size()[0] - 1]);
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn observations_too_small_are_refused_without_drawing_anything() {
        let torso = find_torso("conv").unwrap();
        QNetwork::check(torso, [4, 84, 84], 6, QHead::Dueling).unwrap();
        let error = QNetwork::check(torso, [4, 20, 84], 6, QHead::Dueling).unwrap_err();
        assert!(error.to_string().contains("20×84"), "{error}");
    }
}
