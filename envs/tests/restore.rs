//! A saved state restored in a fresh process continues exactly like the original, in all 104 games.
//!
//! The test program spawns itself: the child restores the state saved by the parent.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{atari, atari_games, grey_screen, random_actions};
use coordrl_envs::{Env, EnvConfig, Protocol};
use rayon::prelude::*;

const FOLDER: &str = "COORDRL_RESTORE_TEST_FOLDER";
/// Number of steps compared after restoring.
const AFTER: usize = 200;
/// Games whose state ALE itself does not restore exactly, plus some of each kind of cartridge,
/// controller and screen.
const DELICATE: [&str; 12] = [
    "qbert",
    "tetris",
    "tic_tac_toe_3d",
    "yars_revenge",
    "breakout",
    "kaboom",
    "pitfall2",
    "riverraid",
    "demon_attack",
    "air_raid",
    "hangman",
    "chopper_command",
];

/// A game under a protocol, saved before agent step `at`.
struct Case {
    game: &'static str,
    protocol: Protocol,
    at: usize,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, game) in atari_games().into_iter().enumerate() {
        // Two arbitrary points: one while games are still setting up, one well into play.
        for at in [3 + index * 7 % 50, 250 + index * 37 % 300] {
            cases.push(Case { game, protocol: Protocol::Raw, at });
        }
    }

    for (index, game) in DELICATE.into_iter().enumerate() {
        for protocol in [Protocol::Classic, Protocol::Machado] {
            cases.push(Case { game, protocol, at: 60 + index * 11 });
        }
    }

    cases
}

impl Case {
    fn config(&self) -> EnvConfig {
        EnvConfig::of(self.protocol)
    }

    /// Plays from the start to the save point, then on. Returns the state and the checksum of what
    /// follows.
    fn original(&self) -> (Vec<u8>, u32) {
        let mut env = atari(self.game, &self.config());
        let mut obs = vec![0; env.spec().obs_len()];
        env.reset(&mut obs).unwrap();
        let actions = random_actions(2, self.at + AFTER, env.spec().num_actions());
        play(&mut env, &actions[..self.at], &mut obs);
        let state = env.save_state().unwrap();
        // Saving must not disturb the game.
        (state, play(&mut env, &actions[self.at..], &mut obs))
    }

    fn restored(&self, state: &[u8]) -> u32 {
        let mut env = atari(self.game, &self.config());
        let mut obs = vec![0xAB; env.spec().obs_len()];
        env.load_state(state, &mut obs).unwrap();
        let actions = random_actions(2, self.at + AFTER, env.spec().num_actions());
        play(&mut env, &actions[self.at..], &mut obs)
    }
}

/// Returns a checksum over RAM, screen, observation and step of every step played, and the final
/// state: Miniature Golf once restored its stroke count wrongly, which shows only after the ball is
/// holed.
fn play(env: &mut coordrl_envs::AtariEnv, actions: &[usize], obs: &mut [u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for action in actions {
        let step = env.step(*action, obs).unwrap();
        hasher.update(env.ale().ram());
        hasher.update(&grey_screen(env));
        hasher.update(obs);
        hasher.update(format!("{step:?} {}", env.ale().lives()).as_bytes());
        if step.is_last() {
            let ended = env.reset(obs).unwrap();
            hasher.update(format!("{ended:?}").as_bytes());
        }
    }

    hasher.update(&env.save_state().unwrap());
    hasher.finalize()
}

#[test]
fn every_game_plays_on_exactly_after_a_restore_in_a_fresh_process() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<u32> = cases()
        .par_iter()
        .enumerate()
        .map(|(index, case)| {
            let (state, after) = case.original();
            assert!(state.len() < 100_000, "{}: a state of {} bytes", case.game, state.len());
            std::fs::write(state_file(folder.path(), index), state).unwrap();
            after
        })
        .collect();
    restore_in_child(folder.path());
    let wrong: Vec<String> = cases()
        .iter()
        .enumerate()
        .filter(|(index, _)| read_result(folder.path(), *index) != expected[*index].to_string())
        .map(|(_, case)| format!("{} {:?} at {}", case.game, case.protocol, case.at))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), expected.len());
}

fn restore_in_child(folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program)
        .args(["child_restores_what_the_parent_saved", "--exact"])
        .env(FOLDER, folder)
        .status()
        .unwrap();
    assert!(status.success(), "the child ended with {status}");
}

fn state_file(folder: &Path, index: usize) -> std::path::PathBuf {
    folder.join(format!("{index}.state"))
}

fn read_result(folder: &Path, index: usize) -> String {
    std::fs::read_to_string(folder.join(format!("{index}.crc"))).unwrap()
}

/// Child side of the test above; does nothing unless started by it.
#[test]
fn child_restores_what_the_parent_saved() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    cases().par_iter().enumerate().for_each(|(index, case)| {
        let after = case.restored(&std::fs::read(state_file(folder, index)).unwrap());
        std::fs::write(folder.join(format!("{index}.crc")), after.to_string()).unwrap();
    });
}
