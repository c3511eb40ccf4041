//! Which games there are, what they may be called, and how to make one.

use std::path::{Path, PathBuf};

use crate::config::EnvConfig;
use crate::env::Env;
use crate::error::EnvError;
use crate::gym_id::GymId;
use crate::rng::{Rng, Role, derive_rng};
use crate::toy::catch::Catch;

/// What kind of game it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GameKind {
    /// On the Arcade Learning Environment: needs the feature `ale` and a ROM.
    Atari,
    /// Built in.
    Toy,
}

/// One game that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GameInfo {
    /// Its one name here, in snake case: `ms_pacman`.
    pub name: &'static str,
    /// Where it comes from.
    pub kind: GameKind,
    /// Number of actions that do something in it.
    pub num_actions: u32,
}

/// Where files that environments need are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    /// Folder of ROMs, named `pong.bin` and so on.
    pub rom_dir: PathBuf,
}

impl Assets {
    /// The ROMs that set-up has put into a dependencies folder (`.deps`).
    pub fn in_deps(deps: &Path) -> Self {
        Self { rom_dir: deps.join("ale/src/ale/python/roms") }
    }
}

/// What an environment's random draws are derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvSeed {
    /// The run's seed.
    pub seed: u64,
    /// What the environment is for.
    pub role: Role,
    /// Its index among those of that role.
    pub index: u64,
}

impl EnvSeed {
    /// The generator of this environment.
    pub fn rng(self) -> Rng {
        derive_rng(self.seed, self.role, self.index)
    }
}

const fn atari(name: &'static str, num_actions: u32) -> GameInfo {
    GameInfo { name, kind: GameKind::Atari, num_actions }
}

/// All games, `catch` first, then the 104 that ALE 0.12.1 has settings for, by name.
#[rustfmt::skip]
const GAMES: [GameInfo; 105] = [
    GameInfo { name: "catch", kind: GameKind::Toy, num_actions: 3 },
    atari("adventure", 18), atari("air_raid", 6), atari("alien", 18), atari("amidar", 10),
    atari("assault", 7), atari("asterix", 9), atari("asteroids", 14), atari("atlantis", 4),
    atari("atlantis2", 4), atari("backgammon", 3), atari("bank_heist", 18),
    atari("basic_math", 6), atari("battle_zone", 18), atari("beam_rider", 9),
    atari("berzerk", 18), atari("blackjack", 4), atari("bowling", 6), atari("boxing", 18),
    atari("breakout", 4), atari("carnival", 6), atari("casino", 4), atari("centipede", 18),
    atari("chopper_command", 18), atari("crazy_climber", 9), atari("crossbow", 18),
    atari("darkchambers", 18), atari("defender", 18), atari("demon_attack", 6),
    atari("donkey_kong", 18), atari("double_dunk", 18), atari("earthworld", 18),
    atari("elevator_action", 18), atari("enduro", 9), atari("entombed", 18), atari("et", 18),
    atari("fishing_derby", 18), atari("flag_capture", 18), atari("freeway", 3),
    atari("frogger", 5), atari("frostbite", 18), atari("galaxian", 6), atari("gopher", 8),
    atari("gravitar", 18), atari("hangman", 18), atari("haunted_house", 18), atari("hero", 18),
    atari("human_cannonball", 18), atari("ice_hockey", 18), atari("jamesbond", 18),
    atari("journey_escape", 16), atari("kaboom", 4), atari("kangaroo", 18),
    atari("keystone_kapers", 14), atari("king_kong", 6), atari("klax", 18), atari("koolaid", 9),
    atari("krull", 18), atari("kung_fu_master", 14), atari("laser_gates", 18),
    atari("lost_luggage", 9), atari("mario_bros", 18), atari("miniature_golf", 18),
    atari("montezuma_revenge", 18), atari("mr_do", 10), atari("ms_pacman", 9),
    atari("name_this_game", 6), atari("othello", 10), atari("pacman", 5), atari("phoenix", 8),
    atari("pitfall", 18), atari("pitfall2", 18), atari("pong", 6), atari("pooyan", 6),
    atari("private_eye", 18), atari("qbert", 6), atari("riverraid", 18), atari("road_runner", 18),
    atari("robotank", 18), atari("seaquest", 18), atari("sir_lancelot", 6), atari("skiing", 3),
    atari("solaris", 18), atari("space_invaders", 6), atari("space_war", 18),
    atari("star_gunner", 18), atari("superman", 18), atari("surround", 5), atari("tennis", 18),
    atari("tetris", 5), atari("tic_tac_toe_3d", 10), atari("time_pilot", 10),
    atari("trondead", 18), atari("turmoil", 12), atari("tutankham", 8), atari("up_n_down", 6),
    atari("venture", 18), atari("video_checkers", 5), atari("video_chess", 10),
    atari("video_cube", 18), atari("video_pinball", 9), atari("wizard_of_wor", 10),
    atari("word_zapper", 18), atari("yars_revenge", 18), atari("zaxxon", 18),
];

