//! Ape-X runs are runs like any other: folders, resume, signals, bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ended, Sandbox, assert_same_run, checkpoints, metrics, send_signal};

/// Settings of a run that takes seconds.
const QUICK: &[&str] = &[
    "train",
    "catch",
    "--device=cpu",
    "--envs=3",
    "--set=env.screen_size=36",
    "--set=apex.actors=2",
    "--set=apex.samples_per_insert=1",
    "--set=apex.send_every_agent_steps=5",
    "--set=apex.replay.capacity=300",
    "--set=apex.replay.warmup_transitions=60",
    "--set=apex.learner.batch_size=4",
    "--set=log_every_frames=100",
    "--set=checkpoint_every_frames=150",
    "--set=keep_checkpoints=2",
];

/// Builds the arguments of a run; `more` may override its length.
fn arguments<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let has = |flag: &str| more.iter().any(|argument| argument.starts_with(flag));
    let mut all = [QUICK, &["--name", name], more].concat();
    all.extend((!has("--frames")).then_some("--frames=600"));
    all.extend((!has("--algo")).then_some("--algo=apex"));
    all
}

fn run_path(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join("runs/catch/apex-conv").join(name)
}

fn train(sandbox: &Sandbox, name: &str, more: &[&str]) -> PathBuf {
    let ended = sandbox.run(&arguments(name, more));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    run_path(sandbox, name)
}

#[test]
fn a_run_leaves_the_usual_folder_and_its_replay_in_the_newest_checkpoint() {
    let sandbox = Sandbox::new();
    let long =
        ["--frames=4000", "--set=apex.experience_queue=1", "--set=checkpoint_every_frames=1000"];
    let ended = sandbox.run(&arguments("a", &long));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("replay of 300 transitions, up to "), "{ended:?}");
    let run = run_path(&sandbox, "a");
    let points = metrics(&run);
    let last = points.last().unwrap();
    assert!(last["frames"].as_u64().unwrap() >= 4000);
    let frames: Vec<u64> = points.iter().map(|point| point["frames"].as_u64().unwrap()).collect();
    assert!(
        frames.is_sorted_by(|a, b| a < b),
        "what the last rest brings is no point of its own: {frames:?}"
    );
    for tag in coordrl_agents::find_algorithm("apex").unwrap().tags {
        assert!(points.iter().any(|point| point[tag.name].is_number()), "{} is nowhere", tag.name);
        assert!(last.get(tag.name).is_some(), "{} is missing in {last}", tag.name);
    }

    let ratio = last["replay/samples_per_insert"].as_f64().unwrap();
    // About 940 insertions: 40 samples either way, plus those in flight at the end.
    assert!((0.85..=1.15).contains(&ratio), "{ratio}");
    let with_replay: Vec<bool> =
        checkpoints(&run).iter().map(|path| path.join("replay.bin").is_file()).collect();
    assert_eq!(with_replay.iter().filter(|is_there| **is_there).count(), 1);
    assert_eq!(with_replay.last(), Some(&true));
    let config: Value =
        serde_json::from_str(&fs::read_to_string(run.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["algo"], &config["apex"]["actors"]), (&"apex".into(), &2.into()));
}

#[test]
fn in_one_thread_a_run_killed_and_resumed_is_the_run_never_killed() {
    let sandbox = Sandbox::new();
    let serial = ["--set=apex.serial=true"];
    let whole = train(&sandbox, "whole", &serial);
    let killed = run_path(&sandbox, "killed");
    let mut child = sandbox.spawn(&arguments("killed", &serial));
    // One more than that of frame 0, so that there is progress to resume.
    while checkpoints(&killed).len() < 2 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run was through before it could be killed"
        );
        thread::sleep(Duration::from_millis(3));
    }

    child.kill().unwrap();
    child.wait().unwrap();
    let ended = sandbox.run(&["train", "--resume", killed.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&whole, &killed);
}

