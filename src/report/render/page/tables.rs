//! Tables of the page.

use coordrl_stats::Difference;
use maud::{Markup, html};

use crate::report::analysis::aggregate::Aggregates;
use crate::report::analysis::compare::GameVerdict;
use crate::report::analysis::measures::{GameRow, Reached};
use crate::report::render::{ComparisonRow, Report, span};
use crate::report::runs::ArmId;
use crate::sweep::record::Primary;
use crate::text::numbers::{duration, frames, grouped, probability, score};

/// Renders a table that scrolls on its own on a narrow page and is reachable by keyboard.
fn table(name: &str, head: Markup, rows: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table { thead { tr { (head) } } tbody { (rows) } }
        }
    }
}

/// Replaces hyphens by minus signs, which are as wide as a plus.
fn shown(text: &str) -> String {
    text.replace('-', "−")
}

fn with_interval(value: f64, interval: &str) -> Markup {
    html! { td.number { (shown(&score(value))) small { (shown(interval)) } } }
}

/// Renders verdicts and differences, that of the deciding measure first; with `means`, its means in
/// both arms too.
pub(super) fn verdict_table(
    name: &str,
    comparison: &ComparisonRow,
    means: Option<&Report>,
) -> Markup {
    let arms = [&comparison.baseline, &comparison.arm];
    let measures = match comparison.games.first().map(|game| game.primary) {
        Some(Primary::Final) => [Primary::Final, Primary::Area],
        Some(Primary::Area) | None => [Primary::Area, Primary::Final],
    };
    let head = html! {
        th { "Game" } th { "Verdict" }
        @if let Some(report) = means {
            @for arm in arms { th.number { (report.label(arm)) br; (report.primary.name()) } }
        }
        @for measure in measures { th.number { "Difference" br; (measure.name()) } }
        th.number { "Seeds" }
    };

    let rows = html! {
        @for game in &comparison.games {
            tr {
                th scope="row" { (game.game) }
                (verdict(game))
                @if let Some(report) = means { @for arm in arms { (mean(report, game, arm)) } }
                @for measure in measures { (difference(game.difference(measure))) }
                td.number { (game.seeds[0]) " / " (game.seeds[1]) }
            }
        }
    };
    table(name, head, rows)
}

/// Renders an arm's mean of the deciding measure.
fn mean(report: &Report, game: &GameVerdict, arm: &ArmId) -> Markup {
    let row = report.games.iter().find(|row| row.game == game.game);
    match row.and_then(|row| row.arm(arm)).map(|arm| arm.of(report.primary)) {
        Some(score) => with_interval(score.mean, &span(score.interval)),
        None => html! { td.number { "–" } },
    }
}

fn verdict(game: &GameVerdict) -> Markup {
    html! {
        td class=(game.verdict.name()) {
            (game.verdict.name())
            @if let Some(strength) = game.strength {
                small { (strength.name()) @if game.is_left_by_holm() { ", also after Holm" } }
            }
        }
    }
}

fn difference(difference: &Difference) -> Markup {
    let sign = if difference.difference > 0.0 { "+" } else { "" };
    html! {
        td.number {
            (sign) (shown(&score(difference.difference)))
            small { (shown(&span(difference.interval))) }
            @if let Some(p) = difference.p {
                small { @if difference.random_deals.is_some() { "p ≈ " } @else { "p = " } (probability(p)) }
            }
        }
    }
}

pub(super) fn thresholds_table(report: &Report, games: &[&GameRow]) -> Markup {
    let head = html! {
        th { "Game" } th { "Threshold" } th.number { "Score" }
        @for arm in &report.arms { th.number { (arm.label) } }
    };

    let rows = html! {
        @for game in games { @for (index, threshold) in game.thresholds.iter().enumerate() {
            tr {
                th scope="row" { @if index == 0 { (game.game) } }
                td { (threshold.label) }
                td.number { (shown(&score(threshold.score))) }
                @for arm in &report.arms {
                    // A threshold has entries for the arms of its game, which may lack some of the
                    // report.
                    @let place = game.arms.iter().position(|own| own.arm == arm.name);
                    (reached(place.and_then(|place| threshold.arms.get(place))))
                }
            }
        } }
    };
    table("Thresholds", head, rows)
}

