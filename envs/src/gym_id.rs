//! Gymnasium's ids of Atari games, and the rules that each implies.
//!
//! The lists are those of ale-py 0.12.1 (`registration.py`), which registers the ids with
//! Gymnasium:
//!
//! | id | sticky-action probability | frame skip | games |
//! |---|---|---|---|
//! | `ALE/Pong-v5` | 0.25 | 4 | all 104 |
//! | `Pong-v4`, `Pong-v0` | 0, 0.25 | drawn from 2 to 4 | `LEGACY` |
//! | `PongNoFrameskip-v4`, `-v0` | 0, 0.25 | 1 | `LEGACY` |
//! | `PongDeterministic-v4`, `-v0` | 0, 0.25 | 4, in Space Invaders 3 | `LEGACY`, in earlier versions |
//!
//! All use the game's minimal action set. An id without a version means the latest, as in
//! Gymnasium. Ids with `-ram` observe the console's RAM and are refused. Case is ignored, as in
//! game names.

use crate::config::{Protocol, ResolvedEnvConfig};
use crate::error::EnvError;
use crate::games::{GameInfo, GameKind, find_bare};

/// Games that have ids of versions 0 and 4.
#[rustfmt::skip]
const LEGACY: [&str; 62] = [
    "adventure", "air_raid", "alien", "amidar", "assault", "asterix", "asteroids", "atlantis",
    "bank_heist", "battle_zone", "beam_rider", "berzerk", "bowling", "boxing", "breakout", "carnival",
    "centipede", "chopper_command", "crazy_climber", "defender", "demon_attack", "double_dunk",
    "elevator_action", "enduro", "fishing_derby", "freeway", "frostbite", "gopher", "gravitar", "hero",
    "ice_hockey", "jamesbond", "journey_escape", "kangaroo", "krull", "kung_fu_master",
    "montezuma_revenge", "ms_pacman", "name_this_game", "phoenix", "pitfall", "pong", "pooyan",
    "private_eye", "qbert", "riverraid", "road_runner", "robotank", "seaquest", "skiing", "solaris",
    "space_invaders", "star_gunner", "tennis", "time_pilot", "tutankham", "up_n_down", "venture",
    "video_pinball", "wizard_of_wor", "yars_revenge", "zaxxon",
];

/// A Gymnasium id and the rules that it implies there.
#[derive(Clone, Debug, PartialEq)]
pub struct GymId {
    /// The id in Gymnasium's spelling.
    pub id: String,
    /// The game.
    pub game: &'static GameInfo,
    /// Probability, at each emulator frame, that the previous action is repeated.
    pub sticky_action_prob: f64,
    /// Emulator frames per action; `None` if drawn from 2 to 4 at each step.
    pub frame_skip: Option<u32>,
}

/// The part of an id between the game and the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Plain,
    NoFrameskip,
    Deterministic,
}

/// The components of an id.
struct Parts<'a> {
    in_ale: bool,
    name: &'a str,
    ram: bool,
    variant: Variant,
    version: Option<&'a str>,
}

impl GymId {
    /// Parses `typed`; `None` if it is written like a plain name, such as `pong` or `MsPacman`.
    ///
    /// # Errors
    /// If it is written like an id but Gymnasium has no such id.
    pub fn parse(typed: &str) -> Result<Option<Self>, EnvError> {
        let Some(parts) = Parts::of(typed) else { return Ok(None) };
        let game = find_bare(parts.name, typed)?;
        if game.kind != GameKind::Atari {
            let nearest = format!("`{}`", game.name);
            return Err(EnvError::UnknownGymId { name: typed.to_owned(), nearest });
        }

        if parts.ram {
            return Err(EnvError::RamObservations { name: typed.to_owned(), game: game.name });
        }

        match parts.version_of(game) {
            Some(version) => Ok(Some(Self::new(game, parts.variant, version))),
            None => {
                let nearest =
                    format!("`{}`, or `{}` for the game alone", parts.nearest(game), game.name);
                Err(EnvError::UnknownGymId { name: typed.to_owned(), nearest })
            }
        }
    }

    fn new(game: &'static GameInfo, variant: Variant, version: u32) -> Self {
        Self {
            id: spell(game, variant, version),
            game,
            sticky_action_prob: if version == 4 { 0.0 } else { 0.25 },
            frame_skip: match (version, variant) {
                (5, _) => Some(4),
                (_, Variant::NoFrameskip) => Some(1),
                (_, Variant::Deterministic) => {
                    // Mnih et al. 2013 used 3 here: at 4, the game's blinking lasers are invisible.
                    Some(if game.name == "space_invaders" { 3 } else { 4 })
                }
                (_, Variant::Plain) => None,
            },
        }
    }

