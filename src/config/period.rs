//! Periods, with "never" as a word and not as a number.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Frames between two occurrences, or never. Written as a number or as `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// At every multiple of this many frames.
    EveryFrames(u64),
    /// Never.
    Off,
}

impl Period {
    /// Returns `true` if a multiple of the period lies in `(before, after]`.
    ///
    /// Depends only on the two counters, never on when the process started, so a resumed run hits
    /// the same points as an uninterrupted one.
    pub fn falls_between(self, before: u64, after: u64) -> bool {
        match self {
            Self::EveryFrames(frames) => before / frames < after / frames,
            Self::Off => false,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryFrames(frames) => write!(f, "{frames}"),
            Self::Off => f.write_str("off"),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::EveryFrames(frames) => serializer.serialize_u64(*frames),
            Self::Off => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl de::Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of frames above zero, or \"off\"")
    }

    fn visit_u64<E: de::Error>(self, frames: u64) -> Result<Period, E> {
        match frames {
            0 => Err(E::invalid_value(de::Unexpected::Unsigned(0), &self)),
            _ => Ok(Period::EveryFrames(frames)),
        }
    }

    fn visit_i64<E: de::Error>(self, frames: i64) -> Result<Period, E> {
        match u64::try_from(frames) {
            Ok(frames) => self.visit_u64(frames),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(frames), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Period, E> {
        match word {
            "off" => Ok(Period::Off),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_falls_where_a_multiple_is_passed() {
        let period = Period::EveryFrames(100);
        assert!(!period.falls_between(0, 99));
        assert!(period.falls_between(99, 100));
        assert!(!period.falls_between(100, 199));
        assert!(period.falls_between(150, 420), "one update may pass several multiples");
        assert!(!Period::Off.falls_between(0, u64::MAX));
    }

    #[test]
    fn zero_and_negative_are_refused_by_name() {
        for bad in ["0", "-5", "\"never\""] {
            let text = serde_json::from_str::<Period>(bad).unwrap_err().to_string();
            assert!(text.contains("\"off\""), "{bad}: {text}");
        }
        assert_eq!(serde_json::from_str::<Period>("\"off\"").unwrap(), Period::Off);
        assert_eq!(serde_json::from_str::<Period>("7").unwrap(), Period::EveryFrames(7));
    }
}
