//! Serial Ape-X is deterministic bit for bit, including across save and load.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::{Apex, ApexConfig};
use support::apex::{catch_apex, quick, replay_bytes, reports, train_to};
use support::{HOW, How, assert_same_state};

fn serial() -> ApexConfig {
    ApexConfig { serial: true, ..quick() }
}

fn assert_same(a: &Apex, b: &Apex) {
    assert_same_state(&a.save().unwrap(), &b.save().unwrap());
    assert!(replay_bytes(a) == replay_bytes(b), "replays differ");
}

#[test]
fn two_runs_of_one_seed_are_one() {
    let mut a = catch_apex(&serial(), HOW);
    let mut b = catch_apex(&serial(), HOW);
    assert_eq!(format!("{:?}", reports(&mut a, 300)), format!("{:?}", reports(&mut b, 300)));
    assert!(a.counters().updates > 100, "{:?}", a.counters());
    assert_same(&a, &b);
    let mut other = catch_apex(&serial(), How { seed: 2, ..HOW });
    reports(&mut other, 300);
    assert!(replay_bytes(&a) != replay_bytes(&other));
}

#[test]
fn restored_elsewhere_it_goes_on_to_the_last_bit() {
    for compress in [false, true] {
        let mut config = serial();
        config.replay.compress = compress;
        for before in [3, 30, 250] {
            let mut whole = catch_apex(&config, HOW);
            reports(&mut whole, before);
            let saved = whole.save().unwrap();
            let replay = replay_bytes(&whole);
            let rest = reports(&mut whole, 200);
            // A different seed, so that any state that is not restored shows.
            let mut resumed = catch_apex(&config, How { seed: 99, ..HOW });
            reports(&mut resumed, 20);
            resumed.load(saved, Some(&mut replay.as_slice())).unwrap();
            assert_eq!(
                format!("{:?}", reports(&mut resumed, 200)),
                format!("{rest:?}"),
                "from {before}"
            );
            assert_eq!(resumed.counters(), whole.counters());
            assert_same(&resumed, &whole);
        }
    }
}

#[test]
fn without_its_replay_it_warms_up_again() {
    for serial in [true, false] {
        let config = ApexConfig { serial, ..quick() };
        let how = How { total_frames: 100_000, ..HOW };
        let mut whole = catch_apex(&config, how);
        train_to(&mut whole, 400);
        whole.pause().unwrap();
        let counters = whole.counters();
        let saved = whole.save().unwrap();
        let mut resumed = catch_apex(&config, how);
        resumed.load(saved, None).unwrap();
        assert_eq!(resumed.counters(), counters);
        let reports = train_to(&mut resumed, counters.frames + 200);
        let first = reports.iter().find(|report| report.learned.is_some()).unwrap();
        // A new warm-up: at least its 40 transitions, but not yet a full replay.
        assert!((40..150).contains(&first.replay_len), "serial {serial}: {}", first.replay_len);
        assert!(resumed.counters().updates > counters.updates);
    }
}

#[test]
fn threads_at_rest_can_be_saved_and_go_on() {
    let how = How { total_frames: 3_000, ..HOW };
    let mut agent = catch_apex(&quick(), how);
    for frames in [100, 700, 1_500] {
        train_to(&mut agent, frames);
        let _ = agent.pause().unwrap();
        let saved = agent.save().unwrap();
        let replay = replay_bytes(&agent);
        agent = catch_apex(&quick(), how);
        agent.load(saved, Some(&mut replay.as_slice())).unwrap();
    }

    let reports = train_to(&mut agent, 3_000);
    let last = reports.iter().rev().find_map(|report| report.learned.as_ref()).unwrap();
    assert!(last.learned.loss.is_finite());
    agent.pause().unwrap();
    // No step was lost in a pause, and no actor ran past the end by more than one step.
    let steps = agent.counters().agent_steps;
    assert!((3_000..3_000 + 6).contains(&steps), "{steps}");
}

#[test]
fn a_replay_of_another_moment_is_refused() {
    let mut agent = catch_apex(&serial(), HOW);
    reports(&mut agent, 100);
    let old = replay_bytes(&agent);
    reports(&mut agent, 100);
    let saved = agent.save().unwrap();
    let error = agent.load(saved, Some(&mut old.as_slice())).unwrap_err().to_string();
    assert!(error.contains("its replay has seen"), "{error}");
    let saved = agent.save().unwrap();
    let error = agent.load(saved, Some(&mut &b"nonsense"[..])).unwrap_err().to_string();
    assert!(!error.is_empty());
}
