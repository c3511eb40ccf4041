//! Optional numbers in configuration files: a number, or the word `"off"` (TOML has no null).

use serde::{Deserialize, Deserializer, Serializer, de};

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) => to.serialize_f64(*number),
        None => to.serialize_str("off"),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    match NumberOrWord::deserialize(from) {
        Ok(NumberOrWord::Number(number)) => Ok(Some(number)),
        Ok(NumberOrWord::Word(word)) if word == "off" => Ok(None),
        _ => Err(de::Error::custom("expected a number or \"off\"")),
    }
}
