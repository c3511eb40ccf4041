//! Settings of an Atari environment: a protocol, and overrides for each part of it.

mod values;

pub use values::{FrameLimit, GameSetting};

use std::fmt;

use serde::{Deserialize, Serialize};

/// A named set of defaults for every field of [`EnvConfig`] that is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The rules of Mnih et al. 2015 as implemented by the field's standard wrappers: no sticky
    /// actions, the minimal action set, a lost life ends the agent's episode.
    #[default]
    Classic,
    /// The rules of Machado et al. 2018: sticky actions, all 18 actions, whole games.
    Machado,
    /// One emulator frame per step and no wrappers, for comparing emulators.
    Raw,
}

/// Environment settings as typed: fields that are `None` take the protocol's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvConfig {
    /// Source of values that are not given: `classic`, `machado` or `raw`.
    pub protocol: Protocol,
    /// Maximum number of no-op frames at the start of a game, drawn uniformly from 1; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noop_max: Option<u32>,
    /// Emulator frames per agent step; the action is held throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_skip: Option<u32>,
    /// Height and width of the observation in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_size: Option<u32>,
    /// Number of most recent frames in an observation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_stack: Option<u32>,
    /// Presses FIRE (and then the action after it) at the start of an episode, in games that have
    /// FIRE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fire_on_reset: Option<bool>,
    /// Ends the agent's episode when a life is lost; the game continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life_loss_ends_episode: Option<bool>,
    /// Replaces the agent's reward by its sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_clip: Option<bool>,
    /// Probability, at each emulator frame, that the previous action is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky_action_prob: Option<f64>,
    /// Uses all 18 actions of the console instead of the game's minimal action set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_action_set: Option<bool>,
    /// Maximum length of a game in emulator frames, or `"off"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_episode_frames: Option<FrameLimit>,
    /// The game's mode, or `"default"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<GameSetting>,
    /// The game's difficulty, or `"default"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<GameSetting>,
}

/// Environment settings with every value filled in. The fields are those of [`EnvConfig`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is described in EnvConfig")]
pub struct ResolvedEnvConfig {
    pub protocol: Protocol,
    pub noop_max: u32,
    pub frame_skip: u32,
    pub screen_size: u32,
    pub frame_stack: u32,
    pub fire_on_reset: bool,
    pub life_loss_ends_episode: bool,
    pub reward_clip: bool,
    pub sticky_action_prob: f64,
    pub full_action_set: bool,
    pub max_episode_frames: FrameLimit,
    pub mode: GameSetting,
    pub difficulty: GameSetting,
}

/// One problem with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key to change, such as `env.frame_skip`.
    pub key: String,
    /// The problem, with the value seen and the nearest valid one.
    pub message: String,
}

impl Problem {
    /// Returns a problem with the setting `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.message)
    }
}

impl Protocol {
    /// Returns the protocol's value of every setting: the only place where defaults live.
    pub fn values(self) -> ResolvedEnvConfig {
        let classic = ResolvedEnvConfig {
            protocol: self,
            noop_max: 30,
            frame_skip: 4,
            screen_size: 84,
            frame_stack: 4,
            fire_on_reset: true,
            life_loss_ends_episode: true,
            reward_clip: true,
            sticky_action_prob: 0.0,
            full_action_set: false,
            // Half an hour of play at 60 frames per second.
            max_episode_frames: FrameLimit::frames(108_000),
            mode: GameSetting::Default,
            difficulty: GameSetting::Default,
        };

        let whole_games = ResolvedEnvConfig {
            noop_max: 0,
            fire_on_reset: false,
            life_loss_ends_episode: false,
            ..classic.clone()
        };

        match self {
            Self::Classic => classic,
            Self::Machado => {
                ResolvedEnvConfig { sticky_action_prob: 0.25, full_action_set: true, ..whole_games }
            }
            Self::Raw => ResolvedEnvConfig {
                frame_skip: 1,
                reward_clip: false,
                max_episode_frames: FrameLimit::Off,
                ..whole_games
            },
        }
    }
}

impl EnvConfig {
    /// Takes every value from the protocol.
    pub fn of(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    /// Fills in missing values from the protocol.
    pub fn resolve(&self) -> ResolvedEnvConfig {
        let base = self.protocol.values();
        ResolvedEnvConfig {
            protocol: self.protocol,
            noop_max: self.noop_max.unwrap_or(base.noop_max),
            frame_skip: self.frame_skip.unwrap_or(base.frame_skip),
            screen_size: self.screen_size.unwrap_or(base.screen_size),
            frame_stack: self.frame_stack.unwrap_or(base.frame_stack),
            fire_on_reset: self.fire_on_reset.unwrap_or(base.fire_on_reset),
            life_loss_ends_episode: self
                .life_loss_ends_episode
                .unwrap_or(base.life_loss_ends_episode),
            reward_clip: self.reward_clip.unwrap_or(base.reward_clip),
            sticky_action_prob: self.sticky_action_prob.unwrap_or(base.sticky_action_prob),
            full_action_set: self.full_action_set.unwrap_or(base.full_action_set),
            max_episode_frames: self.max_episode_frames.unwrap_or(base.max_episode_frames),
            mode: self.mode.unwrap_or(base.mode),
            difficulty: self.difficulty.unwrap_or(base.difficulty),
        }
    }

    /// Lists all problems with these settings. Modes and difficulties depend on the game and are
    /// checked when it is loaded.
    pub fn check(&self) -> Vec<Problem> {
        let values = self.resolve();
        let mut problems = Vec::new();
        values.check_ranges(&mut problems);
        values.check_limit(&mut problems);
        problems
    }
}

/// Largest `noop_max`, `frame_skip` and `frame_stack`: larger values are typing errors or exhaust
/// memory.
const MOST: u32 = 1_000;
/// Largest `screen_size`: screens are 160 pixels wide, and area averaging only shrinks.
const WIDEST: u32 = 160;

impl ResolvedEnvConfig {
    fn check_ranges(&self, problems: &mut Vec<Problem>) {
        let mut within = |key: &str, value: u32, low: u32, high: u32| {
            if !(low..=high).contains(&value) {
                let nearest = value.clamp(low, high);
                let message = format!("is {value}, must be {low} to {high}: nearest is {nearest}");
                problems.push(Problem::new(format!("env.{key}"), message));
            }
        };

        within("noop_max", self.noop_max, 0, MOST);
        within("frame_skip", self.frame_skip, 1, MOST);
        within("screen_size", self.screen_size, 1, WIDEST);
        within("frame_stack", self.frame_stack, 1, MOST);

        // At 1 the first no-op would stick forever. NaN lies in no range, so it is refused too.
        if !(0.0..1.0).contains(&self.sticky_action_prob) {
            problems.push(Problem::new(
                "env.sticky_action_prob",
                format!("is {}, must be at least 0 and below 1", self.sticky_action_prob),
            ));
        }
    }

