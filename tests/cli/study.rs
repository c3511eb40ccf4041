//! Studies are runs like any other: folders, resume, bad input.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Ended, Sandbox, assert_same_run, checkpoints, metrics, send_signal, wait_for,
};

/// Arguments of a study that takes a second or two per epoch.
const QUICK: &[&str] = &[
    "study",
    "regress",
    "--layer=conv",
    "--device=cpu",
    "--set=study.eval_every_epochs=1",
    "--set=checkpoint_every_epochs=1",
];

fn study<'a>(name: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [QUICK, &["--name", name], arguments].concat()
}

fn run_path(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join("runs/studies/regress-uniform/conv").join(name)
}

fn finished(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_study_prints_one_object_and_leaves_a_run_folder() {
    let sandbox = Sandbox::new();
    let result = finished(&sandbox.run(&study("a", &["--epochs=2", "--json"])));
    assert_eq!((&result["epochs"], &result["parameters"]), (&Value::from(2), &Value::from(72_850)));
    assert!(result["seconds"].as_f64().unwrap() > 0.0);
    let run = run_path(&sandbox, "a");
    let points = metrics(&run);
    assert_eq!(points.len(), 2);
    for key in ["train_error_px", "test_error_px"] {
        let number = result[key].as_f64().unwrap();
        assert!(number > 0.0 && number < 64.0, "{result}");
        assert_eq!(points[1][format!("study/{key}")], result[key]);
    }

    assert!(run.join("config.json").is_file() && run.join("meta.json").is_file());
    assert!(fs::read_dir(run.join("tb")).unwrap().count() == 1);
    let table = sandbox.run(&study("b", &["--epochs=1"]));
    assert!(table.stdout.contains("test error px") && table.stdout.contains("72850"), "{table:?}");
}

#[test]
fn a_study_killed_and_resumed_is_the_study_never_killed_and_epochs_extend_it() {
    let sandbox = Sandbox::new();
    finished(&sandbox.run(&study("whole", &["--epochs=3", "--json"])));
    let run = run_path(&sandbox, "killed");
    let mut child = sandbox.spawn(&study("killed", &["--epochs=2"]));
    // One more than that before the first update, so that there is progress to resume.
    while checkpoints(&run).len() < 2 {
        thread::sleep(Duration::from_millis(5));
        assert_eq!(
            child.try_wait().unwrap().map(|status| status.success()),
            None,
            "it was through too soon"
        );
    }

    child.kill().unwrap();
    child.wait().unwrap();
    let path = run.to_str().unwrap();
    let again = |arguments: &[&str]| {
        sandbox.run(&[&["study", "regress", "--resume", path, "--json"], arguments].concat())
    };

    finished(&again(&[]));
    assert_eq!(metrics(&run).len(), 2);
    assert!(again(&[]).stderr.contains("nothing to do"));
    finished(&again(&["--epochs=3"]));
    assert_same_run(&run_path(&sandbox, "whole"), &run);
    again(&["--set=study.l2=0.1"]).expect_refusal(2, &["`study.l2`", "same study"]);
}

#[test]
fn a_resumed_study_reports_its_speed_since_it_was_resumed() {
    let sandbox = Sandbox::new();
    finished(&sandbox.run(&study("a", &["--epochs=1", "--json"])));
    let run = run_path(&sandbox, "a");
    let path = run.to_str().unwrap();
    finished(&sandbox.run(&["study", "regress", "--resume", path, "--epochs=2", "--json"]));

    // Not by `metrics`, which leaves out times and speeds.
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let points: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let number = |point: usize, key: &str| points[point][key].as_f64().unwrap();
    let since_resumed = |key: &str| number(1, key) - number(0, key);

    let expected = since_resumed("updates") / since_resumed("perf/wall_secs");
    let reported = number(1, "perf/updates_per_sec");
    // Updates counted from 0 would double it.
    assert!((0.9..1.1).contains(&(reported / expected)), "{reported}, expected {expected}");
}

#[test]
fn a_closed_terminal_ends_a_study_with_a_checkpoint() {
    let sandbox = Sandbox::new();
    let run = run_path(&sandbox, "a");
    let child = sandbox.spawn(&study("a", &["--epochs=1000"]));
    wait_for("the first checkpoint", || !checkpoints(&run).is_empty());
    send_signal(&child, "HUP");
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("continue with: coordrl study regress --resume"), "{ended:?}");
}

