//! Output of the other commands, and contents of a run folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Sandbox, checkpoints, metrics};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn torsos_are_listed_for_people_and_for_programs() {
    let sandbox = Sandbox::new();
    assert!(sandbox.run(&["torsos"]).stdout.contains("coordconv-scaled"));
    let torsos = json(&sandbox.run(&["torsos", "--json"]).stdout);
    assert_eq!(torsos[0]["name"], "conv");
}

#[test]
fn games_are_listed_for_people_and_for_programs() {
    let sandbox = Sandbox::new();
    assert!(sandbox.run(&["games"]).stdout.contains("ms_pacman"));
    let games = json(&sandbox.run(&["games", "--json"]).stdout);
    assert_eq!(games.as_array().unwrap().len(), 105);
    assert_eq!(games[0]["name"], "catch");
}

#[test]
fn config_show_tells_value_and_origin_of_every_setting() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("mine.toml"), "seed = 7\n[a2c]\ndiscount = 0.98\n").unwrap();
    let arguments = [
        "config",
        "show",
        "Breakout",
        "--preset=baselines",
        "--config=mine.toml",
        "--set=env.noop_max=3",
    ];
    let shown =
        json(&sandbox.run(&[&arguments[..], &["--torso=coordconv", "--json"]].concat()).stdout);
    let expect = |key: &str, value: Value, origin: &str| {
        assert_eq!(shown[key]["value"], value, "{key}");
        assert!(
            shown[key]["origin"].as_str().unwrap().contains(origin),
            "{key}: {}",
            shown[key]["origin"]
        );
    };

    expect("game", "breakout".into(), "<game>");
    expect("seed", 7.into(), "mine.toml");
    expect("a2c.discount", 0.98.into(), "mine.toml");
    expect("a2c.value_coef", 0.5.into(), "preset baselines (built in)");
    expect("env.noop_max", 3.into(), "--set");
    expect("torso", "coordconv".into(), "--torso");
    expect("env.frame_skip", 4.into(), "default");
    assert!(sandbox.run(&arguments).stdout.contains("a2c.discount"));
}

#[test]
fn an_id_of_gymnasiums_is_told_which_rules_it_does_not_bring() {
    let sandbox = Sandbox::new();
    let note = "`ALE/Pong-v5` names the game alone";
    let trace = ["trace", "ALE/Pong-v5", "--steps=1", "--action-seed=1"];
    let sweep = ["sweep", "--games=ALE/Pong-v5", "--dry-run", "--frames=160"];
    let train =
        ["train", "ALE/Pong-v5", "--frames=16", "--envs=1", "--set=a2c.actors=1", "--device=cpu"];
    let show = ["config", "show", "--set=game=\"ALE/Pong-v5\""];
    for command in [&show[..], &["config", "check", "ALE/Pong-v5"], &trace, &sweep, &train] {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr.matches(note).count(), 1, "once: {ended:?}");
        assert!(ended.stderr.contains("`--set env.sticky_action_prob=0.25`"), "{ended:?}");
    }

    let with = sandbox.run(&["config", "show", "ALE/Pong-v5", "--set=env.sticky_action_prob=0.25"]);
    assert_eq!((with.code, with.stderr.as_str()), (Some(0), ""), "nothing is left out");
    assert_eq!(sandbox.run(&["config", "show", "pong"]).stderr, "");
}

#[test]
fn presets_are_found_from_any_folder_and_files_win() {
    let sandbox = Sandbox::new();
    assert!(sandbox.run(&["presets", "list"]).stdout.contains("baselines"));
    assert!(
        sandbox.run(&["presets", "show", "baselines"]).stdout.contains("schedule = \"linear\"")
    );
    fs::create_dir_all(sandbox.path().join("runs/presets")).unwrap();
    fs::write(sandbox.path().join("runs/presets/pong.toml"), "summary = \"mine\"\nseed = 3\n")
        .unwrap();
    assert!(sandbox.run(&["presets", "list"]).stdout.contains("mine"));
    let shown = json(&sandbox.run(&["config", "show", "pong", "--json"]).stdout);
    assert_eq!(shown["seed"]["value"], 3);
}

