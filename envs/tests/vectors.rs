//! `VecEnv` compared with single environments, with itself under other thread counts, and with
//! emulators created and dropped in several threads at once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use common::{assets, atari, random_actions, seed};
use coordrl_envs::{AtariEnv, Env, EnvConfig, FrameLimit, Protocol, VecEnv, VecStep, make_env};

/// Returns a config with episodes short enough that some end in every run: by lives, games and
/// limits.
fn config(protocol: Protocol) -> EnvConfig {
    EnvConfig { max_episode_frames: Some(FrameLimit::frames(400)), ..EnvConfig::of(protocol) }
}

fn vector(game: &str, protocol: Protocol, n: u64) -> VecEnv {
    let make = |index| make_env(game, &config(protocol), &assets(), seed(5, index)).unwrap();
    VecEnv::try_new((0..n).map(make).collect()).unwrap()
}

/// Steps one environment by hand, resetting it as a vector would.
fn step_alone(env: &mut AtariEnv, action: usize, obs: &mut [u8]) -> (VecStep, Option<Vec<u8>>) {
    let step = env.step(action, obs).unwrap();
    let mut episodes = [step.episode, None];
    let last = step.is_last().then(|| obs.to_vec());
    if last.is_some() {
        episodes[1] = env.reset(obs).unwrap();
    }
    let coordrl_envs::Step { reward, raw_reward, terminated, truncated, .. } = step;
    (VecStep { reward, raw_reward, terminated, truncated, episodes }, last)
}

#[test]
fn a_vector_agrees_with_single_environments_step_for_step() {
    for (game, protocol) in
        [("breakout", Protocol::Classic), ("qbert", Protocol::Classic), ("pong", Protocol::Machado)]
    {
        let mut envs = vector(game, protocol, 3);
        let mut singles: Vec<AtariEnv> = (0..3)
            .map(|index| {
                AtariEnv::try_new(game, &config(protocol), &assets(), seed(5, index)).unwrap()
            })
            .collect();
        let one = envs.spec().obs_len();
        // Filled differently from `alone`, so that a byte that neither writes shows.
        let mut obs = vec![0xAB; envs.obs_len()];
        let mut steps = [VecStep::default(); 3];
        let mut alone = vec![vec![0x54; one]; 3];
        envs.reset(&mut obs).unwrap();
        for (env, obs) in singles.iter_mut().zip(&mut alone) {
            env.reset(obs).unwrap();
        }
        let mut ends = 0;
        for actions in random_actions(6, 3 * 150, envs.spec().num_actions()).chunks(3) {
            envs.step(actions, &mut obs, &mut steps).unwrap();
            for (index, env) in singles.iter_mut().enumerate() {
                let (step, last) = step_alone(env, actions[index], &mut alone[index]);
                assert_eq!(steps[index], step, "{game}");
                assert_eq!(envs.final_obs(index), last.as_deref(), "{game}");
                assert_eq!(obs[index * one..(index + 1) * one], alone[index], "{game}");
                ends += usize::from(step.is_last());
            }
        }
        assert!(ends > 0, "{game}: no episode ended, so little was compared");
    }
}

/// Returns a checksum over all results of a run of 60 steps.
fn run(threads: usize) -> u32 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut envs = vector("breakout", Protocol::Machado, 5);
        let mut obs = vec![0; envs.obs_len()];
        let mut steps = [VecStep::default(); 5];
        envs.reset(&mut obs).unwrap();
        let mut hasher = crc32fast::Hasher::new();
        for actions in random_actions(7, 5 * 60, envs.spec().num_actions()).chunks(5) {
            envs.step(actions, &mut obs, &mut steps).unwrap();
            hasher.update(&obs);
            hasher.update(format!("{steps:?}").as_bytes());
        }
        for state in envs.save_state().unwrap() {
            hasher.update(&state);
        }
        hasher.finalize()
    })
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(3), one);
}

#[test]
fn a_vector_plays_on_exactly_after_a_restore() {
    let mut envs = vector("breakout", Protocol::Machado, 3);
    let mut obs = vec![0; envs.obs_len()];
    let mut steps = [VecStep::default(); 3];
    envs.reset(&mut obs).unwrap();
    for actions in random_actions(8, 3 * 40, 18).chunks(3) {
        envs.step(actions, &mut obs, &mut steps).unwrap();
    }

    let saved = envs.save_state().unwrap();
    let current = obs.clone();
    let mut again = vector("breakout", Protocol::Machado, 3);
    let mut restored = vec![0xAB; obs.len()];
    again.load_state(&saved, &mut restored).unwrap();
    assert_eq!(restored, current);
    for actions in random_actions(9, 3 * 80, 18).chunks(3) {
        let mut other = [VecStep::default(); 3];
        envs.step(actions, &mut obs, &mut steps).unwrap();
        again.step(actions, &mut restored, &mut other).unwrap();
        assert_eq!(steps, other);
        assert_eq!(obs, restored);
    }

    assert_eq!(envs.save_state().unwrap(), again.save_state().unwrap());
}

#[test]
fn time_is_measured_and_handed_over_once() {
    let mut envs = vector("pong", Protocol::Classic, 2);
    let mut obs = vec![0; envs.obs_len()];
    envs.reset(&mut obs).unwrap();
    let timing = envs.take_timing();
    assert!(timing.emulate_nanos > timing.preprocess_nanos && timing.preprocess_nanos > 0);
    assert_eq!(envs.take_timing(), coordrl_envs::EnvTiming::default());
}

/// Creates, plays and drops one emulator.
fn visit(game: &str) -> u32 {
    let mut env = atari(game, &config(Protocol::Machado));
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    let mut hasher = crc32fast::Hasher::new();
    for action in random_actions(4, 25, 18) {
        if env.step(action, &mut obs).unwrap().is_last() {
            env.reset(&mut obs).unwrap();
        }
        hasher.update(&obs);
        hasher.update(env.ale().ram());
    }

    let state = env.save_state().unwrap();
    env.load_state(&state, &mut obs).unwrap();
    hasher.update(&obs);
    hasher.finalize()
}

#[test]
fn emulators_come_and_go_in_several_threads_without_touching_each_other() {
    const GAMES: [&str; 6] = ["pong", "air_raid", "pitfall2", "qbert", "kaboom", "breakout"];
    let alone = GAMES.map(visit);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..GAMES.len() {
                    // Each thread begins with another game, so that different ones are loaded at
                    // the same time.
                    let which = (thread + round) % GAMES.len();
                    assert_eq!(visit(GAMES[which]), alone[which], "{}", GAMES[which]);
                }
            });
        }
    });
}