#[test]
fn wrong_requests_are_refused_and_nothing_is_written() {
    let refused = |arguments: &[&str], parts: &[&str]| {
        let sandbox = Sandbox::new();
        sandbox.run(arguments).expect_refusal(2, parts);
        assert_eq!(sandbox.files(), Vec::<PathBuf>::new(), "{arguments:?} wrote something");
    };

    refused(
        &["study", "classify", "--layer=cordconv"],
        &["`cordconv`", "did you mean `coordconv`?"],
    );
    refused(&["study", "render", "--split=quadrat"], &["`quadrat`", "did you mean `quadrant`?"]);
    refused(&["study", "regress", "--epochs=0"], &["`study.epochs`"]);
    refused(
        &["study", "regress", "--threads=0", "--set=study.l2=-1"],
        &["2 problems", "`threads`", "`study.l2`"],
    );
    refused(&["study", "render", "--set=study.loss=cross_entropy"], &["`study.loss`", "bce"]);
    refused(
        &["study", "classify", "--set=study.learning_rat=1"],
        &["did you mean `study.learning_rate`?"],
    );
    refused(&["study", "classify", "--set=task=render"], &["`render`", "`classify`"]);
    refused(
        &["study", "classify", "--set=study.coordinate_amplitude=0"],
        &["`study.coordinate_amplitude`", "above 0"],
    );
    refused(
        &["study", "classify", "--layer=conv", "--set=study.coordinate_amplitude=0.125"],
        &["`study.coordinate_amplitude`", "has no coordinates"],
    );
    refused(&["study", "detect", "--split=uniform"], &["`split`: is `uniform`", "digits"]);
    refused(
        &["study", "detect", "--data=nowhere"],
        &["nowhere has no digits", "cargo xtask setup"],
    );
    refused(&["study", "detect", "--set=study.detect.test_canvases=0"], &["test_canvases`: is 0"]);
    refused(&["study", "detect", "--set=study.detect.pair_rule=x"], &["released", "mended"]);
    refused(
        &["study", "vae", "--set=study.vae.canvas=48"],
        &["canvas`: is 48; there are 64 and 32"],
    );
    refused(&["study", "gan", "--set=study.gan.width=0"], &["gan.width`: is 0; the least is 1"]);
    refused(
        &["study", "gan", "--set=study.gan.generator_rate_factor=-1", "--set=study.beta1=1"],
        &[
            "generator_rate_factor`: is -1; it must be a number above 0",
            "study.beta1`: is 1; it must be at least 0 and below 1",
        ],
    );
    refused(&["study", "vae", "--set=study.vae.beta=-1"], &["beta`: is -1; it must be 0 or more"]);
    refused(
        &["study", "detect", "--preset=pong"],
        &["no preset `pong` of `detect`; agents have one", "`coordrl train`"],
    );
    refused(&["study", "classify", "--preset=paper"], &["no preset `paper` of `classify`"]);
    refused(&["study", "detect", "--dump=x"], &["`--dump`", "`detect` has another"]);
    refused(&["study", "classify", "--device=cuda:99"], &["cuda:99"]);
    refused(&["study", "classify", "--name=../x"], &["--name"]);
}

