use super::*;
use crate::exit_code::ExitCode;
use crate::report::test_support::{Fake, write_sweep};

fn fake(seed: u64) -> Fake {
    Fake::new("pong", "conv", seed)
}

fn unfinished(seed: u64) -> Fake {
    fake(seed).with_frames(9000)
}

fn found_in(paths: &[&Path]) -> FoundRuns {
    find_runs(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>()).unwrap()
}

fn refused(path: &Path) -> String {
    let error = find_runs(&[path.to_owned()]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::BadRun, "{error}");
    error.to_string()
}

fn seeds(found: &FoundRuns) -> Vec<u64> {
    found.runs.iter().map(|run| run.config.seed).collect()
}

fn reasons(found: &FoundRuns) -> Vec<String> {
    found.excluded.iter().map(ToString::to_string).collect()
}

#[test]
fn cells_of_a_sweep_that_are_missing_failed_or_unfinished_are_left_out_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let cells: Vec<(Fake, Option<&str>)> = vec![
        (fake(1), None),
        (fake(2), None),
        (unfinished(3), None),
        (unfinished(4), Some("the loss is NaN")),
        (fake(5), Some("no memory")),
        (fake(6), Some("an attempt before the last")),
    ];
    [0, 2, 3, 5].iter().for_each(|&cell: &usize| drop(cells[cell].0.write(runs)));
    let sweep = write_sweep(runs, &cells);
    let found = found_in(&[&sweep]);
    assert_eq!(seeds(&found), [1, 6]);
    let expected = [
        "pong, a2c-conv, seed 2: planned, not begun",
        "pong, a2c-conv, seed 4: failed with exit code 4: the loss is NaN",
        "pong, a2c-conv, seed 5: failed with exit code 4: no memory",
        "pong, a2c-conv, seed 3: unfinished, at 3 000 of 9 000 frames",
    ];
    assert_eq!(reasons(&found), expected);
    assert_eq!((found.sweeps[0].name.as_str(), found.sweeps[0].commands.len()), ("mine", 1));
    let path = &found.runs[0].path;
    assert!(!path.components().any(|part| part == Component::ParentDir), "{}", path.display());
}

#[test]
fn cells_that_cannot_be_read_are_left_out_and_named_alone_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cells: Vec<(Fake, Option<&str>)> = (1..=6).map(|seed| (fake(seed), None)).collect();
    let paths: Vec<PathBuf> = cells.iter().map(|(fake, _)| fake.write(folder.path())).collect();
    fs::remove_file(paths[1].join("meta.json")).unwrap();
    fs::write(paths[2].join("meta.json"), "{").unwrap();
    fs::write(paths[3].join("config.json"), "{").unwrap();
    fs::write(paths[4].join("metrics.jsonl"), "rubbish\n").unwrap();
    let found = found_in(&[&write_sweep(folder.path(), &cells)]);
    assert_eq!(seeds(&found), [1, 6]);
    let texts = reasons(&found);
    let expected = [
        "seed 2: planned, not begun",
        "seed 3: meta.json is damaged: EOF",
        "seed 4: config.json is damaged: ",
        "seed 5: metrics.jsonl is damaged: line 1: ",
    ];
    assert_eq!(texts.len(), expected.len());
    texts.iter().zip(expected).for_each(|(text, part)| assert!(text.contains(part), "{text}"));
    paths[1..5].iter().for_each(|path| assert!(refused(path).contains("damaged")));
}

#[test]
fn damaged_runs_in_a_folder_are_left_out_and_named_alone_or_with_nothing_else_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (1..=4).map(|seed| fake(seed).write(folder.path())).collect();
    fs::write(paths[1].join("metrics.jsonl"), "rubbish\n").unwrap();
    fs::write(paths[2].join("config.json"), "{").unwrap();
    let found = found_in(&[folder.path()]);
    assert_eq!(seeds(&found), [1, 4]);
    let texts = reasons(&found);
    let expected = [
        "pong, a2c-conv, seed 2: metrics.jsonl is damaged: line 1",
        "seed3: config.json is damaged: ",
    ];
    assert_eq!(texts.len(), expected.len());
    texts.iter().zip(expected).for_each(|(text, part)| assert!(text.contains(part), "{text}"));
    assert_eq!(found.excluded[1].cell, None);
    let both_ways =
        find_runs(&[folder.path().to_owned(), paths[1].clone()]).unwrap_err().to_string();
    assert!(both_ways.contains("metrics.jsonl is damaged"), "{both_ways}");
    [0, 3].iter().for_each(|&run: &usize| fs::write(paths[run].join("meta.json"), "{").unwrap());
    assert!(refused(folder.path()).contains("no run is complete (4 found or planned)"));
}