/// Sends Ctrl-C once `ready` and returns the exit, which must follow within ten seconds.
fn interrupt(sandbox: &Sandbox, name: &str, more: &[&str], ready: impl Fn(&Path) -> bool) -> Ended {
    let mut child = sandbox.spawn(&arguments(name, more));
    let run = run_path(sandbox, name);
    while !ready(&run) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{:?}",
            Ended::from(child.wait_with_output().unwrap())
        );
        thread::sleep(Duration::from_millis(3));
    }

    let asked = Instant::now();
    send_signal(&child, "INT");
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    ended
}

#[test]
fn ctrl_c_at_any_moment_leaves_a_checkpoint_to_go_on_from() {
    let sandbox = Sandbox::new();
    let long = ["--frames=1e9"];
    let never_warm = [
        "--frames=1e9",
        "--set=apex.replay.capacity=1000000",
        "--set=apex.replay.warmup_transitions=1000000",
    ];
    // Each transition is learnt from 16 times, so actors wait nearly all the time.
    let full_channel =
        ["--frames=1e9", "--set=apex.experience_queue=1", "--set=apex.samples_per_insert=16"];
    let first = |run: &Path| !checkpoints(run).is_empty();
    let later = |run: &Path| checkpoints(run).len() > 1;
    for (name, more, ready) in [
        ("start", &long[..], &first as &dyn Fn(&Path) -> bool),
        ("warm-up", &never_warm, &later),
        ("mid-run", &long, &later),
        ("full-channel", &full_channel, &later),
        ("one-thread", &["--frames=1e9", "--set=apex.serial=true"], &later),
    ] {
        let ended = interrupt(&sandbox, name, more, ready);
        assert_eq!(ended.code, Some(130), "{name}: {ended:?}");
        let run = run_path(&sandbox, name);
        assert!(ended.stderr.contains("continue with"), "{name}: {ended:?}");
        goes_on_with_its_replay(&sandbox, &run);
    }
}

/// Resumes the interrupted run where it stopped. As a fork, since the run itself is much longer.
fn goes_on_with_its_replay(sandbox: &Sandbox, run: &Path) {
    let at = metrics_position(run);
    let more_frames = (at + 200).to_string();
    let name = format!("{at}-on");
    let fork = [
        "train",
        "--resume",
        run.to_str().unwrap(),
        "--fork",
        "--name",
        &name,
        "--frames",
        &more_frames,
    ];
    let ended = sandbox.run(&fork);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("a new warm-up is gathered"), "{ended:?}");
    assert!(metrics_position(&run_path(sandbox, &name)) >= at + 200);
}

