//! Builds a report from the runs found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use coordrl_stats::{Bootstrap, StatsError};

use super::ReportError;
use super::analysis::aggregate;
use super::analysis::compare::{Comparison, Tests, compare};
use super::analysis::failed_runs::{GameScores, with_failed_as_worst};
use super::analysis::grid::{ArmRow, ComparisonGroup, Grid};
use super::analysis::measures::{self, GameRow};
use super::analysis::warnings::{Anomaly, Warning, warnings};
use super::render::{ComparisonRow, Report, limits, warning};
use super::runs::{ExcludedRun, FoundRuns};
use crate::sweep::record::{Design, Primary};
use crate::text::path_text::{encode, shell_line};

/// Version of the layout of [`Report`], incremented when it changes.
const REPORT_VERSION: u32 = 4;
/// Version and commit of the program.
const MADE_BY: &str =
    concat!("coordrl ", env!("CARGO_PKG_VERSION"), " (", env!("COORDRL_BUILD_COMMIT"), ")");
/// Confidence level of all intervals.
const LEVEL: f64 = 0.95;
/// Bootstrap seed, fixed so that the same runs give the same report.
const SEED: u64 = 1;

/// Options of a report.
#[derive(Clone, Debug, Default)]
pub struct ReportRequest {
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
    pub fn build(request: &ReportRequest, found: FoundRuns) -> Result<Self, ReportError> {
        let bootstrap = Bootstrap { repetitions: request.repetitions, level: LEVEL, seed: SEED };
        let design = found.design().cloned();
        let design = design.as_ref();
        // The flags win; the design that the sweep fixed before its runs comes next.
        let primary = request.primary.or(design.map(|design| design.primary)).unwrap_or_default();
        let reference = design.and_then(|design| design.reference.as_deref());

        let grid = Grid::new(found.runs);
        let groups = grid.groups(request.baseline.as_deref().or(reference))?;
        let games = measures::games(&grid, &request.thresholds, bootstrap)?;
        let aggregates = groups.iter().map(|group| aggregate::of_group(group, &games, bootstrap));
        let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
        let [comparisons, failed_as_worst] =
            compare_twice(&groups, &games, &found.excluded, primary, bootstrap)?;

        let mut warnings = warnings(&grid, &groups, &found.excluded, &found.passed_over);
        warnings.splice(..0, departure(design, primary, &grid, &groups));

        let arms = grid.rows();
        Ok(Self {
            version: REPORT_VERSION,
            made_by: MADE_BY.to_owned(),
            command: request.command(),
            repetitions: request.repetitions,
            level: LEVEL,
            primary,
            protocols: protocols(&grid),
            tests: Tests::of(&comparisons),
            warnings: warnings.iter().map(|one| warning(one, &arms)).collect(),
            cannot_be_concluded: limits(&comparisons, &games),
            comparisons: with_sentences(comparisons, &arms),
            failed_as_worst: with_sentences(failed_as_worst, &arms),
            arms,
            games,
            aggregates,
            excluded: found.excluded,
            sweeps: found.sweeps,
            figures: Vec::new(),
        })
    }
}

/// Compares the arms by their complete runs, and again with failed runs as the worst of their game.
fn compare_twice(
    groups: &[ComparisonGroup],
    games: &[GameRow],
    excluded: &[ExcludedRun],
    primary: Primary,
    bootstrap: Bootstrap,
) -> Result<[Vec<Comparison>; 2], StatsError> {
    let scores: Vec<GameScores> = games.iter().map(GameScores::of).collect();
    let comparisons = compare(groups, &scores, primary, bootstrap)?;
    let failed_as_worst = match with_failed_as_worst(&scores, excluded) {
        Some(scores) => compare(groups, &scores, primary, bootstrap)?,
        None => Vec::new(),
    };
    Ok([comparisons, failed_as_worst])
}

/// Warns if the report departs from the design that its sweep fixed before the runs.
fn departure(
    design: Option<&Design>,
    primary: Primary,
    grid: &Grid,
    groups: &[ComparisonGroup],
) -> Option<Warning> {
    let design = design?;
    // Different names can mean the same arm, so groups are compared, not names.
    let planned = grid.groups(design.reference.as_deref()).ok();
    let departs = design.primary != primary || planned.as_deref() != Some(groups);
    departs.then(|| Anomaly::Departure(design.clone()).into())
}

fn with_sentences(comparisons: Vec<Comparison>, arms: &[ArmRow]) -> Vec<ComparisonRow> {
    comparisons.into_iter().map(|one| ComparisonRow::of(one, arms)).collect()
}

fn protocols(grid: &Grid) -> Vec<String> {
    let names = grid
        .runs()
        .iter()
        .map(|run| format!("{:?}", run.config.env.resolve().protocol).to_lowercase());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

impl ReportRequest {
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
