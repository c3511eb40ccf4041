//! `coordrl report`: compares runs on one page.

use std::path::{Path, PathBuf};

use clap::Args;
use coordrl_stats::Difference;

use crate::config::{parse_count, parse_number};
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::{print_result, status};
use crate::report::{
    ComparisonRow, Report as Contents, ReportDestination, ReportRequest, find_runs, span,
    without_repeats,
};
use crate::sweep::record::Primary;
use crate::text::numbers::score;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl report runs/sweeps/quick
  coordrl report runs/pong runs/breakout --out pong-and-breakout
  coordrl report runs/pong --out pong --baseline coordconv --thresholds=0,15,18
  coordrl report runs/sweeps/quick --json

Only complete runs are analysed; incomplete, failed and missing runs are listed but excluded.
The page needs no network and no scripts; report.json and the figures (SVG and PNG) are written
beside it. The same runs give identical files. An earlier report in DIR is replaced.";

/// Compare runs on one page: learning curves, verdicts and their limits.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Report {
    /// Folder of a sweep, a run, or runs at any depth
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Output folder [default: `report` in the sweep's folder, if one sweep is named]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Baseline torso [default: the plan's, else conv, else the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Measure that decides the verdicts; choose it before the runs [default: the plan's, else
    /// area]
    #[arg(long, value_name = "area|final", value_parser = Primary::parse)]
    primary: Option<Primary>,
    /// Score thresholds, for runs of one game [default: shares of the way to the best final score]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_negative_numbers = true, value_parser = parse_number)]
    thresholds: Vec<f64>,
    /// Bootstrap repetitions
    #[arg(long, value_name = "N", default_value = "50000", value_parser = parse_count, allow_negative_numbers = true)]
    repetitions: u64,
    /// Print report.json instead of the table
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let repetitions = match u32::try_from(self.repetitions) {
            Ok(0) => {
                return Err(BadRequest::error("`--repetitions 0`: the least is 1, 50000 is usual"));
            }
            Ok(repetitions) => repetitions,
            Err(_) => return Err(BadRequest::error("`--repetitions`: the most is 4294967295")),
        };

        let paths = without_repeats(self.paths.clone());
        let found = find_runs(&paths)?;
        let sweeps: Vec<PathBuf> = found.sweeps.iter().map(|sweep| sweep.folder.clone()).collect();
        // Before the statistics, so that a mistyped `--out` fails at once.
        let destination = self.destination(&sweeps)?;
        let request = ReportRequest {
            in_sweep: self.out.is_none(),
            paths,
            baseline: self.baseline,
            primary: self.primary,
            thresholds: self.thresholds,
            repetitions,
        };

        let mut report = Contents::build(&request, found)?;
        let drawn = report.draw()?;
        destination.write(&report, &drawn)?;
        print_result(&if self.json { serde_json::to_string(&report)? } else { as_text(&report) })?;
        status!("report: {}", destination.page().display());
        Ok(ExitCode::Ok)
    }

    fn destination(&self, sweeps: &[PathBuf]) -> anyhow::Result<ReportDestination> {
        let sweeps: Vec<&Path> = sweeps.iter().map(PathBuf::as_path).collect();
        Ok(ReportDestination::choose(self.out.as_deref(), &sweeps)?)
    }
}

fn as_text(report: &Contents) -> String {
    let mut parts: Vec<String> =
        report.warnings.iter().map(|text| format!("warning: {text}")).collect();
    if report.comparisons.is_empty() {
        parts.push(scores_table(report));
    }

    for comparison in &report.comparisons {
        parts.push(format!(
            "{}\n{}\n{}",
            comparison.headline,
            comparison.strength,
            verdicts_table(report, comparison)
        ));
    }

    parts.join("\n\n")
}

fn scores_table(report: &Contents) -> String {
    let mut rows = Vec::new();
    for game in &report.games {
        for arm in &game.arms {
            rows.push(vec![
                game.game.clone(),
                report.label(&arm.arm).to_owned(),
                arm.seeds.len().to_string(),
                format!("{} {}", score(arm.final_score.mean), span(arm.final_score.interval)),
                format!("{} {}", score(arm.area.mean), span(arm.area.interval)),
            ]);
        }
    }

    table(&["game", "arm", "seeds", "final score", "area"], &rows)
}

fn verdicts_table(report: &Contents, comparison: &ComparisonRow) -> String {
    let [arm, baseline] = [&comparison.arm, &comparison.baseline].map(|arm| report.label(arm));
    let mut rows = Vec::new();
    for game in &comparison.games {
        let row = report.games.iter().find(|row| row.game == game.game);
        let [arm_score, baseline_score] = [&comparison.arm, &comparison.baseline].map(|arm| {
            let found = row.and_then(|row| row.arm(arm));
            found.map_or_else(|| "-".to_owned(), |arm| score(arm.final_score.mean))
        });
        let strength =
            game.strength.map_or_else(String::new, |strength| format!(", {}", strength.name()));
        rows.push(vec![
            game.game.clone(),
            baseline_score,
            arm_score,
            with_interval(&game.final_score),
            with_interval(&game.area),
            format!("{}{strength}", game.verdict.name()),
        ]);
    }

    table(&["game", baseline, arm, "difference, final score", "difference, area", "verdict"], &rows)
}

fn with_interval(difference: &Difference) -> String {
    format!("{} {}", score(difference.difference), span(difference.interval))
}