fn reached(reached: Option<&Reached>) -> Markup {
    let Some(reached) = reached else { return html! { td.number { "–" } } };
    // A dash, not a number: the median seed never got there.
    let median = reached.median_frames.map_or_else(|| "–".to_owned(), frames);
    html! { td.number { (median) small { (reached.count()) " of " (reached.frames.len()) " seeds" } } }
}

pub(super) fn aggregates_table(report: &Report, aggregates: &Aggregates) -> Markup {
    let values = aggregates.arms.iter().take(1).flat_map(|arm| &arm.values);
    let head = html! {
        th { "Arm" } th.number { "Runs" } @for value in values { th.number { (value.name) } }
    };

    let rows = html! {
        @for arm in &aggregates.arms {
            tr {
                th scope="row" { (report.label(&arm.arm)) }
                td.number { (arm.runs) }
                @for value in &arm.values { (with_interval(value.value, &span(value.interval))) }
            }
        }
    };
    table("All games", head, rows)
}

pub(super) fn arms_table(report: &Report) -> Markup {
    let head = html! {
        th { "Arm" } th.number { "Runs" } th.number { "Parameters" }
        th.number { "Frames per second" } th.number { "Dead features" }
    };

    let rows = html! {
        @for arm in &report.arms {
            @let [mean, least, most] = arm.frames_per_sec;
            tr {
                th scope="row" { (arm.label) small { (arm.name) } }
                td.number { (arm.runs) }
                td.number { (parameters(&arm.parameters)) }
                td.number { (grouped(mean)) small { (grouped(least)) " to " (grouped(most)) } }
                td.number { (dead_share(arm.dead_share)) }
            }
        }
    };
    table("Arms", head, rows)
}

/// Renders mean, minimum and maximum; a dash if no run reports them.
fn dead_share(share: Option<[f64; 3]>) -> Markup {
    match share {
        None => html! { "–" },
        Some([mean, least, most]) => {
            html! { (score(mean)) small { (score(least)) " to " (score(most)) } }
        }
    }
}

/// Renders one number, or minimum and maximum if games differ in their number of actions.
fn parameters(parameters: &[u64]) -> String {
    match parameters {
        [] => "–".to_owned(),
        [one] => grouped(*one as f64),
        [least, .., most] => format!("{} to {}", grouped(*least as f64), grouped(*most as f64)),
    }
}

pub(super) fn runs_table(report: &Report) -> Markup {
    let head = html! {
        th { "Game" } th { "Arm" } th.number { "Seed" } th.number { "Final score" }
        th.number { "Area" } th.number { "Games" } th.number { "Frames" } th.number { "Time" }
        th { "Commit" } th { "Folder" }
    };

    let rows = html! {
        @for game in &report.games { @for arm in &game.arms { @for seed in &arm.seeds {
            tr {
                td { (game.game) } td { (report.label(&arm.arm)) } td.number { (seed.seed) }
                td.number { (shown(&score(seed.final_score))) }
                td.number { (shown(&score(seed.area))) }
                td.number { (seed.episodes) } td.number { (grouped(seed.frames as f64)) }
                td.number { (duration(seed.hours)) }
                td { code { (seed.commits.join(" ")) } } td { code { (seed.run.display()) } }
            }
        } } }
    };
    table("Runs", head, rows)
}

pub(super) fn excluded_table(report: &Report) -> Markup {
    let head = html! {
        th { "Game" } th { "Arm" } th.number { "Seed" } th { "Why" } th { "Folder" }
    };

    let rows = html! {
        @for run in &report.excluded {
            tr {
                @match &run.cell {
                    Some(cell) => {
                        td { (cell.game) } td { (cell.arm()) } td.number { (cell.seed) }
                    }
                    None => { td { "–" } td { "–" } td.number { "–" } }
                }
                td.free { (run.why) } td { code { (run.run.display()) } }
            }
        }
    };
    table("Runs left out", head, rows)
}
