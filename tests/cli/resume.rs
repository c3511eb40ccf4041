//! A run that was stopped, killed or extended equals an uninterrupted one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use coordrl::run::weights_file::from_bytes;
use serde_json::Value;

use crate::support::{
    Ended, QUICK, Sandbox, assert_same_run, checkpoints, last_optimizer, last_weights, metrics,
    send_signal, wait_for,
};

fn resume(sandbox: &Sandbox, run: &Path, arguments: &[&str]) -> Ended {
    sandbox.run(&[&["train", "--resume", run.to_str().unwrap()], arguments].concat())
}

#[test]
fn a_run_of_2n_is_a_run_of_n_extended() {
    let sandbox = Sandbox::new();
    // 530 frames, 540 with the last update completed, end between two log points and two
    // checkpoints.
    let whole = sandbox.train("whole", &["--frames", "1060"]);
    let half = sandbox.train("half", &["--frames", "530"]);
    assert_eq!(
        metrics(&half).last().unwrap()["frames"],
        540,
        "the rest of the last interval is reported"
    );
    let ended = resume(&sandbox, &half, &["--frames", "1060"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&whole, &half);
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let arguments = sandbox.train_arguments("a", &["--frames", "40"]);
    sandbox.train("a", &["--frames", "40"]);
    let before = sandbox.files();
    sandbox.run(&arguments).expect_refusal(2, &["exists already", "`--resume`", "`--name`"]);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn an_evaluated_run_of_2n_is_a_run_of_n_extended() {
    let sandbox = Sandbox::new();
    let evaluated = ["--set=evaluation.every_frames=400", "--set=evaluation.episodes=5"];
    let train = |name: &str, frames: &str| {
        sandbox.train(name, &[&evaluated[..], &["--frames", frames]].concat())
    };

    let whole = train("whole", "1060");
    let half = train("half", "530");
    assert_eq!(evaluation(&half)["frames"], 540);

    let ended = resume(&sandbox, &half, &["--frames", "1060"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&whole, &half);
    assert_eq!(evaluation(&half)["returns"], evaluation(&whole)["returns"]);
    assert_eq!(evaluation(&half)["frames"], 1060);
}

fn evaluation(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("evaluation.json")).unwrap()).unwrap()
}

#[test]
fn evaluations_have_lines_of_their_own_at_the_start_on_the_way_and_at_the_end() {
    let sandbox = Sandbox::new();
    let settings =
        ["--frames=1060", "--set=evaluation.every_frames=400", "--set=evaluation.episodes=5"];
    let run = sandbox.train("a", &[&settings[..], &["--set=evaluation.final_episodes=7"]].concat());
    let lines = metrics(&run);
    let of = |tag: &str| -> Vec<(u64, u64)> {
        let evaluations = lines.iter().filter(|line| line[tag].is_f64());
        evaluations
            .map(|line| {
                (line["frames"].as_u64().unwrap(), line["eval/episodes"].as_f64().unwrap() as u64)
            })
            .collect()
    };

    assert_eq!(of("eval/episode_return"), [(0, 5), (400, 5), (800, 5)]);
    assert_eq!(of("eval/final_return"), [(1060, 7)]);
    assert_eq!(lines.last().unwrap()["eval/final_return"], evaluation(&run)["mean_return"]);

    // Training matches a run without evaluations.
    let plain = sandbox.train("plain", &["--frames=1060", "--set=evaluation.every_frames=off"]);
    let trained: Vec<Value> =
        lines.into_iter().filter(|line| line["train/updates"].is_f64()).collect();
    assert_eq!(trained, metrics(&plain));
    assert!(last_weights(&plain) == last_weights(&run));
    assert!(!plain.join("evaluation.json").exists());
}

#[test]
fn the_rest_of_the_last_interval_is_logged_beside_an_evaluation_at_the_end() {
    let sandbox = Sandbox::new();
    let settings = [
        "--frames=1200",
        "--set=evaluation.every_frames=600",
        "--set=evaluation.episodes=5",
        "--set=log_every_frames=500",
    ];
    let run = sandbox.train("a", &settings);
    let frames_of = |tag: &str| -> Vec<u64> {
        let lines = metrics(&run);
        let of_tag = lines.iter().filter(|line| line[tag].is_f64());
        of_tag.map(|line| line["frames"].as_u64().unwrap()).collect()
    };
    assert_eq!(frames_of("train/updates"), [500, 1000, 1200]);
    assert_eq!(frames_of("eval/episode_return"), [0, 600, 1200]);
    assert_eq!(frames_of("eval/final_return"), [1200]);
    assert!(resume(&sandbox, &run, &[]).stderr.contains("nothing to do"));
}

/// On Pong, because recording a game of Catch is over before a signal can arrive.
#[test]
fn an_evaluation_is_not_repeated_where_a_run_is_stopped_during_the_video_after_it() {
    let sandbox = Sandbox::new();
    let arguments = |name| {
        let settings = [
            "--frames=800",
            "--set=evaluation.every_frames=800",
            "--set=evaluation.episodes=1",
            "--set=evaluation.max_frames=100",
            "--set=evaluation.final_episodes=1",
            "--set=evaluation.final_max_frames=100",
            "--set=video.every_frames=800",
            "--set=video.max_frames=2000",
        ];
        [&["train", "pong", "--name", name], QUICK, &settings].concat()
    };
    let runs = sandbox.path().join("runs/pong/a2c-conv");
    let ended = sandbox.run(&arguments("whole"));
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let run = runs.join("stopped");
    let mut child = sandbox.spawn(&arguments("stopped"));
    wait_for("the second evaluation", || {
        fs::read_to_string(run.join("metrics.jsonl"))
            .is_ok_and(|lines| lines.matches("eval/episode_return").count() == 2)
    });
    send_signal(&child, "INT");
    child.wait().unwrap();
    assert!(!run.join("videos").exists(), "the signal came too late");

    let ended = resume(&sandbox, &run, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(run.join("videos").exists());
    assert_same_run(&runs.join("whole"), &run);
}

/// The first update takes far longer than a signal. With `KILL` the only checkpoint is older than
/// the evaluation, with `INT` a later one follows.
#[test]
fn the_evaluation_before_training_is_logged_once_however_the_run_is_stopped_after_it() {
    let sandbox = Sandbox::new();
    let settings = [
        "--frames=4000",
        "--set=a2c.rollout_agent_steps=500",
        "--set=evaluation.every_frames=4000",
        "--set=evaluation.episodes=5",
        "--set=evaluation.final_episodes=5",
    ];
    let whole = sandbox.train("whole", &settings);
    let is_first = |line: &&Value| line["frames"] == 0 && line["eval/episode_return"].is_f64();
    assert_eq!(metrics(&whole).iter().filter(is_first).count(), 1);

    for signal in ["INT", "KILL"] {
        let run = sandbox.run_path(signal);
        let mut child = sandbox.spawn(&sandbox.train_arguments(signal, &settings));
        wait_for("the evaluation", || {
            fs::metadata(run.join("metrics.jsonl")).is_ok_and(|file| file.len() > 0)
        });
        send_signal(&child, signal);
        child.wait().unwrap();

        let ended = resume(&sandbox, &run, &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_same_run(&whole, &run);
    }
}

#[test]
fn a_final_evaluation_that_is_missing_is_made_again() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames=1060", "--set=evaluation.every_frames=400"]);
    let whole = evaluation(&run);
    let lines = metrics(&run);
    fs::remove_file(run.join("evaluation.json")).unwrap();

    let ended = resume(&sandbox, &run, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        (evaluation(&run)["returns"].clone(), metrics(&run)),
        (whole["returns"].clone(), lines)
    );
    assert!(resume(&sandbox, &run, &[]).stderr.contains("nothing to do"));
}

#[test]
fn games_of_an_evaluation_are_cut_at_its_limit_all_at_the_same_length_and_named() {
    let sandbox = Sandbox::new();
    let settings =
        ["--frames=400", "--set=evaluation.every_frames=400", "--set=evaluation.final_episodes=10"];
    let cut = [&settings[..], &["--set=evaluation.final_max_frames=35"]].concat();
    let ended = sandbox.run(&sandbox.train_arguments("a", &cut));
    assert!(ended.stdout.contains("over 10 games, 10 of them cut"), "{ended:?}");

    // A game of catch has nine frames: ten games have four each when 35 are reached.
    let evaluation = evaluation(&sandbox.run_path("a"));
    assert_eq!(evaluation["lengths_frames"], serde_json::json!(vec![4; 10]));
    assert_eq!(evaluation["games_cut"], serde_json::json!((0..10).collect::<Vec<_>>()));
    assert_eq!(evaluation["mean_return"], 0.0, "the ball has not come down");
}

/// Keeps the mathematical libraries to instructions that every x86-64 CPU has, which brings numbers
/// computed on different CPUs close to each other, if not to the last bit.
const EVERY_CPU_ALIKE: [(&str, &str); 3] = [
    ("ATEN_CPU_CAPABILITY", "default"),
    ("ONEDNN_MAX_CPU_ISA", "SSE41"),
    ("MKL_CBWR", "COMPATIBLE"),
];

/// A run created when `rmsprop` was the default, stopped half way; see its folder's README.
///
/// Rounding by CPU changes these numbers by at most one part in 10⁶; another form of RMSProp, or an
/// average that begins anew, by more than one in 10³.
#[test]
fn an_old_run_with_rmsprop_resumes_as_it_would_have_gone_on() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/old_rmsprop_run");
    let sandbox = Sandbox::new();
    let run = sandbox.path().join("old");
    let copied = Command::new("cp").arg("-r").arg(golden.join("half")).arg(&run).status().unwrap();
    assert!(copied.success());
    let arguments = ["train", "--resume", run.to_str().unwrap(), "--frames", "1000"];
    let mut command = sandbox.command(&arguments);
    let ended = Ended::from(command.envs(EVERY_CPU_ALIKE).output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let found = metrics(&run);
    let expected = metrics(&golden.join("whole"));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        for (tag, value) in expected.as_object().unwrap() {
            assert_near(found[tag].as_f64().unwrap(), value.as_f64().unwrap(), tag);
        }
    }

    let whole = |name: &str| fs::read(golden.join("whole").join(name)).unwrap();
    assert_near_tensors(&last_weights(&run), &whole("weights.safetensors"));
    assert_near_tensors(&last_optimizer(&run), &whole("optimizer.safetensors"));
}

fn assert_near(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= 1e-5 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

fn assert_near_tensors(found: &[u8], expected: &[u8]) {
    let expected = from_bytes(expected).unwrap();
    let found = from_bytes(found).unwrap();
    assert_eq!(found.len(), expected.len());
    for ((name, found), (expected_name, expected)) in found.iter().zip(&expected) {
        assert_eq!(name, expected_name);
        let error = (found - expected).abs().max().double_value(&[]);
        assert!(error <= 1e-5 * expected.abs().max().double_value(&[]), "{name}: {error}");
    }
}

/// Kills the run repeatedly, each time a bit later, until it completes.
fn kill_until_done(sandbox: &Sandbox, train: &[&str], run: &Path, first_delay: Duration) {
    let mut delay = first_delay;
    let mut child = sandbox.spawn(train);
    for kills in 0.. {
        assert!(kills < 60, "the run does not get on");
        thread::sleep(delay);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{:?}", Ended::from(child.wait_with_output().unwrap()));
            assert!(kills > 0, "the run was through before it could be killed");
            return;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        child = if checkpoints(run).is_empty() {
            // Without a checkpoint there is nothing to resume, and its folder would keep the name.
            drop(fs::remove_dir_all(run));
            sandbox.spawn(train)
        } else {
            sandbox.spawn(&["train", "--resume", run.to_str().unwrap()])
        };
        // Longer each time: a run killed before its next checkpoint has made no progress.
        delay = delay * 5 / 4 + Duration::from_millis(17);
    }
}

#[test]
fn a_run_killed_at_any_moment_and_resumed_is_the_run_never_killed() {
    let sandbox = Sandbox::new();
    let frames = ["--frames", "8000"];
    let whole = sandbox.train("whole", &frames);
    for (name, millis) in [("killed-a", 300), ("killed-b", 457)] {
        let run = sandbox.run_path(name);
        let train = sandbox.train_arguments(name, &frames);
        kill_until_done(&sandbox, &train, &run, Duration::from_millis(millis));
        assert_same_run(&whole, &run);
    }
}

#[test]
fn machado_on_the_emulator_resumes_exactly() {
    emulator_resumes_exactly("qbert", &["--set=env.protocol=machado"]);
}

#[test]
fn classic_on_the_emulator_resumes_exactly() {
    emulator_resumes_exactly("breakout", &[]);
}

#[test]
fn games_whose_state_the_emulator_itself_does_not_save_whole_resume_exactly() {
    for game in ["qbert", "tetris", "tic_tac_toe_3d", "yars_revenge"] {
        emulator_resumes_exactly(game, &[]);
    }
}

fn emulator_resumes_exactly(game: &str, settings: &[&str]) {
    let sandbox = Sandbox::new();
    let run = |name: &str| sandbox.path().join("runs").join(game).join("a2c-conv").join(name);
    let train = |name: &str, frames: &str| -> PathBuf {
        let small =
            ["--device=cpu", "--envs=2", "--set=env.screen_size=36", "--set=log_every_frames=400"];
        let common = [&["train", game], &small[..]].concat();
        let ended =
            sandbox.run(&[&common[..], settings, &["--name", name, "--frames", frames]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        run(name)
    };

    let whole = train("whole", "2400");
    let half = train("half", "1200");
    let ended = resume(&sandbox, &half, &["--frames", "2400"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&whole, &half);
}

#[test]
fn ctrl_c_checkpoints_says_how_to_go_on_and_leaves_with_130() {
    for signal in ["INT", "TERM", "HUP"] {
        let sandbox = Sandbox::new();
        let run = sandbox.run_path("a");
        let child = sandbox.spawn(&sandbox.train_arguments("a", &["--frames", "8000"]));
        wait_for("a log point", || {
            fs::metadata(run.join("metrics.jsonl")).is_ok_and(|file| file.len() > 0)
        });
        send_signal(&child, signal);
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(ended.stderr.contains("coordrl train --resume"), "{ended:?}");
        assert_eq!(resume(&sandbox, &run, &[]).code, Some(0));
        let whole = sandbox.train("whole", &["--frames", "8000"]);
        assert_same_run(&whole, &run);
    }
}

/// Both shell and kernel may send SIGHUP when a terminal closes.
#[test]
fn a_hang_up_sent_twice_is_still_followed_by_a_checkpoint() {
    let sandbox = Sandbox::new();
    let run = sandbox.run_path("a");
    // One update of this many rows takes longer than the pause between the two signals.
    let long_updates = ["--frames", "400000", "--set", "a2c.rollout_agent_steps=2000"];
    let child = sandbox.spawn(&sandbox.train_arguments("a", &long_updates));
    wait_for("a second checkpoint", || checkpoints(&run).len() > 1);
    send_signal(&child, "HUP");
    thread::sleep(Duration::from_millis(50));
    send_signal(&child, "HUP");
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("coordrl train --resume"), "{ended:?}");
}

/// Ignores SIGHUP as `nohup` does.
#[test]
fn where_hang_ups_are_ignored_a_run_goes_on_to_its_end() {
    let sandbox = Sandbox::new();
    let run = sandbox.run_path("a");
    let program = env!("CARGO_BIN_EXE_coordrl");
    let arguments = sandbox.train_arguments("a", &["--frames", "8000"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", program]).args(&arguments);
    let piped = std::process::Stdio::piped;
    let child = shell.current_dir(sandbox.path()).stdout(piped()).stderr(piped()).spawn().unwrap();
    wait_for("a log point", || {
        fs::metadata(run.join("metrics.jsonl")).is_ok_and(|file| file.len() > 0)
    });

    send_signal(&child, "HUP");
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(metrics(&run).last().unwrap()["frames"].as_u64().unwrap() >= 8000);
}

#[test]
fn ctrl_c_twice_leaves_at_once_and_loses_nothing_before_the_last_checkpoint() {
    let sandbox = Sandbox::new();
    let run = sandbox.run_path("a");
    // One update of this many rows takes far longer than the pause between the two signals.
    let long_updates = ["--frames", "400000", "--set", "a2c.rollout_agent_steps=20000"];
    let mut child = sandbox.spawn(&sandbox.train_arguments("a", &long_updates));
    wait_for("the first checkpoint", || !checkpoints(&run).is_empty());
    send_signal(&child, "INT");
    thread::sleep(Duration::from_millis(300));
    send_signal(&child, "INT");
    let asked = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10), "it finished its update first");
    assert_eq!(checkpoints(&run).len(), 1, "no checkpoint was taken on the way out");
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "100"]);
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let ended = resume(&sandbox, &run, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("nothing to do"), "{ended:?}");
    assert!(ended.stderr.contains("a larger `--frames` extends it"), "{ended:?}");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn a_run_resumed_by_another_version_names_that_version() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "100"]);
    let path = run.join("meta.json");
    let read = || serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();
    let version = read()["version"].clone();

    let mut older = read();
    older["version"] = "0.0.1".into();
    fs::write(&path, older.to_string()).unwrap();
    let ended = resume(&sandbox, &run, &["--frames", "200"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(read()["version"], version);
}

#[test]
fn changes_that_alter_the_algorithm_are_refused_all_at_once() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "200"]);
    let changes = ["--envs=8", "--set=a2c.discount=0.9", "--frames=100", "--threads=1"];
    let ended = resume(&sandbox, &run, &changes);
    ended.expect_refusal(2, &["`a2c.envs`: 4 → 8", "`a2c.discount`", "`frames`: 200 → 100"]);
    assert!(
        ended.stderr.contains("not even `--fork`") && ended.stderr.contains("`--init-from`"),
        "{ended:?}"
    );
    let shorter = resume(&sandbox, &run, &["--frames=100"]);
    shorter.expect_refusal(2, &["shorter", "with `--fork` and `--frames` above 200"]);
    assert!(!ended.stderr.contains("`threads`"), "{ended:?}");
    resume(&sandbox, &run, &["--preset", "zoo"]).expect_refusal(2, &["--preset"]);
}

