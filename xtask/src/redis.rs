//! A Redis server for the tests of runs over several machines, where the machine has none.
//!
//! Debian's packages, unpacked below `.deps` without being installed, so that no rights are needed.
//! Their versions are the distribution's, which also checks the signatures.

use crate::layout::Layout;
use crate::{process, talk, unpack};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The server, the client, and libraries that a minimal system lacks.
const PACKAGES: [&str; 4] = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];

/// Fetches and unpacks the server unless it is there.
pub fn ensure(layout: &Layout) -> Result<()> {
    if server(layout).exists() {
        return Ok(());
    }

    talk::line("Redis, for the tests of runs over several machines");
    let partial = unpack::fresh_neighbour(&layout.redis())?;
    let downloads = partial.join("packages");
    fs::create_dir_all(&downloads)
        .with_context(|| format!("cannot create {}", downloads.display()))?;
    process::run(Command::new("apt-get").arg("download").args(PACKAGES).current_dir(&downloads))
        .context("install redis-server by your system's own means, then the tests find it")?;
    for package in packages_in(&downloads)? {
        process::run(Command::new("dpkg").arg("-x").arg(package).arg(&partial))?;
    }
    fs::remove_dir_all(&downloads)?;
    unpack::put_in_place(&partial, &layout.redis())
}

/// State of the server for `doctor`.
pub fn state(layout: &Layout) -> Result<String, String> {
    let mut fetched = Command::new(server(layout));
    fetched.env("LD_LIBRARY_PATH", layout.redis().join("usr/lib/x86_64-linux-gnu"));
    let version = process::first_line(fetched.arg("--version"))
        .or_else(|| process::first_line(Command::new("redis-server").arg("--version")));
    // Nothing but some tests needs it.
    Ok(version
        .unwrap_or_else(|| "none (optional, for some tests). Fetch: cargo xtask redis".to_owned()))
}

fn server(layout: &Layout) -> PathBuf {
    layout.redis().join("usr/bin/redis-server")
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let packages: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    if packages.len() != PACKAGES.len() {
        bail!("{} packages came, not {}", packages.len(), PACKAGES.len());
    }
    Ok(packages)
}
