//! The rules of episodes: lives, FIRE, the frame limit, rewards, action sets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use common::{atari, random_actions};
use coordrl_envs::{AtariEnv, Env, EnvConfig, EpisodeStats, FrameLimit, Protocol, Step};

const NOOP: usize = 0;

fn classic() -> EnvConfig {
    EnvConfig { noop_max: Some(0), ..EnvConfig::of(Protocol::Classic) }
}

fn started(game: &str, config: &EnvConfig) -> (AtariEnv, Vec<u8>) {
    let mut env = atari(game, config);
    let mut obs = vec![0xAB; env.spec().obs_len()];
    assert_eq!(env.reset(&mut obs).unwrap(), None);
    (env, obs)
}

/// Sends no-ops until the agent's episode ends.
fn wait_for_the_end(env: &mut AtariEnv, obs: &mut [u8]) -> Step {
    for _ in 0..2_000 {
        let step = env.step(NOOP, obs).unwrap();
        if step.is_last() {
            return step;
        }
    }
    panic!("no end in 2 000 steps");
}

#[test]
fn a_lost_life_ends_the_episode_and_the_game_goes_on_until_the_last() {
    let (mut env, mut obs) = started("breakout", &classic());
    for lives in [4, 3, 2, 1] {
        let step = wait_for_the_end(&mut env, &mut obs);
        assert_eq!((step.terminated, step.truncated, step.episode), (true, false, None));
        assert_eq!(env.ale().lives(), lives);
        assert_eq!(env.reset(&mut obs).unwrap(), None);
        assert_eq!(env.ale().lives(), lives, "the same game");
        assert!(obs[..3 * 84 * 84].iter().all(|byte| *byte == 0), "older frames are zero");
        assert!(obs[3 * 84 * 84..].iter().any(|byte| *byte != 0));
    }

    let step = wait_for_the_end(&mut env, &mut obs);
    assert!(step.terminated && step.episode.is_some());
    env.reset(&mut obs).unwrap();
    assert_eq!(env.ale().lives(), 5, "a new game");
}

#[test]
fn whole_games_are_played_where_lives_do_not_end_episodes() {
    let config = EnvConfig { life_loss_ends_episode: Some(false), ..classic() };
    let (mut env, mut obs) = started("breakout", &config);
    // Keep pressing FIRE, or the next ball is never served.
    for _ in 0..2_000 {
        let step = env.step(1, &mut obs).unwrap();
        if step.is_last() {
            assert!(step.terminated && step.episode.is_some());
            assert_eq!(env.ale().lives(), 0);
            return;
        }
    }

    panic!("the game did not end");
}

#[test]
fn without_fire_breakout_stands_still_and_with_it_the_ball_flies() {
    let moves = |fire_on_reset| {
        let (mut env, mut obs) =
            started("breakout", &EnvConfig { fire_on_reset: Some(fire_on_reset), ..classic() });
        let mut before = obs.clone();
        let mut moved = 0;
        for _ in 0..20 {
            env.step(NOOP, &mut obs).unwrap();
            moved += usize::from(obs[3 * 84 * 84..] != before[3 * 84 * 84..]);
            before.clone_from(&obs);
        }
        moved
    };

    assert!(moves(true) > 10);
    assert_eq!(moves(false), 0);
}

#[test]
fn the_limit_counts_all_frames_of_the_game_and_cuts_in_the_middle_of_a_skip() {
    // FIRE takes 8 frames; 42 are left: ten whole steps and one of two frames.
    let config = EnvConfig { max_episode_frames: Some(FrameLimit::frames(50)), ..classic() };
    let (mut env, mut obs) = started("pong", &config);
    for _ in 0..10 {
        assert!(!env.step(NOOP, &mut obs).unwrap().is_last());
    }

    let step = env.step(NOOP, &mut obs).unwrap();
    assert_eq!((step.terminated, step.truncated), (false, true));
    let expected = EpisodeStats { episode_return: 0.0, episode_length_frames: 42 };
    assert_eq!(step.episode, Some(expected));
    env.reset(&mut obs).unwrap();
    assert!(!env.step(NOOP, &mut obs).unwrap().is_last(), "a new game has begun");
}

