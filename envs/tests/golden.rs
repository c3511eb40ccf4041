//! The emulator and the classic wrappers against checksums from ale-py and OpenCV
//! (`envs/parity/golden.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use std::fmt::Write as _;

use common::{atari, atari_games, grey_screen, random_actions};
use coordrl_envs::{AtariEnv, Env, EnvConfig, Protocol, Step};
use rayon::prelude::*;

/// Folds a step's outputs into the running checksum, like `chain` in `golden.py`.
fn chain(crc: u32, env: &AtariEnv, step: &Step) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    hasher.update(env.ale().ram());
    hasher.update(&grey_screen(env));
    hasher.update(&(step.raw_reward as i32).to_le_bytes());
    hasher.update(&env.ale().lives().to_le_bytes());
    hasher.update(&[u8::from(step.is_last())]);
    hasher.finalize()
}

/// Plays a game with the reference actions and returns its line of the golden file.
fn line(game: &str, config: &EnvConfig, steps: usize, each: usize) -> String {
    let mut env = atari(game, config);
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    let mut crc = 0;
    let mut line = game.to_owned();
    for (index, action) in
        random_actions(1, steps, env.spec().num_actions()).into_iter().enumerate()
    {
        let step = env.step(action, &mut obs).unwrap();
        crc = chain(crc, &env, &step);
        if step.is_last() {
            env.reset(&mut obs).unwrap();
        }
        if (index + 1) % each == 0 {
            write!(line, " {crc:08x}").unwrap();
        }
    }

    line
}

fn assert_lines(golden: &str, config: &EnvConfig, steps: usize, each: usize) {
    let games = atari_games();
    let expected: Vec<&str> = golden.lines().collect();
    assert_eq!(expected.len(), games.len());
    let found: Vec<String> = games.par_iter().map(|game| line(game, config, steps, each)).collect();
    let differ: Vec<_> =
        found.iter().zip(&expected).filter(|(found, expected)| found != *expected).collect();
    assert!(differ.is_empty(), "{} games differ (found, golden): {differ:#?}", differ.len());
}

fn classic_without_noops() -> EnvConfig {
    EnvConfig { noop_max: Some(0), ..EnvConfig::of(Protocol::Classic) }
}

#[test]
fn two_thousand_raw_frames_of_every_game_equal_ale_py() {
    assert_lines(include_str!("golden/raw.txt"), &EnvConfig::of(Protocol::Raw), 2_000, 500);
}

#[test]
fn five_hundred_classic_steps_of_every_game_equal_the_reference_wrappers() {
    assert_lines(include_str!("golden/classic.txt"), &classic_without_noops(), 500, 125);
}

#[test]
fn classic_images_are_within_one_level_of_opencv() {
    let images = include_bytes!("golden/classic_frames.bin").chunks(84 * 84);
    for (line, expected) in include_str!("golden/classic_frames.txt").lines().zip(images) {
        let (game, step) = line.split_once(' ').unwrap();
        let found = newest_image(game, step.parse().unwrap());
        let off = |(a, b): (&u8, &u8)| i32::from(a.abs_diff(*b));
        let worst = found.iter().zip(expected).map(off).max().unwrap();
        let mean = found.iter().zip(expected).map(off).sum::<i32>() as f64 / found.len() as f64;
        assert!(worst <= 1 && mean <= 0.05, "{line}: worst {worst}, mean {mean}");
    }
}

/// Returns the newest 84 × 84 frame after agent step `step` (from 0).
fn newest_image(game: &str, step: usize) -> Vec<u8> {
    let mut env = atari(game, &classic_without_noops());
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    // Draws all of the golden run's actions: a shorter list would start with the same ones.
    for action in random_actions(1, 500, env.spec().num_actions()).into_iter().take(step + 1) {
        if env.step(action, &mut obs).unwrap().is_last() {
            env.reset(&mut obs).unwrap();
        }
    }
    obs.split_off(3 * 84 * 84)
}
