//! All studies as a sweep, and their results in a table beside the paper's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordrl_stats::median;
use coordrl_studies::{LayerKind, Split, StudyLayer, Task};

use super::comparison::{Group, measures_page};
use super::figures::Named;
use super::forecast::forecast;
use super::page::Page;
use super::{StudyResult, StudyRunConfig, TimeToMark, figures, launch, walks};
use crate::config::ConfigError;
use crate::durable_file::replace_file;
use crate::metrics::console::status;
use crate::run::run_dir::{RunDir, RunDirError};
use crate::stop_flag::StopFlag;
use crate::sweep::cell::{Cell, CellState};
use crate::sweep::cores::share_cores;
use crate::sweep::folder::{log_path, take_lock};
use crate::sweep::planned::Planned;
use crate::sweep::record::CellFailure;
use crate::sweep::scheduler::{Journal, Scheduler, SweepOutcome};

/// Divisor of the epochs of baselines, and of tasks without a mark, in a quick campaign.
const QUICK_SHARE: u32 = 10;

type Combination = (&'static Task, Split, &'static StudyLayer);

/// Selection of studies to run.
pub struct Campaign {
    /// Tasks to learn.
    pub tasks: Vec<&'static Task>,
    /// Splits, which define the held-out centres.
    pub splits: Vec<Split>,
    /// Layers under study.
    pub layers: Vec<&'static StudyLayer>,
    /// Number of seeds, starting at 1.
    pub seeds: u64,
    /// Number of seeds for the baselines, whose runs are longer.
    pub baseline_seeds: u64,
    /// Trains baselines and tasks without a mark for fewer epochs, the others until the mark holds.
    pub quick: bool,
    /// Number of studies to run at a time; absent: as many as the cores allow.
    pub jobs: Option<u64>,
    /// Number of worker threads of each study; absent: the cores divided by the studies at a time.
    pub threads: Option<u64>,
    /// Folder of all runs.
    pub runs_dir: PathBuf,
    /// Name of the folder for the table, and part of the runs' names.
    pub name: String,
}

/// Folder of a campaign, locked by this process.
struct CampaignFolder {
    path: PathBuf,
    _lock: Arc<File>,
}

impl Journal for CampaignFolder {
    fn log_path<P: Planned>(&self, cell: &Cell<P>) -> PathBuf {
        log_path(&self.path, cell)
    }

    /// Failures are only printed: the next process tries these studies again.
    fn note(&mut self, _cell: usize, _failure: Option<CellFailure>) -> Result<(), RunDirError> {
        Ok(())
    }
}