#[test]
fn a_linear_schedule_cannot_be_extended() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "200", "--set", "a2c.optimizer.schedule=linear"]);
    resume(&sandbox, &run, &["--frames", "400"])
        .expect_refusal(2, &["schedule is not constant", "--fork"]);
    let ended = resume(&sandbox, &run, &[]);
    let told = ["nothing to do", "cannot be extended", "`--fork` with a larger `--frames`"];
    told.iter()
        .for_each(|part| assert!(ended.stderr.contains(part), "{part} not in {}", ended.stderr));
    assert!(!ended.stderr.contains("extends it"), "{ended:?}");
    let ended = resume(&sandbox, &run, &["--fork", "--frames", "400", "--name", "b"]);
    assert_eq!(ended.code, Some(0), "what is told works: {ended:?}");
}

#[test]
fn a_fork_goes_on_in_a_folder_of_its_own() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let fork = ["--fork", "--name", "b", "--frames", "600", "--set", "a2c.discount=0.9"];
    let ended = resume(&sandbox, &run, &fork);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before, "the old run is left alone");
    let forked = metrics(&sandbox.run_path("b"));
    assert!(forked[0]["frames"].as_u64().unwrap() > 400, "{forked:?}");
    let meta = fs::read_to_string(sandbox.run_path("b").join("meta.json")).unwrap();
    assert!(meta.contains("forked_from") && meta.contains("000000000400"), "{meta}");
    resume(&sandbox, &run, &["--fork", "--envs=8"])
        .expect_refusal(2, &["`a2c.envs`", "--init-from"]);
}

