//! Warnings in words.

use std::collections::{BTreeMap, BTreeSet};

use super::report::label_of;
use crate::report::analysis::grid::ArmRow;
use crate::report::analysis::warnings::{Anomaly, Warning};
use crate::report::runs::ArmId;
use crate::text::numbers::frames;

/// Describes an anomaly, followed by its games.
pub fn warning(warning: &Warning, arms: &[ArmRow]) -> String {
    let text = describe(&warning.anomaly, arms);
    match warning.games.as_slice() {
        [] => format!("{text}."),
        games => format!("{text} ({}).", games.join(", ")),
    }
}

fn describe(anomaly: &Anomaly, arms: &[ArmRow]) -> String {
    let label = |arm: &ArmId| label_of(arms, arm).to_owned();
    match anomaly {
        Anomaly::Departure(design) => format!(
            "Before its runs the sweep fixed that {design} decides; this report goes by something \
             else, chosen after them"
        ),
        Anomaly::Excluded(kinds) => format!(
            "Runs left out of all numbers: {}. The end of the page says which. If failing has to \
             do with the torso, what is left is a biased sample",
            joined(kinds, ", ", |(kind, number)| format!("{number} {kind}"))
        ),
        Anomaly::Unreadable(run) => format!("A run cannot be read: {run}"),
        Anomaly::PassedOver(places) => format!("Not looked at: {}", places.join(", ")),
        Anomaly::NoRuns(lacking) => {
            format!("No complete run of {}", joined(lacking, ", ", label))
        }
        Anomaly::Budgets(budgets) => format!(
            "Unequal budgets: runs had {} frames; all are compared at {}",
            joined(budgets, ", ", |budget| frames(*budget as f64)),
            frames(budgets[0] as f64)
        ),
        Anomaly::Seeds(seeds) => format!("The seeds differ: {}", by_arm(seeds, label)),
        Anomaly::Setting { key, arms } => {
            format!("The setting `{key}` differs: {}", by_value(arms, label))
        }
        Anomaly::OtherRules(settings) => by_other_rules(settings),
        Anomaly::Commits(commits) => {
            format!("The runs were made by programs of several commits: {}", commits.join(", "))
        }
        Anomaly::UnknownCode => "The code of some runs cannot be found again: it was built \
             outside a repository, or with changes that no commit holds"
            .to_owned(),
        Anomaly::OtherWeights(runs) => {
            format!("Runs that began with weights of another run, or as a fork of one: {runs}")
        }
        Anomaly::Machines(machines) => format!(
            "Hours and frames per second do not compare: runs were made on {}",
            machines.join("; ")
        ),
        Anomaly::AlgorithmAndTorso(arm, baseline) => {
            format!("{} and {} differ in algorithm and torso at once", label(arm), label(baseline))
        }
        Anomaly::TrainingScores { lacking, games, frames: window } => format!(
            "For want of evaluations in {lacking} runs, scores are means of up to 100 training \
             games ({games} in the run with the fewest), which reach back up to {} frames from the \
             end",
            frames(*window)
        ),
        Anomaly::NoFinalEvaluation { runs, games } => format!(
            "The final scores of {runs} runs are those of their last evaluations on the way, of \
             {games} games or more"
        ),
        Anomaly::CutGames(games) => format!(
            "Games of the evaluations cut at their limit of frames, which count with what they \
             had: {games}"
        ),
    }
}

fn by_arm(seeds: &[(ArmId, Vec<u64>)], label: impl Fn(&ArmId) -> String) -> String {
    joined(seeds, "; ", |(arm, seeds)| {
        format!("{} has {}", label(arm), joined(seeds, ", ", ToString::to_string))
    })
}

fn by_value(arms: &BTreeMap<String, BTreeSet<ArmId>>, label: impl Fn(&ArmId) -> String) -> String {
    joined(arms, "; ", |(value, arms)| format!("{value} for {}", joined(arms, ", ", &label)))
}

fn by_other_rules(settings: &[String]) -> String {
    format!(
        "Runs have {}, but the known scores of a random policy and of a human are of games of up \
         to 108 000 frames that begin with no-ops, in the default mode and difficulty, so none \
         are human-normalised",
        settings.join(", ")
    )
}

