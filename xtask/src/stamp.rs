//! A stamp is a small text file inside a finished folder that lists its sources, one per line.
//! It is written last, so a folder without its stamp is incomplete.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const FILE_NAME: &str = ".setup-stamp";

/// Marks `dir` as finished and made from `lines`.
pub fn write(dir: &Path, lines: &[String]) -> Result<()> {
    let path = dir.join(FILE_NAME);
    fs::write(&path, lines.join("\n") + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns `true` if `dir` is finished and made from at least `lines`: a folder with CUDA also
/// serves a CPU run.
pub fn covers(dir: &Path, lines: &[String]) -> bool {
    let Ok(text) = fs::read_to_string(dir.join(FILE_NAME)) else {
        return false;
    };
    let found: Vec<&str> = text.lines().collect();
    lines.iter().all(|line| found.contains(&line.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn a_folder_without_a_stamp_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!covers(dir.path(), &lines(&["torch 1"])));
        assert!(!covers(dir.path(), &[]));
        assert!(!covers(Path::new("no/such/folder"), &[]));
    }

    #[test]
    fn a_stamp_covers_what_it_names_and_no_other_version() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &lines(&["torch 1 sha256:a", "cudnn 2 sha256:b"])).unwrap();
        assert!(covers(dir.path(), &lines(&["torch 1 sha256:a"])));
        assert!(covers(dir.path(), &lines(&["cudnn 2 sha256:b", "torch 1 sha256:a"])));
        assert!(!covers(dir.path(), &lines(&["torch 1 sha256:c"])));
        assert!(!covers(dir.path(), &lines(&["torch 1 sha256:"])), "a prefix is not the same");
    }
}
