//! The ROMs that come with ALE, each checked against the MD5 list beside them.

use crate::hash;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Number of ROMs in the pinned ALE.
const COUNT: usize = 108;

/// Checks every listed ROM and returns a summary.
pub fn check(dir: &Path) -> Result<String> {
    check_against(dir, COUNT)
}

fn check_against(dir: &Path, count: usize) -> Result<String> {
    let list = dir.join("md5.json");
    let text =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let wanted: BTreeMap<String, String> = serde_json::from_str(&text)
        .with_context(|| format!("cannot understand {}", list.display()))?;
    // A list cut short would pass the check of its ROMs.
    if wanted.len() != count {
        bail!("{} lists {} ROMs, expected {count}", list.display(), wanted.len());
    }

    let bad: Vec<&str> = wanted
        .iter()
        .filter(|(name, md5)| !is_good(&dir.join(name), md5))
        .map(|(name, _)| name.as_str())
        .collect();
    if !bad.is_empty() {
        bail!("missing or altered in {}: {}", dir.display(), bad.join(", "));
    }

    Ok(format!("{count} ROMs with the right checksums"))
}

fn is_good(path: &Path, md5: &str) -> bool {
    hash::md5_of(path).is_ok_and(|found| found == md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn folder(list: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("md5.json"), list).unwrap();
        fs::write(dir.path().join("pong.bin"), "abc").unwrap();
        dir
    }

    #[test]
    fn good_roms_pass() {
        let dir = folder(&format!(r#"{{"pong.bin": "{ABC}"}}"#));
        assert!(check_against(dir.path(), 1).unwrap().contains("1 ROMs"));
    }

    #[test]
    fn an_altered_rom_and_a_missing_one_are_both_named() {
        let dir = folder(&format!(r#"{{"alien.bin": "{ABC}", "pong.bin": "{ABC}"}}"#));
        fs::write(dir.path().join("pong.bin"), "abX").unwrap();
        let error = check_against(dir.path(), 2).unwrap_err().to_string();
        assert!(error.contains("alien.bin, pong.bin"), "{error}");
    }

    #[test]
    fn a_shortened_list_does_not_pass() {
        let dir = folder("{}");
        assert!(check_against(dir.path(), 1).unwrap_err().to_string().contains("lists 0 ROMs"));
    }
}
