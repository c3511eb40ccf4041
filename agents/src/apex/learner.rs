//! Networks, loss, optimiser step: the one place where weights change.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::LearnBatch;
use super::batch::Rows;
use super::experience::Weights;
use super::learner_config::{LEARNER_TABLE, LearnerConfig};
use crate::AgentError;
use crate::maths::{double_q_targets, max_q_targets, q_of_actions, weighted_td_loss};
use crate::nn::{
    NamedTensors, NetworkError, Optimizer, ParamStore, QNetwork, TorsoEntry, clip_to_norm, norm_of,
};

/// Learns action values from batches of transitions; knows nothing of environments or replay.
///
/// Shards and the optimiser step are spread over the ambient rayon pool, which changes no result.
pub struct Learner {
    config: LearnerConfig,
    obs_shape: [usize; 3],
    num_actions: usize,
    online: Side,
    /// A copy that stands still between one copying and the next.
    target: Side,
    optimizer: Optimizer,
    updates: u64,
}

/// Parameters, and a network for each shard that reads them.
struct Side {
    store: ParamStore,
    /// All parameters, flat `[P]`, in the store's memory.
    params: Tensor,
    networks: Vec<QNetwork>,
}

/// What is learnt from some rows of a batch.
struct Shard {
    /// Their share of the batch's gradient, flat `[P]`.
    gradient: Tensor,
    /// Their share of the batch's loss.
    loss: f64,
    /// Target − Q, `[rows]`.
    td_errors: Vec<f32>,
    /// Q of the actions taken, `[rows]`.
    q: Vec<f32>,
}

/// What one update did.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// |target − Q| of each transition before the update, in the batch's order: new priorities.
    pub td_errors: Vec<f32>,
    /// Mean of importance weight · loss.
    pub loss: f64,
    /// Euclidean norm of the whole gradient, before it is clipped.
    pub grad_norm: f64,
    /// Mean Q of the actions taken.
    pub mean_q: f64,
    /// Mean of `td_errors`, unweighted.
    pub mean_abs_td: f64,
    /// Number of updates made, with this one.
    pub updates: u64,
    /// Whether the target network was made equal to the online one after this update.
    pub target_copied: bool,
}

/// Everything that later updates depend on; tensors by name, on the CPU.
#[derive(Debug)]
pub struct LearnerState {
    /// Weights of the network that learns.
    pub online: NamedTensors,
    /// Weights of the target network.
    pub target: NamedTensors,
    /// Moments and step counter of the optimiser.
    pub optimizer: NamedTensors,
    /// Number of updates made.
    pub updates: u64,
}

