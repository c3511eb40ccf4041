//! Finds runs from paths: sweeps, runs, and folders that contain runs; records what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::exclude::without_unusable;
use super::{ExcludedRun, FoundRuns, Run, RunKey, Sweep, Why, as_typed};
use crate::report::ReportError;
use crate::run::run_dir::{RunDir, RunDirError};
use crate::sweep::folder::read_record;
use crate::sweep::record::{CellRecord, record_path, runs_dir_of};

/// Removes paths that resolve to the same place as an earlier one.
pub fn without_repeats(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths.into_iter().filter(|path| seen.insert(real(path))).collect()
}

/// Finds and reads all runs under the given paths.
///
/// # Errors
/// If a path is not a run or names a damaged one, or no run is complete.
pub fn find_runs(paths: &[PathBuf]) -> Result<FoundRuns, ReportError> {
    let mut search = Search::default();
    for path in paths {
        search.add(path)?;
    }

    let count = search.found.runs.len() + search.found.excluded.len();
    let found = without_unusable(search.found);
    match found.excluded.first() {
        Some(first) if found.runs.is_empty() => {
            Err(ReportError::NothingComplete { runs: count, first: first.to_string() })
        }
        _ => Ok(found),
    }
}

#[derive(Debug, Default)]
struct Search {
    found: FoundRuns,
    /// Real paths of runs already seen, so that one run reached by two paths counts once.
    seen: BTreeSet<PathBuf>,
    /// Number of runs in each folder searched, by its real path: a link may point to an ancestor or
    /// to a folder that is searched anyway.
    searched: BTreeMap<PathBuf, usize>,
}

impl Search {
    fn add(&mut self, path: &Path) -> Result<(), RunDirError> {
        if !path.is_dir() {
            return Err(not_a_run(path, "no such folder"));
        }

        if record_path(path).is_file() {
            return self.add_sweep(path);
        }

        if !has_config(path) {
            let found = self.search_below(path)?;
            return match found > 0 {
                true => Ok(()),
                false => Err(not_a_run(path, Run::why_none_in(path))),
            };
        }

        if !Run::is_one(path)? {
            return Err(not_a_run(path, "it holds a study; a report compares runs of games"));
        }

        self.add_named(path)
    }

    fn add_sweep(&mut self, folder: &Path) -> Result<(), RunDirError> {
        let record = read_record(&record_path(folder))?;
        let name = record.name;
        let commands = record.commands.iter().map(|command| as_typed(command)).collect();
        self.found.sweeps.push(Sweep {
            folder: folder.to_owned(),
            name,
            commands,
            design: record.design,
        });

        let runs_dir = runs_dir_as_spelled(folder);
        for cell in &record.cells {
            let path = tidy(&runs_dir.join(&cell.run));
            self.add_cell(cell, &path);
        }

        Ok(())
    }

    /// Adds a cell's run, or the reason to exclude it: one bad run must not prevent the report.
    fn add_cell(&mut self, cell: &CellRecord, path: &Path) {
        // A run reached by two paths counts once, but one that does not exist is missing from every
        // sweep that plans it.
        if has_config(path) && !self.is_new(path) {
            return;
        }
        match read_cell(cell, path) {
            Ok(run) => self.found.runs.push(run),
            Err(why) => {
                let cell = Some(RunKey::planned(cell));
                self.found.excluded.push(ExcludedRun { cell, run: path.to_owned(), why });
            }
        }
    }

    /// Adds a run named by the user. It is read even if a search found it before: a search excludes
    /// damaged runs silently, but a damaged run that the user named is an error.
    fn add_named(&mut self, path: &Path) -> Result<(), RunDirError> {
        let run = Run::read(path)?;
        if self.is_new(path) {
            self.found.runs.push(run);
        }
        Ok(())
    }

    /// Adds a run found by a search, or excludes it: one bad run must not prevent the report.
    /// Returns `true` if the folder holds a run, known or new; a study does not count.
    fn add_found(&mut self, path: &Path) -> bool {
        if matches!(Run::is_one(path), Ok(false)) {
            return false;
        }

        if self.is_new(path) {
            match Run::read(path) {
                Ok(run) => self.found.runs.push(run),
                Err(error) => {
                    self.found.excluded.push(ExcludedRun::of_damaged(path, damage(path, error)))
                }
            }
        }

        true
    }