#[test]
fn presets_of_a_study_come_before_its_other_settings() {
    let sandbox = Sandbox::new();
    let list = sandbox.run(&["presets", "list"]).stdout;
    assert!(list.lines().any(|line| line.starts_with("paper") && line.contains("study detect")));
    let shown = sandbox.run(&["presets", "show", "paper", "--study=detect"]).stdout;
    assert!(shown.contains("pair_rule = \"released\"") && shown.contains("epochs = 20"), "{shown}");
    let small = sandbox.run(&["presets", "show", "small", "--study", "detekt"]);
    small.expect_refusal(2, &["did you mean `detect`?"]);

    let start = |name, more: &[&str]| {
        let few = "--set=study.detect.train_canvases=4";
        let common = ["study", "detect", "--epochs=1", few, "--set=study.detect.test_canvases=2"];
        let ended = sandbox.run(&[&common[..], &["--name", name, "--device=cpu"], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let run = sandbox.path().join("runs/studies/detect-digits/coordconv").join(name);
        let config: Value =
            serde_json::from_slice(&fs::read(run.join("config.json")).unwrap()).unwrap();
        (run, config["study"].clone())
    };
    let (run, paper) = start("paper", &["--preset=paper"]);
    assert_eq!(paper["detect"]["pair_rule"], "released");
    assert_eq!((&paper["epochs"], &paper["step_every_epochs"]), (&json!(1), &json!(13)));
    let run = run.to_str().unwrap();
    sandbox
        .run(&["study", "detect", "--resume", run, "--preset=paper"])
        .expect_refusal(2, &["`--preset` is for new studies"]);
    assert_eq!(start("small", &["--preset=small"]).1, start("recipe", &[]).1);
}

#[test]
fn detection_resumes_to_the_last_bit_with_a_second_stage_and_without() {
    let sandbox = Sandbox::new();
    for second_stage in [true, false] {
        let setting = format!("--set=study.detect.second_stage={second_stage}");
        let settings = [
            &*setting,
            "--set=study.detect.train_canvases=12",
            "--set=study.detect.test_canvases=4",
            "--set=checkpoint_every_epochs=1",
        ];
        let start = |name: &str, epochs| {
            let common = ["study", "detect", "--device=cpu", "--json", "--name", name, epochs];
            finished(&sandbox.run(&[&common[..], &settings].concat()))
        };
        let [whole, parts] = ["whole", "parts"].map(|name| format!("{name}-{second_stage}"));
        let ended = start(&whole, "--epochs=2");
        assert_eq!(ended["test_map50"].is_number(), second_stage, "{ended}");
        start(&parts, "--epochs=1");
        let folder = sandbox.path().join("runs/studies/detect-digits/coordconv");
        let parts = folder.join(parts);
        let resumed =
            sandbox.run(&["study", "detect", "--resume", parts.to_str().unwrap(), "--epochs=2"]);
        assert_eq!(resumed.code, Some(0), "{resumed:?}");
        assert_same_run(&folder.join(whole), &parts);
    }
}

/// Runs two epochs of a generative task at once and in parts, with each layer; returns the results.
fn whole_and_parts(task: &str, pictures: usize) -> Vec<Value> {
    let sandbox = Sandbox::new();
    let settings = [
        format!("--set=study.{task}.train_pictures={pictures}"),
        format!("--set=study.{task}.test_pictures=20"),
        "--set=checkpoint_every_epochs=1".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut results = Vec::new();
    for layer in ["conv", "coordconv"] {
        let layer_flag = format!("--layer={layer}");
        let start = |name: &str, epochs| {
            let common = ["study", task, &layer_flag, "--device=cpu", "--json", "--name", name];
            finished(&sandbox.run(&[&common[..], &[epochs], &settings].concat()))
        };
        results.push(start("whole", "--epochs=2"));
        start("parts", "--epochs=1");
        let folder = sandbox.path().join(format!("runs/studies/{task}-scenes")).join(layer);
        let parts = folder.join("parts");
        let resumed =
            sandbox.run(&["study", task, "--resume", parts.to_str().unwrap(), "--epochs=2"]);
        assert_eq!(resumed.code, Some(0), "{resumed:?}");
        assert_same_run(&folder.join("whole"), &parts);
    }
    results
}

#[test]
fn an_autoencoder_resumes_to_the_last_bit() {
    // Three updates an epoch, the last of six pictures.
    for ended in whole_and_parts("vae", 70) {
        assert!(ended["test_squared_error"].as_f64() > Some(0.0), "{ended}");
    }
}

#[test]
fn adversaries_resume_to_the_last_bit() {
    // Three updates an epoch, the last of three pictures.
    for ended in whole_and_parts("gan", 35) {
        let accuracy = ended["test_discriminator_accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{ended}");
    }
}

#[test]
fn an_amplitude_is_part_of_a_study_and_old_settings_have_the_papers() {
    let sandbox = Sandbox::new();
    let start = |name: &str, more: &[&str]| {
        let common = ["study", "regress", "--device=cpu", "--epochs=1", "--json", "--name", name];
        finished(&sandbox.run(&[&common[..], more].concat()))
    };

    let folder = sandbox.path().join("runs/studies/regress-uniform/coordconv");
    let again = |name: &str, more: &[&str]| {
        let path = folder.join(name);
        sandbox.run(
            &[&["study", "regress", "--json", "--resume", path.to_str().unwrap()], more].concat(),
        )
    };

    start("quiet", &["--set=study.coordinate_amplitude=0.125"]);
    again("quiet", &["--set=study.coordinate_amplitude=1"])
        .expect_refusal(2, &["`study.coordinate_amplitude`: 0.125 → 1", "same study"]);
    finished(&again("quiet", &[]));

    start("old", &[]);
    let path = folder.join("old/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        config["study"].as_object_mut().unwrap().remove("coordinate_amplitude"),
        Some(1.0.into())
    );
    fs::write(&path, config.to_string()).unwrap();
    finished(&again("old", &[]));
}

#[test]
fn runs_of_another_task_and_folders_that_are_none_are_refused_with_3() {
    let sandbox = Sandbox::new();
    finished(&sandbox.run(&study("a", &["--epochs=1", "--json"])));
    let run = run_path(&sandbox, "a");
    let path = run.to_str().unwrap();
    sandbox
        .run(&["study", "classify", "--resume", path])
        .expect_refusal(3, &["`regress`", "`classify`"]);
    sandbox.run(&["study", "regress", "--resume", "nowhere"]).expect_refusal(3, &["nowhere"]);
    for command in
        [&["eval", path][..], &["play", "--video=a.gif", path], &["train", "--resume", path]]
    {
        let ended = sandbox.run(command);
        ended.expect_refusal(3, &[path, "is a study", "`coordrl study regress --resume "]);
        assert!(!ended.stderr.contains("damaged"), "{ended:?}");
    }

    let game = sandbox.train("game", &["--frames=40"]);
    let other = ["study", "regress", "--resume", game.to_str().unwrap()];
    sandbox.run(&other).expect_refusal(3, &["is a run of a game", "`coordrl train --resume "]);
    let weights = checkpoints(&run).pop().unwrap().join("weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let resume = ["study", "regress", "--resume", path, "--epochs=2"];
    let ended = sandbox.run(&resume);
    ended.expect_refusal(3, &["weights.safetensors", "damaged", "remove it to go on from"]);
    assert!(!ended.stderr.contains("--checkpoint"), "a study has no such flag: {}", ended.stderr);
    fs::remove_dir_all(weights.parent().unwrap()).unwrap();
    assert_eq!(sandbox.run(&resume).code, Some(0), "what is told works");
}

#[test]
fn all_studies_can_be_stopped_and_called_again() {
    let sandbox = Sandbox::new();
    let all = [
        "study",
        "all",
        "--tasks=regress",
        "--splits=uniform",
        "--layers=coordconv",
        "--quick",
        "--jobs=1",
        "--json",
    ];
    let run = sandbox.path().join("runs/studies/regress-uniform/coordconv/all-seed1");
    let child = sandbox.spawn(&all);
    wait_for("the first checkpoint", || !checkpoints(&run).is_empty());
    send_signal(&child, "INT");
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");

    let first = sandbox.run(&all);
    let forecast = "1 study to run, 1 at a time: at most about";
    assert!(first.stderr.contains(forecast), "{}", first.stderr);
    let results = finished(&first);
    assert_eq!(results.as_array().map(Vec::len), Some(1), "{results}");
    assert!(results[0]["held"] == true && results[0]["seed"] == 1, "{results}");
    let folder = sandbox.path().join("runs/studies/all/all");
    for name in ["table.md", "results.json", "regress-seen.svg", "regress-time.png", "page.html"] {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }

    let second = sandbox.run(&all);
    assert_eq!(second.stdout, first.stdout, "nothing was left to train");
}

#[test]
fn the_data_set_is_dumped_without_training() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["study", "classify", "--dump", "data"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(sandbox.path().join("data/not_so_clevr.safetensors").is_file());
    assert!(!sandbox.path().join("runs").exists());
    fs::write(sandbox.path().join("file"), "in the way").unwrap();
    sandbox.run(&["study", "classify", "--dump", "file"]).expect_refusal(2, &["file", "--dump"]);
}

/// Settings of a small network on pictures of 33 pixels.
const NAMING: &[&str] = &[
    "study",
    "imagenet",
    "--device=cpu",
    "--json",
    "--set=study.imagenet.width=4",
    "--set=study.imagenet.side=33",
    "--set=study.batch_size=200",
];

#[test]
fn pictures_are_named_in_a_folder_as_among_those_drawn() {
    let sandbox = Sandbox::new();
    let dumped = sandbox.run(&["study", "imagenet", "--dump=shapes"]);
    assert_eq!(dumped.code, Some(0), "{dumped:?}");
    let start = |name: &str, more: &[&str]| {
        finished(&sandbox.run(&[NAMING, &["--name", name, "--epochs=1"], more].concat()))
    };
    let drawn = start("drawn", &[]);
    let read = start("read", &["--data=shapes"]);
    assert_eq!(drawn["parameters"], read["parameters"]);
    assert!(read["test_top5"].as_f64() > Some(0.0), "{read}");

    // Weights go from the plain network to the one with coordinates, and nowhere else.
    start("plain", &["--layer=conv"]);
    let plain = "runs/studies/imagenet-pictures/conv/plain";
    let from = ["--init-from", plain];
    start("from-plain", &from);
    let text = fs::read_to_string(
        sandbox.path().join("runs/studies/imagenet-pictures/coordconv/from-plain/meta.json"),
    );
    assert!(text.unwrap().contains("conv/plain"));
    sandbox
        .run(&[NAMING, &from, &["--set=study.imagenet.depth=50"]].concat())
        .expect_refusal(2, &["`--init-from", "does not fit"]);
}

#[test]
fn a_folder_that_cannot_be_learned_from_is_refused_at_once() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], words: &[&str]| {
        sandbox.run(&[NAMING, arguments].concat()).expect_refusal(2, words);
        assert!(!sandbox.path().join("runs").exists(), "{arguments:?}");
    };
    refused(&["--data=nowhere"], &["nowhere/train cannot be listed"]);
    refused(&["--data=builtin:shape"], &["drawn here are builtin:shapes"]);
    refused(&["--preset=paper"], &["classes` is 1000, but builtin:shapes has 10", "`--data`"]);
    refused(&["--set=study.imagenet.depth=34"], &["is 34; there are 18 and 50"]);
    assert_eq!(sandbox.run(&["study", "imagenet", "--dump=shapes"]).code, Some(0));
    let class = sandbox.path().join("shapes/train/disc");
    let notes = class.join("notes.txt");
    fs::write(&notes, "no picture").unwrap();
    refused(&["--data=shapes"], &["notes.txt: it is neither a JPEG nor a PNG"]);
    fs::remove_file(notes).unwrap();
    let empty = sandbox.path().join("shapes/val/disc");
    fs::remove_dir_all(&empty).unwrap();
    refused(&["--data=shapes"], &["val: the class disc has no folder there"]);
    fs::create_dir(&empty).unwrap();
    refused(&["--data=shapes"], &["disc is a class without pictures"]);
}

#[test]
fn pictures_that_break_later_are_named_and_too_many_end_the_run_with_a_checkpoint() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["study", "imagenet", "--dump=shapes"]).code, Some(0));
    // Whole in their headers only.
    let broken = sandbox.path().join("shapes/train/ring");
    let mut whole = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(&broken).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().take(5) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..100]).unwrap();
        whole.push((path, bytes));
    }
    let arguments = ["--data=shapes", "--epochs=1", "--name=a"];
    let ended = sandbox.run(&[NAMING, &arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let words = ["train/ring/", "does not decode", "is used instead", "of 600 pictures could not"];
    for word in words {
        assert!(ended.stderr.contains(word), "{word} not in {}", ended.stderr);
    }

    for (path, bytes) in whole {
        fs::write(path, bytes).unwrap();
    }
    let run = sandbox.path().join("runs/studies/imagenet-pictures/coordconv/a");
    assert!(checkpoints(&run).len() > 1, "only the one from the start");
    let resume = ["study", "imagenet", "--json", "--resume", run.to_str().unwrap()];
    assert_eq!(finished(&sandbox.run(&resume))["epochs"], 1);
}

#[test]
fn an_evaluation_of_broken_pictures_costs_no_training() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["study", "imagenet", "--dump=shapes"]).code, Some(0));
    // A whole class, so that too many in a row break.
    for entry in fs::read_dir(sandbox.path().join("shapes/val/ring")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..100]).unwrap();
    }
    let arguments = ["--data=shapes", "--epochs=1", "--name=a"];
    let ended = sandbox.run(&[NAMING, &arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("could not be read"), "{}", ended.stderr);
    let run = sandbox.path().join("runs/studies/imagenet-pictures/coordconv/a");
    assert_eq!(checkpoints(&run).len(), 2, "the one from the start, and that of all three updates");
}