#[test]
fn cells_of_a_sweep_that_is_being_extended_are_complete_where_the_sweep_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = |seed: u64, points: usize| fake(seed).with_scores(&vec![1.0; points]);
    run(1, 3).write(folder.path());
    run(2, 4).write(folder.path());
    // Trained for longer than the sweep asked, and reached the sweep's end: complete.
    run(3, 4).with_frames(9000).write(folder.path());
    let cells = [1, 2, 3].map(|seed| (run(seed, 4), None));
    let found = found_in(&[&write_sweep(folder.path(), &cells)]);
    assert_eq!(seeds(&found), [2, 3]);
    assert_eq!(reasons(&found), ["pong, a2c-conv, seed 1: unfinished, at 3 000 of 4 000 frames"]);
    assert!(found.runs.iter().all(|run| run.length() == 4000));
}

#[test]
fn a_run_without_a_game_before_the_shortest_ends_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fake(1).with_scores(&[f64::NAN, 1.0]).write(folder.path());
    fake(2).with_scores(&[1.0, 2.0, 3.0]).write(folder.path());
    fake(3).with_scores(&[f64::NAN, f64::NAN, 99.0]).write(folder.path());
    Fake::new("catch", "conv", 1).with_scores(&[f64::NAN, f64::NAN, 99.0]).write(folder.path());
    let found = found_in(&[folder.path()]);
    assert_eq!(seeds(&found), [1, 1, 2]);
    assert_eq!(
        reasons(&found),
        ["pong, a2c-conv, seed 3: no full game within the budget, 2 000 frames"]
    );
}

#[test]
fn a_sweep_behind_a_link_finds_its_own_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [runs, elsewhere] = ["runs", "a/b/elsewhere"].map(|name| folder.path().join(name));
    fs::create_dir_all(elsewhere.join("pong")).unwrap();
    let path = fake(1).write(&runs);
    let sweep = write_sweep(&runs, &[(fake(1), None)]);
    let link = elsewhere.join("link");
    std::os::unix::fs::symlink(&sweep, &link).unwrap();
    let found = found_in(&[&link]);
    assert_eq!(
        (found.runs[0].path.as_path(), found.sweeps[0].folder.as_path()),
        (real(&path).as_path(), link.as_path())
    );
    // A link to the folder of all runs changes nothing: paths are shown as given.
    let all = folder.path().join("all");
    std::os::unix::fs::symlink(&runs, &all).unwrap();
    let found = found_in(&[&all.join("sweeps/mine")]);
    assert_eq!(found.runs[0].path, all.join("pong/a2c-conv/seed1"));
}

#[test]
fn of_paths_that_lead_to_one_place_the_first_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let [a, link, nowhere] = ["a", "link", "nowhere"].map(|name| folder.path().join(name));
    fs::create_dir(&a).unwrap();
    std::os::unix::fs::symlink(&a, &link).unwrap();
    let kept = without_repeats(vec![
        a.clone(),
        nowhere.clone(),
        a.join("../a"),
        link,
        a.clone(),
        nowhere.clone(),
    ]);
    assert_eq!(kept, [a, nowhere]);
}

#[test]
fn a_cell_whose_folder_holds_another_run_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let other = fake(2).named("seed1");
    other.write(folder.path());
    fake(3).write(folder.path());
    let sweep = write_sweep(folder.path(), &[(fake(1), None), (fake(3), None)]);
    let found = found_in(&[&sweep]);
    assert_eq!(seeds(&found), [3]);
    assert_eq!(
        reasons(&found),
        ["pong, a2c-conv, seed 1: its folder holds pong, a2c-conv, seed 2"]
    );
}

#[test]
fn runs_are_found_at_any_depth_studies_and_sweeps_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    for run in [fake(1), fake(2), Fake::new("catch", "conv", 1)] {
        run.write(runs);
    }

    write_sweep(runs, &[(fake(9), None)]);
    let study = runs.join("studies/regress/a");
    fs::create_dir_all(&study).unwrap();
    fs::write(study.join("config.json"), "{\"task\":\"regress\"}").unwrap();
    std::os::unix::fs::symlink(runs, runs.join("up")).unwrap();
    let found = found_in(&[runs]);
    assert_eq!((found.runs.len(), found.excluded.len()), (3, 0));
    assert_eq!(found.passed_over.len(), 1);
    assert!(
        found.passed_over[0].contains("sweeps/mine (a sweep; named itself"),
        "{:?}",
        found.passed_over
    );
    assert!(refused(&study).contains("it holds a study"));
    assert!(refused(&runs.join("studies")).contains("it holds studies"));
}

