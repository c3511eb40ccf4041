//! Paths of a checkout: the only module that knows path names.

use std::env;
use std::path::{Path, PathBuf};

/// Paths of one checkout.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    deps: PathBuf,
}

impl Layout {
    /// Finds the checkout that this program was started in: cargo sets the package folder when
    /// running it.
    pub fn of_checkout() -> Self {
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().unwrap_or(Path::new(".")).to_path_buf();
        Self::at(root)
    }

    /// Builds the layout of the checkout at `root`.
    pub fn at(root: PathBuf) -> Self {
        let deps = root.join(".deps");
        Self { root, deps }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of everything that set-up fetches; ignored by git.
    pub fn deps(&self) -> &Path {
        &self.deps
    }

    /// Verified archives that are not unpacked yet; empty after set-up.
    pub fn downloads(&self) -> PathBuf {
        self.deps.join("downloads")
    }

    /// The unpacked wheels, laid out as in Python's site-packages so that the libraries find one
    /// another.
    pub fn libtorch(&self) -> PathBuf {
        self.deps.join("libtorch")
    }

    /// Value of the variable `LIBTORCH` in `.cargo/config.toml`, which the user may override.
    pub fn default_libtorch_variable(&self) -> PathBuf {
        self.libtorch().join("torch")
    }

    /// The unpacked ALE source distribution.
    pub fn ale(&self) -> PathBuf {
        self.deps.join("ale")
    }

    pub fn ale_sources(&self) -> PathBuf {
        self.ale().join("src").join("ale")
    }

    pub fn roms(&self) -> PathBuf {
        self.ale_sources().join("python").join("roms")
    }

    /// The unpacked part of the package that has the digits.
    pub fn digits(&self) -> PathBuf {
        self.deps.join("digits")
    }

    /// The unpacked Redis server, for tests.
    pub fn redis(&self) -> PathBuf {
        self.deps.join("redis")
    }

    /// Folder of `libale.a`.
    pub fn ale_library_dir(&self) -> PathBuf {
        self.ale().join("lib")
    }

    pub fn ale_library(&self) -> PathBuf {
        self.ale_library_dir().join("libale.a")
    }

    /// Headers that are not used as published: `version.hpp`, which is generated, and those in
    /// [`Layout::ale_changed_sources`].
    pub fn ale_headers(&self) -> PathBuf {
        self.ale_library_dir().join("include")
    }

    /// Copies of the source files that we change, laid out as in [`Layout::ale_sources`].
    pub fn ale_changed_sources(&self) -> PathBuf {
        self.ale_headers().join("ale")
    }

    /// Python packages for the comparison with the reference emulator.
    pub fn parity_packages(&self) -> PathBuf {
        self.deps.join("parity")
    }

    pub fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }
}