#[test]
fn a_fork_from_frame_0_trains_as_its_run_did() {
    let sandbox = Sandbox::new();
    let settings = [
        "--frames=600",
        "--set=evaluation.every_frames=400",
        "--set=evaluation.episodes=5",
        "--set=keep_checkpoints=9",
    ];
    let run = sandbox.train("a", &settings);
    let ended = resume(&sandbox, &run, &["--fork", "--checkpoint=0", "--name=b"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&run, &sandbox.run_path("b"));
}

#[test]
fn a_fork_lands_beside_its_run_unless_told_where() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    let archive = sandbox.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::rename(&run, archive.join("a")).unwrap();
    fs::remove_dir_all(sandbox.path().join("runs")).unwrap();
    let fork = |folder: &Path, path: &str, more: &[&str]| {
        let arguments = [&["train", "--frames=600", "--fork", "--resume", path], more].concat();
        let ended = Ended::from(sandbox.command(&arguments).current_dir(folder).output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };

    fork(sandbox.path(), "archive/a", &["--name=b"]);
    fork(&archive, "a/", &["--name=c"]);
    fork(&archive.join("a"), ".", &["--name=d"]);
    fork(sandbox.path(), "archive/a", &["--name=e", "--runs-dir=else/where"]);
    for name in ["archive/b", "archive/c", "archive/d", "else/where/catch/a2c-conv/e"] {
        assert!(
            sandbox.path().join(name).join("meta.json").is_file(),
            "{name}: {:?}",
            sandbox.files()
        );
    }

    assert!(!sandbox.path().join("runs").exists() && !archive.join("runs").exists());
}

#[test]
fn weights_of_a_run_can_begin_another() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    let next = sandbox
        .train("b", &["--frames", "100", "--seed", "5", "--init-from", run.to_str().unwrap()]);
    let first = fs::read(next.join("checkpoints/000000000000/weights.safetensors")).unwrap();
    assert!(first == last_weights(&run), "the weights are taken over unchanged");
}

