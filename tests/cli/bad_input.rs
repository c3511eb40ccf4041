//! Every invalid request ends with the documented code, one message, and nothing written.

use std::fs;

use crate::support::{QUICK, Sandbox, checkpoints, files_below};

/// Runs in an empty folder and expects it to stay empty.
fn refused(arguments: &[&str], parts: &[&str]) {
    let sandbox = Sandbox::new();
    sandbox.run(arguments).expect_refusal(2, parts);
    assert_eq!(sandbox.files(), Vec::<std::path::PathBuf>::new(), "{arguments:?} wrote something");
}

#[test]
fn unknown_games_torsos_keys_and_presets_bring_suggestions() {
    refused(&["train", "pogn"], &["unknown game `pogn`", "did you mean `pong`"]);
    refused(
        &["train", "pong", "--torso", "cordconv"],
        &["unknown torso `cordconv`", "did you mean `coordconv"],
    );
    refused(
        &["train", "pong", "--set", "a2c.rollout_steps=5"],
        &["did you mean `a2c.rollout_agent_steps`?"],
    );
    refused(&["train", "pong", "--preset", "zo"], &["no preset `zo`", "did you mean `zoo`?"]);
    refused(&["train", "pong", "--algo", "ppo"], &["`algo`", "ppo"]);
    refused(&["train", "Pong-v777"], &["no id `Pong-v777`", "`Pong-v4`"]);
    refused(&["config", "show", "Pong-v"], &["no id `Pong-v`", "`Pong-v4`"]);
    refused(&["sweep", "--games=Pong-v5,Pong-ram-v4"], &["`ALE/Pong-v5`", "the console's RAM"]);
    refused(
        &["trace", "brekout", "--steps", "5", "--action-seed", "1"],
        &["did you mean `breakout`"],
    );
}

#[test]
fn a_rom_without_settings_is_refused_before_it_reaches_the_emulator() {
    refused(&["train", "combat"], &["combat"]);
    refused(&["trace", "warlords", "--steps", "5", "--action-seed", "1"], &["warlords"]);
}

#[test]
fn counts_of_zero_and_below_are_refused() {
    refused(&["train", "catch", "--envs", "0"], &["`a2c.envs`"]);
    refused(&["train", "catch", "--threads", "0"], &["`threads`"]);
    refused(&["train", "catch", "--torch-threads", "0"], &["`torch_threads`"]);
    refused(
        &["train", "catch", "--threads=100000", "--torch-threads=4e9"],
        &["`threads`", "`torch_threads`", "1024"],
    );
    refused(&["train", "catch", "--set", "a2c.actors=nan"], &["`a2c.actors`", "nan"]);
    refused(&["train", "catch", "--set", "a2c.discount=inf"], &["`a2c.discount`", "inf"]);
    refused(&["train", "catch", "--frames", "0"], &["`frames`"]);
    refused(&["train", "catch", "--frames", "-5"], &["--frames", "-5"]);
    refused(&["train", "catch", "--seed=-1"], &["--seed", "-1"]);
    refused(&["trace", "pong", "--steps", "0", "--action-seed", "1"], &["--steps"]);
    refused(&["trace", "pong", "--steps", "-3", "--action-seed", "1"], &["--steps", "-3"]);
    refused(&["train", "catch", "--set", "log_every_frames=0"], &["`log_every_frames`", "\"off\""]);
    refused(&["train", "catch", "--set", "keep_checkpoints=0"], &["`keep_checkpoints`"]);
}

#[test]
fn contradictory_settings_are_all_listed_at_once() {
    let arguments = [
        "train",
        "pogn",
        "--envs=2",
        "--set=a2c.actors=3",
        "--set=env.frame_skip=0",
        "--threads=0",
    ];
    refused(&arguments, &["4 problems", "`game`", "`a2c.actors`", "`env.frame_skip`", "`threads`"]);
    let check =
        ["config", "check", "pong", "--envs=2", "--set=a2c.actors=3", "--set=a2c.discont=2"];
    refused(&check, &["2 problems", "at most 2 here", "did you mean `a2c.discount`?"]);
}

#[test]
fn settings_files_that_cannot_be_read_or_parsed_are_named() {
    refused(&["train", "catch", "--config", "missing.toml"], &["missing.toml"]);
    for (name, text, format) in
        [("bad.toml", "seed = = 3", "TOML"), ("bad.json", "{seed: 3}", "JSON")]
    {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path().join(name), text).unwrap();
        sandbox.run(&["train", "catch", "--config", name]).expect_refusal(2, &[name, format]);
        assert_eq!(sandbox.files().len(), 1);
    }
}

#[test]
fn settings_that_only_show_when_game_and_network_meet_are_found_by_the_check() {
    for command in [&["config", "check"][..], &["train"]] {
        let with =
            |arguments: &[&str], parts: &[&str]| refused(&[command, arguments].concat(), parts);
        with(&["pong", "--set=env.screen_size=20"], &["20", "36"]);
        with(&["pong", "--set=env.mode=77"], &["mode 77", "`env.mode`"]);
        with(
            &["catch", "--torso=brightness", "--set=env.screen_size=9"],
            &["`env.screen_size` is 9", "at least 10"],
        );
    }
}