impl Campaign {
    /// Locks the campaign's folder, which is created if necessary, until the file is closed.
    ///
    /// # Errors
    /// If a folder holds another study, or the campaign's folder is in use or cannot be written.
    pub fn lock(&self) -> anyhow::Result<Arc<File>> {
        // Before the folder is created: a campaign that is refused leaves nothing behind.
        for cell in self.cells() {
            cell.state(&self.runs_dir)?;
        }

        let path = self.folder();
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Arc::new(take_lock(&path)?)),
            Err(cause) => Err(RunDirError::CannotCreate { path, cause }.into()),
        }
    }

    /// Runs every study that is not complete yet. `lock` is from [`Campaign::lock`].
    ///
    /// # Errors
    /// If a folder holds another study, or a study cannot be started.
    pub fn run(&self, lock: &Arc<File>, stop: StopFlag) -> anyhow::Result<SweepOutcome> {
        let mut cells = Vec::new();
        for cell in self.cells() {
            let state = cell.state(&self.runs_dir)?;
            cells.push((cell, state));
        }

        let left = cells.iter().filter(|(_, state)| *state != CellState::Done).count();
        let (jobs, _) = share_cores(cells.len(), self.jobs, self.threads);
        let folder = CampaignFolder { path: self.folder(), _lock: lock.clone() };
        let jobs = jobs.min(left.max(1));
        if let Some(forecast) = forecast(&cells, &stop).filter(|forecast| forecast.studies > 0) {
            status!("{}", forecast.describe(jobs));
        }
        Scheduler::new(folder, self.runs_dir.clone(), cells, jobs, stop).work()
    }

    /// Reads the results of all complete studies from their run folders.
    ///
    /// # Errors
    /// If the checkpoint of a complete study cannot be read.
    pub fn results(&self) -> anyhow::Result<Vec<StudyResult>> {
        let mut results = Vec::new();
        for cell in self.cells() {
            let path = self.runs_dir.join(&cell.run);
            // A folder that has become unusable was reported when its study was given up.
            if cell.state(&self.runs_dir).is_ok_and(|state| state == CellState::Done) {
                let loaded = launch::load(&RunDir::open_to_read(&path)?, cell.config())?;
                results.extend(loaded.built.subject.result(&path, &loaded.progress));
            }
        }
        Ok(results)
    }

    /// Lists all problems with the settings.
    ///
    /// # Errors
    /// If there are any.
    pub fn check(&self) -> Result<(), ConfigError> {
        let problems: Vec<_> = self.cells().iter().flat_map(|cell| cell.config().check()).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Problems(problems)) }
    }

    fn folder(&self) -> PathBuf {
        self.runs_dir.join("studies/all").join(&self.name)
    }

    /// Writes tables, results and figures; returns their folder.
    pub fn write(&self, results: &[StudyResult]) -> anyhow::Result<PathBuf> {
        let folder = self.folder();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            replace_file(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };

        let table = self.table(results);
        let measures = measures_page(&self.groups(results))?;
        put("table.md", table.as_bytes())?;
        put("measures.md", measures.as_bytes())?;
        put("results.json", serde_json::to_string_pretty(results)?.as_bytes())?;
        let shown = figures::exhibits(results)?;
        let figures = figures::draw(results, &shown)?;
        for Named { name, figure, .. } in &figures {
            put(&format!("{name}.svg"), figure.to_svg()?.as_bytes())?;
            put(&format!("{name}.png"), &figure.to_png()?)?;
        }

        let walks = walks::draw(&shown)?;
        for drawn in &walks {
            put(&format!("{}.png", drawn.name), &drawn.sheet.png)?;
            put(&format!("{}.webp", drawn.name), &drawn.video)?;
        }

        // Last, since it shows the others.
        let page = Page {
            name: &self.name,
            table: &table,
            measures: &measures,
            figures: &figures,
            walks: &walks,
        };
        put("page.html", page.render().as_bytes())?;
        Ok(folder)
    }

    /// Builds the table: one row per task, split and layer, with medians over the seeds.
    pub fn table(&self, results: &[StudyResult]) -> String {
        let mut lines = vec![
            "| task | split | layer | parameters | epochs | train | test | mark held | epochs to mark | seconds to mark | paper |"
                .to_owned(),
            "|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
        ];
        for (task, split, layer) in self.combinations() {
            let found: Vec<&StudyResult> = results
                .iter()
                .filter(|result| {
                    result.task == task.name
                        && result.split == split.name()
                        && result.layer == layer.name
                })
                .collect();
            lines.push(row(task, split, layer, &found, self.seeds_of(layer)));
        }

        lines.join("\n") + "\n"
    }

    /// Sorts results by task and split.
    fn groups<'a>(&self, results: &'a [StudyResult]) -> Vec<Group<'a>> {
        let combinations = self.combinations();
        let same = |a: &Combination, b: &Combination| (a.0, a.1) == (b.0, b.1);
        let groups = combinations.chunk_by(same).map(|of_group| {
            let (task, split, _) = of_group[0];
            let of_split =
                |result: &&StudyResult| result.task == task.name && result.split == split.name();
            Group {
                task,
                split,
                layers: of_group.iter().map(|(_, _, layer)| *layer).collect(),
                results: results.iter().filter(of_split).collect(),
            }
        });
        groups.collect()
    }

    fn combinations(&self) -> Vec<Combination> {
        let mut all = Vec::new();
        for &task in &self.tasks {
            for &split in self.splits.iter().filter(|split| task.splits.contains(split)) {
                let layers = self.layers.iter().filter(|layer| task.takes(layer));
                all.extend(layers.map(|&layer| (task, split, layer)));
            }
        }
        all
    }

    fn seeds_of(&self, layer: &StudyLayer) -> u64 {
        if is_baseline(layer) { self.baseline_seeds } else { self.seeds }
    }

    /// Returns all studies, combination by combination.
    pub fn cells(&self) -> Vec<Cell<StudyRunConfig>> {
        let combinations = self.combinations();
        let count = combinations.iter().map(|(_, _, layer)| self.seeds_of(layer)).sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (_, threads) = share_cores(count, self.jobs, self.threads);
        let threads = u32::try_from(threads).unwrap_or(u32::MAX);
        let mut cells = Vec::new();
        for (task, split, layer) in combinations {
            for seed in 1..=self.seeds_of(layer) {
                let config = StudyRunConfig {
                    seed,
                    threads: Some(threads),
                    ..StudyRunConfig::recipe(task, split, layer)
                };
                cells.push(self.cell(config, is_baseline(layer)));
            }
        }
        cells
    }

    fn cell(&self, mut config: StudyRunConfig, baseline: bool) -> Cell<StudyRunConfig> {
        match (self.quick, baseline || config.task.mark.is_none()) {
            (true, true) => config.study.epochs = config.study.epochs.div_ceil(QUICK_SHARE),
            (true, false) | (false, true) => {}
            (false, false) => {
                config.study.epochs = config.task.fixed_epochs;
                config.stop_when_held = false;
            }
        }

        let name = Self::run_name(&self.name, config.seed);
        let run = launch::group(Path::new(""), &config).join(name);
        let mut arguments = vec![
            format!("--layer={}", config.layer),
            format!("--split={}", config.split.name()),
            format!("--seed={}", config.seed),
            format!("--set=study.epochs={}", config.study.epochs),
            format!("--set=stop_when_held={}", config.stop_when_held),
        ];
        arguments.extend(config.threads.map(|threads| format!("--threads={threads}")));
        Cell { plan: config, arguments, run }
    }

    /// Returns the name of a seed's run in the campaign `name`.
    pub fn run_name(name: &str, seed: u64) -> String {
        format!("{name}-seed{seed}")
    }
}

