//! Runs all studies in sequence and tabulates their results beside the paper's.

use std::path::PathBuf;

use anyhow::Context;
use coordrl_studies::{LayerKind, Split, StudyLayer, Task};

use super::paper::published;
use super::{StudyOutcome, StudyResult, StudyRunConfig, TimeToMark, figures, launch};
use crate::config::ConfigError;
use crate::durable_file::replace_file;
use crate::metrics::console::status;
use crate::run::run_dir::RunDir;
use crate::stop_flag::StopFlag;

/// Divisor of a baseline's epochs in a quick campaign.
const QUICK_SHARE: u32 = 10;

/// Returns the fixed number of epochs for a layer under study. Stopping when the mark holds on the
/// test centres would select the end by the test set. More than twice what the slowest of ten seeds
/// needed.
fn fixed_epochs(task: Task) -> u32 {
    match task {
        Task::Classify => 20,
        Task::Render => 40,
        Task::Regress => 20,
    }
}

/// Selection of studies to run.
pub struct Campaign {
    /// Tasks to learn.
    pub tasks: Vec<Task>,
    /// Splits, which define the held-out centres.
    pub splits: Vec<Split>,
    /// Layers under study.
    pub layers: Vec<&'static StudyLayer>,
    /// Number of seeds, starting at 1.
    pub seeds: u64,
    /// Number of seeds for the baselines, whose runs are longer.
    pub baseline_seeds: u64,
    /// Trains the baselines for fewer epochs, and the others until the mark holds.
    pub quick: bool,
    /// Number of worker threads.
    pub threads: Option<u32>,
    /// Folder of all runs.
    pub runs_dir: PathBuf,
    /// Name of the folder for the table, and part of the runs' names.
    pub name: String,
}

/// Outcome of a campaign.
pub enum CampaignOutcome {
    /// All studies are complete.
    Finished(Vec<StudyResult>),
    /// Ctrl-C, SIGTERM or SIGHUP; the study in progress has a checkpoint.
    Interrupted,
}

impl Campaign {
    /// Runs every study that is not complete yet.
    pub fn run(&self, stop: &StopFlag) -> anyhow::Result<CampaignOutcome> {
        let configs = self.configs();
        let problems: Vec<_> = configs.iter().flat_map(StudyRunConfig::check).collect();
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems).into());
        }

        let mut results = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            status!("study {} of {}", index + 1, configs.len());
            match self.study(config, stop)? {
                Some(result) => results.push(result),
                None => return Ok(CampaignOutcome::Interrupted),
            }
        }

        Ok(CampaignOutcome::Finished(results))
    }

    /// Writes table, results and figures; returns their folder.
    pub fn write(&self, results: &[StudyResult]) -> anyhow::Result<PathBuf> {
        let folder = self.runs_dir.join("studies/all").join(&self.name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            replace_file(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };

        put("table.md", self.table(results).as_bytes())?;
        put("results.json", serde_json::to_string_pretty(results)?.as_bytes())?;
        for (name, picture) in figures::draw(results)? {
            put(&format!("{name}.svg"), picture.to_svg()?.as_bytes())?;
            put(&format!("{name}.png"), &picture.to_png()?)?;
        }

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
            let same = |result: &&StudyResult| {
                result.task == task.name()
                    && result.split == split.name()
                    && result.layer == layer.name
            };
            let rows: Vec<&StudyResult> = results.iter().filter(same).collect();
            lines.extend(row(task, split, layer, &rows));
        }

        lines.join("\n") + "\n"
    }

    fn combinations(&self) -> Vec<(Task, Split, &'static StudyLayer)> {
        let mut all = Vec::new();
        for &task in &self.tasks {
            for &split in &self.splits {
                all.extend(self.layers.iter().map(|&layer| (task, split, layer)));
            }
        }
        all
    }

    fn configs(&self) -> Vec<StudyRunConfig> {
        let mut configs = Vec::new();
        for (task, split, layer) in self.combinations() {
            let baseline = matches!(layer.kind, LayerKind::Baseline);
            for seed in 1..=if baseline { self.baseline_seeds } else { self.seeds } {
                let mut config = StudyRunConfig::recipe(task, split, layer);
                (config.seed, config.threads) = (seed, self.threads);
                match (self.quick, baseline) {
                    (true, true) => config.study.epochs = config.study.epochs.div_ceil(QUICK_SHARE),
                    (true, false) | (false, true) => {}
                    (false, false) => {
                        config.study.epochs = fixed_epochs(task);
                        config.stop_when_held = false;
                    }
                }
                configs.push(config);
            }
        }

        configs
    }

    /// Returns the name of a seed's run in the campaign `name`.
    pub fn run_name(name: &str, seed: u64) -> String {
        format!("{name}-seed{seed}")
    }

    /// Runs or resumes one study; `None` if a signal arrived.
    fn study(
        &self,
        config: &StudyRunConfig,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<StudyResult>> {
        let name = Self::run_name(&self.name, config.seed);
        let path = launch::group(&self.runs_dir, config).join(&name);
        let mut run = if path.exists() {
            let run = RunDir::open_to_train(&path)?;
            let old: StudyRunConfig = run.read_config()?;
            launch::check_resume(&old, config, "choose another `--name`")?;
            let loaded = launch::load(&run, config)?;
            if loaded.is_done(config) {
                return Ok(loaded.result(&run, config));
            }
            launch::resume(run, config.clone(), loaded, stop.clone())?
        } else {
            launch::new_run(config.clone(), &self.runs_dir, Some(&name), stop.clone())?
        };

        let outcome = run.train()?;
        Ok(if outcome == StudyOutcome::Finished { run.result() } else { None })
    }
}