#[test]
fn a_run_that_cannot_fit_into_memory_is_refused_before_it_starts() {
    for setting in ["a2c.envs=100000000", "a2c.rollout_agent_steps=4000000000"] {
        let sandbox = Sandbox::new();
        sandbox
            .run(&["train", "catch", "--set", setting])
            .expect_refusal(5, &["GiB", "`a2c.envs`"]);
        assert_eq!(sandbox.files(), Vec::<std::path::PathBuf>::new());
    }
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_text_are_paths_all_the_same() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let sandbox = Sandbox::new();
    let odd = sandbox.path().join(OsStr::from_bytes(b"r\xffns"));
    let mut train =
        sandbox.command(&[&["train", "catch", "--name=a", "--frames=40"], QUICK].concat());
    let ended = crate::support::Ended::from(train.arg("--runs-dir").arg(&odd).output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(odd.join("catch/a2c-conv/a/meta.json").is_file());
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    refused(&["train", "catch", "--device", "cuda:99"], &["cuda:99", "use `cpu`"]);
    refused(&["train", "catch", "--device", "gpu"], &["`gpu`", "cuda:0"]);
}

#[test]
fn missing_unreadable_and_wrong_roms_are_refused() {
    let sandbox = Sandbox::new();
    let roms = sandbox.path().join("roms");
    fs::create_dir(&roms).unwrap();
    let train = ["train", "pong", "--device=cpu", "--set=rom_dir=roms"];
    sandbox.run(&train).expect_refusal(2, &["pong", "roms"]);
    fs::create_dir(roms.join("pong.bin")).unwrap();
    sandbox.run(&train).expect_refusal(2, &["pong.bin"]);
    fs::remove_dir(roms.join("pong.bin")).unwrap();
    fs::write(roms.join("pong.bin"), vec![0u8; 2048]).unwrap();
    sandbox.run(&train).expect_refusal(2, &["pong.bin", "MD5"]);
    assert_eq!(sandbox.files().len(), 2, "only the ROM folder and its file");
}

#[test]
fn the_rom_folder_can_be_given_by_the_environment() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["train", "pong", "--device=cpu"]);
    let output = command.env("COORDRL_ROM_DIR", "/nowhere/at/all").output().unwrap();
    crate::support::Ended::from(output).expect_refusal(2, &["/nowhere/at/all"]);
}

#[test]
fn a_runs_folder_that_cannot_be_written_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("file"), "in the way").unwrap();
    let arguments = [&["train", "catch", "--runs-dir", "file/runs"], QUICK].concat();
    sandbox.run(&arguments).expect_refusal(2, &["file/runs", "--runs-dir"]);
    assert_eq!(sandbox.files().len(), 1);
}

#[test]
fn names_that_are_taken_or_leave_the_folder_are_refused() {
    refused(&["train", "catch", "--name", "../x"], &["--name"]);
    let long = "n".repeat(256);
    refused(&["train", "catch", "--name", &long], &["`--name nnn", "at most 255", "it has 256"]);
    refused(&["study", "classify", "--name", &long], &["`--name nnn", "at most 255"]);
    refused(&["study", "all", "--name", &long[6..]], &["`--name nnn", "at most 249", "it has 250"]);
    refused(&["study", "all", "--name="], &["--name"]);
    let too_long = ["trace", "pong", "--steps=1", "--action-seed=1", "--save-state", &long];
    refused(&too_long, &["`--save-state nnn"]);
    let sandbox = Sandbox::new();
    sandbox.train("a", &["--frames", "40"]);
    let before = sandbox.files();
    sandbox
        .run(&sandbox.train_arguments("a", &["--frames", "40"]))
        .expect_refusal(2, &["exists", "--resume"]);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_run_in_use_of_another_game_or_no_run_at_all_is_refused_with_3() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "40"]);
    let path = run.to_str().unwrap();
    let lock = fs::File::options().write(true).open(run.join("run.lock")).unwrap();
    lock.lock().unwrap();
    let before = files_below(&run);
    sandbox.run(&["train", "--resume", path, "--frames", "80"]).expect_refusal(3, &["in use"]);
    drop(lock);
    sandbox.run(&["train", "pong", "--resume", path]).expect_refusal(3, &["`catch`", "`pong`"]);
    sandbox.run(&["train", "--resume", "nowhere"]).expect_refusal(3, &["nowhere"]);
    sandbox.run(&["eval", sandbox.path().to_str().unwrap()]).expect_refusal(3, &["config.json"]);
    assert_eq!(files_below(&run), before);
}

