//! Reports on real runs: the resulting folder, and rejected requests.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::{Ended, Sandbox, files_below};

/// Sandbox shared by all tests, with runs of two torsos and two seeds each in `runs`.
static TRAINED: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = Sandbox::new();
    for torso in ["conv", "coordconv"] {
        for seed in ["1", "2"] {
            let name = format!("seed{seed}");
            let flags = ["--torso", torso, "--seed", seed, "--frames", "600"];
            let ended = sandbox.run(&sandbox.train_arguments(&name, &flags));
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
    }
    sandbox
});

fn report(arguments: &[&str]) -> Ended {
    TRAINED.run(&[&["report", "--repetitions=500"], arguments].concat())
}

fn json_of(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap()
}

#[test]
fn a_report_is_a_page_its_data_and_its_figures_and_comes_out_the_same_twice() {
    let ended = report(&["runs", "--out", "a"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let parts = ["coordconv against conv: ", "verdict", "catch"];
    parts.iter().for_each(|part| assert!(ended.stdout.contains(part), "{}", ended.stdout));
    assert!(ended.stderr.contains("a/index.html"), "{ended:?}");
    let json = report(&["runs", "--out", "b", "--json"]);
    let [a, b] = ["a", "b"].map(|name| TRAINED.path().join(name));
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap(), json_of(&a));
    let page = fs::read_to_string(a.join("index.html")).unwrap();
    assert!(page.contains("2 against 2 seeds no exact two-sided test can reach 0.05"));
    let files = files_below(&a);
    assert_eq!(files.iter().filter(|path| path.is_file()).count(), 6); // page, data, two figures twice
    for file in files.iter().filter(|path| path.is_file()) {
        let other = b.join(file.strip_prefix(&a).unwrap());
        assert!(
            fs::read(file).unwrap() == fs::read(&other).unwrap(),
            "{} differs",
            other.display()
        );
    }
}

#[test]
fn scores_are_those_of_the_runs() {
    assert_eq!(report(&["runs", "--out", "scores"]).code, Some(0));
    let json = json_of(&TRAINED.path().join("scores"));
    let arm = &json["games"][0]["arms"][1];
    assert_eq!((&arm["arm"], &arm["seeds"][1]["seed"]), (&"a2c-coordconv".into(), &2.into()));
    let metrics = TRAINED.path().join("runs/catch/a2c-coordconv/seed2/metrics.jsonl");
    let text = fs::read_to_string(metrics).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(arm["seeds"][1]["final_score"], last["train/episode_return"]);
    let parameters = |arm: usize| json["arms"][arm]["parameters"][0].as_u64().unwrap();
    assert!(
        parameters(1) > parameters(0)
            && json["arms"][0]["frames_per_sec"][0].as_f64().unwrap() > 0.0
    );
}

#[test]
fn runs_can_be_named_one_by_one_with_another_baseline_and_own_thresholds() {
    let runs = ["runs/catch/a2c-conv/seed1", "runs/catch/a2c-coordconv"];
    let rest = ["--out=named", "--baseline=coordconv", "--thresholds=-0.9,2"];
    assert_eq!(report(&[&runs[..], &rest].concat()).code, Some(0));
    let json = json_of(&TRAINED.path().join("named"));
    assert_eq!(
        json["comparisons"][0]["headline"],
        "conv against coordconv: 0 better and 0 worse after Holm; uncorrected 0 better, 0 similar, 0 worse, 1 unknown"
    );
    let scores: Vec<&Value> = json["games"][0]["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|threshold| &threshold["score"])
        .collect();
    assert_eq!(scores, [&Value::from(-0.9), &Value::from(2.0)]);
    let command = json["command"].as_str().unwrap();
    assert!(
        command.ends_with("--baseline coordconv '--thresholds=-0.9,2' --repetitions 500"),
        "{command}"
    );
}

#[test]
fn a_sweep_named_twice_is_named_once() {
    let sandbox = Sandbox::new();
    sandbox.train("a", &["--frames=400"]);
    let sweep = sandbox.path().join("runs/sweeps/s");
    fs::create_dir_all(&sweep).unwrap();
    let cell = serde_json::json!({
        "game": "catch", "algo": "a2c", "torso": "conv", "seed": 1, "frames": 400, "run": "catch/a2c-conv/a", "failure": null
    });

    let record = serde_json::json!({"version": 1, "name": "s", "commands": [["/x/coordrl", "sweep"]], "cells": [cell]});
    fs::write(sweep.join("sweep.json"), record.to_string()).unwrap();
    let paths = ["runs/sweeps/s", "runs/sweeps/../sweeps/s/"];
    let ended = sandbox.run(&["report", "--repetitions=500", paths[0], paths[1], paths[0]]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = json_of(&sweep.join("report"));
    assert_eq!(json["command"], "coordrl report runs/sweeps/s --repetitions 500");
    assert_eq!(json["sweeps"].as_array().unwrap().len(), 1);
    assert_eq!(json["sweeps"][0]["commands"][0][0], "coordrl");
    assert_eq!(json["games"][0]["arms"][0]["seeds"][0]["commands"][0][0], "coordrl");
}

#[test]
fn a_folder_with_the_longest_name_there_is_takes_a_report() {
    let name = "r".repeat(255);
    for _ in 0..2 {
        let ended = report(&["runs/catch/a2c-conv/seed1", "--out", &name]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert!(TRAINED.path().join(&name).join("report.json").is_file());
    report(&["runs", "--out", &format!("{name}r")]).expect_refusal(2, &["rrr", "`--out`"]);
}

#[test]
fn an_earlier_report_is_replaced_and_nothing_else_is() {
    let place = TRAINED.path().join("again");
    assert_eq!(report(&["runs", "--out", "again"]).code, Some(0));
    fs::write(place.join("index.html"), "old").unwrap();
    assert_eq!(report(&["runs", "--out", "again"]).code, Some(0));
    assert!(fs::read_to_string(place.join("index.html")).unwrap().starts_with("<!DOCTYPE html>"));
    fs::write(place.join("notes.txt"), "mine").unwrap();
    report(&["runs", "--out", "again"]).expect_refusal(2, &["again is taken", "--out"]);
    assert_eq!(fs::read_to_string(place.join("notes.txt")).unwrap(), "mine");
}

/// Asserts a rejection with this code and message; the sandbox is unchanged.
fn refused(sandbox: &Sandbox, arguments: &[&str], code: i32, parts: &[&str]) {
    let before = sandbox.files();
    sandbox.run(&[&["report"], arguments].concat()).expect_refusal(code, parts);
    assert_eq!(sandbox.files(), before, "{arguments:?} wrote something");
}

#[test]
fn paths_without_a_complete_run_are_refused_with_3() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    refused(&sandbox, &["nowhere", "--out=x"], 3, &["nowhere", "no such folder"]);
    refused(
        &sandbox,
        &["empty", "--out=x"],
        3,
        &["empty is not a run folder: nor is there one in it"],
    );
    let run = sandbox.train("a", &["--frames=400"]);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), metrics.lines().next().unwrap().to_owned() + "\n")
        .unwrap();
    refused(
        &sandbox,
        &["runs", "--out=x"],
        3,
        &["nothing to report", "no run is complete (1 found or planned)", "unfinished"],
    );
    fs::write(run.join("metrics.jsonl"), "rubbish\n").unwrap();
    let damaged = ["metrics.jsonl is damaged", "line 1"];
    refused(&sandbox, &[run.to_str().unwrap(), "--out=x"], 3, &damaged);
    let nothing_left = ["no run is complete (1 found or planned)", damaged[0], damaged[1]];
    refused(&sandbox, &["runs", "--out=x"], 3, &nothing_left);
    fs::write(run.join("config.json"), "{}").unwrap();
    refused(&sandbox, &[run.to_str().unwrap(), "--out=x"], 3, &["it holds a study"]);
    fs::write(run.join("config.json"), "{\"task\": \"classify\"}").unwrap();
    refused(&sandbox, &["runs", "--out=x"], 3, &["runs is not a run folder: it holds studies"]);
}

#[test]
fn wrong_requests_are_refused_with_2_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let runs = TRAINED.path().join("runs");
    let [runs, run, file] = ["", "catch/a2c-conv/seed1", "catch/a2c-conv/seed1/meta.json"]
        .map(|name| runs.join(name).display().to_string());
    let refused = |arguments: &[&str], parts: &[&str]| refused(&sandbox, arguments, 2, parts);
    refused(&[&run], &["--out DIR"]);
    refused(&[&run, "--out=x", "--repetitions=0"], &["`--repetitions 0`"]);
    refused(&[&run, "--out=x", "--primary=best"], &["--primary", "write `area` or `final`"]);
    refused(&[&run, "--out=x", "--thresholds=nan"], &["--thresholds", "not a number"]);
    refused(
        &[&runs, "--out=x", "--baseline=cordconv"],
        &["`--baseline cordconv`", "did you mean `coordconv`?"],
    );
    refused(&[&run, "--out", &runs], &["is taken: it holds other files"]);
    refused(&[&run, "--out", &file], &["is taken: it is a file"]);
    refused(&[&run, "--out=/proc/report"], &["cannot write the report to /proc/report"]);
    refused(&[&run, "--out", &format!("{file}/x/y")], &["cannot write the report to"]);
    refused(
        &[&run, "--out=made/on/the/way", "--thresholds=1", "--baseline=x"],
        &["`--baseline x`"],
    );
}