#[test]
fn a_limit_reached_in_the_reset_after_a_lost_life_reports_the_game_there() {
    let frames_to_first_loss = {
        let (mut env, mut obs) = started("breakout", &classic());
        let mut steps = 0;
        while !env.step(NOOP, &mut obs).unwrap().is_last() {
            steps += 1;
        }
        // FIRE takes 8 frames, each step 4, the last one included.
        8 + 4 * (steps + 1)
    };

    // One frame more: the life loss fits within the limit, the no-op after it does not.
    let limit = FrameLimit::frames(frames_to_first_loss + 1);
    let (mut env, mut obs) =
        started("breakout", &EnvConfig { max_episode_frames: Some(limit), ..classic() });
    let step = wait_for_the_end(&mut env, &mut obs);
    assert_eq!((step.terminated, step.truncated, step.episode), (true, false, None));
    let ended = env.reset(&mut obs).unwrap();
    assert_eq!(ended.unwrap().episode_length_frames, frames_to_first_loss - 8);
    assert_eq!(env.ale().lives(), 5, "a new game");
}

#[test]
fn the_agent_sees_the_sign_and_the_return_keeps_the_score() {
    let (mut env, mut obs) = started("ms_pacman", &classic());
    let mut raw = 0.0;
    let mut clipped_differs = false;
    for action in random_actions(3, 3_000, env.spec().num_actions()) {
        let step = env.step(action, &mut obs).unwrap();
        raw += f64::from(step.raw_reward);
        assert!([-1.0, 0.0, 1.0].contains(&step.reward));
        assert_eq!(step.reward == 0.0, step.raw_reward == 0.0);
        clipped_differs |= step.reward != step.raw_reward;
        if let Some(stats) = step.episode {
            assert!(clipped_differs);
            assert_eq!(stats.episode_return, raw, "no reward falls into a reset here");
            return;
        }
        if step.is_last() {
            env.reset(&mut obs).unwrap();
        }
    }

    panic!("the game did not end");
}

#[test]
fn protocols_choose_action_sets_in_ales_order() {
    let names = |game, protocol| atari(game, &EnvConfig::of(protocol)).spec().actions.clone();
    assert_eq!(
        names("pong", Protocol::Classic),
        ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    );
    assert_eq!(names("pong", Protocol::Raw).len(), 6);
    assert_eq!(names("pong", Protocol::Machado).len(), 18);
    // ALE reports half of the actions as illegal in Skiing; all 18 are offered, and those do
    // nothing.
    assert_eq!(names("skiing", Protocol::Machado).len(), 18);
}

#[test]
fn the_table_of_games_knows_how_many_actions_each_has() {
    for game in coordrl_envs::games().iter().skip(1).step_by(9) {
        let env = atari(game.name, &EnvConfig::of(Protocol::Raw));
        assert_eq!(env.spec().num_actions(), game.num_actions as usize, "{}", game.name);
    }
}

#[test]
fn modes_and_difficulties_change_the_game() {
    use coordrl_envs::GameSetting::Number;
    let played = |mode, difficulty| {
        let config = EnvConfig { mode, difficulty, ..EnvConfig::of(Protocol::Raw) };
        let (mut env, mut obs) = started("freeway", &config);
        let mut hasher = crc32fast::Hasher::new();
        for _ in 0..600 {
            env.step(1, &mut obs).unwrap();
            hasher.update(env.ale().ram());
        }
        hasher.finalize()
    };

    let default = played(None, None);
    assert_eq!(played(Some(coordrl_envs::GameSetting::Default), None), default);
    assert_ne!(played(Some(Number(3)), None), default);
    assert_ne!(played(None, Some(Number(1))), default);
}

#[test]
fn environments_of_one_seed_and_other_indices_begin_differently_and_each_repeats() {
    let first = |index| {
        let config = EnvConfig::of(Protocol::Classic);
        let mut env =
            AtariEnv::try_new("space_invaders", &config, &common::assets(), common::seed(1, index))
                .unwrap();
        let mut obs = vec![0; env.spec().obs_len()];
        env.reset(&mut obs).unwrap();
        for _ in 0..10 {
            env.step(NOOP, &mut obs).unwrap();
        }
        (obs, crc32fast::hash(env.ale().ram()))
    };

    assert_eq!(first(0), first(0));
    let different = (1..6).filter(|index| first(*index) != first(0)).count();
    assert!(different >= 4, "{different} of 5 differ");
}
