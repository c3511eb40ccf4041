//! Our changes to ALE beside what it does as published, where hashes of games are not enough: they cannot show a
//! combination that no game uses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The patched file still contains the published function.
#[test]
fn scanlines_are_drawn_as_published() {
    assert_no_difference("drawing.cpp");
}

/// A loop whose instructions are executed one at a time is never skipped.
#[test]
fn a_skipped_timer_loop_leaves_what_executing_it_does() {
    assert_no_difference("timer_loops.cpp");
}

/// Runs `source`, which prints every difference that it finds.
fn assert_no_difference(source: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let program = compile(source, scratch.path());
    let run = Command::new(&program).arg(ale().join("src/ale/python/roms/breakout.bin")).output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{} differ, such as\n{said:.500}", said.lines().count());
}

fn compile(source: &str, scratch: &Path) -> PathBuf {
    let library = ale().join("lib/libale.a");
    assert!(library.exists(), "run `cargo xtask setup` first: {} is missing", library.display());
    let program = scratch.join("program");
    let compiler = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(1)
        .warnings(false)
        .cargo_metadata(false)
        .target(env!("XTASK_TARGET"))
        .host(env!("XTASK_TARGET"))
        .out_dir(scratch)
        .include(ale().join("lib/include"))
        .include(ale().join("src"))
        .include(env!("XTASK_ZLIB_INCLUDE"))
        .get_compiler();
    let compiled = compiler
        .to_command()
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source))
        .arg(&library)
        .arg(Path::new(env!("XTASK_ZLIB_ROOT")).join("lib/libz.a"))
        .args(["-lpthread", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    program
}

fn ale() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/ale")
}
