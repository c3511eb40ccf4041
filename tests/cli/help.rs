//! Help texts are part of the interface. After an intended change: `UPDATE_SNAPSHOTS=1 cargo test
//! help`.

use std::fs;
use std::path::Path;

use crate::support::Sandbox;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["train"],
    &["actor"],
    &["fleet"],
    &["eval"],
    &["play"],
    &["games"],
    &["torsos"],
    &["presets"],
    &["presets", "list"],
    &["presets", "show"],
    &["config"],
    &["config", "show"],
    &["config", "check"],
    &["study"],
    &["study", "classify"],
    &["study", "all"],
    &["sweep"],
    &["report"],
    &["trace"],
    &["bench"],
    &["bench", "env"],
    &["bench", "a2c"],
    &["bench", "replay"],
    &["bench", "study"],
];

#[test]
fn help_is_what_it_was_and_every_command_ends_with_three_examples_or_more() {
    let sandbox = Sandbox::new();
    for words in COMMANDS {
        let name = [&["coordrl"], *words].concat().join("-");
        let ended = sandbox.run(&[words, &["--help"][..]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        compare(&name, &ended.stdout);
        let is_group =
            matches!(words, [one] if ["presets", "config", "study", "bench"].contains(one));
        let examples = ended.stdout.split("Examples:\n").nth(1).unwrap_or("");
        let count = examples.lines().filter(|line| line.starts_with("  coordrl ")).count();
        assert!(is_group || count >= 3, "{name} shows {count} examples");
    }
}

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/snapshots")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "help of {name} differs from {}", path.display());
}

#[test]
fn version_and_unknown_flags() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["--version"]);
    assert_eq!(
        (ended.code, ended.stdout.trim()),
        (Some(0), concat!("coordrl ", env!("CARGO_PKG_VERSION")))
    );
    sandbox.run(&["train", "pong", "--torsos", "conv"]).expect_refusal(2, &["--torsos", "--torso"]);
}
