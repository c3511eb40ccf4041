use super::*;
use crate::nn::{OptimizerConfig, OptimizerKind, find_torso};

const SHAPE: [usize; 3] = [1, 36, 36];
const PIXELS: usize = 36 * 36;

fn config() -> LearnerConfig {
    let optimizer =
        OptimizerConfig { kind: OptimizerKind::Adam, learning_rate: 1e-3, ..Default::default() };
    LearnerConfig { optimizer, target_copy_updates: 3, ..Default::default() }
}

fn learner(config: &LearnerConfig) -> ApexLearner {
    ApexLearner::build(find_torso("conv").unwrap(), SHAPE, 2, Device::Cpu, 1, config).unwrap()
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
    (&a.online, &a.target, &a.optimizer, a.updates)
        == (&b.online, &b.target, &b.optimizer, b.updates)
}

#[test]
fn errors_shrink_where_nothing_follows() {
    let mut learner = learner(&config());
    let owned = owned();
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
    let config = config();
    let owned = owned();
    let mut whole = learner(&config);
    let expected = whole.learn(&owned.batch()).unwrap();
    for shards in [2, 3, 4] {
        let mut learner = learner(&LearnerConfig { shards, ..config.clone() });
        let learned = learner.learn(&owned.batch()).unwrap();
        let close = |a: f64, b: f64| {
            assert!((a - b).abs() < 1e-5 * b.abs(), "{shards} shards: {a} for {b}")
        };
        close(learned.loss, expected.loss);
        close(learned.grad_norm, expected.grad_norm);
        close(learned.mean_q, expected.mean_q);
        let errors = learned.td_errors.iter().zip(&expected.td_errors);
        errors.for_each(|(&a, &b)| close(a.into(), b.into())); // in the batch's order
    }
}

#[test]
fn the_target_network_follows_when_it_is_time() {
    let mut learner = learner(&config());
    let owned = owned();
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
    let mut learner = learner(&config());
    let owned = owned();
    (0..2).for_each(|_| drop(learner.learn(&owned.batch()).unwrap()));
    let saved = learner.save().unwrap();
    let learned: Vec<_> = (0..3).map(|_| learner.learn(&owned.batch()).unwrap()).collect();
    let mut other =
        ApexLearner::build(find_torso("conv").unwrap(), SHAPE, 2, Device::Cpu, 9, &config())
            .unwrap();
    other.load(&saved).unwrap();
    assert!(same(&other.save().unwrap(), &saved));
    let again: Vec<_> = (0..3).map(|_| other.learn(&owned.batch()).unwrap()).collect();
    assert_eq!(learned, again);
    assert!(same(&learner.save().unwrap(), &other.save().unwrap()));
}

#[test]
fn numbers_that_are_not_finite_change_nothing() {
    let mut learner = learner(&config());
    let mut owned = owned();
    learner.learn(&owned.batch()).unwrap();
    let before = learner.save().unwrap();
    owned.rewards[2] = f32::NAN;
    let error = learner.learn(&owned.batch()).unwrap_err().to_string();
    assert!(error.starts_with("loss not finite in update 1: "), "{error}");
    assert!(error.contains("`apex.learner.optimizer.learning_rate`"), "{error}");
    assert!(error.contains("`apex.learner.max_grad_norm`"), "{error}");
    assert!(same(&learner.save().unwrap(), &before));
    // A loss that `f32` can just represent, but not its gradient.
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
    let plain = LearnerConfig { head: QHead::Plain, ..config() };
    for (other, expected) in
        [(&rmsprop, "`mean_square`"), (&plain, "`value_hidden.weight` is missing")]
    {
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
    let mut learner = learner(&config());
    let owned = owned();
    let whole = owned.batch();
    for (batch, expected) in [
        (
            LearnBatch { rewards: &[0.0; 3], ..whole },
            "a batch of 4 transitions cannot have 3 rewards",
        ),
        (
            LearnBatch { next_obs: &owned.obs[1..], ..whole },
            "a batch of 4 transitions cannot have 5183 bytes of following observations",
        ),
        (LearnBatch { actions: &[], ..whole }, "a batch of 1 transitions cannot have 0 actions"),
        (
            LearnBatch { actions: &[0, 1, 2, 0], ..whole },
            "transition 2 of the batch took action 2 of 2",
        ),
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
    let mut learner = learner(&config());
    let owned = owned();
    learner.learn(&owned.batch()).unwrap();
    let weights = learner.weights().unwrap();
    assert_eq!(weights.version, 1);
    assert_eq!(weights.numbers.len() as u64, learner.parameter_count());
    let mut actor = Replicas::build(
        find_torso("conv").unwrap(),
        SHAPE,
        2,
        QHead::Dueling,
        1,
        ParamStore::new(7, Device::Cpu),
    )
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
        ApexLearner::build(torso, shape, 2, Device::Cpu, 1, config)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let none = LearnerConfig { batch_size: 0, ..Default::default() };
    let error = build(SHAPE, &none);
    assert_eq!(
        error,
        "the agent's settings are wrong: `apex.learner.batch_size` is 0; the least is 1"
    );
    assert!(build([1, 20, 20], &config()).contains("20×20"));
}

#[test]
fn rows_that_are_on_the_device_already_are_learnt_from_like_any() {
    let owned = owned();
    let config = config();
    let mut ahead = learner(&config);
    let mut plain = learner(&config);
    for _ in 0..4 {
        let rows = owned.batch().to_tensors(SHAPE, Device::Cpu);
        let learned = ahead.learn_rows(&owned.batch(), Some(rows)).unwrap();
        assert_eq!(learned, plain.learn(&owned.batch()).unwrap());
    }
    assert_eq!(ahead.to_named(), plain.to_named());
}
