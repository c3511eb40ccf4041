//! Lets this crate's own tests, examples and benches find libtorch with no variable exported.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // torch-sys tells where it found libtorch, whichever of its ways it was told.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    println!("cargo::rustc-env=COORDRL_BUILD_LIBTORCH_LIB={lib}");
    if !lib.is_empty() {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo::metadata=LIBTORCH_LIB={lib}");
    }
}
