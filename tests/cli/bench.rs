//! `coordrl bench`: what it prints and refuses. How fast anything is is not asserted.

use serde_json::Value;

use crate::support::Sandbox;

/// An environment that is quickly stepped.
const QUICK: [&str; 4] = ["catch", "--turns=3", "--device=cpu", "--set=env.screen_size=36"];

fn measure(what: &str, more: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let before = sandbox.files();
    let ended = sandbox.run(&[&["bench", what, "--json"], &QUICK[..], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(sandbox.files(), before, "a measurement leaves nothing behind");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn assert_is_spread(found: &Value, key: &str) {
    let [min, median, max] =
        ["min", "median", "max"].map(|number| found[key][number].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max, "{key}: {found}");
}

fn micros(found: &Value, activity: &str) -> f64 {
    found["micros_per_agent_step"][activity].as_f64().unwrap()
}

#[test]
fn environments_are_measured_without_an_agent() {
    let found = measure("env", &["--secs=0.05", "--envs=3", "--threads=1"]);
    assert_eq!((&found["bench"], &found["game"]), (&"env".into(), &"catch".into()));
    assert_eq!((found["torso"].clone(), found["envs"].clone()), (Value::Null, 3.into()));
    assert_is_spread(&found, "agent_steps_per_sec");
    assert_is_spread(&found, "frames_per_sec");
    assert_eq!(found["updates_per_sec"]["max"], 0.0);
    assert_eq!(micros(&found, "learn"), 0.0);
    assert_eq!(found["session"]["threads"], 1);
}

#[test]
fn agents_are_measured_from_their_first_update_on() {
    // Its experience arrives in messages, so a turn must be longer than the time between two.
    let small = [
        "--secs=0.5",
        "--set=apex.actors=2",
        "--set=apex.send_every_agent_steps=5",
        "--set=apex.samples_per_insert=1",
        "--set=apex.replay.capacity=300",
        "--set=apex.replay.warmup_transitions=60",
        "--set=apex.learner.batch_size=4",
    ];
    for (what, more) in [("a2c", &["--secs=0.05", "--torso=coordconv"][..]), ("apex", &small)] {
        let found = measure(what, &[&["--envs=4"], more].concat());
        assert_eq!(found["bench"], what);
        for speed in ["agent_steps_per_sec", "frames_per_sec", "updates_per_sec"] {
            assert_is_spread(&found, speed);
        }
        assert!(micros(&found, "learn") > 0.0, "{found}");
        assert!(found["session"]["commit"].is_string(), "{found}");
    }
}

#[test]
fn a_replay_and_its_learner_are_measured() {
    let small = [
        "--secs=0.05",
        "--envs=16",
        "--set=apex.replay.capacity=200",
        "--set=apex.replay.warmup_transitions=60",
        "--set=apex.learner.batch_size=4",
    ];
    let found = measure("replay", &small);
    assert_eq!(found["batch_size"], 4);
    // Sixteen environments fill it, one transition each at a time.
    assert!((200..216).contains(&found["transitions"].as_u64().unwrap()), "{found}");
    assert!(found["bytes_per_transition"].as_u64().unwrap() >= 36 * 36, "{found}");
    assert_is_spread(&found, "drawn_batches_per_sec");
    assert_is_spread(&found, "learner_updates_per_sec");
}

#[test]
fn a_study_is_measured_with_its_own_settings() {
    let sandbox = Sandbox::new();
    let quick = ["--turns=2", "--secs=0.05", "--threads=1", "--set=study.batch_size=2", "--json"];
    let ended = sandbox.run(&[&["bench", "study", "regress"], &quick[..]].concat());
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&found["task"], &found["batch_size"]), (&"regress".into(), &2.into()));
    assert_is_spread(&found, "updates_per_sec");
    assert_eq!(sandbox.files().len(), 0, "a measurement leaves nothing behind");
}

#[test]
fn people_get_a_table() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&[&["bench", "a2c", "--envs=4", "--secs=0.05"], &QUICK[..]].concat());
    for part in ["a2c, catch, torso conv, 4 environments", "agent steps/s", "updates/s", "learn"] {
        assert!(ended.stdout.contains(part), "`{part}` is not in {ended:?}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], parts: &[&str]| {
        sandbox.run(&[&["bench"], arguments].concat()).expect_refusal(2, parts);
    };
    refused(&["env", "pog"], &["`pog`", "pong"]);
    refused(&["study", "clasify"], &["clasify", "classify"]);
    refused(&["env", "catch", "--secs=0"], &["--secs", "0.01 to 3600"]);
    refused(&["env", "catch", "--turns=0"], &["--turns"]);
    refused(&["a2c", "catch", "--torso=convv"], &["`convv`", "conv"]);
    refused(&["ppo", "catch"], &["ppo"]);
}
