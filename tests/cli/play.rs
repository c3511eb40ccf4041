//! Videos of trained agents.

use std::fs;

use crate::support::Sandbox;

/// Creates an untrained run of Pong, which takes seconds.
fn pong(sandbox: &Sandbox, algo: &str) -> String {
    let train = [
        "train",
        "pong",
        "--frames=320",
        "--envs=2",
        "--set=a2c.actors=1",
        "--set=apex.replay.warmup_transitions=20",
        "--set=apex.replay.capacity=1000",
        "--set=apex.learner.batch_size=4",
        "--set=apex.learner.shards=1",
        "--name=a",
        "--algo",
        algo,
    ];
    let ended = sandbox.run(&train);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    sandbox.path().join(format!("runs/pong/{algo}-conv/a")).to_str().unwrap().to_owned()
}

/// Returns the size and number of stored pictures, after checking that the first is not blank.
fn look_at_gif(bytes: &[u8]) -> (u16, u16, usize) {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).unwrap();
    let size = (decoder.width(), decoder.height());
    let mut pictures = 0;
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        if pictures == 0 {
            let colours: std::collections::BTreeSet<&[u8]> = frame.buffer.chunks(4).collect();
            assert!(colours.len() > 1, "a blank picture");
        }
        pictures += 1;
    }

    (size.0, size.1, pictures)
}

#[test]
fn a_video_has_the_consoles_size_and_as_many_pictures_as_asked_for() {
    let sandbox = Sandbox::new();
    let run = pong(&sandbox, "a2c");
    let before = sandbox.files().len();
    let ended =
        sandbox.run(&["play", &run, "--video=a.gif", "--frames=240", "--contact-sheet=a.png"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("not over yet"), "{ended:?}");
    let (width, height, pictures) = look_at_gif(&fs::read(sandbox.path().join("a.gif")).unwrap());
    assert_eq!((width, height), (160, 210));
    // 240 frames plus those of the start, two per picture; equal pictures are stored once.
    assert!((60..=140).contains(&pictures), "{pictures}");
    let sheet = fs::read(sandbox.path().join("a.png")).unwrap();
    let info = png::Decoder::new(std::io::Cursor::new(sheet)).read_info().unwrap();
    // Six by four pictures of 160×210, with gaps of 4.
    assert_eq!((info.info().width, info.info().height), (6 * 164 + 4, 4 * 214 + 4));
    assert_eq!(
        sandbox.files().len(),
        before + 2,
        "the run is left as it was, and nothing else remains"
    );
}

#[test]
fn what_makes_the_numbers_of_an_evaluation_mean_less_is_remarked() {
    let sandbox = Sandbox::new();
    let run = pong(&sandbox, "a2c");
    let eval = |more: &[&str]| {
        let short = ["eval", &run, "--episodes=3", "--max-episode-frames=200", "--json"];
        let ended = sandbox.run(&[&short[..], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let result: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let remarks: Vec<String> = serde_json::from_value(result["remarks"].clone()).unwrap();
        for remark in &remarks {
            assert!(ended.stderr.contains(&format!("remark: {remark}")), "{ended:?}");
        }
        (remarks, result)
    };

    let (fire, _) = eval(&["--protocol=machado"]);
    assert!(fire.len() == 1 && fire[0].contains("FIRE was pressed for the agent"), "{fire:?}");
    let (same, result) = eval(&["--policy=greedy", "--noop-max=0"]);
    assert!(same.len() == 1 && same[0].contains("all 3 games are the same game"), "{same:?}");
    let games = ["returns", "lengths_frames"].map(|key| result[key].as_array().unwrap().clone());
    games.iter().for_each(|games| assert!(games.iter().all(|game| game == &games[0]), "{result}"));
    assert_eq!(eval(&["--policy=greedy"]).0, Vec::<String>::new());
    assert_eq!(eval(&["--noop-max=0"]).0, Vec::<String>::new());
}

#[test]
fn what_the_network_sees_stands_beside_the_screen() {
    let sandbox = Sandbox::new();
    for algo in ["a2c", "apex"] {
        let run = pong(&sandbox, algo);
        let name = format!("{algo}.webp");
        let video = format!("--video={name}");
        let ended = sandbox.run(&[
            "play",
            &run,
            &video,
            "--frames=40",
            "--panel",
            "--torso-view",
            "--fps=60",
        ]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let bytes = fs::read(sandbox.path().join(name)).unwrap();
        let decoder = webp_animation::Decoder::new(&bytes).unwrap();
        let (width, height) = decoder.dimensions();
        assert!(width > 320 + 200 && height == 420, "{width} × {height}");
        assert!(decoder.into_iter().count() >= 10);
    }
}

#[test]
fn a_game_without_an_emulator_is_shown_as_the_network_sees_it() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames=400"]);
    let ended = sandbox.run(&["play", run.to_str().unwrap(), "--video=a.gif", "--game=2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("a full game of 9 frames, return "), "{ended:?}");
    let (width, height, pictures) = look_at_gif(&fs::read(sandbox.path().join("a.gif")).unwrap());
    assert_eq!((width, height, pictures), (36, 36, 10), "the first position and nine more");
    // Exactly the game that `eval` plays under that number.
    let policy = "--policy=greedy";
    let listed =
        sandbox.run(&["eval", run.to_str().unwrap(), "--episodes=3", policy, "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    for game in 1..=3 {
        let number = format!("--game={game}");
        let ended = sandbox.run(&["play", run.to_str().unwrap(), "--video=b.gif", &number, policy]);
        let expected = format!("return {}\n", listed["returns"][game - 1].as_f64().unwrap());
        assert!(ended.stdout.ends_with(&expected), "{ended:?} for {expected}");
    }
}

#[test]
fn wrong_requests_are_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let run = sandbox.train("a", &["--frames=400"]);
    fs::create_dir(sandbox.path().join("runs.gif")).unwrap();
    let before = sandbox.files();
    let run = run.to_str().unwrap();
    let too_long = format!("--video={}.gif", "v".repeat(252));
    for (arguments, part) in [
        (&["--video=a.mp4"][..], "`.gif` or `.webp`"),
        (&["--video=nowhere/a.gif"], "there is no folder `nowhere`"),
        (&["--video=runs.gif"], "it is a folder"),
        (&["--contact-sheet=a.gif"], "`.png`"),
        (&["--video=a.gif", "--fps=60"], "50 pictures"),
        (&["--video=a.gif", "--epsilon=7"], "between 0 and 1"),
        (&[&too_long], "`--video vvv"),
        (&[], "--video"),
        (&["--video=a.gif", "--game=0"], "counted from 1"),
        (&["--video=a.gif", "--frames=0"], "the least is 1"),
        (&["--video=a.gif", "--fps=25"], "60, 30 or 15"),
        (&["--video=a.gif", "--checkpoint=7"], "no checkpoint `7`"),
    ] {
        sandbox.run(&[&["play", run], arguments].concat()).expect_refusal(2, &[part]);
    }

    sandbox.run(&["play", "nowhere", "--video=a.gif"]).expect_refusal(3, &["nowhere"]);
    assert_eq!(sandbox.files(), before);
}