    /// Checks that a game within the limit has at least one agent step left after its reset.
    fn check_limit(&self, problems: &mut Vec<Problem>) {
        let FrameLimit::Frames(limit) = self.max_episode_frames else { return };
        // Fields out of range are reported but not replaced, so this sum might overflow `u32`.
        let skip = u64::from(self.frame_skip);
        let fire_steps = if self.fire_on_reset { 2 } else { 0 };
        let noops = u64::from(self.noop_max);
        let needed = noops + fire_steps * skip + skip;
        if limit.get() < needed {
            problems.push(Problem::new(
                "env.max_episode_frames",
                format!(
                    "is {limit}, but a reset takes up to {noops} (`env.noop_max`) + {} (FIRE) frames and a step {skip}: \
                     at least {needed}, or \"off\"",
                    fire_steps * skip
                ),
            ));
        }
    }
}

impl From<ResolvedEnvConfig> for EnvConfig {
    /// Makes every field explicit, as stored in a run folder: later defaults cannot change old
    /// runs.
    fn from(values: ResolvedEnvConfig) -> Self {
        Self {
            protocol: values.protocol,
            noop_max: Some(values.noop_max),
            frame_skip: Some(values.frame_skip),
            screen_size: Some(values.screen_size),
            frame_stack: Some(values.frame_stack),
            fire_on_reset: Some(values.fire_on_reset),
            life_loss_ends_episode: Some(values.life_loss_ends_episode),
            reward_clip: Some(values.reward_clip),
            sticky_action_prob: Some(values.sticky_action_prob),
            full_action_set: Some(values.full_action_set),
            max_episode_frames: Some(values.max_episode_frames),
            mode: Some(values.mode),
            difficulty: Some(values.difficulty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_fills_only_what_is_not_given() {
        let typed = EnvConfig { frame_skip: Some(2), ..EnvConfig::of(Protocol::Machado) };
        let values = typed.resolve();
        assert_eq!(values.frame_skip, 2);
        assert_eq!(values.sticky_action_prob, 0.25);
        assert!(values.full_action_set);
        assert_eq!(EnvConfig::from(values.clone()).resolve(), values);
    }

    #[test]
    fn every_resolved_field_survives_json() {
        for protocol in [Protocol::Classic, Protocol::Machado, Protocol::Raw] {
            let full = EnvConfig::from(EnvConfig::of(protocol).resolve());
            let text = serde_json::to_string(&full).unwrap();
            assert_eq!(serde_json::from_str::<EnvConfig>(&text).unwrap(), full);
            assert_eq!(text.matches("null").count(), 0);
        }
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let config = EnvConfig {
            frame_skip: Some(0),
            screen_size: Some(161),
            frame_stack: Some(0),
            noop_max: Some(1_001),
            sticky_action_prob: Some(f64::NAN),
            ..EnvConfig::default()
        };

        let keys: Vec<String> = config.check().into_iter().map(|problem| problem.key).collect();
        let expected = [
            "env.noop_max",
            "env.frame_skip",
            "env.screen_size",
            "env.frame_stack",
            "env.sticky_action_prob",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_limit_that_the_reset_uses_up_is_refused_with_its_arithmetic() {
        let limit = |frames| EnvConfig {
            max_episode_frames: Some(FrameLimit::frames(frames)),
            ..EnvConfig::default()
        };
        assert_eq!(limit(42).check(), []);
        let problems = limit(41).check();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("30 (`env.noop_max`) + 8 (FIRE)"), "{}", problems[0]);
    }

    #[test]
    fn words_and_numbers_are_read_and_anything_else_is_refused() {
        let read = |text: &str| serde_json::from_str::<EnvConfig>(text);
        let config =
            read(r#"{"max_episode_frames": "off", "mode": 3, "difficulty": "default"}"#).unwrap();
        assert_eq!(config.max_episode_frames, Some(FrameLimit::Off));
        assert_eq!(config.mode, Some(GameSetting::Number(3)));
        assert_eq!(config.difficulty, Some(GameSetting::Default));
        for bad in [
            r#"{"max_episode_frames": 0}"#,
            r#"{"max_episode_frames": -1}"#,
            r#"{"max_episode_frames": "never"}"#,
            r#"{"mode": 4294967296}"#,
            r#"{"frameskip": 4}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
