//! Compares repeated runs, with other thread counts and with gradients computed elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{A2cConfig, Gradients, OptimizerConfig, OptimizerKind};
use support::scripted::{End, Scripted};
use support::{HOW, How, agent, assert_same_state, catch_agent, numbers, repeats_itself, updates};

fn config(envs: u32, actors: u32) -> A2cConfig {
    A2cConfig { envs, actors: Some(actors), ..Default::default() }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    if !repeats_itself() {
        return;
    }

    for gradients in [Gradients::Actors, Gradients::Central] {
        for normalize_advantage in [false, true] {
            let config = A2cConfig { gradients, normalize_advantage, ..config(7, 3) };
            let run = |threads| {
                let mut agent = catch_agent(&config, How { threads, ..HOW });
                let reports = updates(&mut agent, 6);
                (reports, agent.save().unwrap())
            };
            let (reports, state) = run(1);
            assert!(reports.iter().any(|report| !report.episodes.is_empty()));
            for threads in [1, 2, 4] {
                let (others, other) = run(threads);
                assert_eq!(others, reports, "{threads} threads");
                assert_same_state(&other, &state);
            }
        }
    }
}

#[test]
fn another_seed_changes_everything() {
    let run = |seed| updates(&mut catch_agent(&config(4, 2), How { seed, ..HOW }), 2);
    assert_ne!(run(1), run(2));
}

/// Sets β₁ = 0, with which Adam's mean *is* the last gradient.
fn showing_gradients(config: A2cConfig) -> A2cConfig {
    let optimizer = OptimizerConfig { kind: OptimizerKind::Adam, beta1: 0.0, ..Default::default() };
    A2cConfig { optimizer, max_grad_norm: None, ..config }
}

#[test]
fn sharded_and_central_gradients_agree() {
    for normalize_advantage in [false, true] {
        let gradient = |gradients, actors| {
            let config = A2cConfig {
                gradients,
                normalize_advantage,
                gae_lambda: 0.9,
                ..showing_gradients(config(6, actors))
            };
            let mut agent = agent(&config, HOW, |index| {
                let mut env = Scripted::new(index, [2, 40, 36], 3);
                env.reward =
                    |index, step, action| (index + step * 2 + action as u64) as f32 % 5.0 - 2.0;
                env.end = |index, step| match (index + step) % 4 {
                    0 => Some(End::Terminated),
                    1 => Some(End::Truncated),
                    _ => None,
                };
                Box::new(env)
            });
            let report = updates(&mut agent, 1).remove(0);
            (numbers(&agent.save().unwrap().optimizer, "mean"), report)
        };
        let (central, report) = gradient(Gradients::Central, 2);
        let largest = central.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        for actors in [1, 2, 3, 6] {
            let (sharded, other) = gradient(Gradients::Actors, actors);
            for (a, b) in sharded.iter().zip(&central) {
                assert!((a - b).abs() <= 1e-5 * largest.max(b.abs()), "{a} for {b}");
            }
            assert!((other.grad_norm / report.grad_norm - 1.0).abs() < 1e-5);
            assert!((other.total_loss - report.total_loss).abs() < 1e-5);
            assert_eq!(other.episodes, report.episodes); // regardless of the grouping
        }
    }
}

#[test]
fn one_environment_is_enough() {
    for gradients in [Gradients::Actors, Gradients::Central] {
        let config = A2cConfig { envs: 1, gradients, ..Default::default() };
        let mut agent = catch_agent(&config, How { threads: 1, ..HOW });
        updates(&mut agent, 3);
        assert_eq!(agent.counters().agent_steps, 15);
    }
}

#[test]
fn an_update_may_be_made_from_inside_the_pool() {
    if !repeats_itself() {
        return;
    }
    // The learner then shares its only thread with the steps it waits for.
    let pool = coordrl_agents::build_pool(1, 1).unwrap();
    let config = A2cConfig { gradients: Gradients::Central, ..config(4, 2) };
    let mut inside = catch_agent(&config, How { threads: 1, ..HOW });
    let mut outside = catch_agent(&config, How { threads: 1, ..HOW });
    let inside = pool.install(|| updates(&mut inside, 2));
    assert_eq!(inside, updates(&mut outside, 2));
}

#[test]
fn counters_and_the_linear_rate_follow_the_frames() {
    let mut config = config(4, 2);
    config.optimizer.schedule = coordrl_agents::Schedule::Linear;
    config.optimizer.learning_rate = 1e-3;
    let mut agent = agent(&config, How { total_frames: 160, ..HOW }, |index| {
        Box::new(Scripted::new(index, [1, 36, 36], 2)) // four frames per step
    });
    let rates: Vec<f64> =
        updates(&mut agent, 3).iter().map(|report| report.learning_rate).collect();
    // An update has 4 · 5 · 4 = 80 frames of the 160.
    assert_eq!(rates, [1e-3, 5e-4, 0.0]);
    let counters = agent.counters();
    assert_eq!((counters.updates, counters.agent_steps, counters.frames), (3, 60, 240));
}
