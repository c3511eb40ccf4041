//! Failures end as an error that names the cause, never as a hang.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::on_policy::Collector;
use coordrl_agents::{A2cConfig, AgentError, AgentSetup, Gradients, Worker};
use coordrl_envs::VecEnv;
use support::scripted::{Fault, Scripted};
use support::{HOW, agent, group, numbers, try_agent, updates};

const BOTH: [Gradients; 2] = [Gradients::Actors, Gradients::Central];

fn config(gradients: Gradients) -> A2cConfig {
    A2cConfig { envs: 6, actors: Some(3), gradients, ..Default::default() }
}

/// Builds an agent in which environment 3, the second of actor 1, has the fault.
fn with_fault(gradients: Gradients, fault: Fault) -> coordrl_agents::A2c {
    agent(&config(gradients), HOW, |index| {
        let mut env = Scripted::new(index, [1, 36, 36], 2);
        env.fault = if index == 3 { fault } else { Fault::None };
        Box::new(env)
    })
}

#[test]
fn a_panic_in_an_actor_is_an_error_with_its_index() {
    for gradients in BOTH {
        let error = with_fault(gradients, Fault::Panic { at_step: 2 }).update().unwrap_err();
        let AgentError::Panicked { worker, message } = &error else { panic!("{error}") };
        assert_eq!(*worker, Worker::Actor(1));
        assert_eq!(message, "the script says so");
        assert_eq!(error.to_string(), "actor 1 panicked: the script says so");
    }
}

#[test]
fn a_failing_environment_is_named_with_its_actor() {
    for gradients in BOTH {
        // In the second rollout of five steps: the first is sound.
        let mut agent = with_fault(gradients, Fault::Error { at_step: 7 });
        updates(&mut agent, 1);
        let error = agent.update().unwrap_err().to_string();
        assert!(error.starts_with("actor 1: environment 1 failed: "), "{error}");
    }
}

#[test]
fn numbers_that_are_not_finite_leave_the_weights_alone() {
    for gradients in BOTH {
        let mut agent = with_fault(gradients, Fault::NanReward { at_step: 7 });
        updates(&mut agent, 1);
        let before = agent.save().unwrap();
        let error = agent.update().unwrap_err();
        assert!(matches!(error, AgentError::NonFinite { what: "loss", update: 1, .. }), "{error}");
        assert!(error.to_string().contains("a2c.optimizer.learning_rate"), "{error}");
        let after = agent.save().unwrap();
        assert_eq!(before.weights, after.weights);
        assert_eq!(before.optimizer, after.optimizer);
        assert_eq!(agent.counters().updates, 1);
        // The offending data can be inspected.
        let rollout = agent.last_rollout();
        // Five tensors of each of the three actors.
        assert_eq!(rollout.len(), 3 * 5);
        assert!(numbers(&rollout, "actor1.rewards").iter().any(|reward| reward.is_nan()));
    }
}

#[test]
fn logits_that_are_not_finite_stop_before_any_action() {
    for gradients in BOTH {
        let mut agent = with_fault(gradients, Fault::None);
        let mut weights = agent.save().unwrap().weights;
        for (name, values) in &mut weights {
            if name == "policy.bias" {
                *values = values.full_like(f64::INFINITY);
            }
        }
        agent.load_weights(&weights).unwrap();
        let error = agent.update().unwrap_err().to_string();
        assert!(error.starts_with("logits or values not finite in update 0: "), "{error}");
        // Nor can such weights be saved over good ones.
        let error = agent.save().unwrap_err().to_string();
        assert!(error.starts_with("weights not finite in update 0: "), "{error}");
    }
}

fn setup(actors: Vec<VecEnv>) -> AgentSetup<'static> {
    AgentSetup {
        torso: coordrl_agents::find_torso("conv").unwrap(),
        device: tch::Device::Cpu,
        seed: 1,
        total_frames: 1,
        actors,
        pool: std::sync::Arc::new(coordrl_agents::build_pool(1, 1).unwrap()),
    }
}

#[test]
fn a_collector_without_actors_is_refused() {
    for gradients in BOTH {
        let error = Collector::build(setup(Vec::new()), 5, gradients).unwrap_err().to_string();
        assert_eq!(error, "no environments were handed in: there must be at least one actor");
    }
}

#[test]
fn settings_and_environments_that_do_not_fit_are_refused_before_anything_starts() {
    let make =
        |index| -> Box<dyn coordrl_envs::Env> { Box::new(Scripted::new(index, [1, 36, 36], 2)) };
    let bad = A2cConfig { discount: 2.0, value_coef: -1.0, ..config(Gradients::Auto) };
    let error = try_agent(&bad, HOW, make).unwrap_err().to_string();
    assert!(
        error.contains("`a2c.discount` is 2") && error.contains("`a2c.value_coef` is -1"),
        "{error}"
    );

    let build = |actors| coordrl_agents::A2c::build(&config(Gradients::Auto), setup(actors));
    let four = A2cConfig { envs: 4, actors: Some(2), ..Default::default() };
    let error = build(group(&four, make)).unwrap_err().to_string();
    assert!(error.contains("[2, 2]") && error.contains("[2, 2, 2]"), "{error}");

    let mut actors = group(&config(Gradients::Auto), make);
    actors[2] = group(&A2cConfig { envs: 2, actors: Some(1), ..Default::default() }, |index| {
        Box::new(Scripted::new(index, [1, 36, 36], 3))
    })
    .remove(0);
    let error = build(actors).unwrap_err();
    assert!(matches!(error, AgentError::ActorSpec { actor: 2 }), "{error}");

    let small = try_agent(&config(Gradients::Auto), HOW, |index| {
        Box::new(Scripted::new(index, [1, 20, 20], 2))
    });

    assert!(small.unwrap_err().to_string().contains("20×20 pixels are too small"));
}
