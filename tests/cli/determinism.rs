//! Same seed, same run.

use crate::support::{Sandbox, assert_same_run, last_weights, metrics};

#[test]
fn the_same_seed_twice_and_any_number_of_threads_give_the_same_run() {
    let sandbox = Sandbox::new();
    let one = sandbox.train("one", &["--frames", "1000", "--threads", "1"]);
    let again = sandbox.train("again", &["--frames", "1000", "--threads", "1"]);
    let two = sandbox.train("two", &["--frames", "1000", "--threads", "2"]);
    assert_same_run(&one, &again);
    assert_same_run(&one, &two);
}

#[test]
fn another_seed_gives_another_run() {
    let sandbox = Sandbox::new();
    let one = sandbox.train("one", &["--frames", "400"]);
    let other = sandbox.train("other", &["--frames", "400", "--seed", "2"]);
    assert_ne!(metrics(&one), metrics(&other));
    assert!(last_weights(&one) != last_weights(&other));
}

#[test]
fn pong_on_the_emulator_is_the_same_with_one_thread_and_two() {
    let sandbox = Sandbox::new();
    let train = |name, threads| {
        let small =
            ["--device=cpu", "--envs=3", "--set=env.screen_size=36", "--set=log_every_frames=240"];
        let command = ["train", "pong", "--frames=1200", "--name", name, "--threads", threads];
        let ended = sandbox.run(&[&command[..], &small].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        sandbox.path().join("runs/pong/a2c-conv").join(name)
    };
    assert_same_run(&train("one", "1"), &train("two", "2"));
}