fn row(task: Task, split: Split, layer: &StudyLayer, results: &[&StudyResult]) -> Option<String> {
    let first = results.first()?;
    let measure = first.main_measure().0.replace("_px", " px");
    // Final errors in pixels are far below one.
    let digits = if measure.ends_with("px") { 4 } else { 3 };
    let side = |index: usize| {
        let values: Vec<f64> =
            results.iter().map(|result| result.main_measure().1[index]).collect();
        describe(&values, digits)
    };

    let held = results.iter().filter(|result| result.held).count();
    let epochs = median(results.iter().map(|result| f64::from(result.epochs)));

    Some(format!(
        "| {task} | {} | `{}` | {} | {epochs:.0} | {measure} {} | {measure} {} | {held} of {} | {} | {} | {} |",
        split.name(),
        layer.name,
        first.parameters,
        side(0),
        side(1),
        results.len(),
        to_mark(results, |mark| f64::from(mark.epochs)),
        to_mark(results, |mark| mark.seconds),
        published(task, split, layer),
    ))
}

/// Formats the median time to the mark over the seeds. Seeds that never held it count as longer
/// than all others; a dash if the median falls on one of those.
fn to_mark(results: &[&StudyResult], time: impl Fn(&TimeToMark) -> f64) -> String {
    let times =
        results.iter().map(|result| result.time_to_mark.as_ref().map_or(f64::INFINITY, &time));
    let middle = median(times);
    if middle.is_finite() { format!("{middle:.0}") } else { "–".to_owned() }
}

/// Formats the median, with the range if there are several values.
fn describe(values: &[f64], digits: usize) -> String {
    let middle = median(values.iter().copied());
    let (low, high) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    match values.len() {
        1 => format!("{middle:.digits$}"),
        _ => format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})"),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_studies::find_layer;
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
        let row = row(Task::Classify, Split::Quadrant, layer, &references).unwrap();
        let expected = "| classify | quadrant | `coordconv` | 7553 | 20 | accuracy 1.000 (1.000 to 1.000) | \
                        accuracy 1.000 (0.500 to 1.000) | 2 of 3 | 3 | 40 |";
        assert!(row.starts_with(expected), "{row}");
        assert_eq!(to_mark(&references[1..2], |mark| mark.seconds), "–", "it never held the mark");
        assert_eq!(median([1.0, 4.0].into_iter()), 2.5);
    }
}
