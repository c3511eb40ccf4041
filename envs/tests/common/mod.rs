//! Helpers shared by the emulator tests.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use coordrl_envs::{Assets, AtariEnv, EnvConfig, EnvSeed, GameKind, Role, games};

/// Returns the ROMs fetched by set-up.
pub fn assets() -> Assets {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
    Assets::in_deps(&std::env::var_os("COORDRL_DEPS_DIR").map_or_else(beside, PathBuf::from))
}

pub fn seed(seed: u64, index: u64) -> EnvSeed {
    EnvSeed { seed, role: Role::TrainEnv, index }
}

pub fn atari(game: &str, config: &EnvConfig) -> AtariEnv {
    AtariEnv::try_new(game, config, &assets(), seed(1, 0)).unwrap()
}

pub fn atari_games() -> Vec<&'static str> {
    let is_atari = |kind| kind == GameKind::Atari;
    games().iter().filter(|game| is_atari(game.kind)).map(|game| game.name).collect()
}

/// Generates the actions of `random_actions(seed, count, num_actions)` in
/// `envs/parity/reference.py`.
pub fn random_actions(seed: u64, count: usize, num_actions: usize) -> Vec<usize> {
    let mut state = seed;
    let mut draw = move || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state >> 16) as usize
    };

    let mut actions = Vec::new();
    while actions.len() < count {
        let action = draw() % num_actions;
        actions.extend(std::iter::repeat_n(action, 1 + draw() % 8));
    }

    actions.truncate(count);
    actions
}

/// Returns the latest frame in ALE's grey palette, at the ROM's native size.
pub fn grey_screen(env: &AtariEnv) -> Vec<u8> {
    let ale = env.ale();
    ale.screen().iter().map(|index| ale.grey()[usize::from(*index)]).collect()
}
