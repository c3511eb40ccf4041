//! The playable games, by canonical name.

use crate::error::EnvError;
use crate::suggest::STRICT;

/// Kind of game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GameKind {
    /// Runs on the Arcade Learning Environment: needs the feature `ale` and a ROM.
    Atari,
    /// Built in.
    Toy,
}

/// A playable game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GameInfo {
    /// Canonical name, in snake case: `ms_pacman`.
    pub name: &'static str,
    /// Kind of game.
    pub kind: GameKind,
    /// Number of actions that have an effect.
    pub num_actions: u32,
}

const fn atari(name: &'static str, num_actions: u32) -> GameInfo {
    GameInfo { name, kind: GameKind::Atari, num_actions }
}

/// All games: `catch`, then the 104 that ALE 0.12.1 has settings for, sorted by name.
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
pub(crate) const WITHOUT_SETTINGS: [&str; 4] = ["combat", "joust", "maze_craze", "warlords"];

/// Returns all playable games.
pub fn games() -> &'static [GameInfo] {
    &GAMES
}

/// Finds the game called `name`, which is all or part of `typed`.
pub(crate) fn find_bare(name: &str, typed: &str) -> Result<&'static GameInfo, EnvError> {
    let wanted = squash(name);
    if let Some(game) = GAMES.iter().find(|game| squash(game.name) == wanted) {
        return Ok(game);
    }

    // Errors name what was typed, which may be a whole id rather than the part looked up.
    let name = typed.to_owned();
    if WITHOUT_SETTINGS.iter().any(|game| squash(game) == wanted) {
        return Err(EnvError::UnsupportedGame { name });
    }
    Err(EnvError::UnknownGame { name, suggestions: look_alikes(&wanted) })
}

/// Reduces a name to lower-case letters and digits, for comparison.
fn squash(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Returns up to three games with names similar to `wanted`, best first.
fn look_alikes(wanted: &str) -> Vec<&'static str> {
    let mut scored: Vec<(f64, &'static str)> = GAMES
        .iter()
        .map(|game| (strsim::jaro_winkler(wanted, &squash(game.name)), game.name))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().filter(|(score, _)| *score > STRICT).map(|(_, name)| name).take(3).collect()
}
