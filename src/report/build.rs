//! Builds a report from the runs found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use coordrl_stats::Bootstrap;

use super::ReportError;
use super::analysis::aggregate;
use super::analysis::compare::{Comparison, Tests, compare};
use super::analysis::failed_runs::{GameScores, with_failed_as_worst};
use super::analysis::grid::Grid;
use super::analysis::measures;
use super::analysis::warnings::{Anomaly, Warning, warnings};
use super::render::{ComparisonRow, Report, limits, warning};
use super::runs::FoundRuns;
use crate::sweep::record::Primary;
use crate::text::path_text::{encode, shell_line};

/// Version of the layout of [`Report`], incremented when it changes.
const REPORT_VERSION: u32 = 4;
/// Confidence level of all intervals.
const LEVEL: f64 = 0.95;
/// Bootstrap seed, fixed so that the same runs give the same report.
const SEED: u64 = 1;

/// Options of a report.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Paths of sweeps, runs, and folders that contain runs.
    pub paths: Vec<PathBuf>,
    /// Baseline torso or arm.
    pub baseline: Option<String>,
    /// Primary measure, which decides the verdicts.
    pub primary: Option<Primary>,
    /// Score thresholds; empty to derive them from the runs.
    pub thresholds: Vec<f64>,
    /// Bootstrap repetitions.
    pub repetitions: u32,
    /// `true` if the report is written to the sweep's folder, so that the command needs no `--out`.
    pub in_sweep: bool,
}

impl Report {
    /// Computes everything except the figures.
    ///
    /// # Errors
    /// If the request does not fit the runs.
    pub fn build(request: &Request, found: FoundRuns) -> Result<Self, ReportError> {
        let bootstrap = Bootstrap { repetitions: request.repetitions, level: LEVEL, seed: SEED };
        let design = found.design().cloned();
        // The flag wins; the design that the sweep fixed before its runs comes next.
        let primary =
            request.primary.or(design.as_ref().map(|design| design.primary)).unwrap_or_default();
        let grid = Grid::new(found.runs);
        let reference = design.as_ref().and_then(|design| design.reference.as_deref());
        let groups = grid.groups(request.baseline.as_deref().or(reference))?;
        let games = measures::games(&grid, &request.thresholds, bootstrap)?;
        let aggregates = groups.iter().map(|group| aggregate::of_group(group, &games, bootstrap));
        let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;

        let compared = |scores: &[GameScores]| compare(&groups, scores, primary, bootstrap);
        let scores: Vec<GameScores> = games.iter().map(GameScores::of).collect();
        let comparisons = compared(&scores)?;
        let with_failed = with_failed_as_worst(&scores, &found.excluded);
        let failed_as_worst = with_failed.map_or(Ok(Vec::new()), |scores| compared(&scores))?;

        // Different names can mean the same arm, so groups are compared, not names.
        let planned = grid.groups(reference).ok();
        let departure = design
            .filter(|design| design.primary != primary || planned.as_ref() != Some(&groups))
            .map(|design| Warning::from(Anomaly::Departure(design)));
        let mut warnings = warnings(&grid, &groups, &found.excluded, &found.passed_over);
        warnings.splice(..0, departure);

        let arms = grid.rows();
        let with_sentences = |comparisons: Vec<Comparison>| {
            comparisons.into_iter().map(|one| ComparisonRow::of(one, &arms)).collect()
        };
        Ok(Self {
            version: REPORT_VERSION,
            made_by: format!(
                "coordrl {} ({})",
                env!("CARGO_PKG_VERSION"),
                env!("COORDRL_BUILD_COMMIT")
            ),
            command: request.command(),
            repetitions: request.repetitions,
            level: LEVEL,
            primary,
            protocols: protocols(&grid),
            tests: Tests::of(&comparisons),
            warnings: warnings.iter().map(|one| warning(one, &arms)).collect(),
            cannot_be_concluded: limits(&comparisons, &games),
            comparisons: with_sentences(comparisons),
            failed_as_worst: with_sentences(failed_as_worst),
            arms,
            games,
            aggregates,
            excluded: found.excluded,
            sweeps: found.sweeps,
            figures: Vec::new(),
        })
    }
}

fn protocols(grid: &Grid) -> Vec<String> {
    let names = grid
        .runs()
        .iter()
        .map(|run| format!("{:?}", run.config.env.resolve().protocol).to_lowercase());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Request {
    /// Returns the command that reproduces the report. Its location does not affect the content.
    fn command(&self) -> String {
        let mut line: Vec<String> = vec!["coordrl".to_owned(), "report".to_owned()];
        line.extend(self.paths.iter().map(encode));
        if !self.in_sweep {
            line.extend(["--out".to_owned(), "report".to_owned()]);
        }

        if let Some(baseline) = &self.baseline {
            line.extend(["--baseline".to_owned(), baseline.clone()]);
        }

        if let Some(primary) = self.primary {
            line.extend(["--primary".to_owned(), primary.flag().to_owned()]);
        }

        if !self.thresholds.is_empty() {
            let scores: Vec<String> = self.thresholds.iter().map(ToString::to_string).collect();
            // With `=`: clap would take a list that begins with a negative score for a flag.
            line.push(format!("--thresholds={}", scores.join(",")));
        }

        if self.repetitions != Bootstrap::default().repetitions {
            line.extend(["--repetitions".to_owned(), self.repetitions.to_string()]);
        }

        shell_line(&line)
    }
}
