//! On-demand loading of libtorch's CUDA library.

use std::path::{Path, PathBuf};

const NAME: &str = "libtorch_cuda.so";

/// Makes CUDA devices usable in this process, if libtorch was built for them.
///
/// libtorch registers its CUDA operators when this library is loaded with global symbols. It is
/// opened at run time so that one binary serves machines with and without CUDA: the file next to
/// the build's libtorch or, if missing, the one found by the loader (`LD_LIBRARY_PATH`). Success
/// does not imply that a device exists: see [`tch::Cuda::device_count`].
///
/// # Errors
/// The loader's message, such as the name of a missing library.
pub(crate) fn load_cuda() -> Result<(), String> {
    load(&library_path())
}

#[cfg(unix)]
fn load(path: &Path) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's initialisers are libtorch's own; they require that libtorch_cpu is
    // already loaded, as it is in this process.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    // Never closed: its operators stay registered until the process exits.
    library.map(std::mem::forget).map_err(|error| {
        // The loader's own message is one level down.
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    })
}

#[cfg(not(unix))]
fn load(_: &Path) -> Result<(), String> {
    Ok(())
}

fn library_path() -> PathBuf {
    let beside_build = Path::new(env!("COORDRL_BUILD_LIBTORCH_LIB")).join(NAME);
    if beside_build.is_absolute() && beside_build.exists() { beside_build } else { NAME.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let text = load(Path::new("/nowhere/libtorch_cuda.so")).unwrap_err();
        assert!(text.contains("/nowhere/libtorch_cuda.so"), "{text}");
    }
}
