//! A grid of runs: completed, killed, resumed, rejected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{
    Ended, QUICK, Sandbox, assert_same_run, checkpoints, metrics, send_signal, wait_for,
};

/// Returns [`QUICK`] for a sweep, where `--envs` is an ordinary setting.
fn quick() -> Vec<&'static str> {
    let others = QUICK.iter().copied().filter(|flag| *flag != "--envs=4");
    others.chain(["--set=a2c.envs=4"]).collect()
}

fn sweep<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["sweep", "--games=catch", "--no-forecast", "--name=s"], quick().as_slice(), arguments]
        .concat()
}

fn run_of(sandbox: &Sandbox, torso: &str, seed: u64) -> PathBuf {
    sandbox.path().join(format!("runs/catch/a2c-{torso}/s-seed{seed}"))
}

fn record(sandbox: &Sandbox) -> Value {
    let text = fs::read_to_string(sandbox.path().join("runs/sweeps/s/sweep.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn states(ended: &Ended) -> Vec<String> {
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    let cells = result["cells"].as_array().unwrap();
    cells.iter().map(|cell| cell["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_combination_is_made_once_and_is_the_run_that_train_makes() {
    let sandbox = Sandbox::new();
    let arguments = sweep(&["--frames=1000", "--seeds=2", "--json"]);
    let ended = sandbox.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(states(&ended), ["done"; 4]);
    let alone = sandbox.train("alone", &["--frames=1000", "--seed=2"]);
    assert_same_run(&alone, &run_of(&sandbox, "conv", 2));
    assert_ne!(metrics(&alone), metrics(&run_of(&sandbox, "coordconv", 2)));
    let events = sandbox.path().join("runs/catch/a2c-coordconv/s-seed1/tb");
    assert!(fs::read_dir(events).unwrap().count() > 0, "TensorBoard groups by game, arm and run");

    let before = sandbox.files();
    let again = sandbox.run(&arguments);
    assert_eq!((again.code, states(&again)), (Some(0), vec!["done".to_owned(); 4]));
    assert!(
        !again.stderr.contains(" begins") && !again.stderr.contains(" goes on"),
        "{}",
        again.stderr
    );
    assert_eq!(sandbox.files(), before, "nothing is made again");

    let more = sandbox.run(&sweep(&["--frames=1000", "--seeds=3", "--json"]));
    assert_eq!((more.code, states(&more).len()), (Some(0), 6), "a sweep may grow");
    assert_eq!(more.stderr.matches(" begins").count(), 2, "{}", more.stderr);
    let fewer = sandbox.run(&sweep(&["--frames=1000", "--torsos=conv"]));
    fewer.expect_refusal(2, &["sweep `s`", "a2c-coordconv/s-seed1", "--name"]);
}

#[test]
fn the_scores_at_the_end_are_those_of_the_final_evaluations() {
    let sandbox = Sandbox::new();
    let evaluated = ["--set=evaluation.every_frames=400", "--set=evaluation.final_episodes=7"];
    let arguments = sweep(&["--frames=1000", "--seeds=1", "--torsos=conv", "--json"]);
    let ended = sandbox.run(&[&arguments[..], &evaluated[..]].concat());
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    let points = metrics(&run_of(&sandbox, "conv", 1));
    let last = &points.last().unwrap()["eval/final_return"];
    assert!(last.is_number(), "{points:?}");
    assert_eq!(result["cells"][0]["episode_return"], *last);
}

fn last_frames(run: &Path) -> u64 {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    // The run may be in the middle of writing its last line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let last: Option<Value> = whole.lines().last().map(|line| serde_json::from_str(line).unwrap());
    last.map_or(0, |point| point["frames"].as_u64().unwrap())
}

/// Returns `true` if no process holds the run's lock.
fn is_at_rest(run: &Path) -> bool {
    let Ok(lock) = fs::File::open(run.join("run.lock")) else { return true };
    lock.try_lock().is_ok()
}

#[test]
fn a_sweep_that_is_killed_or_interrupted_goes_on_where_its_runs_stopped() {
    let sandbox = Sandbox::new();
    let arguments = sweep(&["--frames=8000", "--seeds=1", "--jobs=2", "--json"]);
    let runs = [run_of(&sandbox, "conv", 1), run_of(&sandbox, "coordconv", 1)];
    let under_way =
        |frames: u64| wait_for("runs", || runs.iter().all(|run| last_frames(run) > frames));

    let mut child = sandbox.spawn(&arguments);
    under_way(400);
    child.kill().unwrap(); // its runs stop when their stdin closes
    child.wait().unwrap();
    wait_for("runs to end by themselves", || runs.iter().all(|run| is_at_rest(run)));
    assert!(runs.iter().all(|run| !checkpoints(run).is_empty() && last_frames(run) < 8000));

    for (frames, signal) in [(2000, "INT"), (4000, "HUP")] {
        let child = sandbox.spawn(&arguments);
        under_way(frames);
        send_signal(&child, signal);
        let stopped = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(stopped.code, Some(130), "{signal}: {stopped:?}");
        assert!(
            stopped.stderr.contains("the same command goes on from here"),
            "{signal}: {stopped:?}"
        );
        assert_eq!(states(&stopped), ["unfinished"; 2]);
        assert!(runs.iter().all(|run| is_at_rest(run)));
    }

    let ended = sandbox.run(&arguments);
    assert_eq!((ended.code, states(&ended)), (Some(0), vec!["done".to_owned(); 2]), "{ended:?}");
    assert_eq!(ended.stderr.matches(" goes on at ").count(), 2, "{}", ended.stderr);
    let alone = sandbox.train("alone", &["--frames=8000", "--seed=1"]);
    assert_same_run(&alone, &runs[0]);
}

#[test]
fn a_run_that_fails_is_tried_twice_and_does_not_keep_others_from_being_made() {
    let sandbox = Sandbox::new();
    let arguments = sweep(&["--frames=1000", "--seeds=1"]);
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    let longer = sweep(&["--frames=2000", "--seeds=1", "--json"]);
    let weights =
        checkpoints(&run_of(&sandbox, "conv", 1)).pop().unwrap().join("weights.safetensors");
    let good = fs::read(&weights).unwrap();
    fs::write(&weights, b"rubbish").unwrap();
    let ended = sandbox.run(&longer);
    assert_eq!(
        (ended.code, states(&ended)),
        (Some(3), vec!["failed".to_owned(), "done".to_owned()])
    );
    assert!(
        ended.stderr.contains("catch a2c-conv seed 1 failed 2 times, with exit status: 3"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("weights.safetensors"), "the cause is told: {}", ended.stderr);
    assert_eq!(record(&sandbox)["cells"][0]["failure"]["attempts"], 2);

    fs::write(&weights, good).unwrap();
    let mended = sandbox.run(&longer);
    assert_eq!((mended.code, states(&mended)), (Some(0), vec!["done".to_owned(); 2]), "{mended:?}");
    assert_eq!(record(&sandbox)["cells"][0]["failure"], Value::Null);
    assert_eq!(record(&sandbox)["commands"].as_array().unwrap().len(), 3);
}

#[test]
fn a_run_that_diverges_ends_the_sweep_with_its_code() {
    let sandbox = Sandbox::new();
    let wild =
        ["--frames=2000", "--seeds=1", "--torsos=conv", "--set=a2c.optimizer.learning_rate=1e30"];
    let ended = sandbox.run(&sweep(&wild));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("a second time") && ended.stdout.contains("failed"), "{ended:?}");
}

#[test]
fn a_forecast_is_made_from_trial_runs_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mut arguments =
        sweep(&["--frames=40000", "--seeds=2", "--dry-run", "--set=log_every_frames=1000"]);
    arguments.retain(|word| *word != "--no-forecast");
    let ended = sandbox.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in
        ["1 game × 2 arms × 2 seeds = 4 runs", "measured: a2c-coordconv", "forecast: ", "of disk"]
    {
        assert!(ended.stderr.contains(part), "{part} not in {}", ended.stderr);
    }

    assert_eq!(sandbox.files(), Vec::<PathBuf>::new());
}

#[test]
fn what_decides_is_fixed_before_the_runs() {
    let sandbox = Sandbox::new();
    let plan = |primary: &str, reference: &str| {
        let text = format!(
            "games = [\"catch\"]\ntorsos = [\"conv\", \"coordconv\"]\nseeds = 1\nframes = 160\n\
             primary = \"{primary}\"\nreference = \"{reference}\"\n"
        );
        fs::write(sandbox.path().join("plan.toml"), text).unwrap();
        sandbox.run(&["sweep", "plan.toml", "--no-forecast"])
    };

    plan("final", "impala").expect_refusal(2, &["`reference` is `impala`", "conv, coordconv"]);
    let ended = plan("final", "coordconv");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read(sandbox.path().join("runs/sweeps/plan/sweep.json")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        record["design"],
        serde_json::json!({ "primary": "final", "reference": "coordconv" })
    );

    plan("area", "coordconv").expect_refusal(2, &["the final score against coordconv", "`--name`"]);
    let ended = plan("final", "coordconv");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Longest name for a sweep of `catch` with seed 10: its log
/// `catch-a2c-coordconv-<name>-seed10.log` has 255 bytes.
const LONGEST_NAME: &str = match std::str::from_utf8(&[b's'; 224]) {
    Ok(name) => name,
    Err(_) => panic!(),
};

#[test]
fn the_longest_name_that_is_taken_does() {
    let sandbox = Sandbox::new();
    // With a comma it is the seed 10; without one, ten seeds.
    let mut arguments =
        sweep(&["--frames=160", "--seeds=10,", "--torsos=coordconv", "--name", LONGEST_NAME]);
    arguments.retain(|word| *word != "--name=s");
    let ended = sandbox.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn what_is_wrong_with_a_plan_is_told_at_once_and_nothing_is_written() {
    let refused = |arguments: &[&str], parts: &[&str]| {
        let sandbox = Sandbox::new();
        sandbox.run(arguments).expect_refusal(2, parts);
        assert_eq!(sandbox.files(), Vec::<PathBuf>::new(), "{arguments:?} wrote something");
    };

    refused(&["sweep"], &["which games", "nine-games", "--games"]);
    refused(&["sweep", "nine-game"], &["did you mean `nine-games`"]);
    refused(&["sweep", "missing/plan.toml"], &["missing/plan.toml"]);
    refused(
        &["sweep", "--games=pogn,pong", "--torsos=conv,cordconv"],
        &["2 problems", "did you mean `pong`", "did you mean `coordconv"],
    );
    refused(&["sweep", "--games=pong", "--algos=ppo"], &["`algo`", "ppo"]);
    refused(&["sweep", "--games=pong,Pong"], &["twice", "pong a2c-conv seed 1"]);
    refused(&["sweep", "--games=pong", "--seeds=1,1"], &["twice"]);
    refused(&["sweep", "--games=pong", "--seeds=0"], &["seeds", "least is 1"]);
    refused(&["sweep", "--games=pong", "--seeds=x"], &["--seeds", "4,5,6"]);
    refused(&["sweep", "--games=pong", "--frames=0"], &["`--frames 0`"]);
    refused(&["sweep", "--games=pong", "--jobs=0"], &["`--jobs 0`"]);
    refused(
        &["sweep", "--games=pong", "--set=a2c.rollout_steps=5"],
        &["`a2c.rollout_agent_steps`"],
    );
    refused(&["sweep", "--games=pong", "--name=a/b"], &["a/b"]);
    let long = LONGEST_NAME.to_owned() + "s";
    for mode in ["--dry-run", "--no-forecast"] {
        let long = ["sweep", "--games=catch", "--seeds=10,", mode, "--name", &long];
        refused(&long, &["`--name sss", "at most 224", "it has 225"]);
    }

    refused(&["sweep", "--games=pong", "--name", &"s".repeat(256)], &["`--name sss", "it has 256"]);
    refused(&["sweep", "--games=pong", "--set=seed=3"], &["`seed`", "--seeds"]);
    refused(&["sweep", "--games=pong", "--seeds=18446744073709551615"], &["seeds", "the most"]);
    refused(&["sweep", "--games=--help"], &["unknown game `--help`"]);
    refused(&["sweep", "--games=pong", "--runs-dir=/proc/x"], &["/proc/x", "--runs-dir"]);

    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("plan.toml"), "gmaes = [\"pong\"]").unwrap();
    sandbox.run(&["sweep", "plan.toml"]).expect_refusal(2, &["plan.toml", "gmaes"]);
    assert_eq!(sandbox.files().len(), 1);
}

#[test]
fn folders_of_other_runs_and_sweeps_under_way_are_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.train("s-seed1", &["--frames=500", "--set=a2c.discount=0.5"]);
    let before = sandbox.files();
    let ended = sandbox.run(&sweep(&["--frames=500", "--seeds=1"]));
    ended.expect_refusal(
        3,
        &["a2c-conv/s-seed1", "another run", "a2c.discount", "another `--name`"],
    );
    assert!(!ended.stderr.contains("--fork"), "a sweep has no such flag: {}", ended.stderr);
    assert_eq!(sandbox.files(), before);

    let sandbox = Sandbox::new();
    let foreign = run_of(&sandbox, "conv", 1);
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    sandbox.run(&sweep(&["--seeds=1"])).expect_refusal(3, &["s-seed1", "not a run folder"]);
    assert!(foreign.join("thesis.txt").exists());

    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("runs/sweeps/s");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::File::create(folder.join("sweep.lock")).unwrap();
    lock.lock().unwrap();
    sandbox.run(&sweep(&["--seeds=1"])).expect_refusal(3, &["sweeps/s", "in use"]);
    drop(lock);
    fs::write(folder.join("sweep.json"), "{").unwrap();
    sandbox.run(&sweep(&["--seeds=1"])).expect_refusal(3, &["sweep.json", "damaged"]);
}

#[test]
fn a_folder_that_goes_bad_on_the_way_fails_its_run_alone() {
    let sandbox = Sandbox::new();
    // One run at a time, so that the folder of the second can be filled while the first trains.
    let child = sandbox.spawn(&sweep(&[
        "--frames=8000",
        "--seeds=3",
        "--torsos=conv",
        "--jobs=1",
        "--json",
    ]));
    wait_for("the first run", || last_frames(&run_of(&sandbox, "conv", 1)) > 0);
    let foreign = run_of(&sandbox, "conv", 2);
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(
        (ended.code, states(&ended)),
        (Some(3), ["done", "failed", "done"].map(str::to_owned).to_vec())
    );
    let failure = &record(&sandbox)["cells"][1]["failure"];
    assert_eq!(
        (&failure["attempts"], &failure["ended_with"]),
        (&1.into(), &"no process".into()),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("conv/s-seed2") && foreign.join("thesis.txt").exists(),
        "{ended:?}"
    );
}

#[test]
fn runs_that_were_stopped_before_their_first_checkpoint_begin_anew() {
    let sandbox = Sandbox::new();
    let leftover = run_of(&sandbox, "conv", 1);
    fs::create_dir_all(leftover.join("checkpoints")).unwrap();
    fs::write(leftover.join("run.lock"), "").unwrap();
    fs::write(leftover.join("config.tmp"), "{").unwrap();
    let ended = sandbox.run(&sweep(&["--frames=500", "--seeds=1", "--torsos=conv", "--json"]));
    assert_eq!((ended.code, states(&ended)), (Some(0), vec!["done".to_owned()]), "{ended:?}");
}

/// Covers files removed and presets extended between two invocations.
#[test]
fn finished_runs_keep_their_results_and_lengths_of_presets_may_grow() {
    let sandbox = Sandbox::new();
    let runs = sandbox.path().join("runs");
    fs::create_dir_all(runs.join("presets")).unwrap();
    let preset = |frames: u64| {
        fs::write(
            runs.join("presets/mine.toml"),
            format!("extends = \"catch\"\nframes = {frames}"),
        )
        .unwrap();
    };

    preset(1000);
    let arguments = sweep(&["--preset=mine", "--seeds=1", "--torsos=conv", "--json"]);
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    let run = run_of(&sandbox, "conv", 1);
    preset(2000);
    let longer = sandbox.run(&arguments);
    assert_eq!((longer.code, states(&longer)), (Some(0), vec!["done".to_owned()]), "{longer:?}");
    assert!(last_frames(&run) >= 2000);

    let told = fs::read(run.join("metrics.jsonl")).unwrap();
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    let again = sandbox.run(&arguments);
    assert_eq!((again.code, states(&again)), (Some(0), vec!["done".to_owned()]), "{again:?}");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), told);
    preset(3000);
    sandbox.run(&arguments).expect_refusal(3, &["no checkpoint", "move it away"]);
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), told);
}