#[test]
fn a_run_of_a_later_version_is_told_as_such_and_refused_with_3() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    let path = run.to_str().unwrap();
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(run.join(name)).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(run.join(name), text.replacen(from, to, 1)).unwrap();
    };

    edit("config.json", "{", "{\"world_model\": true, ");
    edit(
        "meta.json",
        concat!("\"version\": \"", env!("CARGO_PKG_VERSION")),
        "\"version\": \"7.0.0",
    );
    let before = files_below(&run);
    for command in [&["eval"][..], &["train", "--resume"], &["report", "--out=x"]] {
        let ended = sandbox.run(&[command, &[path]].concat());
        ended.expect_refusal(3, &["config.json", "version 7.0.0", "`world_model`"]);
        assert!(!ended.stderr.contains("damaged"), "{ended:?}");
    }

    let found = sandbox.run(&["report", "runs", "--out=x"]);
    found.expect_refusal(3, &["no run is complete", "version 7.0.0"]);
    assert!(!found.stderr.contains("damaged"), "{found:?}");
    assert_eq!(files_below(&run), before);
}

#[test]
fn a_damaged_checkpoint_is_refused_with_3_and_the_previous_one_named() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "1200"]);
    let path = run.to_str().unwrap();
    let newest = checkpoints(&run).pop().unwrap();
    let weights = newest.join("weights.safetensors");
    let whole = fs::read(&weights).unwrap();

    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let resume = ["train", "--resume", path, "--frames", "1400", "--device=cpu"];
    sandbox.run(&resume).expect_refusal(3, &["weights.safetensors", "--checkpoint 1000"]);
    sandbox
        .run(&["eval", path, "--episodes=1"])
        .expect_refusal(3, &["weights.safetensors", "--checkpoint 1000"]);

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    fs::write(&weights, flipped).unwrap();
    sandbox.run(&resume).expect_refusal(3, &["weights.safetensors", "--checkpoint 1000"]);

    let ended = sandbox.run(&[&resume[..], &["--checkpoint", "1000"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let reference = sandbox.train("b", &["--frames", "1400"]);
    crate::support::assert_same_run(&run, &reference);
}

#[test]
fn weights_that_do_not_fit_or_are_none_are_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("noise.safetensors"), "noise").unwrap();
    let with =
        |from: &str| sandbox.run(&[&["train", "catch", "--init-from", from], QUICK].concat());
    with("noise.safetensors").expect_refusal(2, &["noise.safetensors"]);
    with("missing.safetensors").expect_refusal(2, &["missing.safetensors"]);
    let run = sandbox.train("a", &["--frames", "40"]);
    let before = sandbox.files();
    let weights = checkpoints(&run).pop().unwrap().join("weights.safetensors");
    let other_torso =
        ["train", "catch", "--torso=coordconv", "--init-from", weights.to_str().unwrap()];
    sandbox.run(&[&other_torso, QUICK].concat()).expect_refusal(2, &["does not fit", "conv1"]);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_run_that_diverges_ends_with_4_and_keeps_its_checkpoint() {
    let sandbox = Sandbox::new();
    let huge_rate = ["--frames", "4000", "--set", "a2c.optimizer.learning_rate=1e30"];
    sandbox
        .run(&sandbox.train_arguments("a", &huge_rate))
        .expect_refusal(4, &["last checkpoint", "diverged.safetensors"]);
    let run = sandbox.run_path("a");
    let kept = fs::read(run.join("diverged.safetensors")).unwrap();
    let tensors = coordrl::run::weights_file::from_bytes(&kept).unwrap();
    let obs = tensors.iter().find(|(name, _)| name == "actor1.obs").unwrap();
    assert_eq!(obs.1.size()[..2], [6, 2], "5 agent steps and the row after, 2 environments");
    let ended = sandbox.run(&["eval", run.to_str().unwrap(), "--episodes=2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn actions_files_are_checked_before_the_first_step() {
    let sandbox = Sandbox::new();
    for (text, part) in [("0\n1\n6\n", "line 3"), ("0\nleft\n", "line 2"), ("", "holds 0 actions")]
    {
        fs::write(sandbox.path().join("actions.txt"), text).unwrap();
        sandbox
            .run(&["trace", "pong", "--actions", "actions.txt"])
            .expect_refusal(2, &["actions.txt", part]);
    }

    fs::write(sandbox.path().join("actions.txt"), "0\n1\n").unwrap();
    let too_many = ["trace", "pong", "--actions", "actions.txt", "--steps", "3"];
    sandbox.run(&too_many).expect_refusal(2, &["holds 2 actions, not 3"]);
    fs::write(sandbox.path().join("state.bin"), "noise").unwrap();
    let load = ["trace", "pong", "--actions", "actions.txt", "--load-state", "state.bin"];
    sandbox.run(&load).expect_refusal(2, &["state.bin"]);
    let save = ["trace", "pong", "--actions", "actions.txt", "--save-state", "nowhere/x.bin"];
    sandbox.run(&save).expect_refusal(2, &["--save-state", "nowhere"]);
    refused(&["trace", "catch", "--steps", "3", "--action-seed", "1"], &["catch"]);
}
