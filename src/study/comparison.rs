//! Every measure of a campaign's studies: the layers beside their baseline, with intervals.

use coordrl_stats::{Bootstrap, Difference, mean, standard_deviation};
use coordrl_studies::{LayerKind, Measure, Split, StudyLayer, Task};

use super::StudyResult;

const DASH: &str = "–";

/// Studies of one task and split.
pub(super) struct Group<'a> {
    pub task: &'static Task,
    pub split: Split,
    pub layers: Vec<&'static StudyLayer>,
    /// Results of all these layers.
    pub results: Vec<&'a StudyResult>,
}

/// Writes a section per group: each measure on the test rows, mean and standard deviation over
/// seeds, and each layer's difference from the baseline.
pub(super) fn measures_page(groups: &[Group<'_>]) -> anyhow::Result<String> {
    let mut page = vec![
        "Measures on the test rows, at the end of training: mean ± standard deviation over seeds.".to_owned(),
        "Differences from the baseline: with their 95 % bootstrap interval, and p of the two-sided permutation test, \
         not corrected for the number of measures."
            .to_owned(),
    ];
    for group in groups {
        page.push(format!("\n## {}, {}\n", group.task, group.split.name()));
        page.extend(group.table()?);
    }
    Ok(page.join("\n") + "\n")
}

impl Group<'_> {
    fn table(&self) -> anyhow::Result<Vec<String>> {
        let baseline =
            self.layers.iter().find(|layer| matches!(layer.kind, LayerKind::Baseline)).copied();
        let others: Vec<&StudyLayer> = match baseline {
            Some(baseline) => {
                self.layers.iter().filter(|layer| layer.name != baseline.name).copied().collect()
            }
            None => Vec::new(),
        };

        let has_data = self.task.measures.iter().any(|measure| measure.of_data.is_some());
        let mut header = vec!["measure".to_owned()];
        header.extend(has_data.then(|| "data".to_owned()));
        header.extend(self.layers.iter().map(|layer| {
            let seeds = self.seeds(layer);
            let plural = if seeds == 1 { "" } else { "s" };
            format!("`{}`, {seeds} seed{plural}", layer.name)
        }));
        for layer in &others {
            header.push(format!("`{}` − baseline", layer.name));
            header.extend(["95 % interval", "p"].map(str::to_owned));
        }
        let mut lines = vec![line(&header), line(&vec!["---".to_owned(); header.len()])];
        for measure in self.task.measures {
            let values = |layer: &StudyLayer| self.values(layer, measure);
            if self.layers.iter().all(|layer| values(layer).is_empty()) {
                continue; // of a second stage, for instance, that was left out
            }
            let mut cells = vec![measure.label.to_owned()];
            let of_data = measure.of_data.map_or(DASH.to_owned(), |value| value.to_string());
            cells.extend(has_data.then_some(of_data));
            cells.extend(self.layers.iter().map(|layer| spread(&values(layer), self.seeds(layer))));
            for layer in &others {
                let baseline = baseline.map(values).unwrap_or_default();
                cells.extend(difference(&values(layer), &baseline)?);
            }
            lines.push(line(&cells));
        }
        Ok(lines)
    }

    fn seeds(&self, layer: &StudyLayer) -> usize {
        self.results.iter().filter(|result| result.layer == layer.name).count()
    }

    /// Returns a measure of each of the layer's seeds that has it.
    fn values(&self, layer: &StudyLayer, measure: &Measure) -> Vec<f64> {
        let key = format!("test_{}", measure.name);
        let of_layer = self.results.iter().filter(|result| result.layer == layer.name);
        of_layer.filter_map(|result| result.measures.get(&key)?.as_f64()).collect()
    }
}

/// Formats mean and deviation, with the number of values if it is not that of the seeds.
fn spread(values: &[f64], seeds: usize) -> String {
    let middle = mean(values.iter().copied());
    let spread = match values.len() {
        0 => return DASH.to_owned(),
        1 => format!("{middle:.4}"),
        _ => format!("{middle:.4} ± {:.4}", standard_deviation(values)),
    };
    if values.len() == seeds { spread } else { format!("{spread} ({} of {seeds})", values.len()) }
}

