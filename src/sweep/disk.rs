//! Free disk space.

use std::path::Path;

/// Returns the bytes free where `folder` is or will be; `None` if the system does not report them.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(nearest(folder)).ok()?;
    // A file system without blocks, such as `/proc`, has no free space to report.
    // Not `f_bfree`: blocks reserved for root are free but of no use here.
    (about.f_blocks > 0).then(|| about.f_bavail.saturating_mul(about.f_frsize))
}

/// Checks that files can be written where `folder` is or will be.
///
/// # Errors
/// The I/O error.
pub fn try_writing(folder: &Path) -> std::io::Result<()> {
    // Only trying is certain: permissions know nothing of full or read-only file systems.
    tempfile::tempfile_in(nearest(folder)).map(drop)
}

/// Returns the folder itself, or its nearest existing ancestor.
fn nearest(folder: &Path) -> &Path {
    let there = folder.ancestors().find(|path| path.exists());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_still_to_be_made_lies_on_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("a/b")).unwrap() > 0);
        assert!(free_bytes(Path::new("runs")).unwrap() > 0);
        try_writing(&folder.path().join("a/b")).unwrap();
        assert!(try_writing(Path::new("/proc/a")).is_err());
    }
}
