//! File writes that survive a crash: a file is either complete or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file under a temporary name, flushes it to disk and renames it: after a crash the path
/// holds either the old bytes or the new ones.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    write_durably(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        // Not left behind, since the disk may be full. The error to report is that of the write.
        .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    // A rename survives a crash only once the folder itself is flushed.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_dir(folder.unwrap_or(Path::new(".")))
}

/// Writes a new file and flushes it to disk.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Flushes a folder's entries (created and renamed names) to disk.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