/// A signal before anything can be saved simply ends the process; once the folder exists, it holds
/// a checkpoint.
#[test]
fn ctrl_c_while_the_run_is_being_built_leaves_no_folder_or_a_whole_one() {
    let sandbox = Sandbox::new();
    for millis in [0, 20, 50, 100, 200, 400] {
        let name = format!("after-{millis}");
        let started = Instant::now();
        let wait = |_: &Path| started.elapsed() >= Duration::from_millis(millis);
        let ended = interrupt(&sandbox, &name, &["--frames=1e9"], wait);
        let run = run_path(&sandbox, &name);
        if run.exists() {
            assert_eq!(ended.code, Some(130), "{name}: {ended:?}");
            goes_on_with_its_replay(&sandbox, &run);
        } else {
            assert_eq!(ended.code, None, "{name}: {ended:?}");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_replay_is_told_by_file_and_the_run_goes_on_without_it() {
    let sandbox = Sandbox::new();
    let run = train(&sandbox, "a", &[]);
    let file = checkpoints(&run).pop().unwrap().join("replay.bin");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let more_frames = (metrics_position(&run) + 200).to_string();
    let resume = ["train", "--resume", run.to_str().unwrap(), "--frames", &more_frames];
    let ended = sandbox.run(&resume);
    ended.expect_refusal(
        3,
        &[file.to_str().unwrap(), "is damaged", "after a new warm-up: remove it"],
    );
    assert!(!ended.stderr.contains("does not fit"), "{ended:?}");
    fs::remove_file(&file).unwrap();
    let ended = sandbox.run(&resume);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("a new warm-up is gathered"), "{ended:?}");
}

/// Returns the frames of the last checkpoint.
fn metrics_position(run: &Path) -> u64 {
    checkpoints(run).last().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn a_learner_that_diverges_ends_the_run_with_4_and_keeps_a_checkpoint() {
    let sandbox = Sandbox::new();
    let huge_rate = [
        "--frames=40000",
        "--set=apex.learner.optimizer.kind=adam",
        "--set=apex.learner.optimizer.learning_rate=1e30",
    ];
    for (name, serial) in [("threads", "false"), ("one-thread", "true")] {
        let serial = format!("--set=apex.serial={serial}");
        let ended = sandbox.run(&arguments(name, &[&huge_rate[..], &[&serial]].concat()));
        ended.expect_refusal(4, &["last checkpoint", "diverged.safetensors"]);
        let run = run_path(&sandbox, name);
        let kept = fs::read(run.join("diverged.safetensors")).unwrap();
        let tensors = coordrl::run::weights_file::from_bytes(&kept).unwrap();
        let obs = tensors.iter().find(|(name, _)| name == "next_obs").unwrap();
        assert_eq!(obs.1.size(), [4 * 4 * 36 * 36], "a batch of 4, stacks of 4 frames");
        let ended = sandbox.run(&["eval", run.to_str().unwrap(), "--episodes=2"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn evaluations_change_nothing_that_is_learnt() {
    let sandbox = Sandbox::new();
    let evaluated = ["--set=evaluation.every_frames=200", "--set=evaluation.episodes=2"];
    // No two runs in threads are equal, evaluated or not.
    let serial = ["--set=apex.serial=true"];
    let plain = train(&sandbox, "plain", &serial);
    let run = train(&sandbox, "evaluated", &[&serial[..], &evaluated].concat());
    let weights =
        |run: &Path| fs::read(checkpoints(run).pop().unwrap().join("weights.safetensors")).unwrap();
    assert_eq!(weights(&plain), weights(&run));
    for run in [run, train(&sandbox, "threads", &evaluated)] {
        let points = metrics(&run);
        let returns = points.iter().filter_map(|point| point["eval/episode_return"].as_f64());
        assert!(
            returns.clone().count() >= 2
                && returns.into_iter().all(|mean| (-1.0..=1.0).contains(&mean))
        );
    }
}

#[test]
fn evaluation_is_greedy_with_a_stated_epsilon() {
    let sandbox = Sandbox::new();
    let run = train(&sandbox, "a", &["--frames=200"]);
    let run = run.to_str().unwrap();
    let ended = sandbox.run(&["eval", run, "--episodes=3", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&result["policy"], &result["episodes"]), (&"epsilon 0.001".into(), &3.into()));
    let sampled = sandbox.run(&["eval", run, "--policy=sampled"]);
    sampled.expect_refusal(2, &["`--policy sampled`", "`epsilon` or `greedy`"]);
}

#[test]
fn wrong_requests_are_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let refused_as = |code: i32, more: &[&str], parts: &[&str]| {
        sandbox.run(&arguments("a", more)).expect_refusal(code, parts);
        assert_eq!(sandbox.files(), Vec::<PathBuf>::new(), "{more:?}");
    };

    let refused = |more: &[&str], parts: &[&str]| refused_as(2, more, parts);
    refused_as(
        5,
        &["--set=apex.replay.capacity=9000000000"],
        &["a replay of 9000000000 transitions", "would fit"],
    );
    refused(
        &["--set=apex.replay.warmup_transitions=301"],
        &["`apex.replay.warmup_transitions`", "= 300 holds"],
    );
    refused(
        &["--set=apex.serial=true", "--set=apex.samples_per_insert=off"],
        &["`apex.samples_per_insert`", "try 8"],
    );
    refused(&["--set=apex.samples_tolerance=1"], &["`apex.samples_tolerance`", "forever"]);
    refused(&["--set=apex.learner.huber_delta=-1"], &["`apex.learner.huber_delta`"]);
    refused(&["--set=apex.n_steps=3"], &["`apex.n_step`"]);
    refused(&["--algo=apx"], &["`algo`"]);
}
