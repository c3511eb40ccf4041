//! The recipes in `deploy/` call the program as it is, and their scripts are sound.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Subcommands that recipes use; after the program's name, any other word is prose.
const SUBCOMMANDS: [&str; 5] = ["actor", "config", "fleet", "games", "train"];

/// A script of a recipe: a file, or a block of text in a manifest.
struct Script {
    place: String,
    shell: &'static str,
    text: String,
}

/// Returns path and text of each file in a folder and below.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn recipes() -> Vec<(String, String)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy"))
}

fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (place, text) in recipes() {
        if text.starts_with("#!/bin/bash\n") {
            scripts.push(Script { place, shell: "bash", text });
        } else if place.ends_with(".yaml") {
            let of_block = |text| Script { place: place.clone(), shell: "sh", text };
            scripts.extend(blocks(&text).into_iter().map(of_block));
        }
    }
    scripts
}

/// Returns the blocks of text that are items of a list in YAML, without their indentation.
fn blocks(yaml: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() != "- |" {
            continue;
        }
        let first = lines.peek().unwrap();
        let indentation = " ".repeat(first.len() - first.trim_start().len());
        let mut block = String::new();
        while let Some(line) = lines.peek().and_then(|line| line.strip_prefix(&indentation)) {
            block.push_str(line);
            block.push('\n');
            lines.next();
        }
        blocks.push(block);
    }
    blocks
}

/// Returns the arguments of each call of the program.
fn calls(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ").replace("\"$COORDRL\"", "coordrl");
    let mut calls = Vec::new();
    for line in text.lines() {
        // A command of a container as a list in YAML.
        let line = match line.trim().strip_prefix("command: [") {
            Some(list) => list.replace([',', ']'], " "),
            None => line.to_owned(),
        };
        for rest in with_values(&line).split("coordrl ").skip(1) {
            let command = rest.split(['`', '&', '|', ';', '#']).next().unwrap_or_default();
            let words = command.split_whitespace().map(|word| word.trim_matches('"').to_owned());
            let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
            if words.first().is_some_and(|word| SUBCOMMANDS.contains(&word.as_str())) {
                calls.push(words);
            }
        }
    }
    calls
}

/// Replaces variables by `1`, which every flag takes; `${name:+text}` by its text, and arrays by
/// nothing.
fn with_values(line: &str) -> String {
    let Some((before, after)) = line.split_once('$') else { return line.to_owned() };
    let (value, rest) = match after.chars().next() {
        // In `${name:+text}`, the text may have variables without braces.
        Some('{') => {
            let (inside, rest) = after[1..].split_once('}').unwrap();
            match inside.split_once(":+") {
                Some((_, text)) => (with_values(text), rest),
                None if inside.ends_with("[@]") => (String::new(), rest),
                None => ("1".to_owned(), rest),
            }
        }
        Some('(') => ("1".to_owned(), after.split_once(')').unwrap().1),
        _ => {
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            ("1".to_owned(), after.trim_start_matches(is_name))
        }
    };
    format!("{before}{value}{}", with_values(rest))
}

/// Runs a program that reads a script; `None` if it is not installed.
fn read_by(program: &str, arguments: &[&str], script: &str) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        spawned => spawned.unwrap(),
    };
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn every_command_of_a_recipe_is_one_of_the_program() {
    let mut count = 0;
    for (place, text) in recipes() {
        for words in calls(&text) {
            // Help is printed only if all words before it are understood.
            let mut command = Command::new(env!("CARGO_BIN_EXE_coordrl"));
            let ended = command.args(&words).arg("--help").output().unwrap();
            assert!(ended.status.success(), "{place}: {words:?}: {ended:?}");
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} commands were found");
}

#[test]
fn the_scripts_of_recipes_are_sound() {
    let scripts = scripts();
    assert_eq!(scripts.len(), 3, "Slurm's, and one each for Redis and learner in Kubernetes");
    for Script { place, shell, text } in scripts {
        let parsed = read_by(shell, &["-n"], &text).unwrap();
        assert!(parsed.status.success(), "{place}: {parsed:?}");
        match read_by("shellcheck", &["--shell", shell, "-"], &text) {
            Some(checked) => {
                let findings = String::from_utf8_lossy(&checked.stdout);
                assert!(checked.status.success(), "{place}: {findings}");
            }
            None => eprintln!("skipped: there is no shellcheck for {place}"),
        }
    }
}

#[test]
fn calls_are_found_in_scripts_manifests_and_prose() {
    let text = "Try `coordrl games`, a coordrl of `coordrl fleet show --link env`\n\
        \"$COORDRL\" train \"$GAME\" ${N:+--frames \"$N\"} \\\n  \"${words[@]}\" --link \"@$link\" &\n\
        command: [coordrl, actor, --run, $(GAME)/a, --actors, \"4\"]\n";
    let expected = [
        &["games"][..],
        &["fleet", "show", "--link", "env"],
        &["train", "1", "--frames", "1", "--link", "@1"],
        &["actor", "--run", "1/a", "--actors", "4"],
    ];
    assert_eq!(calls(text), expected);
}
