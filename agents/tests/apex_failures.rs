//! A failure in any thread ends the run with its cause, within seconds, and never as a hang.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coordrl_agents::nn::{Init, Linear, NetworkError, ParamScope, scale_pixels};
use coordrl_agents::{AgentError, Apex, ApexConfig, Inference, Torso, TorsoEntry, Worker};
use coordrl_envs::{Env, EnvError, EnvSpec, EpisodeStats, Step};
use support::HOW;
use support::apex::{apex, apex_with, quick};
use support::scripted::{Fault, Scripted};
use tch::Tensor;

/// Time limit for a run to end after a failure.
const SOON: Duration = Duration::from_secs(10);

/// Builds an agent in which environment 2, of actor 1, has the fault.
fn with_fault(config: &ApexConfig, fault: Fault) -> Apex {
    apex(config, HOW, |index| {
        let mut env = Scripted::new(index, [1, 36, 36], 2);
        env.fault = if index == 2 { fault } else { Fault::None };
        Box::new(env)
    })
}

/// Returns settings for every execution mode.
fn ways() -> Vec<ApexConfig> {
    let full = ApexConfig { experience_queue: 1, prefetch_batches: 1, ..quick() };
    vec![
        quick(),
        ApexConfig { inference: Inference::Central, ..quick() },
        ApexConfig { serial: true, ..quick() },
        ApexConfig { samples_per_insert: None, ..full.clone() },
        full,
    ]
}

fn first_error(agent: &mut Apex) -> AgentError {
    let start = Instant::now();
    loop {
        if let Err(error) = agent.update() {
            assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
            return error;
        }
    }
}

#[test]
fn a_panic_in_an_actor_is_an_error_with_its_index() {
    for config in ways() {
        // In the first step, during the warm-up, and when the learner is at work.
        for at_step in [0, 5, 40] {
            let error = first_error(&mut with_fault(&config, Fault::Panic { at_step }));
            if config.serial {
                assert_eq!(error.to_string(), "actor 1 panicked: the script says so");
            }
            let AgentError::Panicked { worker, message } = &error else { panic!("{error}") };
            assert_eq!((*worker, message.as_str()), (Worker::Actor(1), "the script says so"));
        }
    }
}

/// A dense layer that panics after some batches, in the learner only or in actors only.
struct Fragile {
    dense: Linear,
    in_learner: bool,
    batches_left: &'static AtomicU32,
}

impl Torso for Fragile {
    fn forward(&self, obs: &Tensor) -> Tensor {
        let learns = obs.size()[0] == i64::from(quick().learner.batch_size); // actors have fewer rows
        let take = |left: u32| left.checked_sub(1);
        let breaks =
            || self.batches_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err();
        if learns == self.in_learner && breaks() {
            panic!("the torso says so");
        }
        self.dense.forward(&scale_pixels(obs).flatten(1, -1)).relu()
    }

    fn features(&self) -> i64 {
        16
    }
}

fn dense(scope: &mut ParamScope<'_>, obs_shape: [usize; 3]) -> Result<Linear, NetworkError> {
    let pixels = obs_shape.iter().product::<usize>() as i64;
    Linear::build(scope, "torso.fc", pixels, 16, Init::BEFORE_RELU)
}

static LEARNER_BATCHES_LEFT: AtomicU32 = AtomicU32::new(0);
static ACTOR_BATCHES_LEFT: AtomicU32 = AtomicU32::new(0);

fn fragile_in_learner(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    let dense = dense(scope, obs_shape)?;
    Ok(Box::new(Fragile { dense, in_learner: true, batches_left: &LEARNER_BATCHES_LEFT }))
}

fn fragile_in_actors(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    let dense = dense(scope, obs_shape)?;
    Ok(Box::new(Fragile { dense, in_learner: false, batches_left: &ACTOR_BATCHES_LEFT }))
}

/// Returns the worker named in the torso's panic.
fn worker_of(entry: &TorsoEntry, config: &ApexConfig) -> Worker {
    let make = |index| Box::new(Scripted::new(index, [1, 36, 36], 2)) as Box<dyn Env>;
    let error = first_error(&mut apex_with(entry, config, HOW, make));
    let AgentError::Panicked { worker, message } = &error else { panic!("{error}") };
    assert_eq!(message, "the torso says so");
    *worker
}

