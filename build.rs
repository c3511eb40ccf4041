//! Writes into the binary where its shared libraries and ROMs are and which commit it is.

use std::{env, path::Path, process::Command};

/// Files that the program is built from.
const SOURCES: [&str; 12] = [
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "agents",
    "envs",
    "fleet",
    "plots",
    "runs/plans",
    "runs/presets",
    "stats",
    "studies",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for path in SOURCES {
        println!("cargo:rerun-if-changed={path}");
    }
    link_to_libtorch();
    embed_deps_dir();
    embed_commit();
}

/// Programs find libtorch where it was at build time, from any working directory.
fn link_to_libtorch() {
    // The agents crate passes on where torch-sys found it, whichever of its ways it was told.
    let lib = env::var("DEP_COORDRL_AGENTS_LIBTORCH_LIB").unwrap_or_default();
    if !lib.is_empty() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
}

/// Set-up unpacks what the build needs into `.deps`; the ROMs stay there.
fn embed_deps_dir() {
    println!("cargo:rerun-if-env-changed=COORDRL_DEPS_DIR");
    let deps = env::var("COORDRL_DEPS_DIR").unwrap_or_else(|_| {
        let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        Path::new(&root).join(".deps").display().to_string()
    });
    println!("cargo:rustc-env=COORDRL_BUILD_DEPS_DIR={deps}");
}

/// With `-dirty` after it where the sources are not those of the commit.
fn embed_commit() {
    // Only where these files exist: a missing path would rebuild the crate every time.
    for path in [".git/HEAD", ".git/logs/HEAD"] {
        if Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changes = git(&[&["status", "--porcelain", "--"], SOURCES.as_slice()].concat());
    let mark = if changes.is_some_and(|list| !list.is_empty()) { "-dirty" } else { "" };
    println!("cargo:rustc-env=COORDRL_BUILD_COMMIT={commit}{mark}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