fn is_baseline(layer: &StudyLayer) -> bool {
    matches!(layer.kind, LayerKind::Baseline)
}

/// Returns the paper's result: Liu et al. 2018 (arXiv:1807.03247) and the authors' article
/// (eng.uber.com/coordconv). Layers of ours have none.
fn published(task: &Task, split: Split, layer: &StudyLayer) -> &'static str {
    let in_paper = is_baseline(layer) || layer.name == "coordconv";
    if in_paper { (task.published)(split, layer.kind) } else { "–" }
}

/// Formats the row of a combination of which `asked` studies were to be run.
fn row(
    task: &Task,
    split: Split,
    layer: &StudyLayer,
    results: &[&StudyResult],
    asked: u64,
) -> String {
    let Some(first) = results.first() else {
        let paper = published(task, split, layer);
        return format!(
            "| {task} | {} | `{}` | – | – | – | – | {asked} failed | – | – | {paper} |",
            split.name(),
            layer.name
        );
    };
    let failed = match asked.saturating_sub(results.len() as u64) {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let measure = first.main_measure().0.replace("_px", " px");
    // Final errors in pixels are far below one.
    let digits = if measure.ends_with("px") { 4 } else { 3 };
    let side = |index: usize| {
        let values: Vec<f64> =
            results.iter().map(|result| result.main_measure().1[index]).collect();
        match values.iter().any(|value| value.is_nan()) {
            true => "–".to_owned(),
            false => format!("{measure} {}", describe(&values, digits)),
        }
    };

    let held = match &task.mark {
        None => format!("– of {}", results.len()),
        Some(_) => {
            let held = results.iter().filter(|result| result.held).count();
            format!("{held} of {}", results.len())
        }
    };
    let epochs = median(results.iter().map(|result| f64::from(result.epochs)).collect());

    format!(
        "| {task} | {} | `{}` | {} | {epochs:.0} | {} | {} | {held}{failed} | {} | {} | {} |",
        split.name(),
        layer.name,
        first.parameters,
        side(0),
        side(1),
        to_mark(results, |mark| f64::from(mark.epochs)),
        to_mark(results, |mark| mark.seconds),
        published(task, split, layer),
    )
}

/// Formats the median time to the mark over the seeds. Seeds that never held it count as longer
/// than all others; a dash if the median falls on one of those.
fn to_mark(results: &[&StudyResult], time: impl Fn(&TimeToMark) -> f64) -> String {
    let times =
        results.iter().map(|result| result.time_to_mark.as_ref().map_or(f64::INFINITY, &time));
    let middle = median(times.collect());
    if middle.is_finite() { format!("{middle:.0}") } else { "–".to_owned() }
}

/// Formats the median, with the range if there are several values.
fn describe(values: &[f64], digits: usize) -> String {
    let middle = median(values.to_vec());
    let (low, high) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    match values.len() {
        1 => format!("{middle:.digits$}"),
        _ => format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_studies::{find_layer, tasks};
    use serde_json::json;

    fn result(seed: u64, test: f64, held: bool) -> StudyResult {
        serde_json::from_value(json!({
            "run": "r", "task": "classify", "split": "quadrant", "layer": "coordconv", "seed": seed,
            "parameters": 7553, "seconds": 99.0, "epochs": 20, "updates": 450, "held": held,
            "time_to_mark": held.then(|| json!({ "epochs": 3, "updates": 450, "seconds": 10.0 * seed as f64 })),
            "train_accuracy": 1.0, "test_accuracy": test
        }))
        .unwrap()
    }

    #[test]
    fn the_table_has_medians_ranges_and_what_the_paper_found() {
        let results = [result(1, 1.0, true), result(2, 0.5, false), result(4, 1.0, true)];
        let references: Vec<&StudyResult> = results.iter().collect();
        let layer = find_layer("coordconv").unwrap();
        let row_of = |found: &[&StudyResult]| row(tasks()[0], Split::Quadrant, layer, found, 3);
        let row = row_of(&references);
        let expected = "| classify | quadrant | `coordconv` | 7553 | 20 | accuracy 1.000 (1.000 to 1.000) | \
                        accuracy 1.000 (0.500 to 1.000) | 2 of 3 | 3 | 40 |";
        assert!(row.starts_with(expected), "{row}");
        assert!(row_of(&references[..2]).contains("| 1 of 2, 1 failed |"));
        assert!(row_of(&[]).contains("| 3 failed | – | – | 1.00 |"));
        assert_eq!(to_mark(&references[1..2], |mark| mark.seconds), "–", "it never held the mark");
    }
}