/// ROMs that ship with ALE without settings; loading one would end the process.
const WITHOUT_SETTINGS: [&str; 4] = ["combat", "joust", "maze_craze", "warlords"];

/// All games that can be played.
pub fn games() -> &'static [GameInfo] {
    &GAMES
}

/// The game that `typed` names.
///
/// Accepted: `ms_pacman`, `MsPacman`, and every id of Gymnasium's ([`GymId`]), of which only the game
/// is taken: the rules are those of the settings.
pub fn find_game(typed: &str) -> Result<&'static GameInfo, EnvError> {
    match GymId::parse(typed)? {
        Some(id) => Ok(id.game),
        None => find_bare(typed, typed),
    }
}

/// The game of this name, which stands alone in `typed` or as a part of it.
pub(crate) fn find_bare(name: &str, typed: &str) -> Result<&'static GameInfo, EnvError> {
    let wanted = squash(name);
    if let Some(game) = GAMES.iter().find(|game| squash(game.name) == wanted) {
        return Ok(game);
    }
    let name = typed.to_owned();
    if WITHOUT_SETTINGS.iter().any(|game| squash(game) == wanted) {
        return Err(EnvError::UnsupportedGame { name });
    }
    Err(EnvError::UnknownGame { name, suggestions: look_alikes(&wanted) })
}

/// Makes one environment of `game`, which may be spelt in any of the ways of [`find_game`].
pub fn make_env(
    game: &str,
    config: &EnvConfig,
    assets: &Assets,
    seed: EnvSeed,
) -> Result<Box<dyn Env>, EnvError> {
    let game = find_game(game)?;
    let problems = config.check();
    if !problems.is_empty() {
        return Err(EnvError::Config(problems));
    }
    match game.kind {
        GameKind::Toy => Ok(Box::new(Catch::new(&config.resolve(), seed.rng()))),
        GameKind::Atari => make_atari(game, config, assets, seed),
    }
}

#[cfg(feature = "ale")]
fn make_atari(
    game: &'static GameInfo,
    config: &EnvConfig,
    assets: &Assets,
    seed: EnvSeed,
) -> Result<Box<dyn Env>, EnvError> {
    Ok(Box::new(crate::atari::AtariEnv::try_new(game.name, config, assets, seed)?))
}

#[cfg(not(feature = "ale"))]
fn make_atari(
    game: &'static GameInfo,
    _: &EnvConfig,
    _: &Assets,
    _: EnvSeed,
) -> Result<Box<dyn Env>, EnvError> {
    Err(EnvError::BuiltWithoutAle { game: game.name.to_owned() })
}

/// Letters and digits only, in lower case: how names are compared.
fn squash(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Up to three games whose names look like `wanted`, best first.
fn look_alikes(wanted: &str) -> Vec<&'static str> {
    let score = |game: &GameInfo| strsim::jaro_winkler(wanted, &squash(game.name));
    let mut scored: Vec<(f64, &'static str)> = GAMES.iter().map(|game| (score(game), game.name)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().filter(|(score, _)| *score > 0.8).map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_104_atari_games_in_order_and_no_name_twice() {
        let names: Vec<&str> = games().iter().skip(1).map(|game| game.name).collect();
        assert_eq!(names.len(), 104);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn gymnasium_spellings_name_the_same_game() {
        for typed in
            ["ms_pacman", "MsPacman", "ALE/MsPacman-v5", "MsPacmanNoFrameskip-v4", "MsPacmanDeterministic-v4"]
        {
            assert_eq!(find_game(typed).unwrap().name, "ms_pacman", "{typed}");
        }
        assert_eq!(find_game("TicTacToe3D").unwrap().name, "tic_tac_toe_3d");
        assert_eq!(find_game("ALE/UpNDown-v5").unwrap().name, "up_n_down");
    }

    #[test]
    fn a_slip_of_the_finger_brings_a_suggestion_and_nonsense_none() {
        let error = find_game("brekout").unwrap_err().to_string();
        assert!(error.starts_with("unknown game `brekout` (did you mean `breakout`"), "{error}");
        let error = find_game("xyzzy123").unwrap_err().to_string();
        assert!(error.starts_with("unknown game `xyzzy123`; "), "{error}");
        assert!(find_game("").is_err());
    }

    #[test]
    fn roms_that_ale_has_no_settings_for_are_refused_before_they_reach_it() {
        for name in WITHOUT_SETTINGS {
            let error = find_game(name).unwrap_err();
            assert!(matches!(error, EnvError::UnsupportedGame { .. }), "{error}");
        }
    }

    #[test]
    fn bad_settings_are_reported_together() {
        let config = EnvConfig { frame_skip: Some(0), frame_stack: Some(0), ..EnvConfig::default() };
        let assets = Assets { rom_dir: PathBuf::new() };
        let seed = EnvSeed { seed: 0, role: Role::TrainEnv, index: 0 };
        let error = make_env("catch", &config, &assets, seed).err().unwrap().to_string();
        assert!(error.starts_with("2 problems") && error.contains("env.frame_stack"), "{error}");
    }
}
