//! Compiles the C++ half of the emulator's wrapper and links the emulator.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "ale")]
    ale::build();
}

#[cfg(feature = "ale")]
mod ale {
    use std::env;
    use std::path::{Path, PathBuf};

    const BRIDGE: &str = "src/atari/ale.rs";
    const SHIM: &str = "src/atari/shim.cpp";

    pub fn build() {
        for path in [BRIDGE, SHIM, "src/atari/shim.hpp"] {
            println!("cargo:rerun-if-changed={path}");
        }

        let deps = deps_dir();
        let source = deps.join("ale/src");
        let built = deps.join("ale/lib");
        let headers = built.join("include");
        require(&source.join("ale/ale_interface.hpp"));
        require(&built.join("libale.a"));
        require(&headers.join("version.hpp"));
        compile_shim(&source, &headers);
        println!("cargo:rustc-link-search=native={}", built.display());
        println!("cargo:rustc-link-lib=static=ale");
    }

    /// Where set-up puts what the build needs: `.deps` beside the workspace's manifest.
    fn deps_dir() -> PathBuf {
        println!("cargo:rerun-if-env-changed=COORDRL_DEPS_DIR");
        match env::var_os("COORDRL_DEPS_DIR") {
            Some(deps) => PathBuf::from(deps),
            None => {
                let manifest = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
                Path::new(&manifest).join("../.deps")
            }
        }
    }

    fn require(path: &Path) {
        println!("cargo:rerun-if-changed={}", path.display());
        if !path.exists() {
            println!(
                "cargo:error=the Arcade Learning Environment is not set up ({} is missing): run `cargo xtask setup`",
                path.display()
            );
            std::process::exit(1);
        }
    }

    /// `-fno-access-control`: ALE's own saved state leaves out parts of the emulator that decide
    /// what follows; the shim reads and writes those private members. Only this one file is
    /// compiled so.
    fn compile_shim(source: &Path, changed_headers: &Path) {
        cxx_build::bridge(BRIDGE)
            .file(SHIM)
            // First, because headers that set-up changed replace the published ones.
            .include(changed_headers)
            .include(source)
            .std("c++17")
            .opt_level(3)
            .flag("-fno-access-control")
            .flag_if_supported("-Wno-unused-parameter")
            .flag_if_supported("-Wno-deprecated-copy")
            .flag_if_supported("-Wno-overloaded-virtual")
            .warnings(false)
            .compile("coordrl_ale_shim");
    }
}