#[test]
fn rooms_resume_to_the_last_bit_and_walk() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["study", "lsun", "--dump=rooms"]).code, Some(0));
    let common = [
        "study",
        "lsun",
        "--device=cpu",
        "--json",
        "--data=rooms/val",
        "--set=study.lsun.width=2",
        "--set=study.lsun.test_pictures=20",
        "--set=study.eval_every_epochs=1",
        "--set=checkpoint_every_epochs=1",
    ];
    let start = |name: &str, epochs: &str| {
        finished(&sandbox.run(&[&common[..], &["--name", name, epochs]].concat()))
    };
    let whole = start("whole", "--epochs=2");
    assert!(whole["test_variety"].is_number() && whole["test_walk_length"].is_number(), "{whole}");
    start("parts", "--epochs=1");
    let folder = sandbox.path().join("runs/studies/lsun-pictures/coordconv");
    let parts = folder.join("parts");
    let resumed =
        sandbox.run(&["study", "lsun", "--resume", parts.to_str().unwrap(), "--epochs=2"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_same_run(&folder.join("whole"), &parts);
    sandbox
        .run(&[&common[..], &["--set=study.lsun.test_pictures=500"]].concat())
        .expect_refusal(2, &["500 pictures, of which `study.lsun.test_pictures` holds out 500"]);

    // Whoever resumes elsewhere reads the same folder, and another one is refused.
    let elsewhere = sandbox.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let parts = parts.to_str().unwrap();
    let resume = ["study", "lsun", "--json", "--resume", parts, "--epochs=3"];
    finished(&sandbox.run_in(&elsewhere, &resume));
    fs::rename(
        sandbox.path().join("rooms/val/room/04000.png"),
        sandbox.path().join("rooms/val/room/09000.png"),
    )
    .unwrap();
    let resume = ["study", "lsun", "--resume", parts, "--epochs=4"];
    sandbox.run(&resume).expect_refusal(3, &["learned from other pictures"]);
}