#[test]
fn a_panic_in_the_learner_is_an_error_that_names_it() {
    let entry = TorsoEntry { name: "fragile", summary: "panics", build: fragile_in_learner };
    for config in ways() {
        for batches in [0, 31] {
            LEARNER_BATCHES_LEFT.store(batches, Ordering::SeqCst);
            assert_eq!(worker_of(&entry, &config), Worker::Learner);
        }
    }
}

#[test]
fn a_network_that_panics_in_an_actors_hands_is_an_error_that_names_the_actor() {
    let entry = TorsoEntry { name: "fragile", summary: "panics", build: fragile_in_actors };
    for config in ways() {
        for batches in [0, 1, 31] {
            ACTOR_BATCHES_LEFT.store(batches, Ordering::SeqCst);
            assert!(matches!(worker_of(&entry, &config), Worker::Actor(_)));
        }
    }
}

#[test]
fn a_failing_environment_is_named_with_its_actor() {
    for config in ways() {
        let error = first_error(&mut with_fault(&config, Fault::Error { at_step: 30 })).to_string();
        assert!(error.starts_with("actor 1: environment 0 failed: "), "{error}");
    }
}

#[test]
fn rewards_that_are_not_finite_are_caught_on_the_way_into_the_replay() {
    for config in ways() {
        let mut agent = with_fault(&config, Fault::NanReward { at_step: 30 });
        let error = first_error(&mut agent).to_string();
        assert!(error.ends_with("is NaN: not finite"), "{error}");
    }
}

#[test]
fn after_a_failure_the_agent_says_so_and_nothing_more_happens() {
    for config in ways() {
        let mut agent = with_fault(&config, Fault::Panic { at_step: 5 });
        first_error(&mut agent);
        assert!(matches!(agent.update().unwrap_err(), AgentError::WorkersGone));
        assert!(agent.pause().is_err() && agent.save().is_err());
    }
}

/// Reveals by its token's reference count whether it still exists.
struct Held(Scripted, #[expect(dead_code, reason = "counted, not read")] Arc<()>);

impl Env for Held {
    fn spec(&self) -> &EnvSpec {
        self.0.spec()
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.0.reset(obs)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        self.0.save_state()
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        self.0.load_state(state, obs)
    }
}

#[test]
fn dropped_at_any_moment_it_leaves_no_thread_and_no_environment() {
    for config in ways() {
        for updates in [0, 1, 20, 100] {
            let start = Instant::now();
            let token = Arc::new(());
            let make = |index| Held(Scripted::new(index, [1, 36, 36], 2), Arc::clone(&token));
            let mut agent = apex(&config, HOW, |index| Box::new(make(index)));
            (0..updates).for_each(|_| drop(agent.update().unwrap()));
            assert!(Arc::strong_count(&token) > 1);
            drop(agent);
            assert_eq!(Arc::strong_count(&token), 1, "{config:?}");
            assert!(start.elapsed() < SOON, "{config:?}: it took {:?}", start.elapsed());
        }
    }
}

#[test]
fn with_the_least_warm_up_nothing_is_drawn_before_it_is_there() {
    for _ in 0..5 {
        let mut config = ApexConfig { samples_per_insert: None, ..quick() };
        config.replay.warmup_transitions = 1;
        let mut agent = with_fault(&config, Fault::None);
        (0..20).for_each(|_| drop(agent.update().unwrap()));
    }
}

#[test]
fn actors_stop_at_the_last_frame_and_the_ratio_is_kept() {
    let config =
        ApexConfig { samples_per_insert: Some(2.0), samples_tolerance: Some(60.0), ..quick() };
    let mut agent = apex(&config, HOW, |index| Box::new(Scripted::new(index, [1, 36, 36], 2)));
    while agent.counters().frames < HOW.total_frames {
        agent.update().unwrap();
    }
    let report = agent.pause().unwrap();
    let counters = agent.counters();
    assert!(counters.agent_steps.abs_diff(HOW.total_frames / 4) <= 6, "{counters:?}");
    let ratio = report.samples_per_insert.unwrap();
    assert!((1.9..=2.1).contains(&ratio), "{ratio}");
}
