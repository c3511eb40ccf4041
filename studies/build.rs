//! Lets this crate's own tests, examples and benches find libtorch with no variable exported.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The agents crate passes on where torch-sys found it, whichever of its ways it was told.
    if let Ok(lib) = std::env::var("DEP_COORDRL_AGENTS_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
