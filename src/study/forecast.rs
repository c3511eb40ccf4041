//! Estimates a campaign's time from a few updates and an evaluation of every study.

use std::time::{Duration, Instant};

use super::{StudyRunConfig, launch};
use crate::stop_flag::StopFlag;
use crate::sweep::cell::{Cell, CellState};
use crate::sweep::planned::Planned;
use crate::text::numbers::duration;

/// Least time of the updates that are measured.
const LEAST: Duration = Duration::from_millis(300);

/// Estimate of the studies of a campaign that are not complete.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Forecast {
    /// Number of studies.
    pub studies: usize,
    /// Their seconds, one after the other.
    pub seconds: f64,
    /// Seconds of the longest of them.
    pub longest: f64,
    /// Studies that could not be measured; they count in `studies` alone.
    pub unknown: usize,
    /// A study may end earlier, when its mark holds.
    pub at_most: bool,
}

impl Forecast {
    /// Describes the time with so many studies at a time, which slow each other down a little.
    pub fn describe(&self, jobs: usize) -> String {
        let bound = if self.at_most { "at most about" } else { "about" };
        let hours = (self.seconds / jobs as f64).max(self.longest) / 3600.0;
        let unknown = match self.unknown {
            0 => String::new(),
            unknown => format!(", without {} that cannot be measured", studies(unknown)),
        };
        let all = studies(self.studies);
        format!("{all} to run, {jobs} at a time: {bound} {}{unknown}", duration(hours))
    }
}

fn studies(count: usize) -> String {
    format!("{count} {}", if count == 1 { "study" } else { "studies" })
}

/// Measured costs of a study, in seconds.
struct Pace {
    per_update: f64,
    per_evaluation: f64,
}

/// Measures one seed of each study that is left; `None` if stopped.
///
/// A study that cannot be built or diverges is not the campaign's end: its own process will say why.
pub(super) fn forecast(
    cells: &[(Cell<StudyRunConfig>, CellState)],
    stop: &StopFlag,
) -> Option<Forecast> {
    let mut forecast = Forecast::default();
    let left = cells.iter().filter(|(_, state)| *state != CellState::Done);
    let left: Vec<&(Cell<StudyRunConfig>, CellState)> = left.collect();
    // Seeds stand next to each other.
    for seeds in left.chunk_by(|(a, _), (b, _)| kind(&a.plan) == kind(&b.plan)) {
        if stop.is_raised() {
            return None;
        }
        forecast.studies += seeds.len();
        let Ok(pace) = measure(&seeds[0].0.plan) else {
            forecast.unknown += seeds.len();
            continue;
        };
        for (Cell { plan, .. }, state) in seeds {
            let seconds = seconds_left(plan, *state, &pace);
            forecast.seconds += seconds;
            forecast.longest = forecast.longest.max(seconds);
            forecast.at_most |= plan.stop_when_held && plan.task.mark.is_some();
        }
    }
    Some(forecast)
}

fn kind(plan: &StudyRunConfig) -> (&str, &str, &str) {
    (plan.task.name, plan.split.name(), &plan.layer)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seconds_left(plan: &StudyRunConfig, state: CellState, pace: &Pace) -> f64 {
    let end = plan.end() as f64;
    let done = match state {
        CellState::Begun { position } => position as f64,
        CellState::Waiting | CellState::Done => 0.0,
    };
    let evaluations = f64::from(plan.study.epochs.div_ceil(plan.study.eval_every_epochs));
    let whole = end * pace.per_update + evaluations * pace.per_evaluation;
    whole * (1.0 - done / end)
}

fn measure(plan: &StudyRunConfig) -> anyhow::Result<Pace> {
    let (mut study, ..) = launch::build(plan)?;
    study.update()?; // the first one is slower
    let begin = Instant::now();
    let mut updates = 0.0;
    while begin.elapsed() < LEAST {
        study.update()?;
        updates += 1.0;
    }
    let per_update = begin.elapsed().as_secs_f64() / updates;
    let begin = Instant::now();
    study.evaluate()?;
    Ok(Pace { per_update, per_evaluation: begin.elapsed().as_secs_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_studies::{Split, find_layer, find_task};

    fn plan() -> StudyRunConfig {
        let task = find_task("regress").unwrap();
        let mut plan =
            StudyRunConfig::recipe(task, Split::Uniform, find_layer("coordconv").unwrap());
        plan.study.epochs = 10;
        plan
    }

    #[test]
    fn what_is_left_of_a_study_takes_its_share_of_the_time() {
        let plan = plan();
        let pace = Pace { per_update: 0.5, per_evaluation: 2.0 };
        let updates = plan.end();
        let whole = updates as f64 * 0.5 + 10.0 * 2.0;
        assert_eq!(seconds_left(&plan, CellState::Waiting, &pace), whole);
        let begun = CellState::Begun { position: updates / 2 };
        assert!((seconds_left(&plan, begun, &pace) - whole / 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_time_is_divided_by_the_studies_at_a_time_but_no_study_is() {
        let forecast =
            Forecast { studies: 4, seconds: 7200.0, longest: 1800.0, unknown: 0, at_most: true };
        let text = "4 studies to run, 2 at a time: at most about 1.0 h";
        assert_eq!(forecast.describe(2), text);
        let unequal =
            Forecast { longest: 7000.0, studies: 1, unknown: 1, at_most: false, ..forecast };
        let text =
            "1 study to run, 2 at a time: about 1.9 h, without 1 study that cannot be measured";
        assert_eq!(unequal.describe(2), text);
    }

    fn waiting(plan: StudyRunConfig) -> (Cell<StudyRunConfig>, CellState) {
        (Cell { plan, arguments: Vec::new(), run: "r".into() }, CellState::Waiting)
    }

    #[test]
    fn studies_are_measured_unless_they_are_complete_or_cannot_be_built() {
        let stop = StopFlag::default();
        let (cell, _) = waiting(plan());
        assert_eq!(forecast(&[(cell, CellState::Done)], &stop), Some(Forecast::default()));
        let task = find_task("detect").unwrap();
        let layer = find_layer("conv").unwrap();
        let nowhere = StudyRunConfig {
            data: Some("nowhere".into()),
            ..StudyRunConfig::recipe(task, Split::Digits, layer)
        };
        let found = forecast(&[waiting(plan()), waiting(nowhere)], &stop).unwrap();
        assert_eq!((found.studies, found.unknown), (2, 1));
        assert!(found.seconds > 0.0 && found.longest == found.seconds);
    }
}
