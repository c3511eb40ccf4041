//! Anomalies of the runs that a reader should know before the first number.

use std::collections::BTreeMap;

use coordrl_envs::reference_scores;

use super::grid::{Grid, Group};
use crate::config;
use crate::eval::known_scores::other_settings;
use crate::game::resume_rules::FREE_ON_RESUME;
use crate::report::runs::{ExcludedRun, Run, ScoredBy, Why};
use crate::text::numbers::{count, frames, list};

/// Number of games averaged for a final score.
const GAMES_OF_A_MEAN: u64 = 100;
/// Settings that identify a run or have a warning of their own.
const NO_SETTING: [&str; 5] = ["game", "algo", "torso", "seed", "frames"];

/// Lists what a reader should know before the first number, most serious first.
pub fn warnings(
    grid: &Grid,
    groups: &[Group],
    excluded: &[ExcludedRun],
    passed_over: &[String],
) -> Vec<String> {
    let checks = [
        runs_left_out(excluded),
        damaged_runs(excluded),
        places_passed_over(passed_over),
        games_without_an_arm(grid, groups),
        unequal_budgets(grid),
        unequal_seeds(grid),
        mixed_settings(grid),
        other_modes(grid),
        mixed_commits(grid),
        other_weights(grid),
        mixed_machines(grid),
        algorithm_and_torso(grid, groups),
        training_scores(grid),
        unlike_evaluations(grid),
        cut_games(grid),
    ];
    checks.concat()
}

fn runs_left_out(excluded: &[ExcludedRun]) -> Vec<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for run in excluded {
        let reason = match run.why {
            Why::Missing => "not begun",
            Why::Failed { .. } => "failed",
            Why::Unfinished { .. } => "unfinished",
            Why::Diverged { .. } => "diverged",
            Why::NoGame => "without a full game",
            Why::NoGameWithin { .. } => "without a full game within the budget",
            Why::Damaged { .. } => "damaged",
            Why::Unusable { .. } => "of another version of this program",
            Why::Repeated { .. } => "repeating a seed",
            Why::Other { .. } => "of something else",
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, number)) => *number += 1,
            None => reasons.push((reason, 1)),
        }
    }

    let parts: Vec<String> =
        reasons.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
    let is_are = if excluded.len() == 1 { "is" } else { "are" };
    let text = format!(
        "{} {is_are} left out of all numbers: {}. The end of the page says which. If failing has to do with the torso, \
         what is left is a biased sample.",
        count(excluded.len(), "run"),
        list(&parts)
    );
    if excluded.is_empty() { Vec::new() } else { vec![text] }
}

fn damaged_runs(excluded: &[ExcludedRun]) -> Vec<String> {
    let damaged =
        excluded.iter().filter(|run| matches!(run.why, Why::Damaged { .. } | Why::Unusable { .. }));
    damaged.map(|run| format!("A run cannot be read: {}.", run.text())).collect()
}

fn places_passed_over(places: &[String]) -> Vec<String> {
    let text = format!("Not looked at: {}.", list(places));
    if places.is_empty() { Vec::new() } else { vec![text] }
}

fn games_without_an_arm(grid: &Grid, groups: &[Group]) -> Vec<String> {
    let mut texts = Vec::new();
    for (game, name) in grid.games.iter().enumerate() {
        let compared = groups.iter().flat_map(Group::arms);
        let lacking: Vec<String> = compared
            .filter(|&arm| grid.cell(game, arm).is_empty())
            .map(|arm| grid.label(arm))
            .collect();
        if !lacking.is_empty() {
            texts.push(format!("{name} has no complete run of {}.", list(&lacking)));
        }
    }

    texts
}

fn unequal_budgets(grid: &Grid) -> Vec<String> {
    per_game(grid, |runs| {
        let mut budgets: Vec<u64> = runs.iter().map(|run| run.length()).collect();
        budgets.sort_unstable();
        budgets.dedup();
        let texts: Vec<String> = budgets.iter().map(|&budget| frames(budget as f64)).collect();
        (budgets.len() > 1).then(|| {
            format!(
                "Unequal budgets: runs had {} frames; all are compared at {}",
                list(&texts),
                texts[0]
            )
        })
    })
}