    /// Describes in a sentence the rules of the id that `env` lacks; `None` if it has them all.
    pub fn rules_left_out(&self, env: &ResolvedEnvConfig) -> Option<String> {
        let mut rules = Vec::new();
        // Both are typed or literal, never computed, so comparing them exactly is right.
        if env.sticky_action_prob != self.sticky_action_prob {
            let here = match env.sticky_action_prob {
                0.0 => "no sticky actions".to_owned(),
                probability => format!("sticky actions {probability}"),
            };
            let there = self.sticky_action_prob;
            rules.push(format!("{here} (the id has `--set env.sticky_action_prob={there}`)"));
        }

        if self.frame_skip != Some(env.frame_skip) {
            let there = match self.frame_skip {
                Some(frames) => format!("the id has `--set env.frame_skip={frames}`"),
                None => "the id draws 2 to 4 at each step, which cannot be had here".to_owned(),
            };
            rules.push(format!("an action is held for {} frames ({there})", env.frame_skip));
        }

        if env.full_action_set {
            rules.push("all 18 actions (the id has `--set env.full_action_set=false`)".to_owned());
        }

        let protocol = match env.protocol {
            Protocol::Classic => "classic",
            Protocol::Machado => "machado",
            Protocol::Raw => "raw",
        };

        (!rules.is_empty()).then(|| {
            format!(
                "`{}` names the game alone; the rules are those of `env.protocol = {protocol}`: {}",
                self.id,
                rules.join(", ")
            )
        })
    }
}

impl<'a> Parts<'a> {
    /// Splits an id into its components; `None` for a plain name.
    fn of(typed: &'a str) -> Option<Self> {
        let without_namespace = typed.strip_prefix("ALE/");
        let (rest, version) = match without_namespace.unwrap_or(typed).rsplit_once("-v") {
            Some((rest, version)) => (rest, Some(version)),
            None => (without_namespace.unwrap_or(typed), None),
        };

        // The variant follows `-ram`, as in `Pong-ramNoFrameskip-v4`, so it is stripped first.
        let (rest, variant) =
            match (rest.strip_suffix("NoFrameskip"), rest.strip_suffix("Deterministic")) {
                (Some(rest), _) => (rest, Variant::NoFrameskip),
                (_, Some(rest)) => (rest, Variant::Deterministic),
                _ => (rest, Variant::Plain),
            };

        let without_ram = rest.strip_suffix("-ram");
        let parts = Self {
            in_ale: without_namespace.is_some(),
            name: without_ram.unwrap_or(rest),
            ram: without_ram.is_some(),
            variant,
            version,
        };

        let is_plain =
            !parts.in_ale && !parts.ram && variant == Variant::Plain && version.is_none();
        (!is_plain).then_some(parts)
    }

    /// Returns the version, or the latest if none is given, provided that Gymnasium has it.
    fn version_of(&self, game: &GameInfo) -> Option<u32> {
        let versions: &[u32] = match (self.in_ale, self.variant) {
            (true, Variant::Plain) => &[5],
            (false, _) if LEGACY.contains(&game.name) => &[0, 4],
            _ => &[],
        };
        match self.version {
            None => versions.last().copied(),
            // Compared as text: Gymnasium does not accept `v04` for `v4`.
            Some(typed) => versions.iter().copied().find(|version| version.to_string() == typed),
        }
    }

    /// Returns the most similar id that exists.
    fn nearest(&self, game: &GameInfo) -> String {
        let is_newest = self.in_ale || self.version == Some("5") || !LEGACY.contains(&game.name);
        match is_newest {
            true => spell(game, Variant::Plain, 5),
            false => spell(game, self.variant, 4),
        }
    }
}

