//! Address of a broker, which may hold a password.

use std::fmt;
use std::str::FromStr;

use crate::exit_code::BadRequest;

/// Variable that `--link env` reads.
const VARIABLE: &str = "COORDRL_LINK";
/// Schemes of addresses.
const SCHEMES: [&str; 4] = ["redis://", "rediss://", "redis+unix://", "unix://"];

/// URL of a broker; printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkAddress {
    url: String,
    /// As printed: `env` or `@FILE` if the URL came from there or has a password.
    shown: String,
}

impl LinkAddress {
    /// Returns the URL, password included.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl FromStr for LinkAddress {
    type Err = String;

    /// Takes a URL, `env` (the URL is in `COORDRL_LINK`) or `@FILE` (it is the file's content).
    fn from_str(text: &str) -> Result<Self, String> {
        let (url, source) = match text.strip_prefix('@') {
            Some(file) => {
                let read = std::fs::read_to_string(file);
                (read.map_err(|error| format!("`{file}`: {error}"))?, text)
            }
            None if text == "env" => {
                let value = std::env::var(VARIABLE);
                (value.map_err(|_| format!("`{VARIABLE}` is not set"))?, text)
            }
            None => (text.to_owned(), "the URL"),
        };

        let url = url.trim();
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            // Not the URL itself, which may hold a password.
            return Err(format!(
                "{source} does not begin with redis://, as in redis://host:6379/0"
            ));
        }
        let shown = match source {
            "the URL" if has_password(url) => "env",
            "the URL" => url,
            _ => text,
        };
        Ok(Self { url: url.to_owned(), shown: shown.to_owned() })
    }
}

impl LinkAddress {
    /// Parses the value of `--link`. Not by the parser of the command line, which would show a
    /// value that it refuses, password included.
    ///
    /// # Errors
    /// If it is no address of a broker.
    pub fn of_flag(value: &str) -> anyhow::Result<Self> {
        value.parse().map_err(|error| BadRequest::error(format!("`--link`: {error}")))
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkAddress({self})")
    }
}

/// Replaces a broker's URL that has a password by `env` in a command line, for the record.
pub fn without_secrets(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let hide = |word: String| {
        let (flag, url) = match word.split_once('=') {
            Some(("--link", url)) => ("--link=", url),
            _ => ("", word.as_str()),
        };
        let url = url.trim();
        let is_address = SCHEMES.iter().any(|scheme| url.starts_with(scheme));
        if is_address && has_password(url) { format!("{flag}env") } else { word }
    };
    words.into_iter().map(hide).collect()
}

/// Returns `true` if a URL has anything before the host: a user's name may be a secret as well.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split(['/', '?']).next().unwrap_or_default().contains('@') || url.contains("pass=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_unless_it_has_a_password() {
        let shown = |text: &str| text.parse::<LinkAddress>().unwrap().to_string();
        assert_eq!(shown("redis://host:6379/0"), "redis://host:6379/0");
        assert_eq!(shown("redis://user:secret@host/0"), "env");
        assert_eq!(shown("rediss://host:6380/0"), "rediss://host:6380/0");
        assert_eq!(shown("rediss://user:secret@host/0"), "env");
        assert_eq!(shown("redis+unix:///a.sock?user=a&pass=secret"), "env");
        let address: LinkAddress = "redis://:secret@host".parse().unwrap();
        assert_eq!(format!("{address:?}"), "LinkAddress(env)");
        assert_eq!(address.url(), "redis://:secret@host");
    }

    #[test]
    fn a_file_is_read_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("link");
        std::fs::write(&file, "redis://:secret@host:1/0\n").unwrap();
        let word = format!("@{}", file.display());
        let address: LinkAddress = word.parse().unwrap();
        assert_eq!((address.url(), address.to_string()), ("redis://:secret@host:1/0", word));
        let missing = "@no/such/file".parse::<LinkAddress>().unwrap_err();
        assert!(missing.contains("no/such/file"), "{missing}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        let error = "http://user:secret@host".parse::<LinkAddress>().unwrap_err();
        assert!(error.contains("redis://") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn recorded_commands_have_no_passwords() {
        let words = ["coordrl", "train", "--link", "redis://:secret@host", "--name", "a@b"];
        let kept = without_secrets(words.map(str::to_owned));
        assert_eq!(kept, ["coordrl", "train", "--link", "env", "--name", "a@b"]);
        let one = without_secrets(["--link=redis://u:secret@h/0".to_owned()]);
        assert_eq!(one, ["--link=env"]);
        let padded = without_secrets([" redis://:secret@h".to_owned()]);
        assert_eq!(padded, ["env"]);
        assert_eq!(without_secrets(["redis://h/0".to_owned()]), ["redis://h/0"]);
    }
}