#[test]
fn a_run_folder_holds_what_it_should_and_its_config_repeats_it() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "1000"]);
    let config = json(&fs::read_to_string(run.join("config.json")).unwrap());
    assert_eq!(config["env"]["noop_max"], 30, "settings are resolved");
    assert_eq!(config["a2c"]["actors"], 2);
    let meta = json(&fs::read_to_string(run.join("meta.json")).unwrap());
    assert_eq!((&meta["seed"], &meta["preset"]), (&1.into(), &"catch".into()));
    assert_eq!(meta["sessions"][0]["device"], "cpu");
    assert!(fs::read_dir(run.join("tb")).unwrap().next().is_some());
    assert_eq!(checkpoints(&run).len(), 2);

    let again = ["train", "--config", run.join("config.json").to_str().unwrap(), "--name", "b"]
        .map(str::to_owned);
    let ended = sandbox.run(&again.each_ref().map(String::as_str));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    crate::support::assert_same_run(&run, &sandbox.run_path("b"));
}

#[test]
fn log_points_carry_every_tag_and_no_return_before_the_first_game_has_ended() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "1000", "--set", "log_every_frames=20"]);
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for line in text.lines() {
        assert!(line.starts_with("{\"frames\":"), "frames come first: {line}");
        let point = json(line);
        let own = coordrl_agents::find_algorithm("a2c").unwrap().tags;
        for tag in coordrl::metrics::tags::TRAINING.iter().chain(own) {
            assert!(point.get(tag.name).is_some(), "{} is missing in {line}", tag.name);
        }
    }

    let points = metrics(&run);
    assert_eq!(points[0]["train/episodes"], 0.0);
    assert!(points[0]["train/episode_return"].is_null());
    let last = points.last().unwrap();
    assert!(
        last["train/episode_return"].is_number() && last["train/episodes"].as_f64().unwrap() > 1.0
    );
}