/// Spells an id as `rom_id_to_name` of ale-py does: `tic_tac_toe_3d` is `TicTacToe3D`.
fn spell(game: &GameInfo, variant: Variant, version: u32) -> String {
    let mut name = String::new();
    let mut begins_word = true;
    for letter in game.name.chars() {
        if letter != '_' {
            name.push(if begins_word { letter.to_ascii_uppercase() } else { letter });
        }
        // Python's `str.title` starts a word after a digit too, hence the `D` of `3D`.
        begins_word = !letter.is_ascii_alphabetic();
    }

    match (version, variant) {
        (5, _) => format!("ALE/{name}-v5"),
        (_, Variant::Plain) => format!("{name}-v{version}"),
        (_, variant) => format!("{name}{variant:?}-v{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::games::games;
    use crate::registry::find_game;

    fn id(typed: &str) -> GymId {
        GymId::parse(typed).unwrap().unwrap()
    }

    /// Values of `gymnasium.spec(id).kwargs` with ale-py 0.12.1; for `Deterministic`, an earlier
    /// version.
    #[test]
    fn ids_stand_for_the_rules_that_gymnasium_has_for_them() {
        for (typed, sticky, skip) in [
            ("ALE/Pong-v5", 0.25, Some(4)),
            ("Pong-v0", 0.25, None),
            ("Pong-v4", 0.0, None),
            ("PongNoFrameskip-v0", 0.25, Some(1)),
            ("PongNoFrameskip-v4", 0.0, Some(1)),
            ("PongDeterministic-v4", 0.0, Some(4)),
            ("SpaceInvadersDeterministic-v0", 0.25, Some(3)),
        ] {
            let id = id(typed);
            assert_eq!(
                (id.id.as_str(), id.sticky_action_prob, id.frame_skip),
                (typed, sticky, skip)
            );
            assert_eq!(find_game(typed).unwrap(), id.game);
        }

        assert_eq!(id("ALE/Pong").id, "ALE/Pong-v5");
        assert_eq!(id("PongNoFrameskip").id, "PongNoFrameskip-v4");
        assert_eq!(id("ALE/TicTacToe3D-v5").game.name, "tic_tac_toe_3d");
        for plain in ["pong", "MsPacman", "catch", "video_pinball", "TicTacToe3D"] {
            assert_eq!(GymId::parse(plain).unwrap(), None, "{plain}");
        }
    }

    #[test]
    fn every_atari_game_has_an_id_of_version_5_that_names_it() {
        for game in games().iter().filter(|game| game.kind == GameKind::Atari) {
            assert_eq!(id(&spell(game, Variant::Plain, 5)).game, game);
        }
        assert!(LEGACY.iter().all(|name| find_game(name).is_ok()));
        assert_eq!(spell(find_game("up_n_down").unwrap(), Variant::Plain, 4), "UpNDown-v4");
    }

    #[test]
    fn ids_that_gymnasium_does_not_have_are_refused_with_the_nearest() {
        for (typed, nearest) in [
            ("Pong-v777", "`Pong-v4`"),
            ("Pong-v", "`Pong-v4`"),
            ("Pong-v5", "`ALE/Pong-v5`"),
            ("Pong-v04", "`Pong-v4`"),
            ("ALE/Pong-v4", "`ALE/Pong-v5`"),
            ("ALE/PongNoFrameskip-v5", "`ALE/Pong-v5`"),
            ("PongNoFrameskip-v1", "`PongNoFrameskip-v4`"),
            ("Tetris-v4", "`ALE/Tetris-v5`"),
            ("Catch-v4", "`catch`"),
        ] {
            let error = find_game(typed).unwrap_err().to_string();
            assert!(error.contains(typed) && error.contains(nearest), "{error}");
        }

        for typed in ["Pong-ram-v4", "ALE/Pong-ram-v5", "Pong-ramNoFrameskip-v4", "Pong-ram"] {
            let error = find_game(typed).unwrap_err();
            assert!(matches!(error, EnvError::RamObservations { game: "pong", .. }), "{error}");
        }

        let error = find_game("ALE/Brekout-v5").unwrap_err().to_string();
        assert!(
            error.contains("unknown game `ALE/Brekout-v5` (did you mean `breakout`"),
            "{error}"
        );
    }

    #[test]
    fn rules_that_are_left_out_are_told_with_the_setting_that_brings_them() {
        let classic = Protocol::Classic.values();
        let told = |typed: &str, env: &ResolvedEnvConfig| id(typed).rules_left_out(env);
        assert_eq!(
            told("ALE/Pong-v5", &classic).unwrap(),
            "`ALE/Pong-v5` names the game alone; the rules are those of `env.protocol = classic`: \
             no sticky actions (the id has `--set env.sticky_action_prob=0.25`)"
        );
        let sticky = ResolvedEnvConfig { sticky_action_prob: 0.25, ..classic.clone() };
        assert_eq!(told("ALE/Pong-v5", &sticky), None);
        assert_eq!(told("PongDeterministic-v4", &classic), None);
        let text = told("Pong-v0", &classic).unwrap();
        assert!(
            text.contains("env.sticky_action_prob=0.25") && text.contains("draws 2 to 4"),
            "{text}"
        );
        let text = told("PongNoFrameskip-v4", &classic).unwrap();
        assert!(text.contains("held for 4 frames") && !text.contains("sticky"), "{text}");
        let text = told("ALE/Pong-v5", &Protocol::Machado.values()).unwrap();
        assert!(text.contains("= machado`: all 18 actions (the id has `--set env.full"), "{text}");
    }
}
