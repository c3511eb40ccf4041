//! Report page: one self-contained HTML file without network access or scripts.
//!
//! `maud` escapes all text; only the SVG of the figures is inserted verbatim.

mod figure;
mod tables;

use coordrl_stats::{ALPHA, FALSE_POSITIVES, MOST_WAYS, RANDOM_DEALS};
use maud::{Markup, html};

use self::figure::{figure, in_grid};
use self::tables::{
    aggregates_table, arms_table, excluded_table, runs_table, thresholds_table, verdict_table,
};
use super::figures::Drawn;
use super::format::span;
use super::{ComparisonRow, Report};
use crate::report::analysis::aggregate::Aggregates;
use crate::report::analysis::measures::GameRow;
use crate::text::html::{document, with_code};
use crate::text::numbers::{frames, grouped, probability, score};
use crate::text::path_text::shell_line;

/// Renders the page of a report with its figures.
pub fn page(report: &Report, drawn: &[Drawn]) -> String {
    let title = title(report);
    let body = html! {
        header { h1 { (title) } p.lead { (lead(report)) } }
        main {
            (headlines(report))
            (cautions(report))
            (verdicts(report, drawn))
            (failed_as_worst(report))
            (curves(report, drawn))
            (thresholds(report))
            @for (place, aggregates) in report.aggregates.iter().enumerate() {
                (all_games(report, aggregates, place, drawn))
            }
            (arms(report))
            (runs(report))
            (method(report))
            (again(report))
        }
    };

    document(&title, "", &body)
}

fn title(report: &Report) -> String {
    let labels: Vec<&str> = report.arms.iter().map(|arm| arm.label.as_str()).collect();
    let kind = if report.comparisons.is_empty() { "Runs of" } else { "Compared:" };
    format!("{kind} {}", labels.join(", "))
}

fn lead(report: &Report) -> String {
    let runs: usize = report.arms.iter().map(|arm| arm.runs).sum();
    let games = report.games.iter();
    let games: Vec<String> =
        games.map(|game| format!("{} ({})", game.game, frames(game.budget_frames))).collect();
    format!(
        "Complete runs: {runs}. Games, and the frames at which scores are taken: {}.",
        games.join(", ")
    )
}

fn headlines(report: &Report) -> Markup {
    html! {
        section.headlines aria-label="Verdicts in short" {
            @if report.comparisons.is_empty() {
                p { "There is only one arm, so nothing is compared here." }
            }
            @for comparison in &report.comparisons {
                div.headline {
                    p.count { (comparison.headline) }
                    p { (comparison.strength) }
                }
            }
        }
    }
}

fn cautions(report: &Report) -> Markup {
    html! {
        section.cautions {
            @if !report.warnings.is_empty() {
                h2 { "Warnings" }
                ul.warnings { @for text in &report.warnings { li { (text) } } }
            }
            h2 { "What cannot be concluded" }
            ul { @for text in &report.cannot_be_concluded { li { (with_code(text)) } } }
        }
    }
}

fn verdicts(report: &Report, drawn: &[Drawn]) -> Markup {
    html! {
        @for (place, comparison) in report.comparisons.iter().enumerate() {
            section {
                h2 { (report.label(&comparison.arm)) " against " (report.label(&comparison.baseline)) ", game by game" }
                (verdict_table("Verdicts", comparison, Some(report)))
                (notes(comparison))
                (figures_named(report, drawn, &format!("pair-{:02}-", place + 1)))
            }
        }
    }
}

/// Renders the comparison in which failed runs score as the worst of their game.
fn failed_as_worst(report: &Report) -> Markup {
    html! {
        @if !report.failed_as_worst.is_empty() {
            section {
                h2 { "If failed runs count" }
                p {
                    "Runs that failed or diverged are left out above. Here each of them counts as the worst of its game: \
                     with the lowest final score and the lowest area of any run."
                }
                @for comparison in &report.failed_as_worst {
                    p { (comparison.headline) "." }
                    (verdict_table("With failed runs as the worst", comparison, None))
                }
            }
        }
    }
}

