//! Our changes to ALE, which make it faster without changing a bit of any game: the files in
//! `xtask/patches`, each with its reason.
//!
//! Changed files are written to a folder of their own; the unpacked sources stay as published.

use crate::hash::sha256_of_texts;
use anyhow::{Context, Result, bail};
use diffy::Patch;
use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use std::fs;
use std::path::{Path, PathBuf};

/// All patches, applied in this order.
pub const PATCHES: &[&str] = &[
    include_str!("../patches/1-no-average-colours.patch"),
    include_str!("../patches/2-registers.patch"),
    include_str!("../patches/3-draw-enabled-objects.patch"),
    include_str!("../patches/4-draw-on-change.patch"),
    include_str!("../patches/5-jump-to-the-next-instruction.patch"),
    include_str!("../patches/6-skip-timer-loops.patch"),
];

/// The processor's instructions, which are the cases of a `switch` in ALE.
const INSTRUCTIONS: &str = "emucore/M6502Low.ins";
/// Replacements that make labels of those cases, for patch 5 to jump to; no macro can do it.
const CASES_TO_LABELS: [(&str, &str); 2] = [("case 0x", "op_"), ("break;", "NEXT;")];

/// Identifies all changes: a library with others is compiled again.
pub fn fingerprint() -> String {
    let labels = CASES_TO_LABELS.iter().flat_map(|&(case, label)| [case, label]);
    sha256_of_texts(PATCHES.iter().copied().chain(labels))
}

/// Writes ALE's instructions, with labels in place of cases, into `folder`.
///
/// # Errors
/// If the file cannot be read or written.
pub fn label_instructions(sources: &Path, folder: &Path) -> Result<()> {
    let original = sources.join(INSTRUCTIONS);
    let text = fs::read_to_string(&original)
        .with_context(|| format!("cannot read {}", original.display()))?;
    let labelled =
        CASES_TO_LABELS.iter().fold(text, |text, (case, label)| text.replace(case, label));
    write(&folder.join(INSTRUCTIONS), &labelled)
}

/// Writes changed copies of the files below `sources` into `folder`, under the same relative paths.
///
/// # Errors
/// If a file cannot be read or written, or is not the one that the patch was made for.
pub fn apply(patches: &[&str], sources: &Path, folder: &Path) -> Result<()> {
    for text in patches {
        let files: Vec<_> = PatchSet::parse(text, ParseOptions::unidiff())
            .collect::<Result<_, _>>()
            .context("not a patch")?;
        if files.is_empty() {
            bail!("a patch without a file");
        }
        for file in files {
            let (FileOperation::Modify { modified, .. }, Some(patch)) =
                (file.operation(), file.patch().as_text())
            else {
                bail!("a patch may only change text files");
            };
            change(patch, modified.strip_prefix("b/").unwrap_or(modified), sources, folder)?;
        }
    }
    Ok(())
}

fn change(patch: &Patch<'_, str>, name: &str, sources: &Path, folder: &Path) -> Result<()> {
    let changed = folder.join(name);
    // An earlier patch may have changed the same file.
    let current = if changed.exists() { changed.clone() } else { sources.join(name) };
    let text = fs::read_to_string(&current)
        .with_context(|| format!("cannot read {}", current.display()))?;
    let text = diffy::apply(&text, patch).with_context(|| {
        format!("{} is not the file that our patch was made for", sources.join(name).display())
    })?;
    write(&changed, &text)
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "Reason.\n\n--- a/a/b.cxx\n+++ b/a/b.cxx\n@@ -1,2 +1,2 @@\n-x;\n+y;\n z;\n";
    const SECOND: &str = "--- a/a/b.cxx\n+++ b/a/b.cxx\n@@ -1,2 +1,3 @@\n y;\n+new;\n z;\n\
                          --- a/c.hxx\n+++ b/c.hxx\n@@ -1 +1 @@\n-old;\n+new;\n";

    fn sources(code: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b.cxx"), code).unwrap();
        fs::write(dir.path().join("c.hxx"), "old;\n").unwrap();
        dir
    }

    #[test]
    fn patches_are_applied_in_turn_to_copies() {
        let dir = sources("x;\nz;\n");
        let changed = dir.path().join("changed");
        apply(&[FIRST, SECOND], dir.path(), &changed).unwrap();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(changed.join("a/b.cxx")), "y;\nnew;\nz;\n");
        assert_eq!(read(changed.join("c.hxx")), "new;\n");
        assert_eq!(read(dir.path().join("a/b.cxx")), "x;\nz;\n", "the original stays");
    }

    #[test]
    fn a_file_of_another_version_is_named() {
        let dir = sources("other;\nz;\n");
        let error = apply(&[FIRST], dir.path(), &dir.path().join("changed")).unwrap_err();
        assert!(format!("{error:#}").contains("a/b.cxx is not the file"), "{error:#}");
    }

    #[test]
    fn cases_become_labels() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("emucore")).unwrap();
        let cases = "case 0x1c:\ncase 0x3C:\n{\n}\nbreak;\n";
        fs::write(dir.path().join(INSTRUCTIONS), cases).unwrap();
        let changed = dir.path().join("changed");
        label_instructions(dir.path(), &changed).unwrap();
        let labels = fs::read_to_string(changed.join(INSTRUCTIONS)).unwrap();
        assert_eq!(labels, "op_1c:\nop_3C:\n{\n}\nNEXT;\n");
    }

    #[test]
    fn every_patch_says_why() {
        for patch in PATCHES {
            let reason = patch.split("--- ").next().unwrap();
            assert!(reason.trim().len() > 40, "{reason}");
        }
    }
}
