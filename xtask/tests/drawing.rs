//! Our drawing of scanlines (`patches/3-draw-enabled-objects.patch`) beside the published function, which the patched
//! file still contains: hashes of games cannot show a combination that no game uses.

use std::path::Path;
use std::process::Command;

#[test]
fn scanlines_are_drawn_as_published() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ale = here.join("../.deps/ale");
    let library = ale.join("lib/libale.a");
    assert!(library.exists(), "run `cargo xtask setup` first: {} is missing", library.display());

    let scratch = tempfile::tempdir().unwrap();
    let program = scratch.path().join("drawing");
    let compiler = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(1)
        .warnings(false)
        .cargo_metadata(false)
        .target(env!("XTASK_TARGET"))
        .host(env!("XTASK_TARGET"))
        .out_dir(scratch.path())
        .include(ale.join("lib/include"))
        .include(ale.join("src"))
        .include(env!("XTASK_ZLIB_INCLUDE"))
        .get_compiler();
    let compiled = compiler
        .to_command()
        .arg(here.join("tests/drawing.cpp"))
        .arg(&library)
        .arg(Path::new(env!("XTASK_ZLIB_ROOT")).join("lib/libz.a"))
        .args(["-lpthread", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));

    let rom = ale.join("src/ale/python/roms/breakout.bin");
    let drawn = Command::new(&program).arg(rom).output().unwrap();
    let said = String::from_utf8_lossy(&drawn.stdout);
    assert!(drawn.status.success(), "{} differ, such as\n{said:.500}", said.lines().count());
}