/// Collects the distinct texts of all games, each with the games it applies to.
fn per_game(grid: &Grid, check: impl Fn(&[&Run]) -> Option<String>) -> Vec<String> {
    let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
    for (game, name) in grid.games.iter().enumerate() {
        let runs: Vec<&Run> = grid.of_game(game).collect();
        add(&mut texts, check(&runs), name);
    }
    finish(texts)
}

fn add<'a>(texts: &mut Vec<(String, Vec<&'a str>)>, text: Option<String>, game: &'a str) {
    let Some(text) = text else { return };
    match texts.iter_mut().find(|(known, _)| *known == text) {
        Some((_, games)) => games.push(game),
        None => texts.push((text, vec![game])),
    }
}

fn finish(texts: Vec<(String, Vec<&str>)>) -> Vec<String> {
    texts.into_iter().map(|(text, games)| format!("{text} ({}).", list(&games))).collect()
}

fn unequal_seeds(grid: &Grid) -> Vec<String> {
    let mut texts = Vec::new();
    for (game, name) in grid.games.iter().enumerate() {
        // An arm without runs has a warning of its own.
        let arms: Vec<(String, Vec<String>)> = (0..grid.arms.len())
            .filter(|&arm| !grid.cell(game, arm).is_empty())
            .map(|arm| (grid.label(arm), seeds_of(grid.cell(game, arm))))
            .collect();
        // Cells are sorted by seed, so equal sets of seeds are equal lists.
        if arms.iter().any(|(_, seeds)| *seeds != arms[0].1) {
            let parts: Vec<String> =
                arms.iter().map(|(label, seeds)| format!("{label} has {}", list(seeds))).collect();
            add(&mut texts, Some(format!("The seeds differ: {}", list(&parts))), name);
        }
    }

    finish(texts)
}

fn seeds_of(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| run.config.seed.to_string()).collect()
}

/// Finds settings that differ within a game, except those that identify arms and seeds, depend on
/// the machine, or belong to an algorithm not in use.
fn mixed_settings(grid: &Grid) -> Vec<String> {
    let mut texts = Vec::new();
    for (game, name) in grid.games.iter().enumerate() {
        for (key, values) in settings_of(grid, game) {
            let parts: Vec<String> =
                values.iter().map(|(value, arms)| format!("{value} for {}", list(arms))).collect();
            let text = format!("The setting `{key}` differs: {}", list(&parts));
            add(&mut texts, (values.len() > 1).then_some(text), name);
        }
    }
    finish(texts)
}

/// Known scores hold for one mode and difficulty; in another they would normalise a game wrongly.
fn other_modes(grid: &Grid) -> Vec<String> {
    per_game(grid, |runs| {
        // Games without known scores are never normalised, whatever their settings.
        reference_scores(&runs.first()?.config.game)?;
        let mut settings: Vec<String> =
            runs.iter().flat_map(|run| other_settings(&run.config.env.resolve())).collect();
        settings.sort();
        settings.dedup();
        (!settings.is_empty()).then(|| {
            format!(
                "Runs have {}, but the known scores of a random policy and of a human are of games of up to 108 000 \
                 frames that begin with no-ops, in the default mode and difficulty, so none are human-normalised",
                list(&settings)
            )
        })
    })
}

/// Collects, for each key and value, the arms that use it in this game.
fn settings_of(grid: &Grid, game: usize) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut settings: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for arm in 0..grid.arms.len() {
        for run in grid.cell(game, arm) {
            let leaves = config::leaves(&run.config).into_iter();
            for (key, value) in leaves.filter(|(key, _)| is_compared(run, key)) {
                let arms = settings.entry(key).or_default().entry(value.to_string()).or_default();
                let label = grid.label(arm);
                if !arms.contains(&label) {
                    arms.push(label);
                }
            }
        }
    }

    settings
}

