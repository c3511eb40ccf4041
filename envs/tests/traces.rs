//! Traces recorded by the parity tool.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use common::{assets, atari, grey_screen, random_actions};
use coordrl_envs::trace::{Begin, RandomActions, TraceRecord, Tracer};
use coordrl_envs::{Env, EnvConfig, FrameLimit, Protocol};

fn tracer(game: &str, config: &EnvConfig) -> Tracer {
    Tracer::try_new(game, config, &assets(), 3, Begin::Loaded).unwrap()
}

fn classic() -> EnvConfig {
    EnvConfig { noop_max: Some(0), ..EnvConfig::of(Protocol::Classic) }
}

fn records(tracer: &mut Tracer, actions: &[usize]) -> Vec<TraceRecord> {
    actions.iter().map_while(|action| tracer.step(*action).unwrap()).collect()
}

#[test]
fn a_record_is_one_json_object_with_the_promised_keys() {
    let record = tracer("pong", &EnvConfig::of(Protocol::Raw)).step(2).unwrap().unwrap();
    let value: serde_json::Value = serde_json::to_value(&record).unwrap();
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
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), keys.len());
    assert!(keys.iter().all(|key| object.contains_key(*key)));
    assert_eq!(value["step"], 0);
    assert_eq!(value["action"], 2);
}

#[test]
fn a_raw_trace_shows_each_frame_from_right_after_loading() {
    let mut env = atari("qbert", &EnvConfig::of(Protocol::Raw));
    let mut tracer = tracer("qbert", &EnvConfig::of(Protocol::Raw));
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    for action in random_actions(1, 200, env.spec().num_actions()) {
        let step = env.step(action, &mut obs).unwrap();
        let record = tracer.step(action).unwrap().unwrap();
        assert_eq!(record.ram_crc32, crc32fast::hash(env.ale().ram()));
        assert_eq!(record.screen_crc32, crc32fast::hash(&grey_screen(&env)));
        assert_eq!(record.reward, f64::from(step.raw_reward));
        assert_eq!(tracer.obs(), obs);
    }
}

/// Compares with values of ale-py 0.12.1 after 60 frames of actions 0, 1, 2, 0, …, with and without
/// one `reset_game` after `loadROM` (`envs/parity/reference.py`).
#[test]
fn a_trace_begins_right_after_loading_or_after_one_reset_more() {
    let last = |game, begin| {
        let config = EnvConfig::of(Protocol::Raw);
        let mut tracer = Tracer::try_new(game, &config, &assets(), 3, begin).unwrap();
        let actions: Vec<usize> = (0..60).map(|step| step % 3).collect();
        let record = records(&mut tracer, &actions).pop().unwrap();
        (record.ram_crc32, record.screen_crc32)
    };

    assert_eq!(last("beam_rider", Begin::Loaded), (2_054_171_641, 1_154_338_482));
    assert_eq!(last("beam_rider", Begin::Reset), (26_695_346, 360_113_636));
    for begin in [Begin::Loaded, Begin::Reset] {
        assert_eq!(last("pong", begin), (3_164_376_438, 1_635_027_670));
    }
}

#[test]
fn a_lost_life_terminates_in_the_record_and_the_trace_goes_on_to_the_games_end() {
    let mut tracer = tracer("breakout", &classic());
    let records = records(&mut tracer, &[0; 3_000]);
    let ends: Vec<&TraceRecord> = records.iter().filter(|record| record.terminated).collect();
    let lives: Vec<i32> = ends.iter().map(|record| record.lives).collect();
    assert_eq!(lives, [4, 3, 2, 1, 0]);
    assert!(tracer.is_over() && records.last().unwrap().terminated);
    assert_eq!(tracer.step(0).unwrap(), None);
    let numbers: Vec<u64> = records.iter().map(|record| record.step).collect();
    assert_eq!(numbers, (0..records.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_observation_at_a_lost_life_is_the_first_of_the_next() {
    let mut tracer = tracer("breakout", &classic());
    while !tracer.step(0).unwrap().unwrap().terminated {}
    let (older, newest) = tracer.obs().split_at(3 * 84 * 84);
    assert!(older.iter().all(|byte| *byte == 0), "a frame of the last life is left");
    assert!(newest.iter().any(|byte| *byte != 0), "nothing of the next life is seen");
}

#[test]
fn the_frame_limit_truncates_and_ends_the_trace() {
    let config = EnvConfig { max_episode_frames: Some(FrameLimit::frames(100)), ..classic() };
    let mut tracer = tracer("pong", &config);
    let records = records(&mut tracer, &[0; 100]);
    // FIRE takes 8 of the 100 frames, each step 4.
    assert_eq!(records.len(), 23);
    let last = records.last().unwrap();
    assert!(last.truncated && !last.terminated && tracer.is_over());
}

#[test]
fn a_saved_trace_goes_on_as_if_never_stopped() {
    let config = EnvConfig::of(Protocol::Machado);
    let actions: Vec<usize> = RandomActions::new(11, 18).take(120).collect();
    let (first, rest) = actions.split_at(50);
    let mut whole = tracer("tetris", &config);
    records(&mut whole, first);
    let state = whole.save_state().unwrap();
    let expected = records(&mut whole, rest);
    let mut again = tracer("tetris", &config);
    again.load_state(&state).unwrap();
    assert_eq!(records(&mut again, rest), expected);
    assert_eq!(again.obs(), whole.obs());
    assert_eq!(expected[0].step, 50);
}

#[test]
fn random_actions_repeat_by_seed_and_use_every_action() {
    let draw = |seed| RandomActions::new(seed, 4).take(200).collect::<Vec<_>>();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!((0..4).all(|action| draw(1).contains(&action)));
}
