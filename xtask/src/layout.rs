//! Where things lie: the only module that knows path names.

use std::env;
use std::path::{Path, PathBuf};

/// Paths of one checkout.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    deps: PathBuf,
}

impl Layout {
    /// The checkout that this program was started in: cargo names the package folder when it runs it.
    pub fn of_checkout() -> Self {
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().unwrap_or(Path::new(".")).to_path_buf();
        Self::at(root)
    }

    /// The checkout at `root`.
    pub fn at(root: PathBuf) -> Self {
        let deps = root.join(".deps");
        Self { root, deps }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that set-up fetches; ignored by git.
    pub fn deps(&self) -> &Path {
        &self.deps
    }

    /// Verified archives that are not unpacked yet; empty once set-up is done.
    pub fn downloads(&self) -> PathBuf {
        self.deps.join("downloads")
    }

    /// The unpacked wheels, laid out as in Python's site-packages so that the libraries find one another.
    pub fn libtorch(&self) -> PathBuf {
        self.deps.join("libtorch")
    }

    /// What the variable `LIBTORCH` is set to by `.cargo/config.toml` unless the user has set it.
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

    /// The folder of `libale.a`.
    pub fn ale_library_dir(&self) -> PathBuf {
        self.ale().join("lib")
    }

    pub fn ale_library(&self) -> PathBuf {
        self.ale_library_dir().join("libale.a")
    }

    /// The folder of `version.hpp`, the one header that is not in the sources.
    pub fn ale_generated_headers(&self) -> PathBuf {
        self.ale_library_dir().join("include")
    }

    /// Python packages of the comparison with the reference emulator.
    pub fn parity_packages(&self) -> PathBuf {
        self.deps.join("parity")
    }

    pub fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }
}
