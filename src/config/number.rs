//! Parser for numbers: `4000000`, `4_000_000`, `4e6` and `4000000.0` are the same number in flags,
//! in `--set`, in settings files and in plans. (JSON itself has no underscores.)

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Number, Value};

/// Smallest whole number that does not fit into 64 bits.
const TOO_LARGE: f64 = 18_446_744_073_709_551_616.0;

/// Parses a whole number: `4000000`, `4_000_000` or `4e6`.
///
/// # Errors
/// If it is anything else, with a description of what is expected.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "").parse().ok();
    plain.or_else(|| parse_value(text).as_u64()).ok_or_else(|| {
        "must be a whole number that is not negative, such as 4000000 or 4e6".to_owned()
    })
}

/// Parses a whole number of 32 bits in the same formats.
///
/// # Errors
/// If it is anything else, or larger.
pub fn parse_small_count(text: &str) -> Result<u32, String> {
    u32::try_from(parse_count(text)?).map_err(|_| format!("the most is {}", u32::MAX))
}

/// Parses a finite number, whole or not.
///
/// # Errors
/// If it is anything else.
pub fn parse_number(text: &str) -> Result<f64, String> {
    let plain = text.trim().parse().ok();
    let number = plain.or_else(|| parse_value(text.trim()).as_f64());
    number.filter(|number| number.is_finite()).ok_or_else(|| "not a number".to_owned())
}

/// Parses the right-hand side of `--set`: any TOML value, with whole numbers normalised by
/// [`whole`]; otherwise a string.
pub(super) fn parse_value(text: &str) -> Value {
    // TOML integers have only 63 bits.
    if let Ok(count) = text.parse::<u64>() {
        return Value::from(count);
    }

    let Ok(table) = toml::from_str::<Map<String, Value>>(&format!("value = {text}")) else {
        return Value::String(text.to_owned());
    };

    match table.get("value") {
        // `nan` and `inf` are valid TOML, but no setting accepts them.
        Some(Value::Null) | None => Value::String(text.to_owned()),
        Some(value) => whole(value.clone()),
    }
}

/// Converts every number that is whole but written as a fraction, as in `4e6`, to an integer.
pub(super) fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => whole_if_whole(number),
        Value::Array(values) => values.into_iter().map(whole).collect(),
        Value::Object(table) => table.into_iter().map(|(key, value)| (key, whole(value))).collect(),
        other => other,
    }
}

fn whole_if_whole(number: Number) -> Value {
    let fraction = number.as_f64().filter(|_| number.is_f64());
    fraction.and_then(as_count).map_or(Value::Number(number), Value::from)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn as_count(value: f64) -> Option<u64> {
    (value.fract() == 0.0 && (0.0..TOO_LARGE).contains(&value)).then_some(value as u64)
}

/// Whole number in a file, in any format of [`parse_count`] that the file format supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl de::Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that is not negative, such as 4000000 or 4e6")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
        Ok(Count(count))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
        let count = u64::try_from(count);
        count.map(Count).map_err(|_| E::custom("must be a whole number that is not negative"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Count, E> {
        let count = as_count(value).map(Count);
        count.ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, count) in [
            ("40000", 40_000),
            ("4_000_000", 4_000_000),
            ("4e6", 4_000_000),
            ("1.5e3", 1_500),
            ("18_000.0", 18_000),
            ("1e19", 10_000_000_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
            assert_eq!(parse_value(text), Value::from(count), "{text} as a setting");
        }

        for bad in
            ["-5", "1.5", "", "e6", "4e", "4e99", "2e19", "many", "true", "\"5\"", "inf", "1_e3"]
        {
            assert!(parse_count(bad).is_err(), "{bad}");
        }

        assert_eq!(parse_small_count("1e1"), Ok(10));
        assert!(parse_small_count("5e9").unwrap_err().contains("4294967295"));
    }

    #[test]
    fn numbers_are_read_in_the_same_ways() {
        assert_eq!(
            ["-0.9", "18_000", "1e3", " 2", ".5"].map(parse_number),
            [-0.9, 18e3, 1e3, 2.0, 0.5].map(Ok)
        );
        for bad in ["nan", "inf", "-1e999", "x", ""] {
            assert!(parse_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn set_reads_numbers_words_lists_and_powers_of_ten() {
        assert_eq!(parse_value("7e-4"), Value::from(7e-4));
        assert_eq!(parse_value("-5"), Value::from(-5));
        assert_eq!(parse_value("rmsprop_tf"), Value::from("rmsprop_tf"));
        assert_eq!(parse_value("\"off\""), Value::from("off"));
        assert_eq!(parse_value("true"), Value::from(true));
        assert_eq!(parse_value(""), Value::from(""));
        assert_eq!(parse_value("[1e3, 0.5]"), serde_json::json!([1000, 0.5]));
    }
}
