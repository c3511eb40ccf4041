//! Finds runs from paths: sweeps, runs, and folders that contain runs; records what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::as_typed;
use super::excluded::{ExcludedRun, Why};
use super::run::{Run, ScoredBy};
use crate::report::ReportError;
use crate::run::run_dir::{RunDir, RunDirError};
use crate::sweep::folder::read_record;
use crate::sweep::record::{CellRecord, Design, record_path, runs_dir_of};

/// Usable and excluded runs.
#[derive(Debug, Default)]
pub struct FoundRuns {
    /// Complete runs in the order they were found, at most one per game, algorithm, torso and seed.
    pub runs: Vec<Run>,
    /// Excluded runs.
    pub excluded: Vec<ExcludedRun>,
    /// Sweeps named on the command line.
    pub sweeps: Vec<Sweep>,
    /// Paths below the named folders that were skipped, with reasons.
    pub passed_over: Vec<String>,
}

impl FoundRuns {
    /// Returns the design fixed before the runs; `None` if the sweeps disagree.
    pub fn design(&self) -> Option<&Design> {
        let mut designs = self.sweeps.iter().map(|sweep| sweep.design.as_ref());
        let first = designs.next()??;
        designs.all(|design| design == Some(first)).then_some(first)
    }
}

/// Sweep from which runs were read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// Folder of the sweep.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub folder: PathBuf,
    /// Name of the sweep.
    pub name: String,
    /// Command lines of its processes.
    pub commands: Vec<Vec<String>>,
    /// Design of its report, fixed before the runs; absent in sweeps of early versions.
    pub design: Option<Design>,
}

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
    // In this order: runs that are left out must not decide how a game is scored, and which runs
    // are late depends on the curve that scores them.
    let found = leave_out_late(score_alike(leave_out_unusable(search.found)));
    match found.excluded.first() {
        Some(first) if found.runs.is_empty() => {
            Err(ReportError::NothingComplete { runs: count, first: first.text() })
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
            Err(why) => self.found.excluded.push(ExcludedRun::of_cell(cell, path.to_owned(), why)),
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
    let holds = name_of_run(&run);
    match failure_of(cell) {
        _ if holds != name_of_cell(cell) => Err(Why::Other { holds }),
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

fn name_of_run(run: &Run) -> String {
    let config = &run.config;
    format!("{}, {}-{}, seed {}", config.game, config.algo.name(), config.torso, config.seed)
}

fn name_of_cell(cell: &CellRecord) -> String {
    format!("{}, {}-{}, seed {}", cell.game, cell.algo.name(), cell.torso, cell.seed)
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

/// Excludes runs that are incomplete, have no score, or repeat a seed.
fn leave_out_unusable(found: FoundRuns) -> FoundRuns {
    let mut kept = FoundRuns { runs: Vec::new(), ..found };
    for run in found.runs {
        if let Some(why) = why_unusable(&run) {
            kept.excluded.push(ExcludedRun::of_run(&run, why));
            continue;
        }
        match kept.runs.iter().position(|other| name_of_run(other) == name_of_run(&run)) {
            None => kept.runs.push(run),
            Some(place) => {
                let worse = choose_between(&mut kept.runs[place], run);
                let used = kept.runs[place].path.clone();
                kept.excluded.push(ExcludedRun::of_run(&worse, Why::Repeated { used }));
            }
        }
    }

    kept
}

/// Scores a whole game by its training games if any of its runs has no evaluations: evaluation and
/// training scores are not comparable.
fn score_alike(found: FoundRuns) -> FoundRuns {
    let lacking = found.runs.iter().filter(|run| run.scored_by == ScoredBy::Training);
    let games: BTreeSet<String> = lacking.map(|run| run.config.game.clone()).collect();
    let mut kept = FoundRuns { runs: Vec::new(), ..found };
    for mut run in found.runs {
        if games.contains(&run.config.game) {
            run.score_by_training();
        }
        match run.curve.is_empty() {
            true => kept.excluded.push(ExcludedRun::of_run(&run, Why::NoGame)),
            false => kept.runs.push(run),
        }
    }

    kept
}

fn why_unusable(run: &Run) -> Option<Why> {
    match run {
        // The marker of a divergence may be older than the end of the run.
        _ if run.diverged && !run.is_complete() => Some(Why::Diverged { frames: run.frames }),
        _ if !run.is_complete() => Some(Why::Unfinished { frames: run.frames, of: run.due }),
        _ if run.curve.is_empty() => Some(Why::NoGame),
        _ => None,
    }
}

/// Excludes runs whose first full game ended after the shortest run of the same game: scores are
/// compared up to there, and these have none yet. The shortest run always has one, so the budget
/// does not change.
fn leave_out_late(found: FoundRuns) -> FoundRuns {
    let mut budgets: BTreeMap<String, u64> = BTreeMap::new();
    for run in &found.runs {
        let budget = budgets.entry(run.config.game.clone()).or_insert(run.frames);
        *budget = run.frames.min(*budget);
    }

    let mut kept = FoundRuns { runs: Vec::new(), ..found };
    for run in found.runs {
        let budget = budgets[&run.config.game];
        match run.curve.first() {
            Some(first) if first.frames <= budget as f64 => kept.runs.push(run),
            _ => kept.excluded.push(ExcludedRun::of_run(&run, Why::NoGameWithin { budget })),
        }
    }

    kept
}

/// Keeps the longer of two runs of one seed, or the later if equally long; returns the other.
fn choose_between(kept: &mut Run, other: Run) -> Run {
    if rank(&other) > rank(kept) { std::mem::replace(kept, other) } else { other }
}

/// Returns the frames trained and the time of the start, by which runs of one seed are ordered.
fn rank(run: &Run) -> (u64, u64) {
    let started = run.meta.sessions.first().map_or(0, |session| session.started_unix_secs);
    (run.length(), started)
}

#[cfg(test)]
mod tests;
