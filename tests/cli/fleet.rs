//! Runs over several processes, with a real Redis between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::redis::{RedisServer, free_port};
use crate::support::{Ended, Sandbox, checkpoints, metrics, send_signal};

/// Settings of a run that takes seconds.
const QUICK: &[&str] = &[
    "train",
    "catch",
    "--algo=apex",
    "--device=cpu",
    "--envs=2",
    "--set=env.screen_size=36",
    "--set=apex.actors=1",
    "--set=apex.samples_per_insert=1",
    "--set=apex.send_every_agent_steps=5",
    "--set=apex.replay.capacity=2000",
    "--set=apex.replay.warmup_transitions=60",
    "--set=apex.learner.batch_size=4",
    "--set=log_every_frames=200",
    "--set=checkpoint_every_frames=1000",
    "--set=keep_checkpoints=2",
];

/// Longest time for anything here.
const PATIENCE: Duration = Duration::from_secs(120);

fn run_path(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join("runs/catch/apex-conv").join(name)
}

fn learner(sandbox: &Sandbox, name: &str, url: &str, frames: &str) -> Child {
    let more = ["--name", name, "--link", url, "--frames", frames];
    sandbox.spawn(&[QUICK, &more].concat())
}

fn actor(sandbox: &Sandbox, url: &str) -> Child {
    sandbox.spawn(&["actor", "--link", url, "--actors", "1"])
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn end_of(child: Child) -> Ended {
    Ended::from(child.wait_with_output().unwrap())
}

/// Returns a count of the last log point that has it.
fn last(run: &Path, tag: &str) -> u64 {
    let points = metrics(run);
    points.iter().rev().find_map(|point| point[tag].as_f64()).unwrap_or_default() as u64
}

#[test]
fn actors_elsewhere_act_for_a_learner_and_end_with_it() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    // Before the learner: it waits.
    let actors = [actor(&sandbox, &server.url()), actor(&sandbox, &server.url())];
    let learned = end_of(learner(&sandbox, "a", &server.url(), "4000"));
    assert_eq!(learned.code, Some(0), "{learned:?}");
    assert!(learned.stderr.contains("actors join with: coordrl actor --link redis://127.0.0.1:"));

    let mut sent = 0;
    for actor in actors {
        let ended = end_of(actor);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let words: Vec<&str> = ended.stdout.split_whitespace().collect();
        let batches = words.iter().position(|word| word.starts_with("batches")).unwrap();
        sent += words[batches - 1].parse::<u64>().unwrap();
    }
    let run = run_path(&sandbox, "a");
    let (inserted, lost) =
        (last(&run, "actors/remote_batches"), last(&run, "actors/remote_batches_lost"));
    assert!(inserted > 10 && inserted <= sent, "{inserted} of {sent}");
    assert_eq!(lost, 0);
    let points = metrics(&run);
    let ratio = points.iter().rev().find_map(|point| point["replay/samples_per_insert"].as_f64());
    let ratio = ratio.unwrap();
    assert!((0.9..=1.1).contains(&ratio), "{ratio}");
}

#[test]
fn a_learner_without_actors_of_its_own_learns_from_those_elsewhere() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    let alone = [QUICK, &["--name=a", "--frames=2000", "--set=apex.actors=0"]].concat();
    sandbox.run(&alone).expect_refusal(2, &["`apex.actors` is 0", "--link"]);
    assert_eq!(sandbox.files(), Vec::<PathBuf>::new());

    let url = server.url();
    let training = sandbox.spawn(&[alone.as_slice(), &["--link", &url]].concat());
    sandbox
        .run(&["actor", "--link", &url, "--actors=33"])
        .expect_refusal(2, &["actors: 33, with 2 environments each", "64 environments"]);
    let actors = [actor(&sandbox, &url), actor(&sandbox, &url)];
    let learned = end_of(training);
    assert_eq!(learned.code, Some(0), "{learned:?}");
    for actor in actors {
        assert_eq!(end_of(actor).code, Some(0));
    }
    let frames = metrics(&run_path(&sandbox, "a")).last().unwrap()["frames"].as_u64();
    assert!(frames >= Some(2000), "{frames:?}");
}