    /// Adds runs at any depth and returns their number, including known ones. Follows links,
    /// visiting each folder once. Does not descend into runs or sweeps; lists skipped sweeps, which
    /// may know more runs.
    fn search_below(&mut self, folder: &Path) -> Result<usize, RunDirError> {
        let place = real(folder);
        if let Some(&found) = self.searched.get(&place) {
            return Ok(found);
        }

        // Entered before the search, so that a link back to this folder ends it.
        self.searched.insert(place.clone(), 0);

        let paths = entries_of(folder)
            .map_err(|error| not_a_run(folder, &format!("it cannot be read: {error}")))?;

        let mut found = 0;
        for path in paths {
            if !path.exists() && path.is_symlink() {
                self.pass_over(&path, "a link that leads nowhere");
            } else if !path.is_dir() {
                // A file is not a run.
            } else if record_path(&path).is_file() {
                self.pass_over(
                    &path,
                    "a sweep; named itself, it says which of its runs are missing",
                );
            } else if has_config(&path) {
                found += usize::from(self.add_found(&path));
            } else {
                found += self.search_below(&path)?;
            }
        }

        self.searched.insert(place, found);
        Ok(found)
    }

    fn pass_over(&mut self, path: &Path, why: &str) {
        self.found.passed_over.push(format!("{} ({why})", path.display()));
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(real(path))
    }
}

fn not_a_run(path: &Path, cause: &str) -> RunDirError {
    RunDirError::NotARun { path: path.to_owned(), cause: cause.to_owned() }
}

/// Lists the entries of a folder, sorted by name.
fn entries_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    // The system lists entries in any order; arms keep the order in which they are found.
    paths.sort();
    Ok(paths)
}

/// Resolves links and `..`; returns the path unchanged if it does not exist.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns a sweep's folder of all runs, relative to the sweep's path as given. Falls back to the
/// real path if a link is involved, since the parent of a link's target is not the parent of the
/// link.
fn runs_dir_as_spelled(sweep: &Path) -> PathBuf {
    let spelled = tidy(&runs_dir_of(sweep));
    let there = real(&runs_dir_of(&real(sweep)));
    if real(&spelled) == there { spelled } else { there }
}

/// Reads a cell's run, which is complete at the frame count of the sweep. A run without `meta.json`
/// is starting, or was stopped while starting.
fn read_cell(cell: &CellRecord, path: &Path) -> Result<Run, Why> {
    if !has_config(path) {
        return Err(why_not_begun(cell));
    }

    let mut run = Run::read(path).map_err(|error| match error {
        RunDirError::Damaged { path: file, .. } if !file.exists() => why_not_begun(cell),
        other => damage(path, other),
    })?;

    run.due = cell.frames;
    let holds = RunKey::of(&run.config);
    match failure_of(cell) {
        _ if holds != RunKey::planned(cell) => Err(Why::Other { holds: holds.to_string() }),
        // A failed attempt does not count once a later one has completed the run.
        Some(why) if !run.is_complete() => Err(why),
        _ => Ok(run),
    }
}

/// Returns the reason why a cell has no run: an attempt that failed, or none so far.
fn why_not_begun(cell: &CellRecord) -> Why {
    failure_of(cell).unwrap_or(Why::Missing)
}

/// Returns the reason why a run could not be read.
fn damage(path: &Path, error: RunDirError) -> Why {
    match error {
        RunDirError::Damaged { path: file, cause } => Why::Damaged {
            file: file.strip_prefix(path).map(Path::to_owned).unwrap_or(file),
            cause,
        },
        other => Why::Unusable { cause: other.to_string() },
    }
}

fn has_config(path: &Path) -> bool {
    RunDir::open_to_read(path).is_ok()
}

fn failure_of(cell: &CellRecord) -> Option<Why> {
    let failure = cell.failure.as_ref()?;
    let ended_with = failure.ended_with.clone();
    let message = failure.message.clone();
    Some(Why::Failed { ended_with, message })
}

/// Simplifies `a/b/../c` for display.
fn tidy(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        let after_name = matches!(short.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && after_name {
            short.pop();
        } else {
            short.push(part);
        }
    }
    if short.as_os_str().is_empty() { PathBuf::from(".") } else { short }
}

#[cfg(test)]
mod tests;