impl Learner {
    /// Draws the first weights, the same in both networks.
    ///
    /// # Errors
    /// If the settings are wrong or the torso is not made for such observations.
    pub fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        device: Device,
        seed: u64,
        config: &LearnerConfig,
    ) -> Result<Self, AgentError> {
        let problems = config.check(LEARNER_TABLE);
        if !problems.is_empty() {
            return Err(AgentError::Config(problems));
        }
        let build = |store| Side::build(torso, obs_shape, num_actions, config, store);
        let online = build(ParamStore::new(seed, device))?;
        let mut target = build(ParamStore::of_shapes(device))?;
        target.store.copy_from(&online.store)?;
        let optimizer = Optimizer::new(&config.optimizer, &online.params);
        Ok(Self { config: config.clone(), obs_shape, num_actions, online, target, optimizer, updates: 0 })
    }

    /// One update: towards the targets of `batch`, then, when it is time, a copy into the target
    /// network. Source: Horgan et al. 2018, algorithm 2.
    ///
    /// # Errors
    /// If the parts of the batch do not fit together, or the loss or the gradient is not finite;
    /// nothing is changed then.
    pub fn learn(&mut self, batch: &LearnBatch<'_>) -> Result<Learned, AgentError> {
        batch.check(self.obs_shape, self.num_actions)?;
        let shards = self.shards(batch)?;
        let loss = shards.iter().map(|shard| shard.loss).sum();
        let td_errors: Vec<f32> = shards.iter().flat_map(|shard| &shard.td_errors).map(|e| e.abs()).collect();
        let mean = |sum: f64| sum / td_errors.len() as f64;
        let mean_abs_td = mean(td_errors.iter().map(|&error| f64::from(error)).sum());
        let mean_q = mean(shards.iter().flat_map(|shard| &shard.q).map(|&q| f64::from(q)).sum());
        let grad_norm = self.apply(sum(shards), loss)?;
        let target_copied = self.updates.is_multiple_of(self.config.target_copy_updates);
        if target_copied {
            self.target.store.copy_from(&self.online.store)?;
        }
        let updates = self.updates;
        Ok(Learned { td_errors, loss, grad_norm, mean_q, mean_abs_td, updates, target_copied })
    }

    /// Number of updates made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Number of numbers that are trained.
    pub fn parameter_count(&self) -> u64 {
        self.online.store.parameter_count()
    }

    /// The network that learns; what it computes changes with every update.
    pub fn network(&self) -> &QNetwork {
        &self.online.networks[0]
    }

    /// Learning rate of every update.
    pub fn learning_rate(&self) -> f64 {
        self.config.optimizer.learning_rate
    }

    /// Starts from other weights, in both networks, with everything else as at the beginning.
    ///
    /// # Errors
    /// If names or shapes are not those of this network; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        self.online.store.load(weights)?;
        Ok(self.target.store.copy_from(&self.online.store)?)
    }

    /// The weights as they are now, for actors.
    pub fn weights(&self) -> Result<Weights, AgentError> {
        Ok(Weights { version: self.updates, numbers: self.online.store.to_flat()? })
    }

    /// Parameters of the online network by name, on the CPU.
    pub fn to_named(&self) -> NamedTensors {
        self.online.store.to_named()
    }

    /// Everything that later updates depend on.
    ///
    /// # Errors
    /// If a weight or a moment of the optimiser is not finite: such a state is worth nothing, and
    /// must not take the place of one that is.
    pub fn save(&self) -> Result<LearnerState, AgentError> {
        for (fine, what) in [
            (self.online.store.is_finite(), "weights"),
            (self.target.store.is_finite(), "the target network's weights"),
            (self.optimizer.is_finite(), "the optimiser's moments"),
        ] {
            if !fine {
                return Err(self.not_finite(what));
            }
        }
        Ok(LearnerState {
            online: self.online.store.to_named(),
            target: self.target.store.to_named(),
            optimizer: self.optimizer.to_named(),
            updates: self.updates,
        })
    }

    /// Goes on from what [`Learner::save`] gave, in this process or another, on a CPU to the last
    /// bit.
    ///
    /// # Errors
    /// If the state is of another network or another optimiser. Nothing is changed then.
    pub fn load(&mut self, state: &LearnerState) -> Result<(), AgentError> {
        self.online.store.check(&state.online)?;
        self.target.store.check(&state.target)?;
        self.optimizer.check(&state.optimizer)?;
        self.online.store.load(&state.online)?;
        self.target.store.load(&state.target)?;
        self.optimizer.load(&state.optimizer)?;
        self.updates = state.updates;
        Ok(())
    }

    /// Gradient and errors of every shard, in the order of the rows.
    fn shards(&mut self, batch: &LearnBatch<'_>) -> Result<Vec<Shard>, AgentError> {
        let Self { config, obs_shape, online, target, .. } = self;
        let device = online.store.device();
        let networks = online.networks.par_iter_mut().zip(&mut target.networks);
        let parts = batch.split(config.shards as usize, *obs_shape);
        let rows = batch.actions.len() as f64;
        let shards: Vec<Result<Shard, AgentError>> = networks
            .zip(parts)
            .with_max_len(1)
            .map(|((online, target), part)| {
                differentiate(config, online, target, &part.to_rows(*obs_shape, device), rows)
            })
            .collect();
        shards.into_iter().collect()
    }

    /// Clips the gradient and makes one optimiser step; returns the gradient's own norm.
    fn apply(&mut self, mut gradient: Tensor, loss: f64) -> Result<f64, AgentError> {
        let grad_norm = norm_of(&gradient);
        for (number, what) in [(loss, "loss"), (grad_norm, "gradient")] {
            if !number.is_finite() {
                return Err(self.not_finite(what));
            }
        }
        if let Some(max_norm) = self.config.max_grad_norm {
            clip_to_norm(&mut gradient, grad_norm, max_norm);
        }
        self.optimizer.step(&self.online.params, &gradient, self.config.optimizer.learning_rate);
        self.updates += 1;
        Ok(grad_norm)
    }

    fn not_finite(&self, what: &'static str) -> AgentError {
        AgentError::NonFinite { what, update: self.updates, table: LEARNER_TABLE }
    }
}