/// Kills an actor, the broker (which keeps nothing) and the learner, one after the other, and goes
/// on each time.
#[test]
fn a_run_goes_on_whoever_is_killed() {
    let Some(mut server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    let run = run_path(&sandbox, "a");
    let mut training = learner(&sandbox, "a", &server.url(), "1e9");
    let mut first = actor(&sandbox, &server.url());
    let mut second = actor(&sandbox, &server.url());
    let remote =
        || if run.join("metrics.jsonl").exists() { last(&run, "actors/remote_batches") } else { 0 };
    let grows = |what: &str| {
        let before = remote();
        wait_until(what, || remote() > before + 5);
    };

    grows("experience arrives");
    first.kill().unwrap();
    first.wait().unwrap();
    grows("with one actor less");
    server.restart();
    grows("over a broker that has lost everything");

    training.kill().unwrap();
    training.wait().unwrap();
    assert!(checkpoints(&run).len() > 1);
    let resume = ["train", "--resume", run.to_str().unwrap(), "--link", &server.url()];
    let training = sandbox.spawn(&resume);
    grows("after the learner was killed and resumed");

    send_signal(&training, "INT");
    let stopped = end_of(training);
    assert_eq!(stopped.code, Some(130), "{stopped:?}");
    assert!(stopped.stderr.contains(" --link redis://127.0.0.1:"), "{stopped:?}");
    // It waits for the next learner.
    assert!(second.try_wait().unwrap().is_none());
    send_signal(&second, "INT");
    assert_eq!(end_of(second).code, Some(130));
}

#[test]
fn fleet_stop_ends_all_processes_and_the_same_command_continues() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    let run = run_path(&sandbox, "a");
    let training = learner(&sandbox, "a", &server.url(), "1e9");
    let actors = [actor(&sandbox, &server.url()), actor(&sandbox, &server.url())];
    wait_until("both act", || {
        let shown = sandbox.run(&["fleet", "show", "--json", "--link", &server.url()]);
        shown.stdout.matches("\"weights_of_update\":").count() == 2 && run_is_at(&run, 400)
    });

    sandbox
        .run(&["fleet", "stop", "--run", "typo", "--link", &server.url()])
        .expect_refusal(2, &["there is no run `typo`"]);
    let stopped = sandbox.run(&["fleet", "stop", "--link", &server.url()]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert_eq!(end_of(training).code, Some(130));
    for actor in actors {
        assert_eq!(end_of(actor).code, Some(0));
    }

    let at = metrics(&run).last().unwrap()["frames"].as_u64().unwrap();
    let resume = ["train", "--resume", run.to_str().unwrap(), "--link", &server.url()];
    let training = sandbox.spawn(&resume);
    wait_until("the run goes on", || run_is_at(&run, at + 400));
    send_signal(&training, "INT");
    assert_eq!(end_of(training).code, Some(130));
}

#[test]
fn tls_is_spoken_and_its_failures_are_named() {
    let tls = free_port().to_string();
    let file = |name: &str| format!("{}/tests/cli/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let [certificate, key, authority] = ["server.pem", "server.key", "authority.pem"].map(file);
    let options = [
        ["--tls-port", &tls],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "no"],
    ];
    let Some(server) = RedisServer::start(&options.concat()) else { return };
    let sandbox = Sandbox::new();
    let show = |url: &str, trusted: &str| {
        let mut command = sandbox.command(&["fleet", "show", "--link", url]);
        Ended::from(command.env("SSL_CERT_FILE", trusted).output().unwrap())
    };

    let secure = format!("rediss://127.0.0.1:{tls}/0");
    // It is asked, and has no run.
    show(&secure, &authority).expect_refusal(2, &["no run at this broker has a learner"]);
    show(&secure, &certificate).expect_refusal(2, &["certificate", "`SSL_CERT_FILE`"]);
    let without = server.url().replace("redis:", "rediss:");
    show(&without, &authority).expect_refusal(5, &["does it speak TLS at this port?"]);
    let plain = secure.replace("rediss:", "redis:");
    show(&plain, &authority).expect_refusal(5, &["no answer", "try rediss://"]);
}

fn run_is_at(run: &Path, frames: u64) -> bool {
    run.join("metrics.jsonl").exists()
        && metrics(run).last().is_some_and(|point| point["frames"].as_u64() >= Some(frames))
}

#[test]
fn an_actor_does_not_act_for_another_run_of_the_same_name() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    let run = run_path(&sandbox, "a");
    let training = learner(&sandbox, "a", &server.url(), "1e9");
    let actor = actor(&sandbox, &server.url());
    wait_until("it acts", || run_is_at(&run, 400) && last(&run, "actors/remote_batches") > 0);
    send_signal(&training, "INT");
    assert_eq!(end_of(training).code, Some(130));

    let elsewhere = Sandbox::new();
    let other = ["--name=a", "--link", &server.url(), "--frames=2000", "--set=apex.n_step=5"];
    let trained = elsewhere.run(&[QUICK, &other].concat());
    assert_eq!(trained.code, Some(0), "{trained:?}");
    assert_eq!(last(&run_path(&elsewhere, "a"), "actors/remote_batches"), 0);
    end_of(actor).expect_refusal(2, &["the run has changed: its settings are others"]);
}

