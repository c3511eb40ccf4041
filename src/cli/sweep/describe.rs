//! A sweep in words, before it starts.

use coordrl_envs::find_game;
use coordrl_stats::{ALPHA, POWER, least_holm_adjusted, least_visible_difference};

use super::request::{SweepRequest, arms};
use crate::cli::settings::note_rules_left_out;
use crate::sweep::cell::CellState;
use crate::sweep::plan::SweepPlan;
use crate::sweep::progress_table::millions;
use crate::text::numbers::counted;

/// Describes grid, size and tests of a sweep.
pub(super) fn describe(request: &SweepRequest) -> String {
    let SweepRequest { name, plan, cells, jobs, threads } = request;
    let done = cells.iter().filter(|(_, state)| *state == CellState::Done).count();
    let begun = cells.iter().filter(|(_, state)| matches!(state, CellState::Begun { .. })).count();
    let frames: u64 = cells.iter().map(|(cell, _)| cell.config().frames).sum();
    let seeds = plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len());
    let mut text = format!(
        "sweep {name}: {} × {} × {}",
        counted(plan.games.len(), "game"),
        counted(arms(plan).len(), "arm"),
        counted(seeds, "seed")
    );
    text.push_str(&format!(
        " = {}, {} frames together",
        counted(cells.len(), "run"),
        millions(frames)
    ));
    if done + begun > 0 {
        text.push_str(&format!("; {done} done, {begun} begun"));
    }

    text.push_str(&format!("\n{jobs} at a time, {} each", counted(*threads, "thread")));
    text.extend(tests_in_words(plan).map(|tests| format!("\n{tests}")));
    if let Some(summary) = &plan.summary {
        text.push_str(&format!("\n{}", summary.trim()));
    }

    text
}

/// For each game given as a Gymnasium id, reports which of its rules the runs do not have.
pub(super) fn note_ids(request: &SweepRequest) {
    for typed in &request.plan.games {
        let first = request
            .cells
            .iter()
            .find(|(cell, _)| find_game(typed).is_ok_and(|game| game.name == cell.config().game));
        if let Some((cell, _)) = first {
            note_rules_left_out(typed, &cell.config().env);
        }
    }
}

/// Describes the best result that the report's tests can reach with this plan; `None` without
/// comparisons.
fn tests_in_words(plan: &SweepPlan) -> Option<String> {
    let seeds = plan.seeds.as_ref().map_or(0, |seeds| seeds.all().len());
    let pairs = match plan.torsos.len() {
        1 => plan.algos.len() - 1,
        torsos => plan.algos.len() * (torsos - 1),
    };

    let tests = plan.games.len() * pairs;
    if tests == 0 {
        return None;
    }

    let least = least_holm_adjusted(seeds, tests);
    let what = counted(tests, "comparison");
    Some(match least <= ALPHA {
        true => format!(
            "{what} of {seeds} against {seeds} seeds: p after Holm's correction is {least:.4} at best{}",
            visible_in_words(seeds, tests)
        ),
        false => format!(
            "{what} of {seeds} against {seeds} seeds: no p can pass Holm's correction, the least being {least:.2}; \
             more seeds or fewer games would do"
        ),
    })
}

/// Describes the smallest detectable difference, for one test and for the first step of Holm's
/// correction.
fn visible_in_words(seeds: usize, tests: usize) -> String {
    let alone = least_visible_difference(seeds, ALPHA);
    let corrected = least_visible_difference(seeds, ALPHA / tests as f64);
    let (Some(alone), Some(corrected)) = (alone, corrected) else { return String::new() };

    let after_holm = match tests {
        1 => String::new(),
        _ => format!(", after Holm's correction {corrected:.1}"),
    };

    format!(
        "\nsmallest difference found {:.0} times in 100: {alone:.1} standard deviations over seeds{after_holm}",
        POWER * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::plan::Seeds;

    fn plan(games: usize, torsos: usize, algos: usize, seeds: u64) -> SweepPlan {
        let names = |count: usize| (0..count).map(|place| place.to_string()).collect();
        let seeds = Some(Seeds::Count(seeds));
        SweepPlan {
            games: names(games),
            torsos: names(torsos),
            algos: names(algos),
            seeds,
            ..SweepPlan::default()
        }
    }

    #[test]
    fn a_plan_is_told_whether_any_test_can_pass_holm() {
        let text = tests_in_words(&plan(9, 2, 1, 5)).unwrap();
        assert!(
            text.starts_with("9 comparisons of 5 against 5 seeds: no p can pass")
                && text.contains("0.07"),
            "{text}"
        );
        let text = tests_in_words(&plan(9, 2, 1, 8)).unwrap();
        assert!(text.contains("is 0.0014 at best"), "{text}"); // 9 × 2 / 12 870
        assert!(
            text.contains("80 times in 100: 1.6 standard deviations over seeds, after Holm's"),
            "{text}"
        );
        let text = tests_in_words(&plan(1, 2, 1, 8)).unwrap();
        assert!(text.ends_with("1.6 standard deviations over seeds"), "{text}");
        assert!(tests_in_words(&plan(3, 3, 2, 8)).unwrap().starts_with("12 comparisons"));
        assert!(tests_in_words(&plan(3, 1, 2, 8)).unwrap().starts_with("3 comparisons"));
        assert_eq!(tests_in_words(&plan(3, 1, 1, 8)), None);
    }
}