#[test]
fn eval_plays_the_games_asked_for_repeats_itself_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames", "400"]);
    let before = sandbox.files();
    let eval = |arguments: &[&str]| {
        let ended = sandbox
            .run(&[&["eval", run.to_str().unwrap(), "--json", "--device=cpu"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        json(&ended.stdout)
    };

    let first = eval(&["--episodes=21", "--threads=1"]);
    assert_eq!(first, eval(&["--episodes=21", "--threads=2"]));
    assert_eq!(first["returns"].as_array().unwrap().len(), 21);
    assert_eq!((&first["episodes"], &first["policy"]), (&21.into(), &"sampled".into()));
    assert_eq!(first["frames"], 400);
    // More games extend the same list: which are played does not depend on how they end.
    let more = eval(&["--episodes=24"]);
    assert_eq!(first["returns"].as_array().unwrap()[..], more["returns"].as_array().unwrap()[..21]);
    assert_ne!(first["returns"], eval(&["--episodes=21", "--seed=2"])["returns"]);
    assert_eq!(eval(&["--episodes=2", "--policy=greedy", "--checkpoint=400"])["policy"], "greedy");
    assert_eq!(sandbox.files(), before);
    let table = sandbox.run(&["eval", run.to_str().unwrap(), "--episodes=3"]).stdout;
    assert!(table.contains("mean return") && table.contains("full games, not lives"), "{table}");
}

#[test]
fn eval_tells_and_changes_the_rules_but_not_what_the_network_sees() {
    let sandbox = Sandbox::new();
    let train = ["train", "pong", "--frames=640", "--envs=2", "--set=a2c.actors=1", "--name=a"];
    assert_eq!(sandbox.run(&train).code, Some(0));
    let run = sandbox.path().join("runs/pong/a2c-conv/a");
    let eval = |arguments: &[&str]| {
        let short = ["--episodes=2", "--json", "--max-episode-frames=400"];
        let ended =
            sandbox.run(&[&["eval", run.to_str().unwrap()], &short[..], arguments].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        json(&ended.stdout)
    };

    let trained = eval(&[]);
    assert_eq!(trained["start"], "1 to 30 no-ops, FIRE where the game has it, at most 400 frames");
    // No-ops count towards the limit, but not as part of the game.
    let lengths =
        trained["lengths_frames"].as_array().unwrap().iter().map(|frames| frames.as_u64().unwrap());
    assert!(lengths.clone().all(|frames| (360..=400).contains(&frames)), "{lengths:?}");
    assert!(
        trained["human_normalised"].is_null(),
        "the known scores are not of games of 400 frames"
    );
    let machado = eval(&["--protocol=machado", "--epsilon=0.25"]);
    assert_eq!(
        (&machado["protocol"], &machado["policy"]),
        (&"machado".into(), &"epsilon 0.25".into())
    );
    assert_eq!(machado["start"], "plain reset, sticky actions 0.25, at most 400 frames");
    assert_eq!(machado["env"]["full_action_set"], false, "the network has six outputs");
    assert_eq!(machado["counting"], "full games, not lives");
    assert_eq!(
        trained["counting"],
        "full games, not lives; after a lost life a no-op, and FIRE where the game has it"
    );
    let without = eval(&["--noop-max=0", "--sticky-action-prob=0.5"]);
    assert_eq!((&without["env"]["noop_max"], &without["protocol"]), (&0.into(), &"classic".into()));
    let path = run.to_str().unwrap();
    for (wrong, part) in [
        (&["--epsilon=1.5"][..], "between 0 and 1"),
        (&["--epsilon=0.1", "--policy=greedy"], "`--policy epsilon`"),
        (&["--sticky-action-prob=2"], "sticky_action_prob"),
        (&["--max-episode-frames=0"], "above 0"),
        (&["--episodes=0"], "the least is 1"),
    ] {
        sandbox.run(&[&["eval", path], wrong].concat()).expect_refusal(2, &[part]);
    }

    let listed =
        sandbox.run(&["eval", path, "--episodes=2", "--max-episode-frames=400", "--games"]).stdout;
    assert!(listed.contains("human-normalised") && listed.contains("\n2     "), "{listed}");
}

#[test]
fn evaluations_during_training_are_logged_and_change_nothing_that_is_learnt() {
    let sandbox = Sandbox::new();
    let plain = sandbox.train("plain", &["--frames=800"]);
    let evaluated = [
        "--frames=800",
        "--set=evaluation.every_frames=200",
        "--set=evaluation.episodes=3",
        "--set=video.every_frames=400",
        "--set=video.max_frames=100",
    ];
    let run = sandbox.train("evaluated", &evaluated);
    for frames in [400, 800] {
        let video = fs::read(run.join(format!("videos/{frames:012}.gif"))).unwrap();
        assert!(video.starts_with(b"GIF89a") && video.len() > 200, "{} bytes", video.len());
    }

    let weights =
        |run: &Path| fs::read(checkpoints(run).pop().unwrap().join("weights.safetensors")).unwrap();
    assert_eq!(weights(&plain), weights(&run));
    let points = metrics(&run);
    let returns: Vec<_> =
        points.iter().filter_map(|point| point["eval/episode_return"].as_f64()).collect();
    assert!(
        returns.len() >= 3 && returns.iter().all(|mean| (-1.0..=1.0).contains(mean)),
        "{returns:?}"
    );
    assert!(metrics(&plain)[0].get("eval/episode_return").is_none());
    let none = ["train", "catch", "--set=evaluation.episodes=0"];
    sandbox.run(&none).expect_refusal(2, &["`evaluation.episodes`"]);
    sandbox
        .run(&["train", "catch", "--set=video.max_frames=0"])
        .expect_refusal(2, &["`video.max_frames`"]);
}

#[test]
fn trace_repeats_itself_and_goes_on_from_a_saved_state() {
    let sandbox = Sandbox::new();
    let actions: Vec<String> = (0..60).map(|step| format!("{}\n", step % 4)).collect();
    fs::write(sandbox.path().join("all.txt"), actions.concat()).unwrap();
    fs::write(sandbox.path().join("first.txt"), actions[..30].concat()).unwrap();
    fs::write(sandbox.path().join("rest.txt"), actions[30..].concat()).unwrap();
    let trace = |arguments: &[&str]| {
        let ended = sandbox.run(&[&["trace", "breakout", "--seed=3"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };

    let all = trace(&["--actions=all.txt", "--obs-out=obs.npy"]);
    assert_eq!(all.lines().count(), 60);
    // A header of 128 bytes, then 60 stacks of 4 frames.
    assert_eq!(fs::metadata(sandbox.path().join("obs.npy")).unwrap().len(), 128 + 60 * 4 * 84 * 84);
    let keys = [
        "step",
        "action",
        "reward",
        "lives",
        "terminated",
        "truncated",
        "ram_crc32",
        "screen_crc32",
    ];
    let first: serde_json::Map<String, Value> =
        serde_json::from_str(all.lines().next().unwrap()).unwrap();
    assert!(first.keys().eq(keys), "{first:?}");
    let head = trace(&["--actions=first.txt", "--save-state=half.bin"]);
    let tail = trace(&["--actions=rest.txt", "--load-state=half.bin"]);
    assert_eq!(all, head + &tail);
}

#[test]
fn log_lines_come_only_when_asked_for_and_tell_of_the_run() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&sandbox.train_arguments("quiet", &["--frames", "40"]));
    assert!(!ended.stderr.contains("checkpoint"), "{ended:?}");
    let mut command = sandbox.command(&sandbox.train_arguments("a", &["--frames", "40"]));
    let output = command.env("COORDRL_LOG", "trace").output().unwrap();
    let ended = crate::support::Ended::from(output);
    for part in ["checkpoint", "preset", "actor{index=1}", "updated"] {
        assert!(ended.stderr.contains(part), "{part} is not in {}", ended.stderr);
    }
}

#[test]
fn an_agent_is_packed_and_plays_and_cannot_be_resumed() {
    let sandbox = Sandbox::new();
    let train = |name: &str, more: &[&str]| {
        let common = ["train", "catch", "--frames=2000", "--device=cpu", "--set=a2c.envs=4"];
        let ended = sandbox.run(&[&common[..], &["--name", name], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        format!("runs/catch/a2c-conv/{name}")
    };
    let evaluated = [
        "--set=evaluation.every_frames=1000",
        "--set=evaluation.episodes=2",
        "--set=evaluation.final_episodes=20",
    ];
    let run = train("a", &evaluated);
    let packed = json(&sandbox.run(&["zoo", "pack", &run, "--json"]).stdout);
    let of_run =
        json(&fs::read_to_string(sandbox.path().join(&run).join("evaluation.json")).unwrap());
    assert_eq!(
        (&packed["frames"], &packed["mean_return"]),
        (&of_run["frames"], &of_run["mean_return"])
    );
    let zoo = sandbox.path().join("runs/zoo");
    let folder = zoo.join("catch");
    let text = fs::read_to_string(folder.join("meta.json")).unwrap();
    assert!(text.contains("\"coordrl\"") && !text.contains(&*sandbox.path().to_string_lossy()));
    assert_eq!(packed["bytes"].as_u64().unwrap(), bytes_in(&folder));

    // As good, with weights of 16 bits; the report reads its curve.
    let evaluated =
        |run: &str| json(&sandbox.run(&["eval", run, "--episodes=50", "--json"]).stdout);
    let [whole, half] = [&*run, "runs/zoo/catch"].map(|run| evaluated(run)["mean_return"].as_f64());
    assert!((whole.unwrap() - half.unwrap()).abs() < 0.3, "{whole:?} {half:?}");
    train("from-zoo", &["--init-from=runs/zoo/catch"]);
    sandbox
        .run(&["train", "--resume", "runs/zoo/catch"])
        .expect_refusal(3, &["holds weights alone", "`--init-from`"]);
    sandbox.run(&["zoo", "pack", &run]).expect_refusal(2, &["exists already"]);

    let unevaluated = train("b", &[]);
    fs::remove_dir_all(&folder).unwrap();
    sandbox.run(&["zoo", "pack", &unevaluated]).expect_refusal(2, &["no evaluation of its last"]);
    assert!(!zoo.exists(), "a refusal leaves nothing behind");
    for game in ["one", "two", "three", "four", "five", "six"] {
        fs::create_dir_all(zoo.join(game)).unwrap();
    }
    sandbox.run(&["zoo", "pack", &run]).expect_refusal(2, &["has 6 agents, which is the most"]);
    assert!(!folder.exists() && !zoo.join(".packing").exists());
}

fn bytes_in(folder: &Path) -> u64 {
    let sizes = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { bytes_in(&path) } else { fs::metadata(path).unwrap().len() }
    });
    sizes.sum()
}
