//! Hands facts known only to build scripts to the program and its tests: where zlib is, and the
//! target.

use std::env;

fn main() {
    // libz-sys (links = "z") tells the crates that depend on it where its headers and library lie.
    let facts = [
        ("DEP_Z_INCLUDE", "XTASK_ZLIB_INCLUDE"),
        ("DEP_Z_ROOT", "XTASK_ZLIB_ROOT"),
        ("TARGET", "XTASK_TARGET"),
    ];
    for (from, to) in facts {
        let value = env::var(from).unwrap_or_default();
        println!("cargo::rustc-env={to}={value}");
        println!("cargo::rerun-if-env-changed={from}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