#[test]
fn a_second_learner_of_the_same_run_is_refused() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let sandbox = Sandbox::new();
    let training = learner(&sandbox, "a", &server.url(), "1e9");
    wait_until("a checkpoint", || !checkpoints(&run_path(&sandbox, "a")).is_empty());
    // Of the same name, in another folder.
    let elsewhere = Sandbox::new();
    let refused = end_of(learner(&elsewhere, "a", &server.url(), "1000"));
    refused.expect_refusal(3, &["another learner, process ", "stop it first"]);
    assert_eq!(elsewhere.files(), Vec::<PathBuf>::new());
    send_signal(&training, "INT");
    assert_eq!(end_of(training).code, Some(130));
}

#[test]
fn a_broker_that_cannot_serve_is_named_and_no_password_is_kept() {
    let Some(server) = RedisServer::start(&["--requirepass", "open sesame"]) else { return };
    let sandbox = Sandbox::new();
    let nothing = Vec::<PathBuf>::new();
    let wrong = server.url().replace("//", "//:wrong-secret@");
    let quick = |url: &str, more: &[&str]| {
        let ended =
            sandbox.run(&[QUICK, &["--name=a", "--frames=500", "--link", url], more].concat());
        assert!(!format!("{ended:?}").contains("secret"), "{ended:?}");
        ended
    };
    quick(&wrong, &[]).expect_refusal(2, &["the broker refuses"]);
    quick("http://:secret@host", &[]).expect_refusal(2, &["redis://"]);
    quick("redis://127.0.0.1:1/0", &[]).expect_refusal(5, &["no answer from the broker"]);
    sandbox
        .run(&["train", "catch", "--algo=a2c", "--link", &server.url()])
        .expect_refusal(2, &["takes no experience from other processes"]);
    let evicting = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]).unwrap();
    quick(&evicting.url(), &[]).expect_refusal(2, &["`maxmemory-policy allkeys-lru`"]);
    sandbox.run(&["actor", "--link", &wrong]).expect_refusal(2, &["the broker refuses"]);
    sandbox.run(&["actor", "--link", "@no-such-file"]).expect_refusal(2, &["no-such-file"]);
    assert_eq!(sandbox.files(), nothing);

    let right = server.url().replace("//", "//:open%20sesame@");
    let ended = quick(&right, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for file in sandbox.files().iter().filter(|path| path.is_file()) {
        let bytes = fs::read(file).unwrap();
        let found = bytes.windows(6).any(|window| window == b"sesame");
        assert!(!found, "{} has the password", file.display());
    }
    let meta = fs::read_to_string(run_path(&sandbox, "a").join("meta.json")).unwrap();
    assert!(meta.contains("\"env\""), "{meta}");
}