/// Forward and backward over the rows of a shard; the whole batch has `batch_size`.
fn differentiate(
    config: &LearnerConfig,
    online: &QNetwork,
    target: &QNetwork,
    rows: &Rows,
    batch_size: f64,
) -> Result<Shard, AgentError> {
    let targets = targets(config, online, target, rows); // [rows]
    let q = q_of_actions(&online.forward(&rows.obs), &rows.actions); // [rows]
    let td_errors = targets - &q; // [rows]
    let share = rows.actions.size()[0] as f64 / batch_size;
    let loss = weighted_td_loss(&td_errors, &rows.importance_weights, config.loss()) * share;
    let numbers = |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach()).map_err(NetworkError::from);
    Ok(Shard {
        gradient: online.gradient(&loss)?,
        loss: loss.detach().to_kind(Kind::Double).double_value(&[]),
        td_errors: numbers(&td_errors)?,
        q: numbers(&q)?,
    })
}

/// Targets `[rows]`. No graph is kept; the guard is gone on return.
fn targets(config: &LearnerConfig, online: &QNetwork, target: &QNetwork, rows: &Rows) -> Tensor {
    let _no_graph = tch::no_grad_guard();
    let Rows { rewards, discounts, next_obs, .. } = rows;
    let rescaling = config.value_rescaling();
    let valued = target.forward(next_obs); // [rows, A]
    if !config.double_q {
        return max_q_targets(rewards, discounts, &valued, rescaling);
    }
    let chosen = online.forward(next_obs); // [rows, A]
    double_q_targets(rewards, discounts, &chosen, &valued, rescaling)
}

/// The batch's gradient: that of all shards, added in their order.
fn sum(shards: Vec<Shard>) -> Tensor {
    let gradients = shards.into_iter().map(|shard| shard.gradient);
    gradients.reduce(|mut sum, next| sum.g_add_(&next)).unwrap_or_default()
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("config", &self.config)
            .field("updates", &self.updates)
            .finish_non_exhaustive()
    }
}

