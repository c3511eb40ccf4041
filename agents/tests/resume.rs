//! A restored agent continues as if it had never been interrupted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{A2cConfig, AgentError, OptimizerKind, find_torso};
use support::{HOW, How, assert_same_state, catch_agent, repeats_itself, updates};
use tch::Tensor;

fn config() -> A2cConfig {
    A2cConfig { envs: 5, actors: Some(2), ..Default::default() }
}

#[test]
fn restored_elsewhere_it_goes_on_to_the_last_bit() {
    if !repeats_itself() {
        return;
    }

    use OptimizerKind::{Adam, Rmsprop, RmspropTf, Sgd};
    for kind in [Rmsprop, RmspropTf, Adam, Sgd] {
        let mut config = config();
        config.optimizer.kind = kind;
        config.optimizer.momentum = 0.5;
        config.optimizer.schedule = coordrl_agents::Schedule::Linear;
        let mut whole = catch_agent(&config, HOW);
        updates(&mut whole, 4);
        let saved = whole.save().unwrap();
        let rest = updates(&mut whole, 4);
        assert!(rest.iter().any(|report| !report.episodes.is_empty()));

        // A different seed, so that any state that is not restored shows.
        let mut resumed = catch_agent(&config, How { seed: 99, threads: 1, ..HOW });
        updates(&mut resumed, 1);
        resumed.load(saved).unwrap();
        assert_eq!(updates(&mut resumed, 4), rest, "{kind:?}");
        assert_eq!(resumed.counters(), whole.counters());
        assert_same_state(&resumed.save().unwrap(), &whole.save().unwrap());
    }
}

#[test]
fn saving_does_not_disturb_and_later_updates_do_not_change_what_was_saved() {
    if !repeats_itself() {
        return;
    }
    let mut saving = catch_agent(&config(), HOW);
    let mut plain = catch_agent(&config(), HOW);
    let first = saving.save().unwrap();
    updates(&mut saving, 3);
    updates(&mut plain, 3);
    assert_same_state(&saving.save().unwrap(), &plain.save().unwrap());
    assert_same_state(&first, &catch_agent(&config(), HOW).save().unwrap());
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic() {
    let mut agent = catch_agent(&config(), HOW);
    updates(&mut agent, 1);
    let before = agent.save().unwrap();
    let trainer = before.trainer.clone();
    for cut in (0..trainer.len()).step_by(trainer.len() / 97 + 1) {
        let mut state = agent.save().unwrap();
        state.trainer.truncate(cut);
        let error = agent.load(state).unwrap_err();
        assert!(matches!(error, AgentError::State { .. }), "cut at {cut}: {error}");
    }

    assert_same_state(&agent.save().unwrap(), &before);
    // A flipped bit may go unnoticed here (checkpoints have checksums) but must not end the
    // process.
    for position in (0..trainer.len()).step_by(trainer.len() / 199 + 1) {
        let mut state = agent.save().unwrap();
        state.trainer[position] ^= 0x55;
        let _ = agent.load(state);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let mut agent = catch_agent(&config(), HOW);
    let message =
        |agent: &mut coordrl_agents::A2c, state| agent.load(state).unwrap_err().to_string();

    let more = A2cConfig { envs: 6, ..config() };
    let other = catch_agent(&more, HOW).save().unwrap();
    let found = message(&mut agent, other);
    assert!(
        found.contains("[3, 3]") && found.contains("[3, 2]") && found.contains("a2c.envs"),
        "{found}"
    );

    let other = catch_agent(&config(), How { torso: "coordconv", ..HOW }).save().unwrap();
    let found = message(&mut agent, other);
    assert_eq!(found, "parameter `torso.conv1.weight` is [32, 4, 8, 8], not [32, 2, 8, 8]");

    let mut adam = config();
    adam.optimizer.kind = OptimizerKind::Adam;
    let found = message(&mut agent, catch_agent(&adam, HOW).save().unwrap());
    assert_eq!(found, "parameter `mean` is not one of this network's");

    let mut state = agent.save().unwrap();
    state.trainer = vec![0x81, 0xa7, b'v', b'e', b'r', b's', b'i', b'o', b'n', 9];
    let found = message(&mut agent, state);
    assert!(found.contains("version 9"), "{found}");
}

#[test]
fn weights_alone_can_be_loaded() {
    let mut agent = catch_agent(&config(), HOW);
    let mut weights = catch_agent(&config(), How { seed: 5, ..HOW }).save().unwrap().weights;
    agent.load_weights(&weights).unwrap();
    assert_eq!(agent.save().unwrap().weights, weights);
    weights[0].1 = Tensor::from(1f32);
    assert!(agent.load_weights(&weights).is_err());
    assert!(find_torso("conv").is_ok());
}