fn notes(comparison: &ComparisonRow) -> Markup {
    let contradictions = comparison.games.iter().filter(|game| game.contradiction);
    let contradictions: Vec<&str> = contradictions.map(|game| game.game.as_str()).collect();
    html! {
        p.note {
            "Means over seeds, with 95 % bootstrap intervals in brackets. The final score is the mean return of the games played with the last weights \
             (in games without evaluations: of the last 100 training games); the area is the mean of the learning curve over the frames trained. \
             p: two-sided permutation test, exact or, where it says ≈, estimated by " (grouped(f64::from(RANDOM_DEALS))) " random deals."
        }
        @if !contradictions.is_empty() {
            p.note { "Final score and area contradict each other in " (contradictions.join(", ")) "." }
        }
    }
}

fn curves(report: &Report, drawn: &[Drawn]) -> Markup {
    html! {
        section {
            h2 { "Learning curves" }
            @for game in &report.games {
                h3 { (game.game) }
                @if game.unequal_budgets {
                    p.note { "Runs had different budgets; curves end where the shortest does." }
                }
                (figures_of(report, game, drawn))
            }
        }
    }
}

/// Renders the figures of one game.
fn figures_of(report: &Report, game: &GameRow, drawn: &[Drawn]) -> Markup {
    let own = drawn.iter().filter(|drawn| drawn.row.game.as_ref() == Some(&game.game));
    in_grid(own.map(|drawn| figure(report, drawn)).collect())
}

fn thresholds(report: &Report) -> Markup {
    let with: Vec<&GameRow> =
        report.games.iter().filter(|game| !game.thresholds.is_empty()).collect();
    html! {
        section {
            h2 { "Frames to thresholds" }
            p {
                "Frames at the first point of the curve at the threshold or above: the median over seeds, and how many \
                 seeds got there. A seed that never did counts as later than all others. Unless given, thresholds lie 25, 50 and 75 % of the \
                 way from a random policy's score (or, where it is not known, the lowest first point of any run) to the best final mean of \
                 any arm; a human's score is added where a run reached it."
            }
            @if with.is_empty() { p { "No arm got off the start of any game, so there are no thresholds." } }
            @else { (thresholds_table(report, &with)) }
        }
    }
}

fn all_games(report: &Report, aggregates: &Aggregates, place: usize, drawn: &[Drawn]) -> Markup {
    html! {
        section {
            h2 { "All games together" @if report.aggregates.len() > 1 { ": against " (report.label(&aggregates.baseline)) } }
            @match &aggregates.why_absent {
                Some(why) => p { (why) },
                None => {
                    p {
                        "Human-normalised scores, (score − random) / |human − random|, over " (aggregates.games.join(", ")) "; in brackets: 95 % stratified bootstrap interval over seeds (none if a game has one seed). \
                         The known scores are of games that begin with up to 30 no-ops, under the rules called classic: no sticky actions, the game's own actions, at most 108 000 frames. \
                         These runs play under " (report.protocols.join(", ")) ". "
                        "IQM: mean of the middle half of all runs, so that a game with more seeds weighs more. Optimality gap: what is missing to a human, less is better."
                    }
                    (aggregates_table(report, aggregates))
                    (improvements(report, aggregates))
                    (figures_named(report, drawn, &format!("all-{:02}-", place + 1)))
                }
            }
        }
    }
}

fn figures_named(report: &Report, drawn: &[Drawn], start: &str) -> Markup {
    let figures = drawn.iter().filter(|drawn| drawn.row.name.starts_with(start));
    in_grid(figures.map(|drawn| figure(report, drawn)).collect())
}

fn improvements(report: &Report, aggregates: &Aggregates) -> Markup {
    html! {
        ul {
            @for one in &aggregates.improvements {
                li {
                    "A run of " (report.label(&one.arm)) " beats one of " (report.label(&aggregates.baseline))
                    " with probability " (score(one.probability)) @if one.interval.is_some() { " " (span(one.interval)) } "."
                }
            }
        }
    }
}

fn arms(report: &Report) -> Markup {
    html! {
        section {
            h2 { "The arms" }
            (arms_table(report))
            p.note { "Parameters: trainable numbers in the network. Speed: emulator frames a second over whole runs, mean, least and most. Dead features: share of the torso's features that were 0 on every row of an update, at the end of the runs." }
        }
    }
}

