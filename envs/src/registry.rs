//! Finds games by any of their names and makes their environments.

use std::path::{Path, PathBuf};

use crate::config::EnvConfig;
use crate::env::Env;
use crate::error::EnvError;
use crate::games::{GameInfo, GameKind, find_bare};
use crate::gym_id::GymId;
use crate::rng::{Rng, Role, derive_rng};
use crate::toy::catch::Catch;

/// Locations of files that environments need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    /// Folder of ROMs, named `pong.bin` and so on.
    pub rom_dir: PathBuf,
}

impl Assets {
    /// Returns the assets that set-up puts into a dependencies folder (`.deps`).
    pub fn in_deps(deps: &Path) -> Self {
        Self { rom_dir: deps.join("ale/src/ale/python/roms") }
    }
}

/// Source of an environment's random draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvSeed {
    /// The run's seed.
    pub seed: u64,
    /// Purpose of the environment.
    pub role: Role,
    /// Index among the environments of that role.
    pub index: u64,
}

impl EnvSeed {
    /// Derives the generator of this environment.
    pub fn rng(self) -> Rng {
        derive_rng(self.seed, self.role, self.index)
    }
}

/// Finds the game that `typed` names.
///
/// Accepts `ms_pacman`, `MsPacman`, and every Gymnasium id ([`GymId`]). Only the game is taken from
/// an id; the rules come from the settings.
pub fn find_game(typed: &str) -> Result<&'static GameInfo, EnvError> {
    match GymId::parse(typed)? {
        Some(id) => Ok(id.game),
        None => find_bare(typed, typed),
    }
}

/// Makes one environment of `game`, in any spelling that [`find_game`] accepts.
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
        GameKind::Toy => Ok(Box::new(Catch::try_new(&config.resolve(), seed.rng())?)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::games::{WITHOUT_SETTINGS, games};

    #[test]
    fn there_are_104_atari_games_in_order_and_no_name_twice() {
        let names: Vec<&str> = games().iter().skip(1).map(|game| game.name).collect();
        assert_eq!(names.len(), 104);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn gymnasium_spellings_name_the_same_game() {
        for typed in [
            "ms_pacman",
            "MsPacman",
            "ALE/MsPacman-v5",
            "MsPacmanNoFrameskip-v4",
            "MsPacmanDeterministic-v4",
        ] {
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
        let config =
            EnvConfig { frame_skip: Some(0), frame_stack: Some(0), ..EnvConfig::default() };
        let assets = Assets { rom_dir: PathBuf::new() };
        let seed = EnvSeed { seed: 0, role: Role::TrainEnv, index: 0 };
        let error = make_env("catch", &config, &assets, seed).err().unwrap().to_string();
        assert!(error.starts_with("2 problems") && error.contains("env.frame_stack"), "{error}");
    }
}
