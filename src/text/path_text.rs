//! Reversible text form of paths and command-line words.
//!
//! On Unix a path is arbitrary bytes. Text that is only displayed may lose some; text that names a
//! file, is pasted into a shell or is read back by a program must not. JSON holds Unicode only, so
//! paths are written there with every byte that is not UTF-8 as `\xff` (two lower-case hexadecimal
//! digits) and every backslash as `\\`; all other text is unchanged.
//!
//! Fields of type [`PathBuf`] use it as `#[serde(with = "crate::text::path_text")]`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

/// Serialises a path in the form of this module.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(path: impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(path.as_ref()))
}

/// Deserialises a path in the form of this module.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(decode(&text).into())
}

/// Encodes a path or a command-line word in the form of this module.
pub fn encode(word: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in word.as_ref().as_bytes().utf8_chunks() {
        // Backslashes too, or a path with the text of an escape would be decoded to its byte.
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        text.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02x}")));
    }
    text
}

/// Decodes the output of [`encode`]. A backslash that it cannot have written stands for itself.
pub fn decode(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, after),
                _ => (b'\\', tail),
            },
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }

    OsString::from_vec(bytes)
}

/// Returns the value of a lower-case hexadecimal digit.
fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

/// Quotes a word for a shell: unchanged, in quotes or, if it is not UTF-8, as `$'r\377'`, which
/// bash, zsh, ksh and POSIX.1-2024 shells understand.
pub fn shell_word(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let plain = word.to_str().and_then(|text| shlex::try_quote(text).ok());
    plain.map_or_else(|| ansi_c_quoted(word.as_bytes()), |shell_quote| shell_quote.into_owned())
}

/// Quotes a command line, recorded in the form of this module, for a shell.
pub fn shell_line(words: &[String]) -> String {
    words.iter().map(|word| shell_word(decode(word))).collect::<Vec<_>>().join(" ")
}

fn ansi_c_quoted(bytes: &[u8]) -> String {
    let mut text = "$'".to_owned();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' | '\\' => text.extend(['\\', letter]),
                letter if letter.is_control() => {
                    text.push_str(&octal(letter.to_string().as_bytes()))
                }
                letter => text.push(letter),
            }
        }
        text.push_str(&octal(chunk.invalid()));
    }

    text.push('\'');
    text
}

/// Escapes each byte in octal: unlike hexadecimal, three digits always end the escape.
fn octal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!(r"\{byte:03o}")).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Returns words with non-UTF-8 bytes in every position, and text special to shells or to this
    /// form.
    fn odd_words() -> Vec<OsString> {
        let mut words =
            vec!["runs/pong", "my run", "it's", r"a\xff", r"\\", "näme", "$HOME `x` \"y\"", "\n\t"]
                .into_iter()
                .map(OsString::from)
                .collect::<Vec<_>>();
        for bytes in [
            &b"r\xff"[..],
            b"\xff",
            b"\xffab 12'\\x\n",
            b"\xc3(\xc3\xa9",
            b"a\xf0\x9f\x98",
            b"\xff7\xffff",
        ] {
            words.push(OsStr::from_bytes(bytes).to_owned());
        }

        words
    }

    #[test]
    fn every_path_comes_back_from_its_text() {
        for word in odd_words() {
            assert_eq!(decode(&encode(&word)), word, "{}", encode(&word));
        }
        assert_eq!(encode("runs/näme"), "runs/näme");
        assert_eq!(encode(OsStr::from_bytes(b"r\xff/a\\b")), r"r\xff/a\\b");
        for foreign in [r"a\b", r"\x", r"\xZZ", "end\\"] {
            assert_eq!(decode(foreign), foreign);
        }
    }

    #[test]
    fn a_path_in_json_comes_back_too() {
        #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
        struct Row {
            #[serde(with = "crate::text::path_text")]
            run: PathBuf,
        }
        for word in odd_words() {
            let row = Row { run: word.into() };
            let text = serde_json::to_string(&row).unwrap();
            assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
        }
    }

    #[test]
    fn a_shell_reads_the_very_bytes() {
        for word in odd_words() {
            let script = format!("printf %s {}", shell_word(&word));
            let output = Command::new("bash").arg("-c").arg(&script).output().unwrap();
            assert_eq!(OsString::from_vec(output.stdout), word, "{script}");
        }
        assert_eq!(shell_word("runs/pong/seed1-20260101"), "runs/pong/seed1-20260101");
        assert_eq!(shell_word("my run"), "'my run'");
        assert_eq!(shell_word(OsStr::from_bytes(b"r\xff")), r"$'r\377'");
    }
}
