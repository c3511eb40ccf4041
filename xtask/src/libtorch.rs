//! libtorch: libraries and headers from the pinned wheels, or the user's own.

use crate::layout::Layout;
use crate::pins::{CUDA, LIBTORCH, Pin};
use crate::{pip, stamp, talk, unpack};
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version required by the `tch` crate.
pub const VERSION: &str = "2.13.0";

/// Returns the user's own `LIBTORCH` folder, if it differs from the one that set-up fills.
pub fn own(layout: &Layout) -> Option<PathBuf> {
    own_among(env::var_os("LIBTORCH"), &layout.default_libtorch_variable())
}

/// Lists the pins that this machine needs.
pub fn wanted_pins() -> Vec<&'static Pin> {
    let cuda: &[Pin] = if wants_cuda() { CUDA } else { &[] };
    LIBTORCH.iter().chain(cuda).collect()
}

pub fn is_ready(layout: &Layout) -> bool {
    own(layout).is_some() || stamp::covers(&layout.libtorch(), &stamp_lines())
}

/// Fetches and unpacks whatever is missing.
pub fn ensure(layout: &Layout) -> Result<()> {
    if let Some(own) = own(layout) {
        talk::line(format!("libtorch: using your own, LIBTORCH={}", own.display()));
        return Ok(());
    }

    if is_ready(layout) {
        return Ok(());
    }

    let pins = wanted_pins();
    talk::line(format!("libtorch {VERSION}: {} files to fetch", pins.len()));
    let archives = pins.iter().map(|pin| pip::fetch(pin, layout)).collect::<Result<Vec<_>>>()?;
    let partial = unpack::fresh_neighbour(&layout.libtorch())?;
    for archive in &archives {
        talk::line(format!(
            "  unpacking {}",
            archive.file_name().unwrap_or_default().to_string_lossy()
        ));
        unpack::wheel(archive, &partial, is_needed)?;
    }

    // Before the rename, so that a folder under its final name always has its stamp.
    stamp::write(&partial, &stamp_lines())?;
    unpack::put_in_place(&partial, &layout.libtorch())?;
    // Kept until here, so that an interrupted set-up need not download them again.
    for archive in archives {
        fs::remove_file(&archive)
            .with_context(|| format!("cannot remove {}", archive.display()))?;
    }

    Ok(())
}

/// Version of the libtorch in `dir`, read from the file that each kind of distribution has.
pub fn version_in(dir: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(dir.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(dir.join("version.py")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches(['\'', '"']).to_owned())
}

/// Returns `true` if the GPU libraries are installed where libtorch looks for them.
pub fn has_cuda_libraries(layout: &Layout) -> bool {
    stamp::covers(&layout.libtorch(), &CUDA.iter().map(Pin::stamp_line).collect::<Vec<_>>())
}

/// Description of this machine's NVIDIA driver, if it has one.
pub fn nvidia_driver() -> Option<String> {
    if let Ok(text) = fs::read_to_string("/proc/driver/nvidia/version") {
        return Some(text.lines().next().unwrap_or_default().trim().to_owned());
    }
    crate::process::first_line(Command::new("nvidia-smi").arg("-L"))
}

/// Returns whether to install CUDA. `COORDRL_CUDA=yes` or `no` overrides detection, for a set-up
/// shared by machines.
fn wants_cuda() -> bool {
    match env::var("COORDRL_CUDA").as_deref() {
        Ok("yes") => true,
        Ok("no") => false,
        _ => nvidia_driver().is_some(),
    }
}

fn own_among(variable: Option<OsString>, default: &Path) -> Option<PathBuf> {
    let variable = PathBuf::from(variable?);
    (variable != default).then_some(variable)
}

fn stamp_lines() -> Vec<String> {
    wanted_pins().into_iter().map(Pin::stamp_line).collect()
}

/// Accepts libraries, headers and licences, but not the Python half of the wheel.
fn is_needed(name: &Path) -> bool {
    let licence = name.components().next().is_some_and(|top| {
        Path::new(&top).extension().is_some_and(|extension| extension == "dist-info")
    });
    let python =
        name.file_name().is_some_and(|file| file.to_string_lossy().contains("torch_python"));
    (name.starts_with("torch/lib") && !python)
        || name.starts_with("torch/include")
        || name.starts_with("nvidia")
        // The one file of Python: `version_in` reads it.
        || name == Path::new("torch/version.py")
        || licence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libtorch_of_the_users_own_wins_and_the_default_is_not_one() {
        let default = Path::new("/checkout/.deps/libtorch/torch");
        assert_eq!(own_among(None, default), None);
        assert_eq!(own_among(Some(default.into()), default), None);
        assert_eq!(own_among(Some("/opt/libtorch".into()), default), Some("/opt/libtorch".into()));
    }

    #[test]
    fn libraries_headers_and_licences_are_kept_and_python_is_not() {
        for name in [
            "torch/lib/libc10.so",
            "torch/include/ATen/ATen.h",
            "nvidia/cu13/lib/libcudart.so.13",
            "torch/version.py",
            "torch-2.13.0.dist-info/licenses/LICENSE",
        ] {
            assert!(is_needed(Path::new(name)), "{name}");
        }

        for name in
            ["torch/nn/functional.py", "functorch/__init__.py", "torch/lib/libtorch_python.so"]
        {
            assert!(!is_needed(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn the_version_is_read_from_a_wheel_and_from_a_plain_libtorch() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(version_in(dir.path()), None);
        fs::write(dir.path().join("version.py"), "x = 1\n__version__ = '2.13.0+cu130'\n").unwrap();
        assert_eq!(version_in(dir.path()).unwrap(), "2.13.0+cu130");
        fs::write(dir.path().join("build-version"), "2.13.0+cpu\n").unwrap();
        assert_eq!(version_in(dir.path()).unwrap(), "2.13.0+cpu");
    }

    #[test]
    fn the_pinned_wheel_is_the_version_that_is_named() {
        assert_eq!((LIBTORCH[0].package, LIBTORCH[0].version), ("torch", VERSION));
    }
}
