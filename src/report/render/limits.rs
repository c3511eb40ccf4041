//! Limits of the conclusions, independent of the results.

use coordrl_stats::least_p_value;

use super::Report;
use crate::report::analysis::compare::games_of;
use crate::report::analysis::grid::Grid;
use crate::report::analysis::verdict::ALPHA;
use crate::report::runs::ScoredBy;
use crate::text::numbers::{frames, list, probability};

/// Fewer seeds than this count as few, whatever the test reports.
const FEW_SEEDS: usize = 5;
/// Training length of published Atari results, in frames: Machado et al. 2018.
const PUBLISHED_FRAMES: f64 = 200e6;

/// Lists what these runs cannot show, each in one or two sentences.
pub fn limits(grid: &Grid, report: &Report) -> Vec<String> {
    let mut texts = Vec::new();
    if report.comparisons.is_empty() {
        texts.push("Whether one arm is better than another: there is only one.".to_owned());
    } else {
        texts.extend(about_seeds(report));
        texts.push(
            "That two arms are equal: *similar* means that no difference was shown, not that there is none."
                .to_owned(),
        );
        texts.push(about_games(grid));
        texts.push(
            "What other settings would give: one set was used, and another may order the arms otherwise."
                .to_owned(),
        );
    }

    texts.extend(about_budget(report));
    texts.extend(about_training_games(report));
    texts.push(about_speed(grid));
    texts
}

fn about_training_games(report: &Report) -> Option<String> {
    let games: Vec<&str> = report
        .games
        .iter()
        .filter(|game| game.scored_by == ScoredBy::Training)
        .map(|game| game.game.as_str())
        .collect();
    let of_games = if games.len() == report.games.len() {
        String::new()
    } else {
        format!(" of {}", list(&games))
    };

    (!games.is_empty()).then(|| {
        format!(
            "How good the finished agents are: scores{of_games} are those of training games, played while learning and \
             with all the randomness that learning needs. `coordrl eval` plays for the score."
        )
    })
}

fn about_seeds(report: &Report) -> Option<String> {
    // The pair with the fewest seeds sets the limit for the page.
    let games = games_of(&report.comparisons);
    let [left, right] = games.map(|game| game.seeds).min_by_key(|seeds| seeds[0].min(seeds[1]))?;
    let least = least_p_value(left, right);
    if left.min(right) < 2 {
        return Some(
            "Whether a difference is more than chance: some arms have one seed, which says nothing about the spread."
                .to_owned(),
        );
    }

    if least > ALPHA {
        return Some(format!(
            "That a difference is significant: with {left} against {right} seeds no exact two-sided test can reach {ALPHA} \
             (the least possible p is {}). Bootstrap intervals of so few seeds are too narrow.",
            probability(least)
        ));
    }

    (left.min(right) < FEW_SEEDS).then(|| {
        format!("Small differences: {left} against {right} seeds show only large ones, and bootstrap intervals of so few are too narrow.")
    })
}

fn about_games(grid: &Grid) -> String {
    match grid.games.as_slice() {
        [one] => format!("Anything about games other than {one}."),
        many => format!("Anything about games other than these {}.", many.len()),
    }
}

/// Runs are cut at the end of their game's shortest run, so nothing later is compared.
fn about_budget(report: &Report) -> Option<String> {
    let least = report.games.iter().map(|game| game.budget_frames).reduce(f64::min)?;
    (least < PUBLISHED_FRAMES).then(|| {
        format!(
            "What happens after {} frames: an arm that is ahead here may be behind later. Published results on Atari go \
             to 200 million (Machado et al. 2018, arXiv:1709.06009).",
            frames(least)
        )
    })
}

fn about_speed(grid: &Grid) -> String {
    // By host, not by run: one run may have moved between machines.
    let mut hosts: Vec<&str> = grid
        .all()
        .flat_map(|run| &run.meta.sessions)
        .map(|session| session.host.as_str())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let machines = if hosts.len() == 1 { "one machine" } else { "these machines" };
    format!(
        "How fast the arms are elsewhere: hours and frames per second hold for {machines} and whatever else ran there."
    )
}