fn joined<T>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    text: impl Fn(T) -> String,
) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use coordrl_envs::GameSetting;

    use super::*;
    use crate::config::Algo;
    use crate::report::analysis::grid::Grid;
    use crate::report::analysis::warnings::warnings;
    use crate::report::runs::{ExcludedRun, RunKey, Why};
    use crate::report::test_support::{Fake, read_all};

    fn warned(fakes: Vec<Fake>) -> Vec<String> {
        warned_without(fakes, &[])
    }

    fn warned_without(fakes: Vec<Fake>, excluded: &[ExcludedRun]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new(read_all(folder.path(), fakes.into_iter()));
        let warnings = warnings(&grid, &grid.groups(None).unwrap(), excluded, &[]);
        warnings.iter().map(|one| warning(one, &grid.rows())).collect()
    }

    fn pair() -> Vec<Fake> {
        ["conv", "coordconv"].map(|torso| Fake::new("pong", torso, 1)).to_vec()
    }

    fn with(change: impl Fn(&mut Fake)) -> Vec<String> {
        let mut fakes = pair();
        change(&mut fakes[1]);
        warned(fakes)
    }

    #[test]
    fn runs_that_differ_in_torso_and_seed_alone_bring_no_warning() {
        assert_eq!(warned(pair()), Vec::<String>::new());
        let free = with(|fake| {
            fake.config.threads = Some(7);
            fake.config.keep_checkpoints = 9;
            fake.config.apex.discount = 0.5;
        });
        assert_eq!(free, Vec::<String>::new());
    }

    #[test]
    fn each_oddity_is_named() {
        let one = |texts: Vec<String>, parts: &[&str]| {
            assert_eq!(texts.len(), 1, "{texts:?}");
            parts.iter().for_each(|part| {
                assert!(texts[0].contains(part), "`{part}` is not in {}", texts[0])
            });
        };

        one(
            with(|fake| fake.config.frames = 2500),
            &["Unequal budgets", "2 500, 3 000 frames", "at 2 500", "(pong)"],
        );
        one(with(|fake| fake.config.seed = 2), &["seeds differ", "conv has 1; coordconv has 2"]);
        one(
            with(|fake| fake.config.a2c.discount = 0.5),
            &["`a2c.discount`", "0.5 for coordconv", "0.99 for conv"],
        );
        one(
            with(|fake| fake.meta.commit = "fff".to_owned()),
            &["several commits", "0123456789ab, fff"],
        );
        one(
            with(|fake| fake.meta.sessions[0].commit = Some("fff".to_owned())), // resumed by another build
            &["several commits", "0123456789ab, fff"],
        );
        one(with(|fake| fake.meta.init_from = Some("x".to_owned())), &["fork of one: 1."]);
        one(with(|fake| fake.meta.sessions[0].threads = 1), &["Hours", "1 threads", "2 threads"]);
        let trained = |games: u64| {
            let mut fakes: Vec<Fake> = pair().into_iter().map(Fake::without_evaluations).collect();
            fakes.iter_mut().for_each(|fake| fake.episodes = games);
            warned(fakes)
        };

        one(
            trained(150),
            &["For want of evaluations in 2 runs", "up to 100 training games", "3 000 frames"],
        );
        one(trained(12), &["means of up to 100 training games (12 in the run with the fewest)"]);
        let dirty = warned(
            pair()
                .into_iter()
                .map(|mut fake| {
                    fake.meta.commit = "abc-dirty".to_owned();
                    fake
                })
                .collect(),
        );
        one(dirty, &["cannot be found again"]);
        let mut both = pair();
        both[1].config.algo = Algo::Apex;
        one(warned(both), &["coordconv (Ape-X) and conv (A2C) differ in algorithm and torso"]);
        let lacking = pair().into_iter().chain([Fake::new("catch", "conv", 1)]).collect();
        one(warned(lacking), &["No complete run of coordconv (catch)"]);
    }

    #[test]
    fn other_modes_and_difficulties_are_named_where_scores_of_the_default_are_known() {
        let mut fakes = pair();
        fakes.push(Fake::new("catch", "conv", 1));
        fakes.push(Fake::new("catch", "coordconv", 1));
        for fake in &mut fakes {
            fake.config.env.mode = Some(GameSetting::Number(3));
            fake.config.env.difficulty = Some(GameSetting::Number(1));
        }

        let texts = warned(fakes);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].starts_with("Runs have `env.difficulty` 1, `env.mode` 3, but"),
            "{texts:?}"
        );
        assert!(texts[0].ends_with("(pong)."), "{texts:?}");
    }

    #[test]
    fn one_text_serves_all_games_it_holds_for() {
        let mut fakes = pair();
        fakes.extend(["conv", "coordconv"].map(|torso| Fake::new("catch", torso, 1)));
        for place in [1, 3] {
            fakes[place].config.a2c.discount = 0.5;
        }
        let texts = warned(fakes);
        assert_eq!(texts.len(), 1);
        assert!(texts[0].ends_with("(catch, pong)."), "{texts:?}");
    }

    #[test]
    fn runs_left_out_are_counted_by_reason() {
        let why = [Why::Missing, Why::NoGame, Why::Missing];
        let game = "pong".to_owned();
        let torso = "conv".to_owned();
        let cell = RunKey { game, algo: Algo::A2c, torso, seed: 1 };
        let excluded =
            why.map(|why| ExcludedRun { cell: Some(cell.clone()), run: PathBuf::new(), why });
        let expected = "Runs left out of all numbers: 2 not begun, 1 without a full game.";
        let texts = warned_without(pair(), &excluded);
        assert_eq!(texts.len(), 1);
        assert!(texts[0].starts_with(expected), "{texts:?}");

        let why = Why::Damaged { file: "meta.json".into(), cause: "EOF".to_owned() };
        let texts = warned_without(pair(), &[ExcludedRun { why, ..excluded[0].clone() }]);
        assert!(texts[0].starts_with("Runs left out of all numbers: 1 damaged."));
        let expected = "A run cannot be read: pong, a2c-conv, seed 1: meta.json is damaged: EOF.";
        assert_eq!(texts[1], expected);
    }
}
