//! Lets this crate's own tests, examples and benches find libtorch with no variable exported.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // torch-sys tells where it found libtorch, whichever of its ways it was told.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo::metadata=LIBTORCH_LIB={lib}");
    }
}