#[test]
fn linked_folders_of_runs_are_searched_once_and_links_that_lead_nowhere_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let [farm, theirs] = ["farm", "theirs"].map(|name| folder.path().join(name));
    fake(1).write(&farm.join("mine"));
    fake(2).write(&theirs);
    std::os::unix::fs::symlink(&theirs, farm.join("theirs")).unwrap();
    std::os::unix::fs::symlink(&theirs, farm.join("theirs-again")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("gone"), farm.join("gone")).unwrap();
    let found = found_in(&[&farm]);
    assert_eq!((seeds(&found), found.excluded.len()), (vec![1, 2], 0));
    assert!(found.runs[1].path.starts_with(farm.join("theirs")));
    assert_eq!(found.passed_over, [format!("{}/gone (a link that leads nowhere)", farm.display())]);

    let twice = found_in(&[&farm, &theirs]);
    assert_eq!(seeds(&twice), [1, 2]);

    fs::remove_dir_all(farm.join("mine")).unwrap();
    assert_eq!(seeds(&found_in(&[&farm])), [2]);
}

#[test]
fn a_run_named_twice_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = fake(1).write(folder.path());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let found = found_in(&[&path, folder.path(), &link, &path.join("../seed1")]);
    assert_eq!((found.runs.len(), found.excluded.len()), (1, 0));
}

#[test]
fn of_two_runs_of_one_seed_the_longer_counts_then_the_later() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, scores: &[f64], started: u64| {
        let mut run = fake(1).with_scores(scores).named(name);
        run.meta.sessions[0].started_unix_secs = started;
        run.write(folder.path());
    };

    write("a", &[1.0, 2.0, 3.0], 10);
    write("b", &[1.0, 2.0, 3.0, 4.0], 5);
    write("c", &[1.0, 2.0, 3.0, 5.0], 7);
    fake(1).with_frames(99_000).named("d").write(folder.path());
    let found = found_in(&[folder.path()]);
    assert_eq!(found.runs.len(), 1);
    assert!(found.runs[0].path.ends_with("c"));
    let texts = reasons(&found);
    assert_eq!(texts.len(), 3);
    assert!(texts[0].contains("repeats a seed") && texts[2].contains("unfinished"), "{texts:?}");
}

#[test]
fn diverged_runs_and_runs_without_a_game_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let diverged = unfinished(1).write(folder.path());
    fs::write(diverged.join("diverged.safetensors"), "").unwrap();
    fake(2).with_scores(&[f64::NAN, f64::NAN]).write(folder.path());
    fake(3).write(folder.path());
    let texts = reasons(&found_in(&[folder.path()]));
    assert_eq!(
        texts,
        [
            "pong, a2c-conv, seed 1: diverged at 3 000 frames",
            "pong, a2c-conv, seed 2: no full game was finished, so it has no score"
        ]
    );
}

#[test]
fn paths_that_are_no_runs_and_damaged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&folder.path().join("nowhere")).contains("no such folder"));
    assert!(refused(folder.path()).contains("nor is there one in it"));
    unfinished(1).write(folder.path());
    let text = refused(folder.path());
    assert!(
        text.contains("no run is complete (1 found or planned)")
            && text.contains("at 3 000 of 9 000"),
        "{text}"
    );
    let run = fake(2).write(folder.path());
    fs::write(run.join("meta.json"), "{").unwrap();
    assert!(refused(&run).contains("meta.json is damaged"));
    let text = refused(folder.path());
    assert!(
        text.contains("no run is complete (2 found or planned)")
            && text.contains("meta.json is damaged"),
        "{text}"
    );
    let sweep = write_sweep(folder.path(), &[]);
    fs::write(record_path(&sweep), "[]").unwrap();
    assert!(refused(&sweep).contains("sweep.json is damaged"));
}

#[test]
fn detours_in_paths_are_left_out() {
    let of = |path: &str| tidy(Path::new(path)).display().to_string();
    assert_eq!(
        ["runs/sweeps/x/../../pong", "../a", "a/..", "/a/../b", "../../x"].map(of),
        ["runs/pong", "../a", ".", "/b", "../../x"]
    );
}