#[test]
fn a_run_without_its_numbers_is_a_failure_that_names_them() {
    let sandbox = Sandbox::new();
    let arguments = sweep(&["--frames=1000", "--seeds=1", "--torsos=conv", "--json"]);
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    fs::remove_file(run_of(&sandbox, "conv", 1).join("metrics.jsonl")).unwrap();
    let ended = sandbox.run(&arguments);
    assert_eq!((ended.code, states(&ended)), (Some(3), vec!["failed".to_owned()]), "{ended:?}");
    assert!(
        ended.stderr.contains("metrics.jsonl") && ended.stderr.contains("damaged"),
        "{}",
        ended.stderr
    );
}

#[test]
fn presets_of_the_runs_folder_hold_for_trial_runs_too() {
    let sandbox = Sandbox::new();
    let presets = sandbox.path().join("runs/presets");
    fs::create_dir_all(&presets).unwrap();
    fs::write(presets.join("mine.toml"), "extends = \"catch\"\nframes = 40_000").unwrap();
    let mut arguments = sweep(&["--preset=mine", "--seeds=1", "--torsos=conv", "--dry-run"]);
    arguments.retain(|word| *word != "--no-forecast");
    let ended = sandbox.run(&arguments);
    assert!(ended.code == Some(0) && ended.stderr.contains("forecast: "), "{ended:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_is_replaced_while_a_sweep_goes_on_changes_nothing_in_it() {
    let sandbox = Sandbox::new();
    let program = sandbox.path().join("coordrl");
    fs::copy(env!("CARGO_BIN_EXE_coordrl"), &program).unwrap();
    let arguments = sweep(&["--frames=8000", "--seeds=2", "--torsos=conv", "--jobs=1", "--json"]);
    let mut command = Command::new(&program);
    command.args(&arguments).current_dir(sandbox.path());
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    wait_for("the first run", || last_frames(&run_of(&sandbox, "conv", 1)) > 0);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "something else").unwrap();
    let ended = Ended::from(child.unwrap().wait_with_output().unwrap());
    assert_eq!((ended.code, states(&ended)), (Some(0), vec!["done".to_owned(); 2]), "{ended:?}");
}