fn runs(report: &Report) -> Markup {
    html! {
        section {
            h2 { "The runs" }
            details {
                summary { "Every run that counts" }
                (runs_table(report))
            }
            @if !report.excluded.is_empty() {
                h3 { "Left out" }
                (excluded_table(report))
            }
        }
    }
}

fn method(report: &Report) -> Markup {
    html! {
        section {
            h2 { "How a verdict is reached" }
            p {
                "For each game two differences are taken, arm less baseline: of the final score, and of the area under the learning curve. \
                 The " (report.primary.name()) " decides; the other is shown beside it. Each gets a 95 % interval by bootstrap: seeds are drawn with replacement, those of the two arms independently, "
                (grouped(f64::from(report.repetitions))) " times, and the interval lies between the 2.5 % and 97.5 % quantiles of the difference of means."
            }
            ul {
                li { strong { "better" } ": the interval of the " (report.primary.name()) " lies wholly above 0;" }
                li { strong { "worse" } ": it lies wholly below 0;" }
                li { strong { "similar" } ": otherwise;" }
                li { strong { "unknown" } ": an arm has a single seed." }
            }
            p {
                "A difference is " strong { "supported" } " if the permutation test of that measure has p ≤ " (ALPHA)
                ", and " strong { "suggestive" } " if not. Bootstrap intervals of a few seeds are too narrow; the test makes no assumption, \
                 but needs seeds: 3 against 3 give at least 0.1, 4 against 4 at least 0.03, 5 against 5 at least 0.008."
            }
            p {
                "The test is exact where the scores can be dealt to the two arms in no more than " (frames(MOST_WAYS)) " ways, mirror images counted once. \
                 Where there are more, p is estimated by " (grouped(f64::from(RANDOM_DEALS))) " random deals, as (b + 1) / (m + 1) for b of m deals that differ \
                 at least as much (Phipson and Smyth 2010)."
            }
            p {
                "Where nothing differs, by simulation with normal scores, the rule still calls so many of 100 games better or worse: "
                (FALSE_POSITIVES.map(|(seeds, share)| format!("{:.0} with {seeds}", share * 100.0)).join(", ")) " seeds per arm."
            }
            (tests_made(report))
            p {
                "Curves of seeds are put on one grid, the log points of the shortest run, by straight lines between log points, from the first frame \
                 at which every run had finished a game to the last that every run reached. Statistics over games follow Agarwal et al. 2021 \
                 (arXiv:2108.13264); Holm's correction is that of Holm 1979."
            }
        }
    }
}

/// Renders the number of tests, and how many would succeed by chance.
fn tests_made(report: &Report) -> Markup {
    let tests = report.tests;
    let games = report.comparisons.iter().flat_map(|comparison| &comparison.games);
    // Holm multiplies the smallest p by the number of planned tests, those not made included.
    let planned = games.clone().count().max(1) as f64;
    let least = games.map(|game| game.least_p).fold(1.0, f64::min);
    html! {
        p {
            "Permutation tests of the " (report.primary.name()) " on this page: " (tests.made) ", " (tests.estimated) " of them estimated. \
             At or below " (ALPHA) ": " (tests.significant) ", where chance alone gives up to " (score(tests.expected_by_chance)) "; \
             after Holm's correction for the number of games and pairs of arms: " (tests.after_holm) ". \
             With these seeds the least possible p is " (probability(least)) ", after the correction " (probability((least * planned).min(1.0))) "."
        }
    }
}

fn again(report: &Report) -> Markup {
    html! {
        section {
            h2 { "How to repeat it" }
            p { "This page and its figures:" }
            (line(&report.command))
            @if report.sweeps.iter().any(|sweep| !sweep.commands.is_empty()) {
                p { "The runs, as a sweep:" }
                @for sweep in &report.sweeps { @for words in &sweep.commands { (line(&shell_line(words))) } }
            }
            details {
                summary { "The command of each run" }
                @for game in &report.games { @for arm in &game.arms { @for seed in &arm.seeds {
                    @for words in &seed.commands { (line(&shell_line(words))) }
                } } }
            }
            p.note { "Made by " (report.made_by) ". All numbers and curves are in " code { "report.json" } ", all figures in " code { "figures/" } "." }
        }
    }
}

fn line(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}