/// Formats difference, interval and p.
fn difference(layer: &[f64], baseline: &[f64]) -> anyhow::Result<[String; 3]> {
    if layer.is_empty() || baseline.is_empty() {
        return Ok([DASH; 3].map(str::to_owned));
    }
    let found = Difference::of(layer, baseline, Bootstrap::default())?;
    let interval =
        found.interval.map(|interval| format!("{:+.4} to {:+.4}", interval.low, interval.high));
    // With many seeds p is estimated from random deals.
    let about = if found.random_deals.is_some() { "≈ " } else { "" };
    let p = found.p.map(|p| format!("{about}{p:.4}"));
    let [interval, p] = [interval, p].map(|text| text.unwrap_or_else(|| DASH.to_owned()));
    Ok([format!("{:+.4}", found.difference), interval, p])
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_studies::{find_layer, find_task};
    use serde_json::json;

    fn result(layer: &str, seed: u64, average: f64) -> StudyResult {
        serde_json::from_value(json!({
            "run": "r", "task": "detect", "split": "digits", "layer": layer, "seed": seed,
            "parameters": 1, "seconds": 1.0, "epochs": 3, "updates": 3, "held": false,
            "time_to_mark": null, "test_iou_average": average, "test_map50": null
        }))
        .unwrap()
    }

    #[test]
    fn measures_have_means_differences_intervals_and_p() {
        let results: Vec<StudyResult> = (1..=4)
            .flat_map(|seed| {
                let at = seed as f64;
                [
                    result("conv", seed, 0.3 + at / 100.0),
                    result("coordconv", seed, 0.5 + at / 100.0),
                ]
            })
            .collect();
        let layers = ["conv", "coordconv"].map(|name| find_layer(name).unwrap()).to_vec();
        let task = find_task("detect").unwrap();
        let group = Group { task, split: Split::Digits, layers, results: results.iter().collect() };
        let page = measures_page(&[group]).unwrap();
        let found = page.lines().find(|line| line.starts_with("| IoU, average |")).unwrap();
        assert!(found.contains("| 0.3250 ± 0.0129 | 0.5250 ± 0.0129 | +0.2000 | +0.18"), "{found}");
        assert!(found.ends_with("| 0.0286 |"), "2 of 70 deals: {found}");
        assert!(!page.contains("mAP"), "nothing is known of it");
    }

    #[test]
    fn one_seed_has_no_interval_and_a_task_without_baseline_no_difference() {
        let results = [result("conv", 1, 0.25), result("coordconv", 1, 0.5)];
        let layers = ["conv", "coordconv"].map(|name| find_layer(name).unwrap());
        let group = |layers: &[&'static StudyLayer]| Group {
            task: find_task("detect").unwrap(),
            split: Split::Digits,
            layers: layers.to_vec(),
            results: results.iter().collect(),
        };
        let page = measures_page(&[group(&layers)]).unwrap();
        assert!(page.contains("| IoU, average | 0.2500 | 0.5000 | +0.2500 | – | – |"), "{page}");
        assert!(page.contains("| `conv`, 1 seed |"), "{page}");
        let mut unknown = results.clone();
        unknown[0].measures.insert("test_iou_average".to_owned(), json!(null));
        let group_of = |results| Group { results, ..group(&layers) };
        let more = [result("conv", 2, 0.75)];
        let page = measures_page(&[group_of(unknown.iter().chain(&more).collect())]).unwrap();
        assert!(page.contains("| IoU, average | 0.7500 (1 of 2) | 0.5000 |"), "{page}");
        let page = measures_page(&[group(&layers[1..])]).unwrap();
        assert!(page.contains("| IoU, average | 0.5000 |\n"), "{page}");
    }
}
