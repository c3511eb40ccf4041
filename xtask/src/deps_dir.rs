//! `.deps`: a folder of the checkout, or a link to the folder named by `COORDRL_DEPS_DIR`, so that
//! several checkouts share one set of downloads.

use crate::layout::Layout;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "COORDRL_DEPS_DIR";

/// Creates `.deps` if it does not exist.
pub fn prepare(layout: &Layout) -> Result<()> {
    let wanted = env::var_os(VARIABLE).map(PathBuf::from);
    prepare_at(layout.deps(), wanted.as_deref())
}

/// Locks the folder for one set-up at a time. The operating system owns the lock, so a killed
/// set-up leaves none behind.
pub fn lock(layout: &Layout) -> Result<File> {
    let path = layout.deps().join(".lock");
    // Never removed: another set-up could be waiting on this file and then hold a lock that a third
    // one, with a new file, does not see.
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Whatever the error, `lock` either waits or reports it.
    if file.try_lock().is_err() {
        crate::talk::line("waiting for another set-up in the same folder to finish");
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

fn prepare_at(place: &Path, wanted: Option<&Path>) -> Result<()> {
    let Some(wanted) = wanted else {
        return fs::create_dir_all(place)
            .with_context(|| format!("cannot create {}", place.display()));
    };

    fs::create_dir_all(wanted)
        .with_context(|| format!("cannot create {} ({VARIABLE})", wanted.display()))?;
    let wanted =
        wanted.canonicalize().with_context(|| format!("cannot find {}", wanted.display()))?;
    // Succeeds only on an empty folder, so nothing is lost.
    let _ = fs::remove_dir(place);
    match place.canonicalize() {
        Ok(there) if there == wanted => Ok(()),
        Ok(there) => bail!(
            "{} is already {}, but {VARIABLE} asks for {}. Fix: remove it, or unset the variable",
            place.display(),
            there.display(),
            wanted.display()
        ),
        Err(_) => {
            symlink(&wanted, place).with_context(|| format!("cannot link {}", place.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_variable_it_is_a_plain_folder() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(".deps");
        prepare_at(&place, None).unwrap();
        prepare_at(&place, None).unwrap();
        assert!(place.is_dir() && !place.is_symlink());
    }

    #[test]
    fn with_the_variable_it_is_a_link_and_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(".deps");
        let shared = dir.path().join("deep/shared");
        prepare_at(&place, Some(&shared)).unwrap();
        prepare_at(&place, Some(&shared)).unwrap();
        prepare_at(&place, None).unwrap();
        fs::write(place.join("file"), "").unwrap();
        assert!(shared.join("file").exists());
    }

    #[test]
    fn an_empty_folder_gives_way_to_the_link() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(".deps");
        let shared = dir.path().join("shared");
        prepare_at(&place, None).unwrap();
        prepare_at(&place, Some(&shared)).unwrap();
        assert_eq!(place.canonicalize().unwrap(), shared.canonicalize().unwrap());
    }

    #[test]
    fn another_folder_in_its_place_is_refused_with_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(".deps");
        prepare_at(&place, None).unwrap();
        fs::write(place.join("file"), "").unwrap();
        let error = prepare_at(&place, Some(&dir.path().join("shared"))).unwrap_err().to_string();
        assert!(error.contains("COORDRL_DEPS_DIR") && error.contains("Fix:"), "{error}");
    }
}
