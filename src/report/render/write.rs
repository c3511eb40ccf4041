//! Writes the report's folder: complete or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::figures::Drawn;
use super::{Report, page};
use crate::durable_file::{sync_dir, write_durably};
use crate::report::ReportError;

const PAGE: &str = "index.html";
const DATA: &str = "report.json";
const FIGURES: &str = "figures";
/// Folder of a report inside its sweep's folder.
const IN_SWEEP: &str = "report";

/// Output folder of a report.
#[derive(Debug)]
pub struct ReportDestination {
    folder: PathBuf,
}

impl ReportDestination {
    /// Chooses the folder given by the user, or `report` inside the only sweep.
    ///
    /// # Errors
    /// If there is neither, or the folder holds something other than an earlier report.
    pub fn choose(named: Option<&Path>, sweeps: &[&Path]) -> Result<Self, ReportError> {
        let folder = match (named, sweeps) {
            (Some(named), _) => named.to_owned(),
            (None, [sweep]) => sweep.join(IN_SWEEP),
            _ => return Err(ReportError::NeedsOut),
        };
        let destination = Self { folder };
        destination.check()?;
        Ok(destination)
    }

    /// Returns the path of the page.
    pub fn page(&self) -> PathBuf {
        self.folder.join(PAGE)
    }

    fn check(&self) -> Result<(), ReportError> {
        match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) if self.folder.is_file() => Err(self.taken("is a file")),
            Err(cause) => Err(self.cannot(cause)),
            Ok(entries) => {
                let names: Vec<String> = entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect();
                // An earlier report is replaced as a whole folder, so nothing else may be in it.
                let is_report = names.iter().any(|name| name == DATA)
                    && names.iter().all(|name| [PAGE, DATA, FIGURES].contains(&name.as_str()));
                match names.is_empty() || is_report {
                    true => Ok(()),
                    false => Err(self.taken("holds other files")),
                }
            }
        }
    }

    fn taken(&self, what: &'static str) -> ReportError {
        ReportError::OutTaken { path: self.folder.clone(), what }
    }

    fn cannot(&self, cause: io::Error) -> ReportError {
        ReportError::CannotWrite { path: self.folder.clone(), cause }
    }

    /// Writes everything to a temporary folder and renames it into place, replacing an earlier
    /// report. A failure leaves nothing new behind.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, report: &Report, drawn: &[Drawn]) -> Result<(), ReportError> {
        // Rendered before anything is created: an error here leaves the disk as it was.
        let html = page::page(report, drawn);
        let data = serde_json::to_string_pretty(report)? + "\n";
        let place = self.real_place().map_err(|cause| self.cannot(cause))?;
        // Noted now, since afterwards nothing is missing.
        let made = FirstMade::of(&place);
        let scratch = Scratch(beside(&place, "new"));
        let written = write_files(&scratch.0, &html, &data, drawn)
            .and_then(|()| put_in_place(&scratch.0, &place));

        written.map_err(|cause| {
            drop(scratch);
            made.undo();
            self.cannot(cause)
        })
    }

    /// Returns the folder by a path that ends in its own name, unlike `.`.
    fn real_place(&self) -> io::Result<PathBuf> {
        if self.folder.exists() { fs::canonicalize(&self.folder) } else { Ok(self.folder.clone()) }
    }
}

/// Writes page, data and figures into a new folder.
fn write_files(folder: &Path, html: &str, data: &str, drawn: &[Drawn]) -> io::Result<()> {
    fs::create_dir_all(folder.join(FIGURES))?;
    // On disk before the rename: after a power cut the folder under the report's name is whole.
    write_durably(&folder.join(PAGE), html.as_bytes())?;
    write_durably(&folder.join(DATA), data.as_bytes())?;
    for figure in drawn {
        write_durably(&folder.join(figure.svg_file()), figure.svg.as_bytes())?;
        write_durably(&folder.join(figure.png_file()), &figure.png)?;
    }
    sync_dir(&folder.join(FIGURES))?;
    sync_dir(folder)
}

/// Temporary folder, removed on drop unless it was renamed.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // The folder may never have been created.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Topmost ancestor of the folder that must be created, to be removed again after a failure.
struct FirstMade(Option<PathBuf>);

impl FirstMade {
    fn of(place: &Path) -> Self {
        let missing = place.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        Self(missing.take_while(|folder| !folder.exists()).last().map(Path::to_owned))
    }

    fn undo(&self) {
        if let Some(folder) = &self.0 {
            // Removes as much as was created.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Returns a hidden name next to `place`, unique to this process. It does not include the name of
/// `place`, which may already be as long as the file system allows.
fn beside(place: &Path, what: &str) -> PathBuf {
    place.with_file_name(format!(".coordrl-report.{what}-{}", std::process::id()))
}

/// Renames the new folder into place; an earlier one is moved aside and restored if that fails.
fn put_in_place(new: &Path, place: &Path) -> io::Result<()> {
    if !place.exists() {
        return fs::rename(new, place);
    }
    // A rename cannot replace a folder with content, so the earlier report has to move first.
    let old = beside(place, "old");
    fs::rename(place, &old)?;
    fs::rename(new, place).inspect_err(|_| {
        // A failed restore leaves the earlier report beside its place; the first error is reported.
        let _ = fs::rename(&old, place);
    })?;

    // Only now is the earlier report dispensable.
    drop(Scratch(old));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(path: &Path) -> Result<ReportDestination, ReportError> {
        ReportDestination::choose(Some(path), &[])
    }

    #[test]
    fn the_place_is_the_one_named_or_that_of_the_only_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        assert_eq!(
            ReportDestination::choose(None, &[&a]).unwrap().page(),
            a.join("report/index.html")
        );
        assert_eq!(
            ReportDestination::choose(Some(&b), &[&a]).unwrap().page(),
            b.join("index.html")
        );
        assert!(matches!(ReportDestination::choose(None, &[&a, &b]), Err(ReportError::NeedsOut)));
        assert!(matches!(ReportDestination::choose(None, &[]), Err(ReportError::NeedsOut)));
    }

    #[test]
    fn only_nothing_an_empty_folder_and_an_earlier_report_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        choose(&place).unwrap();
        fs::create_dir(&place).unwrap();
        choose(&place).unwrap();
        fs::write(place.join(PAGE), "").unwrap();
        assert!(matches!(choose(&place), Err(ReportError::OutTaken { .. })));
        fs::write(place.join(DATA), "").unwrap();
        choose(&place).unwrap();
        fs::write(place.join("thesis.tex"), "").unwrap();
        let error = choose(&place).unwrap_err().to_string();
        assert!(error.contains("holds other files"), "{error}");
        assert!(choose(&place.join(PAGE)).unwrap_err().to_string().contains("is a file"));
    }

    #[test]
    fn folders_made_on_the_way_go_again() {
        let folder = tempfile::tempdir().unwrap();
        let made = FirstMade::of(&folder.path().join("a/b/c"));
        assert_eq!(made.0, Some(folder.path().join("a")));
        assert_eq!(FirstMade::of(&folder.path().join("x")).0, None);
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        made.undo();
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn an_earlier_folder_is_replaced_and_comes_back_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| folder.path().join(name));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("x"), "old").unwrap();
        put_in_place(&new, &place).unwrap_err();
        assert!(place.join("x").is_file());
        fs::create_dir(&new).unwrap();
        put_in_place(&new, &place).unwrap();
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
