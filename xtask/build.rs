//! Hands two facts known only to build scripts to the program: where the zlib headers are, and the
//! target.

use std::env;

fn main() {
    // libz-sys (links = "z") tells the crates that depend on it where its headers lie.
    for (from, to) in [("DEP_Z_INCLUDE", "XTASK_ZLIB_INCLUDE"), ("TARGET", "XTASK_TARGET")] {
        let value = env::var(from).unwrap_or_default();
        println!("cargo::rustc-env={to}={value}");
        println!("cargo::rerun-if-env-changed={from}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
