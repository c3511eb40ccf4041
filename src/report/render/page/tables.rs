//! Tables of the page.

use coordrl_stats::Difference;
use maud::{Markup, html};

use crate::report::analysis::aggregate::Aggregates;
use crate::report::analysis::compare::GameVerdict;
use crate::report::analysis::measures::{GameRow, Reached, Summary};
use crate::report::render::{ComparisonRow, Report, span};
use crate::report::runs::ArmId;
use crate::text::numbers::{duration, frames, grouped, probability, score};

/// Wraps a table so that it scrolls on its own on a narrow page and is reachable by keyboard.
pub(super) fn scrolling(name: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(name) { (table) } }
}

/// Replaces hyphens by minus signs, which are as wide as a plus.
fn shown(text: &str) -> String {
    text.replace('-', "−")
}

fn with_interval(value: f64, interval: &str) -> Markup {
    html! { td.number { (shown(&score(value))) small { (shown(interval)) } } }
}

fn summary(summary: Option<&Summary>) -> Markup {
    match summary {
        Some(summary) => with_interval(summary.mean, &span(summary.interval)),
        None => html! { td.number { "–" } },
    }
}

pub(super) fn verdict_table(report: &Report, comparison: &ComparisonRow) -> Markup {
    let [arm, baseline] = [&comparison.arm, &comparison.baseline].map(|arm| report.label(arm));
    html! {
        table {
            thead {
                tr {
                    th { "Game" } th { "Verdict" }
                    th.number { (baseline) br; "final score" } th.number { (arm) br; "final score" }
                    th.number { "Difference" br; "final score" } th.number { "Difference" br; "area" } th.number { "Seeds" }
                }
            }
            tbody { @for game in &comparison.games { (verdict_row(report, comparison, game)) } }
        }
    }
}

/// Renders verdicts and differences, without the means of the arms.
pub(super) fn differences_table(comparison: &ComparisonRow) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "Game" } th { "Verdict" } th.number { "Difference" br; "final score" }
                    th.number { "Difference" br; "area" } th.number { "Seeds" }
                }
            }
            tbody {
                @for game in &comparison.games {
                    tr {
                        th scope="row" { (game.game) } (verdict(game))
                        (difference(&game.final_score)) (difference(&game.area)) (seeds(game))
                    }
                }
            }
        }
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

fn seeds(game: &GameVerdict) -> Markup {
    html! { td.number { (game.seeds[0]) " / " (game.seeds[1]) } }
}

fn verdict_row(report: &Report, comparison: &ComparisonRow, game: &GameVerdict) -> Markup {
    let row = report.games.iter().find(|row| row.game == game.game);
    let [arm, baseline] = [&comparison.arm, &comparison.baseline]
        .map(|arm| summary(row.and_then(|row| row.arm(arm)).map(|arm| &arm.final_score)));
    html! {
        tr {
            th scope="row" { (game.game) }
            (verdict(game)) (baseline) (arm)
            (difference(&game.final_score)) (difference(&game.area)) (seeds(game))
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
    let arms: Vec<&ArmId> = report.arms.iter().map(|arm| &arm.name).collect();
    html! {
        table {
            thead {
                tr {
                    th { "Game" } th { "Threshold" } th.number { "Score" }
                    @for arm in &report.arms { th.number { (arm.label) } }
                }
            }
            tbody {
                @for game in games { @for (index, threshold) in game.thresholds.iter().enumerate() {
                    tr {
                        th scope="row" { @if index == 0 { (game.game) } }
                        td { (threshold.label) }
                        td.number { (shown(&score(threshold.score))) }
                        @for arm in &arms {
                            // A threshold has entries for the arms of its game, which may lack some
                            // of the report.
                            @let place = game.arms.iter().position(|own| own.arm == **arm);
                            (reached(place.and_then(|place| threshold.arms.get(place))))
                        }
                    }
                } }
            }
        }
    }
}

fn reached(reached: Option<&Reached>) -> Markup {
    let Some(reached) = reached else { return html! { td.number { "–" } } };
    // A dash, not a number: the median seed never got there.
    let median = reached.median_frames.map_or_else(|| "–".to_owned(), frames);
    html! { td.number { (median) small { (reached.count()) " of " (reached.frames.len()) " seeds" } } }
}

pub(super) fn aggregates_table(report: &Report, aggregates: &Aggregates) -> Markup {
    let names = aggregates
        .arms
        .first()
        .map(|arm| arm.values.iter().map(|value| value.name).collect::<Vec<_>>());
    html! {
        table {
            thead {
                tr {
                    th { "Arm" } th.number { "Runs" }
                    @for name in names.iter().flatten() { th.number { (name) } }
                }
            }
            tbody {
                @for arm in &aggregates.arms {
                    tr {
                        th scope="row" { (report.label(&arm.arm)) }
                        td.number { (arm.runs) }
                        @for value in &arm.values { (with_interval(value.value, &span(value.interval))) }
                    }
                }
            }
        }
    }
}

pub(super) fn arms_table(report: &Report) -> Markup {
    html! {
        table {
            thead { tr { th { "Arm" } th.number { "Runs" } th.number { "Parameters" } th.number { "Frames per second" } th.number { "Dead features" } } }
            tbody {
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
            }
        }
    }
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
    html! {
        table {
            thead {
                tr {
                    th { "Game" } th { "Arm" } th.number { "Seed" } th.number { "Final score" } th.number { "Area" }
                    th.number { "Games" } th.number { "Frames" } th.number { "Time" } th { "Commit" } th { "Folder" }
                }
            }
            tbody {
                @for game in &report.games { @for arm in &game.arms { @for seed in &arm.seeds {
                    tr {
                        td { (game.game) } td { (report.label(&arm.arm)) } td.number { (seed.seed) }
                        td.number { (shown(&score(seed.final_score))) } td.number { (shown(&score(seed.area))) }
                        td.number { (seed.episodes) } td.number { (grouped(seed.frames as f64)) } td.number { (duration(seed.hours)) }
                        td { code { (seed.commits.join(" ")) } } td { code { (seed.run.display()) } }
                    }
                } } }
            }
        }
    }
}

pub(super) fn left_out_table(report: &Report) -> Markup {
    html! {
        table {
            thead { tr { th { "Game" } th { "Arm" } th.number { "Seed" } th { "Why" } th { "Folder" } } }
            tbody {
                @for run in &report.excluded {
                    tr {
                        @match &run.cell {
                            Some(cell) => { td { (cell.game) } td { (cell.arm()) } td.number { (cell.seed) } }
                            None => { td { "–" } td { "–" } td.number { "–" } }
                        }
                        td.free { (run.why) } td { code { (run.run.display()) } }
                    }
                }
            }
        }
    }
}
