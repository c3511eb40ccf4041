//! Builds a report from the runs found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use coordrl_stats::Bootstrap;

use super::ReportError;
use super::analysis::aggregate::{self, Aggregates};
use super::analysis::compare::{self, Tests};
use super::analysis::failed_runs::{GameScores, with_failed_as_worst};
use super::analysis::grid::{Grid, Group};
use super::analysis::measures::{self, GameRow};
use super::analysis::warnings;
use super::render::{Report, limits};
use super::runs::FoundRuns;
use crate::sweep::record::{Design, Primary};
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
        let reference = design.as_ref().and_then(|design| design.reference.as_deref());
        let grid = Grid::new(found.runs);
        let groups = grid.groups(request.baseline.as_deref().or(reference))?;
        let games = measures::games(&grid, &request.thresholds, bootstrap)?;
        let compared =
            |scores: &[GameScores]| compare::compare(&grid, &groups, scores, primary, bootstrap);
        let scores: Vec<GameScores> = games.iter().map(GameScores::of).collect();
        let with_failed = with_failed_as_worst(&scores, &found.excluded);
        let comparisons = compared(&scores)?;
        let mut report = Self {
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
            warnings: [
                request.departures(design.as_ref()),
                warnings::warnings(&grid, &groups, &found.excluded, &found.passed_over),
            ]
            .concat(),
            cannot_be_concluded: Vec::new(),
            arms: grid.rows(),
            aggregates: all_aggregates(&grid, &groups, &games, bootstrap)?,
            games,
            failed_as_worst: with_failed.map_or(Ok(Vec::new()), |scores| compared(&scores))?,
            comparisons,
            excluded: found.excluded,
            sweeps: found.sweeps,
            figures: Vec::new(),
        };

        report.cannot_be_concluded = limits::limits(&grid, &report);
        Ok(report)
    }
}

fn protocols(grid: &Grid) -> Vec<String> {
    let names =
        grid.all().map(|run| format!("{:?}", run.config.env.resolve().protocol).to_lowercase());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn all_aggregates(
    grid: &Grid,
    groups: &[Group],
    games: &[GameRow],
    bootstrap: Bootstrap,
) -> Result<Vec<Aggregates>, ReportError> {
    groups.iter().map(|group| aggregate::of_group(grid, group, games, bootstrap)).collect()
}

impl Request {
    /// Lists where the report deviates from the design its sweep fixed before the runs.
    fn departures(&self, design: Option<&Design>) -> Vec<String> {
        let Some(design) = design else { return Vec::new() };
        let other_primary = self.primary.is_some_and(|primary| primary != design.primary);
        let other_reference = self.baseline.is_some() && self.baseline != design.reference;
        let text = format!(
            "Before its runs the sweep fixed that {design} decides; this report goes by something else, chosen after them."
        );
        if other_primary || other_reference { vec![text] } else { Vec::new() }
    }

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
