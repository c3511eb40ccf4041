//! Error texts about games, ROMs and states, triggered by user actions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]
#![cfg(feature = "ale")]

mod common;

use std::fs;
use std::path::Path;

use common::{assets, atari, seed};
use coordrl_envs::trace::{Begin, Tracer};
use coordrl_envs::{
    Assets, AtariEnv, Env, EnvConfig, EnvError, GameSetting, Protocol, VecEnv, VecStep, make_env,
};

fn message<T>(result: Result<T, EnvError>) -> String {
    result.err().expect("an error").to_string()
}

fn pong_from(rom_dir: &Path) -> String {
    let assets = Assets { rom_dir: rom_dir.to_owned() };
    message(AtariEnv::try_new("pong", &EnvConfig::default(), &assets, seed(1, 0)))
}

#[test]
fn a_rom_that_is_not_there_is_named_with_the_way_to_get_it() {
    let text = pong_from(Path::new("/nowhere"));
    assert_eq!(
        text,
        "no ROM for `pong`: looked for /nowhere/pong.bin; `cargo xtask setup` brings the ROMs"
    );
}

#[test]
fn a_rom_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pong.bin")).unwrap();
    let text = pong_from(folder.path());
    assert!(text.starts_with("cannot read the ROM ") && text.contains("pong.bin: "), "{text}");
}

#[test]
fn a_wrong_or_damaged_rom_never_reaches_ale_which_would_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pong.bin");
    let mut damaged = fs::read(assets().rom_dir.join("pong.bin")).unwrap();
    damaged[100] ^= 1;
    let roms = [
        fs::read(assets().rom_dir.join("breakout.bin")).unwrap(),
        damaged,
        Vec::new(),
        vec![0; 100_000],
    ];
    for rom in roms {
        fs::write(&place, rom).unwrap();
        let text = pong_from(folder.path());
        assert!(text.contains("is not the ROM ALE supports for `pong`: its MD5 is "), "{text}");
        assert!(text.contains("not 60e0ea3cbe0913d39803477945e9e5ec"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_ale_cannot_take_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::create_dir(&odd).unwrap();
    fs::copy(assets().rom_dir.join("pong.bin"), odd.join("pong.bin")).unwrap();
    let text = pong_from(&odd);
    assert!(text.starts_with("cannot read the ROM "), "{text}");
    assert!(text.ends_with("its path is not valid UTF-8, which the emulator needs"), "{text}");
}

#[test]
fn games_without_settings_and_unknown_ones_are_told_apart() {
    let make = |game| message(make_env(game, &EnvConfig::default(), &assets(), seed(1, 0)));
    assert!(make("combat").starts_with("game `combat` cannot be played: ALE ships its ROM"));
    assert!(
        make("pnog").starts_with("unknown game `pnog` (did you mean `pong`"),
        "{}",
        make("pnog")
    );
}

#[test]
fn modes_and_difficulties_that_a_game_lacks_are_refused_with_those_it_has() {
    let make =
        |config: EnvConfig| message(AtariEnv::try_new("pong", &config, &assets(), seed(1, 0)));
    let text = make(EnvConfig { mode: Some(GameSetting::Number(7)), ..EnvConfig::default() });
    assert_eq!(text, "mode 7 is not one of `pong`: it has [0, 1]; set `env.mode`");
    let text = make(EnvConfig { difficulty: Some(GameSetting::Number(9)), ..EnvConfig::default() });
    assert_eq!(
        text,
        "difficulty 9 is not one of `pong`: it has [0, 1, 2, 3]; set `env.difficulty`"
    );
    let text = make(EnvConfig { screen_size: Some(0), ..EnvConfig::default() });
    assert!(
        text.starts_with("1 problem in the environment's settings: `env.screen_size` is 0"),
        "{text}"
    );
}

#[test]
fn an_action_out_of_range_is_refused_and_changes_nothing() {
    let mut env = atari("pong", &EnvConfig::of(Protocol::Raw));
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    let ram = env.ale().ram().to_vec();
    let text = message(env.step(6, &mut obs));
    assert_eq!(text, "action 6 is out of range: `pong` has 6 actions, 0 to 5");
    assert_eq!(env.ale().ram(), ram);

    let mut envs = VecEnv::try_new(vec![Box::new(env)]).unwrap();
    let text = message(envs.step(&[99], &mut obs, &mut [VecStep::default()]));
    assert_eq!(
        text,
        "environment 0 failed: action 99 is out of range: `pong` has 6 actions, 0 to 5"
    );
}

#[test]
fn the_emulator_itself_refuses_actions_that_would_end_the_process() {
    use coordrl_envs::atari::ale::Ale;
    let mut ale = Ale::open("pong", &assets().rom_dir.join("pong.bin")).unwrap();
    for action in [18, 40, 255] {
        assert!(message(ale.act(action)).contains("18 actions, 0 to 17"));
    }
}

#[test]
fn a_step_before_a_reset_is_refused() {
    let mut env = atari("pong", &EnvConfig::default());
    let mut obs = vec![0; env.spec().obs_len()];
    let text = message(env.step(0, &mut obs));
    assert_eq!(text, "`pong` was stepped before a reset: its episode is over or has not begun");
    let text = message(env.reset(&mut obs[1..]));
    assert_eq!(text, "the buffer of one observation holds 28223 elements, not 28224");
}

#[test]
fn states_that_do_not_fit_are_refused_and_the_game_goes_on_as_it_was() {
    let mut env = atari("pong", &EnvConfig::of(Protocol::Raw));
    let mut obs = vec![0; env.spec().obs_len()];
    env.reset(&mut obs).unwrap();
    let mut damaged = env.save_state().unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    let mut other = atari("breakout", &EnvConfig::of(Protocol::Raw));
    other.reset(&mut obs).unwrap();
    let of_breakout = other.save_state().unwrap();
    let small = EnvConfig { screen_size: Some(42), ..EnvConfig::of(Protocol::Raw) };
    let of_small = atari("pong", &small).save_state().unwrap();

    let ram = env.ale().ram().to_vec();
    for (state, reason) in [
        (damaged.as_slice(), "its checksum does not fit"),
        (&of_breakout, "it is a state of `breakout`"),
        (
            &of_small,
            "its frame stack has another size; check `env.frame_stack` and `env.screen_size`",
        ),
        (&[], "not a state of this version"),
    ] {
        let text = message(env.load_state(state, &mut obs));
        assert!(text.starts_with("saved state of `pong` cannot be restored: "), "{text}");
        assert!(text.contains(reason), "{text}");
        assert_eq!(env.ale().ram(), ram);
        env.step(0, &mut obs).unwrap();
        env.reset(&mut obs).unwrap();
    }
}

#[test]
fn only_atari_games_can_be_traced() {
    let text =
        message(Tracer::try_new("catch", &EnvConfig::default(), &assets(), 0, Begin::Loaded));
    assert_eq!(text, "`catch` cannot be traced: it is not an Atari game");
}