#[test]
fn trials_refuse_what_would_fail_and_what_the_disk_cannot_hold() {
    let refused = |more: &[&str], code: i32, parts: &[&str]| {
        let sandbox = Sandbox::new();
        let mut arguments = sweep(&["--seeds=1", "--torsos=conv"]);
        arguments.extend(more);
        arguments.retain(|word| *word != "--no-forecast");
        sandbox.run(&arguments).expect_refusal(code, parts);
        assert_eq!(sandbox.files(), Vec::<PathBuf>::new());
    };
    let wild = ["--frames=40000", "--set=a2c.optimizer.learning_rate=1e30"];
    refused(&wild, 4, &["a trial of catch a2c-conv seed 1", "exit status: 4"]);
    refused(&["--frames=1e14"], 5, &["of disk", "are free", "keep_checkpoints"]);
}

#[test]
fn speeds_of_earlier_runs_hold_for_as_many_threads_and_for_no_more_runs_than_are_left() {
    let sandbox = Sandbox::new();
    let three = sweep(&["--frames=1000", "--seeds=3", "--torsos=conv", "--threads-per-run=1"]);
    assert_eq!(sandbox.run(&three).code, Some(0));
    let forecast = |more: &[&str]| {
        let mut arguments = sweep(&["--seeds=4", "--torsos=conv", "--jobs=4", "--dry-run"]);
        arguments.extend(more);
        arguments.retain(|word| *word != "--no-forecast");
        let ended = sandbox.run(&arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    };

    let told = forecast(&["--frames=1000", "--threads-per-run=1"]);
    for part in ["1 at a time, 1 thread each", "by earlier runs with 1 thread each"] {
        assert!(told.contains(part), "{part} not in {told}");
    }

    // Runs without an evaluation are not done if the sweep evaluates.
    let told =
        forecast(&["--frames=1000", "--threads-per-run=1", "--set=evaluation.every_frames=500"]);
    assert!(told.contains("0 done, 3 begun") && told.contains("if evaluated games stay"), "{told}");
    let told = forecast(&["--frames=40000", "--threads-per-run=2"]);
    assert!(told.contains(" frames/s, 4 at a time"), "one thread does not tell of two: {told}");
    assert!(!told.contains("by earlier runs") && !told.contains(", without "), "{told}");
}
