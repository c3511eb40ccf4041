//! Replaced names must not return; `CONTRIBUTING.md#names-to-avoid` lists their successors.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Former names, each distinctive enough to have no other meaning.
const REPLACED: &[&str] = &[
    "ActorQ",
    "Answering",
    "Asker",
    "Beside",
    "Deserted",
    "Follower",
    "Gathered",
    "LeftOut",
    "Stations",
    "WeightsBoard",
    "act_and_tell",
    "bring_home",
    "cut_rows",
    "take_room",
    "told_frames",
    "values_of_cut",
    "whole_after",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Splits text into words as the compiler does: runs of letters, digits and underscores.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn replaced_names_are_gone_from_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for room in
        ["src", "agents", "envs", "fleet", "studies", "stats", "plots", "benches", "examples"]
    {
        sources(&root.join(room), &mut files);
    }
    assert!(files.len() > 200, "only {} files were found", files.len());

    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let names = identifiers(&text).filter(|name| REPLACED.contains(name));
        found.extend(names.map(|name| format!("{name} in {}", file.display())));
    }
    assert_eq!(found, Vec::<String>::new());
}
