//! Settings that take a number or one fixed word.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Maximum length of a game, in emulator frames since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameLimit {
    /// No limit. Written `"off"`.
    Off,
    /// The game is cut after this many frames.
    Frames(NonZeroU64),
}

/// A mode or difficulty of a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GameSetting {
    /// The game's own default. Written `"default"`.
    Default,
    /// One of the numbers defined by the game.
    Number(u32),
}

impl FrameLimit {
    /// Limits games to `frames` frames; 0 means no limit.
    pub fn frames(frames: u64) -> Self {
        NonZeroU64::new(frames).map_or(Self::Off, Self::Frames)
    }

    /// Returns `true` if a game of `frames` frames has reached the limit.
    pub fn reached(self, frames: u64) -> bool {
        matches!(self, Self::Frames(limit) if frames >= limit.get())
    }
}

impl Serialize for FrameLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Frames(frames) => serializer.serialize_u64(frames.get()),
        }
    }
}

impl<'de> Deserialize<'de> for FrameLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(WordOrNumber { word: "off" })?;
        match number {
            None => Ok(Self::Off),
            Some(frames) => NonZeroU64::new(frames)
                .map(Self::Frames)
                .ok_or_else(|| de::Error::custom("0 is not a frame limit; write \"off\" for none")),
        }
    }
}

impl Serialize for GameSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Default => serializer.serialize_str("default"),
            Self::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for GameSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(WordOrNumber { word: "default" })?;
        match number {
            None => Ok(Self::Default),
            Some(number) => u32::try_from(number)
                .map(Self::Number)
                .map_err(|_| de::Error::custom(format!("{number} is too large"))),
        }
    }
}

/// Reads one fixed word (`None`) or a non-negative number.
struct WordOrNumber {
    word: &'static str,
}

impl Visitor<'_> for WordOrNumber {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" or a whole number", self.word)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            word if word == self.word => Ok(None),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    // JSON's positive numbers arrive unsigned, TOML's signed.
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        u64::try_from(number)
            .map(Some)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}
