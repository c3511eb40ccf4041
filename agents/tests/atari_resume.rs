//! Exact resume on the real emulator.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use std::path::{Path, PathBuf};

use coordrl_agents::A2cConfig;
use coordrl_envs::{Assets, Env, EnvConfig, EnvSeed, Protocol, Role, make_env};
use support::{HOW, How, agent, assert_same_state, repeats_itself, updates};

fn environment(game: &str, protocol: Protocol, seed: u64, index: u64) -> Box<dyn Env> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
    let deps = std::env::var_os("COORDRL_DEPS_DIR").map_or_else(beside, PathBuf::from);
    let config = EnvConfig { protocol, screen_size: Some(42), ..Default::default() };
    let seed = EnvSeed { seed, role: Role::TrainEnv, index };
    make_env(game, &config, &Assets::in_deps(&deps), seed).unwrap()
}

#[test]
fn restored_elsewhere_it_plays_and_learns_on_to_the_last_bit() {
    if !repeats_itself() {
        return;
    }

    // Qbert is one of the games whose state the emulator alone does not restore exactly.
    for (game, protocol) in [("pong", Protocol::Classic), ("qbert", Protocol::Machado)] {
        let config = A2cConfig { envs: 3, rollout_agent_steps: 20, ..Default::default() };
        let start =
            |how: How| agent(&config, how, |index| environment(game, protocol, how.seed, index));
        let mut whole = start(HOW);
        updates(&mut whole, 8);
        let saved = whole.save().unwrap();
        let rest = updates(&mut whole, 8);

        let mut resumed = start(How { seed: 99, threads: 1, ..HOW });
        updates(&mut resumed, 1);
        resumed.load(saved).unwrap();
        assert_eq!(updates(&mut resumed, 8), rest, "{game}");
        assert_same_state(&resumed.save().unwrap(), &whole.save().unwrap());
    }
}
