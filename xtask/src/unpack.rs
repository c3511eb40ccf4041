//! Archive extraction. Archives are unpacked into a neighbouring folder, which is then renamed, so
//! a folder in its final place is always complete.

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Component, Path, PathBuf};

/// Unpacks the files of a wheel (a zip archive) whose names in the archive `keep` accepts.
pub fn wheel(archive: &Path, into: &Path, keep: impl Fn(&Path) -> bool) -> Result<()> {
    let file = File::open(archive).with_context(|| cannot_unpack(archive))?;
    let mut zip =
        zip::ZipArchive::new(BufReader::new(file)).with_context(|| cannot_unpack(archive))?;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).with_context(|| cannot_unpack(archive))?;
        let Some(name) = entry.enclosed_name() else {
            bail!("{}: entry {index} would land outside the folder", archive.display());
        };
        if entry.is_file() && keep(&name) {
            write_file(&mut entry, &into.join(name)).with_context(|| cannot_unpack(archive))?;
        }
    }

    Ok(())
}

/// Unpacks a source distribution (a gzipped tar archive), stripping its single top folder.
pub fn source(archive: &Path, into: &Path) -> Result<()> {
    let file = File::open(archive).with_context(|| cannot_unpack(archive))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in tar.entries().with_context(|| cannot_unpack(archive))? {
        let mut entry = entry.with_context(|| cannot_unpack(archive))?;
        let name = below_top_folder(&entry.path().with_context(|| cannot_unpack(archive))?)
            .with_context(|| {
                format!("{}: an entry would land outside the folder", archive.display())
            })?;
        // Links are skipped: they could lead outside the folder, and none is needed.
        if entry.header().entry_type().is_file() {
            write_file(&mut entry, &into.join(name)).with_context(|| cannot_unpack(archive))?;
        }
    }

    Ok(())
}

/// Moves the finished folder `from` to `to`, replacing anything there.
pub fn put_in_place(from: &Path, to: &Path) -> Result<()> {
    let old = beside(to, "old");
    // Left over if an earlier set-up was stopped below, and in the way of the first rename.
    remove(&old)?;
    // A folder cannot be renamed onto a filled one. Between the two renames there is none, which
    // counts as incomplete.
    if to.exists() {
        fs::rename(to, &old).with_context(|| format!("cannot move {} away", to.display()))?;
    }
    fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))?;
    remove(&old)
}

/// Creates an empty folder next to `final_place`, on the same disk, to be renamed when complete.
pub fn fresh_neighbour(final_place: &Path) -> Result<PathBuf> {
    let partial = beside(final_place, "partial");
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    Ok(partial)
}

/// Removes a folder and its contents; succeeds if there is none.
pub fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn cannot_unpack(archive: &Path) -> String {
    format!("cannot unpack {}", archive.display())
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{word}"));
    path.with_file_name(name)
}

fn below_top_folder(name: &Path) -> Option<PathBuf> {
    let mut parts = name.components().filter(|part| !matches!(part, Component::CurDir));
    is_name(parts.next()?).then_some(())?;
    let rest: Vec<Component> = parts.collect();
    rest.iter().all(|part| is_name(*part)).then(|| rest.iter().collect())
}

/// Returns `true` for a name, as opposed to a root or `..`.
fn is_name(part: Component) -> bool {
    matches!(part, Component::Normal(_))
}

fn write_file(content: &mut impl io::Read, path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file =
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    io::copy(content, &mut file).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn zip_of(path: &Path, entries: &[(&str, &str)]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    fn tar_gz_of(path: &Path, entries: &[(&str, &str)]) {
        let gzip =
            flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            // Set by hand: the checked setter refuses the hostile names that the test needs.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }

        tar.into_inner().unwrap().finish().unwrap();
    }

    #[test]
    fn a_wheel_is_unpacked_but_for_what_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a.whl");
        zip_of(&archive, &[("torch/lib/a.so", "library"), ("torch/nn.py", "python")]);
        wheel(&archive, &dir.path().join("out"), |name| name.starts_with("torch/lib")).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("out/torch/lib/a.so")).unwrap(), "library");
        assert!(!dir.path().join("out/torch/nn.py").exists());
    }

    #[test]
    fn a_source_archive_loses_its_top_folder() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a.tar.gz");
        tar_gz_of(&archive, &[("ale_py-1/src/a.cpp", "code"), ("ale_py-1/version.txt", "1")]);
        source(&archive, &dir.path().join("out")).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("out/src/a.cpp")).unwrap(), "code");
        assert_eq!(fs::read_to_string(dir.path().join("out/version.txt")).unwrap(), "1");
    }

    #[test]
    fn entries_that_climb_out_of_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tar = dir.path().join("a.tar.gz");
        let zip = dir.path().join("a.whl");
        tar_gz_of(&tar, &[("top/../../evil", "x")]);
        zip_of(&zip, &[("../evil", "x")]);
        let out = dir.path().join("in/out");
        for result in [source(&tar, &out), wheel(&zip, &out, |_| true)] {
            assert!(format!("{:#}", result.unwrap_err()).contains("outside the folder"));
        }
        assert!(!dir.path().join("in/evil").exists() && !dir.path().join("evil").exists());
    }

    #[test]
    fn a_truncated_archive_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("cut.tar.gz");
        tar_gz_of(&archive, &[("top/a", &"long ".repeat(1000))]);
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let error = source(&archive, &dir.path().join("out")).unwrap_err();
        assert!(format!("{error:#}").contains("cut.tar.gz"), "{error:#}");
    }

    #[test]
    fn putting_in_place_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        for (round, name) in ["first", "second"].iter().enumerate() {
            let fresh = fresh_neighbour(&place).unwrap();
            fs::write(fresh.join(name), "").unwrap();
            put_in_place(&fresh, &place).unwrap();
            assert!(place.join(name).exists());
            assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "round {round}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_half_done_neighbour_is_started_afresh() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        fs::write(fresh_neighbour(&place).unwrap().join("half"), "").unwrap();
        assert_eq!(fs::read_dir(fresh_neighbour(&place).unwrap()).unwrap().count(), 0);
    }
}