/// Returns `true` if a setting should be the same in all runs of a game.
fn is_compared(run: &Run, key: &str) -> bool {
    !NO_SETTING.contains(&key) && !FREE_ON_RESUME.contains(&key) && !run.config.is_idle(key)
}

fn mixed_commits(grid: &Grid) -> Vec<String> {
    let mut commits: Vec<&str> = grid.all().flat_map(|run| run.meta.commits()).collect();
    commits.sort_unstable();
    commits.dedup();
    let mut texts = Vec::new();
    if commits.len() > 1 {
        texts.push(format!(
            "The runs were made by programs of {} commits: {}.",
            commits.len(),
            list(&commits)
        ));
    }

    // Such a name can be the same in two runs and still mean different code.
    if commits.iter().any(|commit| *commit == "unknown" || commit.ends_with("-dirty")) {
        texts.push(
            "The code of some runs cannot be found again: it was built outside a repository, or with changes \
             that no commit holds."
                .to_owned(),
        );
    }

    texts
}

fn other_weights(grid: &Grid) -> Vec<String> {
    let number = grid
        .all()
        .filter(|run| run.meta.forked_from.is_some() || run.meta.init_from.is_some())
        .count();
    let text =
        format!("{} began with weights of another run, or as a fork of one.", count(number, "run"));
    if number > 0 { vec![text] } else { Vec::new() }
}

fn mixed_machines(grid: &Grid) -> Vec<String> {
    let sessions = grid.all().flat_map(|run| &run.meta.sessions);
    let machines = sessions.map(|session| {
        format!(
            "{} ({}, {} cores, {}, {} threads)",
            session.host, session.platform, session.cores, session.device, session.threads
        )
    });

    let mut all: Vec<String> = machines.collect();
    all.sort();
    all.dedup();
    let text =
        format!("Hours and frames per second do not compare: runs were made on {}.", list(&all));
    if all.len() > 1 { vec![text] } else { Vec::new() }
}

fn algorithm_and_torso(grid: &Grid, groups: &[Group]) -> Vec<String> {
    let mut texts = Vec::new();
    for group in groups {
        let baseline = &grid.arms[group.baseline];
        for &other in &group.others {
            let arm = &grid.arms[other];
            if arm.algo != baseline.algo && arm.torso != baseline.torso {
                let left = grid.label(other);
                let right = grid.label(group.baseline);
                texts.push(format!("{left} and {right} differ in algorithm and torso at once."));
            }
        }
    }

    texts
}

/// Without evaluations, scores are means over the last games, which reach further back the longer
/// games are; and a better agent may play longer games.
fn training_scores(grid: &Grid) -> Vec<String> {
    per_game(grid, |runs| {
        // All runs of a game are scored alike, so one of them answers for all.
        if runs.iter().any(|run| run.scored_by == ScoredBy::Evaluation) {
            return None;
        }
        let lacking = runs.iter().filter(|run| run.evaluated.is_none()).count();
        let of_runs = if lacking == runs.len() {
            String::new()
        } else {
            format!(" of {}", count(lacking, "run"))
        };
        let fewest = runs.iter().map(|run| run.episodes).min()?;
        let longest = runs.iter().map(|run| run.window_frames).fold(0.0, f64::max);
        let games = match fewest < GAMES_OF_A_MEAN {
            true => {
                format!("fewer than {GAMES_OF_A_MEAN} training games, {fewest} in the shortest run")
            }
            false => format!("the last {GAMES_OF_A_MEAN} training games"),
        };
        Some(format!(
            "For want of evaluations{of_runs} scores are means of {games}, which reach back up to {} frames from the end",
            frames(longest)
        ))
    })
}