impl Side {
    fn build(
        torso: &TorsoEntry,
        obs_shape: [usize; 3],
        num_actions: usize,
        config: &LearnerConfig,
        mut store: ParamStore,
    ) -> Result<Self, NetworkError> {
        let build = |store: &mut _| QNetwork::build(torso, obs_shape, num_actions, config.head, store);
        build(&mut store)?; // draws the parameters
        let params = store.pack()?;
        let networks = (0..config.shards).map(|_| build(&mut store)).collect::<Result<_, _>>()?;
        Ok(Self { networks, params, store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{OptimizerConfig, OptimizerKind, find_torso};

    const SHAPE: [usize; 3] = [1, 36, 36];
    const PIXELS: usize = 36 * 36;

    fn config() -> LearnerConfig {
        let optimizer =
            OptimizerConfig { kind: OptimizerKind::Adam, learning_rate: 1e-3, ..Default::default() };
        LearnerConfig { optimizer, target_copy_updates: 3, ..Default::default() }
    }

    fn learner(config: &LearnerConfig) -> Learner {
        Learner::build(find_torso("conv").unwrap(), SHAPE, 2, Device::Cpu, 1, config).unwrap()
    }

    /// Four transitions; the last one ends an episode.
    struct Owned {
        obs: Vec<u8>,
        next_obs: Vec<u8>,
        rewards: Vec<f32>,
    }

    fn owned() -> Owned {
        let pixels = |factor: usize| (0..4 * PIXELS).map(|i| (i * factor % 251) as u8).collect();
        Owned { obs: pixels(7), next_obs: pixels(13), rewards: vec![1.0, 0.0, -1.0, 0.5] }
    }

    impl Owned {
        fn batch(&self) -> LearnBatch<'_> {
            LearnBatch {
                obs: &self.obs,
                next_obs: &self.next_obs,
                actions: &[0, 1, 1, 0],
                rewards: &self.rewards,
                discounts: &[0.97, 0.97, 0.9, 0.0],
                importance_weights: &[1.0, 0.5, 0.25, 1.0],
            }
        }
    }

    fn same(a: &LearnerState, b: &LearnerState) -> bool {
        (&a.online, &a.target, &a.optimizer, a.updates) == (&b.online, &b.target, &b.optimizer, b.updates)
    }

    #[test]
    fn errors_shrink_where_nothing_follows() {
        let (mut learner, owned) = (learner(&config()), owned());
        let batch = LearnBatch { discounts: &[0.0; 4], ..owned.batch() };
        let first = learner.learn(&batch).unwrap();
        assert_eq!((first.td_errors.len(), first.updates), (4, 1));
        let last = (0..40).map(|_| learner.learn(&batch).unwrap()).last().unwrap();
        assert!(last.mean_abs_td < 0.3 * first.mean_abs_td, "{last:?} after {first:?}");
        let mean = last.td_errors.iter().map(|&e| f64::from(e)).sum::<f64>() / 4.0;
        assert_eq!(last.mean_abs_td, mean);
    }

    #[test]
    fn shards_change_nothing_but_rounding() {
        let (config, owned) = (config(), owned());
        let mut whole = learner(&config);
        let expected = whole.learn(&owned.batch()).unwrap();
        for shards in [2, 3, 4] {
            let mut learner = learner(&LearnerConfig { shards, ..config.clone() });
            let learned = learner.learn(&owned.batch()).unwrap();
            let close =
                |a: f64, b: f64| assert!((a - b).abs() < 1e-5 * b.abs(), "{shards} shards: {a} for {b}");
            close(learned.loss, expected.loss);
            close(learned.grad_norm, expected.grad_norm);
            close(learned.mean_q, expected.mean_q);
            let errors = learned.td_errors.iter().zip(&expected.td_errors);
            errors.for_each(|(&a, &b)| close(a.into(), b.into())); // in the batch's order
        }
    }

    #[test]
    fn the_target_network_follows_when_it_is_time() {
        let (mut learner, owned) = (learner(&config()), owned());
        let start = learner.save().unwrap();
        assert_eq!(start.online, start.target);
        let copied: Vec<bool> = (0..6)
            .map(|_| {
                let before = learner.save().unwrap();
                let learned = learner.learn(&owned.batch()).unwrap();
                let after = learner.save().unwrap();
                let expected = if learned.target_copied { &after.online } else { &before.target };
                assert_eq!(&after.target, expected);
                assert_ne!(after.online, before.online);
                learned.target_copied
            })
            .collect();
        assert_eq!(copied, [false, false, true, false, false, true]);
    }

    #[test]
    fn a_saved_learner_goes_on_to_the_last_bit() {
        let (mut learner, owned) = (learner(&config()), owned());
        (0..2).for_each(|_| drop(learner.learn(&owned.batch()).unwrap()));
        let saved = learner.save().unwrap();
        let learned: Vec<_> = (0..3).map(|_| learner.learn(&owned.batch()).unwrap()).collect();
        let mut other =
            Learner::build(find_torso("conv").unwrap(), SHAPE, 2, Device::Cpu, 9, &config()).unwrap();
        other.load(&saved).unwrap();
        assert!(same(&other.save().unwrap(), &saved));
        let again: Vec<_> = (0..3).map(|_| other.learn(&owned.batch()).unwrap()).collect();
        assert_eq!(learned, again);
        assert!(same(&learner.save().unwrap(), &other.save().unwrap()));
    }

    #[test]
    fn numbers_that_are_not_finite_change_nothing() {
        let (mut learner, mut owned) = (learner(&config()), owned());
        learner.learn(&owned.batch()).unwrap();
        let before = learner.save().unwrap();
        owned.rewards[2] = f32::NAN;
        let error = learner.learn(&owned.batch()).unwrap_err().to_string();
        assert!(error.starts_with("loss not finite in update 1: "), "{error}");
        assert!(error.contains("`apex.learner.optimizer.learning_rate`"), "{error}");
        assert!(error.contains("`apex.learner.max_grad_norm`"), "{error}");
        assert!(same(&learner.save().unwrap(), &before));
        // A loss that `f32` just holds, whose gradient it does not.
        owned.rewards[2] = 1.8e19;
        let weights = [0.0, 0.0, 1.0, 0.0];
        let batch = LearnBatch { importance_weights: &weights, ..owned.batch() };
        let error = learner.learn(&batch).unwrap_err().to_string();
        assert!(error.starts_with("gradient not finite in update 1: "), "{error}");
        assert!(same(&learner.save().unwrap(), &before));
        owned.rewards[2] = 0.0;
        learner.learn(&owned.batch()).unwrap();
    }

    #[test]
    fn weights_that_are_not_finite_are_not_saved() {
        let mut learner = learner(&config());
        let mut state = learner.save().unwrap();
        state.target[0].1 = state.target[0].1.full_like(f64::NAN);
        learner.load(&state).unwrap();
        let error = learner.save().unwrap_err().to_string();
        assert!(error.starts_with("the target network's weights not finite in update 0"), "{error}");
    }

    #[test]
    fn a_state_that_does_not_fit_changes_nothing() {
        let mut learner = learner(&config());
        let before = learner.save().unwrap();
        let rmsprop = LearnerConfig::default();
        let plain = LearnerConfig { head: crate::nn::QHead::Plain, ..config() };
        for (other, expected) in [(&rmsprop, "`mean_square`"), (&plain, "`value_hidden.weight` is missing")] {
            let mut state = self::learner(other).save().unwrap();
            if other == &rmsprop {
                let _ = state.optimizer.remove(0);
            }
            let error = learner.load(&state).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(same(&learner.save().unwrap(), &before));
        }
    }

    #[test]
    fn batches_that_do_not_fit_are_named() {
        let (mut learner, owned) = (learner(&config()), owned());
        let whole = owned.batch();
        for (batch, expected) in [
            (LearnBatch { rewards: &[0.0; 3], ..whole }, "a batch of 4 transitions cannot have 3 rewards"),
            (
                LearnBatch { next_obs: &owned.obs[1..], ..whole },
                "a batch of 4 transitions cannot have 5183 bytes of following observations",
            ),
            (LearnBatch { actions: &[], ..whole }, "a batch of 1 transitions cannot have 0 actions"),
            (LearnBatch { actions: &[0, 1, 2, 0], ..whole }, "transition 2 of the batch took action 2 of 2"),
            (
                LearnBatch { actions: &[-1, 1, 1, 0], ..whole },
                "transition 0 of the batch took action -1 of 2",
            ),
        ] {
            assert_eq!(learner.learn(&batch).unwrap_err().to_string(), expected);
        }
        assert_eq!(learner.updates(), 0);
    }

    #[test]
    fn actors_that_load_the_weights_compute_the_same() {
        let (mut learner, owned) = (learner(&config()), owned());
        learner.learn(&owned.batch()).unwrap();
        let weights = learner.weights().unwrap();
        assert_eq!(weights.version, 1);
        assert_eq!(weights.numbers.len() as u64, learner.parameter_count());
        let mut actor =
            Side::build(find_torso("conv").unwrap(), SHAPE, 2, &config(), ParamStore::new(7, Device::Cpu))
                .unwrap();
        let obs = crate::policy::obs_tensor(&owned.obs, 4, SHAPE);
        assert_ne!(actor.networks[0].forward(&obs), learner.network().forward(&obs));
        actor.store.load_flat(&weights.numbers).unwrap();
        assert_eq!(actor.networks[0].forward(&obs), learner.network().forward(&obs));
    }

    #[test]
    fn wrong_settings_and_small_observations_are_refused() {
        let build = |shape, config: &LearnerConfig| {
            let torso = find_torso("conv").unwrap();
            Learner::build(torso, shape, 2, Device::Cpu, 1, config).map(drop).unwrap_err().to_string()
        };
        let none = LearnerConfig { batch_size: 0, ..Default::default() };
        let error = build(SHAPE, &none);
        assert_eq!(error, "the agent's settings are wrong: `apex.learner.batch_size` is 0; the least is 1");
        assert!(build([1, 20, 20], &config()).contains("20×20"));
    }
}