#[test]
fn a_metrics_file_that_lost_lines_is_damaged() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    fs::write(run.join("metrics.jsonl"), "").unwrap();
    let config = fs::read(run.join("config.json")).unwrap();
    let there = checkpoints(&run);
    // Everything is validated before anything is written.
    let more = ["--frames", "800"];
    resume(&sandbox, &run, &more)
        .expect_refusal(3, &["metrics.jsonl", "damaged", "`--checkpoint`"]);
    assert_eq!(fs::read(run.join("config.json")).unwrap(), config);
    assert_eq!(checkpoints(&run), there);
}

#[test]
fn a_finished_run_that_lost_its_last_line_in_a_crash_gets_it_back() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "530"]);
    let whole = metrics(&run);
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let start_of_last = text.trim_end().rfind('\n').unwrap() + 1;
    for left_of_it in [0, 1, 40] {
        fs::write(run.join("metrics.jsonl"), &text[..start_of_last + left_of_it]).unwrap();
        let ended = resume(&sandbox, &run, &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(metrics(&run), whole);
    }

    let ended = resume(&sandbox, &run, &[]);
    assert!(ended.stderr.contains("nothing to do"), "{ended:?}");
    assert_eq!(metrics(&run), whole);
}

#[test]
fn going_back_behind_good_checkpoints_wants_a_fork() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "1200"]);
    let there = checkpoints(&run);
    let back = ["--checkpoint", "1000", "--frames", "1400"];
    resume(&sandbox, &run, &back).expect_refusal(2, &["1200", "`--fork`"]);
    assert_eq!(checkpoints(&run), there);
    let ended = resume(&sandbox, &run, &[&back[..], &["--fork", "--name", "b"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(checkpoints(&run), there);
}

#[test]
fn a_fork_with_other_moments_is_refused_by_key() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    for (setting, key) in
        [("a2c.optimizer.momentum=0.5", "momentum"), ("a2c.optimizer.centered=true", "centered")]
    {
        let fork = ["--fork", "--name", "b", "--frames", "600", "--set", setting];
        resume(&sandbox, &run, &fork).expect_refusal(2, &[key]);
    }
}

#[test]
fn a_checkpoint_put_into_another_runs_folder_is_refused() {
    let sandbox = Sandbox::new();
    let conv = sandbox.train("a", &["--frames", "400"]);
    let other = sandbox.path().join("runs/catch/a2c-coordconv/b");
    let ended =
        sandbox.run(&sandbox.train_arguments("b", &["--torso=coordconv", "--frames", "400"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let checkpoint = checkpoints(&other).pop().unwrap();
    fs::remove_dir_all(&checkpoint).unwrap();
    fs::rename(checkpoints(&conv).pop().unwrap(), &checkpoint).unwrap();
    for command in [&["train", "--frames=800", "--resume"][..], &["eval", "--episodes=1"]] {
        let ended = sandbox.run(&[command, &[other.to_str().unwrap()]].concat());
        ended.expect_refusal(3, &["`catch a2c conv`", "`catch a2c coordconv`"]);
    }
}

/// Reads the position and score of each checkpoint.
fn scores(run: &Path) -> Vec<(Value, Value)> {
    let of = |path: PathBuf| {
        let text = fs::read_to_string(path.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&text).unwrap();
        (manifest["position"].clone(), manifest["score"].clone())
    };
    checkpoints(run).into_iter().map(of).collect()
}

#[test]
fn a_run_stopped_in_an_evaluation_makes_up_for_it() {
    stopped_at_600_frames_makes_up_for_it(1200);
}

#[test]
fn a_run_stopped_in_its_last_evaluation_is_not_finished() {
    stopped_at_600_frames_makes_up_for_it(600);
}

fn stopped_at_600_frames_makes_up_for_it(frames: usize) {
    let sandbox = Sandbox::new();
    let start = |name| {
        // Too short to be evaluated; the extension crosses the first evaluation.
        let settings = [
            "--frames=570",
            "--set=env.screen_size=84",
            "--set=evaluation.every_frames=600",
            "--set=evaluation.final_episodes=3",
            "--set=checkpoint_every_frames=600",
        ];
        sandbox.train(name, &settings)
    };

    let more = |run: &Path, episodes: u64| -> Vec<String> {
        let run = run.to_str().unwrap();
        let episodes = format!("--set=evaluation.episodes={episodes}");
        ["train", "--resume", run, &format!("--frames={frames}"), &episodes]
            .map(str::to_owned)
            .to_vec()
    };

    let whole = start("whole");
    let arguments = more(&whole, 2);
    let ended = sandbox.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // A thousand parallel games take several seconds: the run is stopped during them.
    let stopped = start("stopped");
    let arguments = more(&stopped, 1000);
    let mut child = sandbox.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("resumed at 580 of") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "it ended before it was resumed");
    }

    thread::sleep(Duration::from_millis(700));
    send_signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(
        scores(&stopped).last(),
        Some(&(Value::from(600), Value::Null)),
        "it is not evaluated yet"
    );
    let ended = resume(&sandbox, &stopped, &["--set=evaluation.episodes=2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same_run(&whole, &stopped);
    let returns =
        metrics(&stopped).iter().filter(|point| point["eval/episode_return"].is_number()).count();
    assert_eq!(returns, frames / 600);
    assert_eq!(scores(&whole), scores(&stopped));
    let evaluated = scores(&stopped).into_iter().filter(|(_, score)| score.is_number()).count();
    assert_eq!(evaluated, frames / 600, "the best can be any of them");
}