fn unlike_evaluations(grid: &Grid) -> Vec<String> {
    per_game(grid, |runs| {
        let scored = runs.iter().filter(|run| run.scored_by == ScoredBy::Evaluation);
        let without: Vec<u64> = scored
            .filter_map(|run| run.evaluated)
            .filter(|evaluated| !evaluated.has_final)
            .map(|evaluated| evaluated.last_games)
            .collect();
        let fewest = without.iter().min()?;
        Some(format!(
            "The final score of {} is that of its last evaluation on the way, of {fewest} games or more",
            count(without.len(), "run")
        ))
    })
}

fn cut_games(grid: &Grid) -> Vec<String> {
    per_game(grid, |runs| {
        let evaluations = runs.iter().filter_map(|run| run.evaluated);
        let cut: u64 = evaluations.map(|evaluated| evaluated.games_cut).sum();
        (cut > 0).then(|| {
            format!(
                "{} of the evaluations were cut at their limit of frames and count with what they had",
                count(cut as usize, "game")
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use coordrl_envs::GameSetting;

    use super::*;
    use crate::config::Algo;
    use crate::report::runs::Cell;
    use crate::report::test_support::{Fake, read_all};

    fn warned(fakes: Vec<Fake>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new(read_all(folder.path(), fakes.into_iter()));
        warnings(&grid, &grid.groups(None).unwrap(), &[], &[])
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
            &["Unequal budgets", "2 500 and 3 000", "at 2 500", "(pong)"],
        );
        one(with(|fake| fake.config.seed = 2), &["seeds differ", "conv has 1 and coordconv has 2"]);
        one(
            with(|fake| fake.config.a2c.discount = 0.5),
            &["`a2c.discount`", "0.5 for coordconv", "0.99 for conv"],
        );
        one(
            with(|fake| fake.meta.commit = "fff".to_owned()),
            &["2 commits", "0123456789ab and fff"],
        );
        one(
            with(|fake| fake.meta.sessions[0].commit = Some("fff".to_owned())), // resumed by another build
            &["2 commits", "0123456789ab and fff"],
        );
        one(with(|fake| fake.meta.init_from = Some("x".to_owned())), &["1 run began"]);
        one(with(|fake| fake.meta.sessions[0].threads = 1), &["Hours", "1 threads", "2 threads"]);
        let trained = |games: u64| {
            let mut fakes: Vec<Fake> = pair().into_iter().map(Fake::without_evaluations).collect();
            fakes.iter_mut().for_each(|fake| fake.episodes = games);
            warned(fakes)
        };

        one(
            trained(150),
            &["For want of evaluations scores", "the last 100 training games", "3 000 frames"],
        );
        one(trained(12), &["fewer than 100 training games", "12 in the shortest"]);
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
        one(warned(lacking), &["catch has no complete run of coordconv"]);
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
            texts[0].starts_with("Runs have `env.difficulty` 1 and `env.mode` 3, but"),
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
        assert!(texts[0].ends_with("(catch and pong)."), "{texts:?}");
    }

    #[test]
    fn runs_left_out_are_counted_by_reason() {
        let why = [Why::Missing, Why::NoGame, Why::Missing];
        let game = "pong".to_owned();
        let torso = "conv".to_owned();
        let cell = Cell { game, algo: Algo::A2c, torso, seed: 1 };
        let excluded =
            why.map(|why| ExcludedRun { cell: Some(cell.clone()), run: PathBuf::new(), why });
        let texts = runs_left_out(&excluded);
        assert!(
            texts[0].starts_with("3 runs are left out of all numbers: 2 not begun and 1 without"),
            "{texts:?}"
        );
        assert_eq!(damaged_runs(&excluded), Vec::<String>::new());
        let why = Why::Damaged { file: "meta.json".into(), cause: "EOF".to_owned() };
        let damaged = [ExcludedRun { why, ..excluded[0].clone() }];
        assert!(runs_left_out(&damaged)[0].contains("left out of all numbers: 1 damaged."));
        let expected = "A run cannot be read: pong, a2c-conv, seed 1: meta.json is damaged: EOF.";
        assert_eq!(damaged_runs(&damaged), [expected]);
    }
}
