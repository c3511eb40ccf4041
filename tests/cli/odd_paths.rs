//! Folders whose names are not UTF-8, as found on old disks and in archives.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use coordrl::text::path_text::decode;
use serde_json::Value;

use crate::support::{Ended, QUICK, Sandbox, send_signal, wait_for};

/// Returns `r\xff`, a folder of runs.
fn odd() -> &'static OsStr {
    OsStr::from_bytes(b"r\xff")
}

/// Returns a run folder relative to the sandbox.
fn run_in_odd(name: &str) -> PathBuf {
    Path::new(odd()).join("catch/a2c-conv").join(name)
}

fn train(sandbox: &Sandbox, more: &[&str]) -> Child {
    let mut command = sandbox.command(&[&["train", "catch"], QUICK, more].concat());
    command.arg("--runs-dir").arg(odd()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> Ended {
    Ended::from(child.wait_with_output().unwrap())
}

/// Splits a line into words with a shell.
fn words_of(line: &str) -> Vec<OsString> {
    let script = format!("printf '%s\\0' {line}");
    let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
    let words =
        output.stdout.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let mut words: Vec<OsString> = words.collect();
    assert_eq!(words.pop(), Some(OsString::new()), "each word ends with a zero");
    words
}

#[test]
fn runs_begun_at_once_are_numbered_in_their_own_folder() {
    let sandbox = Sandbox::new();
    let children: Vec<Child> =
        (0..3).map(|_| train(&sandbox, &["--frames=160", "--seed=1"])).collect();
    for child in children {
        let ended = ended(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    let names: Vec<OsString> =
        fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [odd()], "no other folder is made");
    let runs = fs::read_dir(sandbox.path().join(odd()).join("catch/a2c-conv")).unwrap();
    assert_eq!(runs.count(), 3);
}

#[test]
fn the_command_that_goes_on_can_be_pasted() {
    let sandbox = Sandbox::new();
    let child = train(&sandbox, &["--name=a", "--frames=1e9"]);
    let run = run_in_odd("a");
    let metrics = sandbox.path().join(&run).join("metrics.jsonl");
    wait_for("a log point", || fs::metadata(&metrics).is_ok_and(|file| file.len() > 0));
    send_signal(&child, "INT");
    let ended = ended(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let (_, line) = ended.stderr.split_once("continue with: ").unwrap();
    let words = words_of(line.trim_end());
    assert_eq!(words[..3], ["coordrl", "train", "--resume"]);
    assert_eq!(words[3], run.as_os_str(), "{line}");
}

#[test]
fn results_in_json_name_the_very_folders() {
    let sandbox = Sandbox::new();
    let run = run_in_odd("a");
    assert_eq!(ended(train(&sandbox, &["--name=a", "--frames=600"])).code, Some(0));
    let with_paths = |before: &[&str], path: &OsStr, after: &[&str]| {
        let output = sandbox.command(before).arg(path).args(after).output().unwrap();
        let ended = Ended::from(output);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };

    let path_in = |value: &Value| decode(value.as_str().unwrap());

    let evaluation = with_paths(&["eval", "--episodes=2", "--json"], run.as_os_str(), &[]);
    assert_eq!(path_in(&evaluation["run"]), run.as_os_str());
    assert!(sandbox.path().join(path_in(&evaluation["checkpoint"])).is_dir());

    let report = with_paths(&["report"], odd(), &["--out=rep", "--repetitions=100", "--json"]);
    let seed = &report["games"][0]["arms"][0]["seeds"][0];
    assert_eq!(path_in(&seed["run"]), run.as_os_str());
    let trained = seed["commands"][0].as_array().unwrap();
    assert_eq!(path_in(trained.last().unwrap()), odd(), "the command that trained is whole");
    let again = words_of(report["command"].as_str().unwrap());
    assert_eq!(again[..3], [OsStr::new("coordrl"), OsStr::new("report"), odd()]);
    assert!(sandbox.path().join("rep/report.json").is_file());
}

#[test]
fn a_sweep_and_a_study_print_their_results_from_there() {
    let sandbox = Sandbox::new();
    let quick = QUICK.iter().filter(|flag| **flag != "--envs=4");
    let mut sweep =
        sandbox.command(&["sweep", "--games=catch", "--torsos=conv", "--seeds=1", "--frames=160"]);
    sweep
        .args(["--no-forecast", "--json", "--set=a2c.envs=4"])
        .args(quick)
        .arg("--runs-dir")
        .arg(odd());
    let mut study =
        sandbox.command(&["study", "regress", "--layer=conv", "--device=cpu", "--epochs=1"]);
    study.args(["--set=study.eval_every_epochs=1", "--json"]).arg("--runs-dir").arg(odd());
    let result = |command: &mut Command| {
        let ended = Ended::from(command.output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };

    let swept = result(&mut sweep);
    for path in [&swept["sweep"], &swept["cells"][0]["run"], &result(&mut study)["run"]] {
        let path = decode(path.as_str().unwrap());
        assert!(path.as_bytes().starts_with(b"r\xff/"), "{path:?}");
        assert!(sandbox.path().join(path).is_dir());
    }
}
