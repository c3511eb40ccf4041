//! Excludes runs that cannot be compared.

use std::collections::{BTreeMap, BTreeSet};

use super::{ExcludedRun, FoundRuns, Run, RunKey, ScoredBy, Why};

/// Excludes runs that are incomplete, have no score, or repeat a seed.
pub fn without_unusable(found: FoundRuns) -> FoundRuns {
    // In this order: runs that are left out must not decide how a game is scored, and which runs
    // are late depends on the curve that scores them.
    leave_out_late(score_alike(leave_out_incomplete(found)))
}

/// Excludes runs that are incomplete, have no score of their own, or repeat a seed.
fn leave_out_incomplete(found: FoundRuns) -> FoundRuns {
    let mut kept = FoundRuns { runs: Vec::new(), ..found };
    for run in found.runs {
        if let Some(why) = why_unusable(&run) {
            kept.excluded.push(ExcludedRun::of_run(&run, why));
            continue;
        }
        let cell = RunKey::of(&run.config);
        match kept.runs.iter().position(|other| RunKey::of(&other.config) == cell) {
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
