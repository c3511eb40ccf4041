//! Tests of whole reports: from run folders to a page and its files.

use std::fs;
use std::path::{Path, PathBuf};

use super::test_support::{Fake, write_sweep};
use super::*;
use crate::exit_code::ExitCode;
use crate::sweep::record::Primary;

fn request(path: &Path) -> ReportRequest {
    ReportRequest { paths: vec![path.to_owned()], repetitions: 300, ..ReportRequest::default() }
}

fn make(path: &Path, out: &Path) -> Result<Report, ReportError> {
    let found = find_runs(&[path.to_owned()])?;
    let destination = ReportDestination::choose(Some(out), &[])?;
    let mut report = Report::build(&request(path), found)?;
    let drawn = report.draw()?;
    destination.write(&report, &drawn)?;
    Ok(report)
}

/// Writes three seeds of each torso in each game.
fn write_runs(runs: &Path, torsos: &[&str], games: &[&str]) {
    for game in games {
        for (arm, torso) in torsos.iter().enumerate() {
            for seed in 1..=3 {
                let end = arm as f64 * 5.0 + seed as f64 / 10.0;
                Fake::new(game, torso, seed).with_scores(&[f64::NAN, -20.0, end]).write(runs);
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => all.extend(files(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all.sort();
    all
}

#[test]
fn what_a_sweep_fixed_decides_and_departures_from_it_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let cells: Vec<Fake> = ["conv", "coordconv"]
        .iter()
        .flat_map(|torso| [1, 2].map(|seed| Fake::new("pong", torso, seed)))
        .collect();
    cells.iter().for_each(|fake| drop(fake.write(folder.path())));
    let sweep =
        write_sweep(folder.path(), &cells.into_iter().map(|fake| (fake, None)).collect::<Vec<_>>());
    let record = sweep.join("sweep.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    json["design"] = serde_json::json!({ "primary": "final", "reference": "coordconv" });
    fs::write(&record, json.to_string()).unwrap();

    let build = |primary, baseline: Option<&str>| {
        let baseline = baseline.map(str::to_owned);
        let request = ReportRequest { primary, baseline, ..request(&sweep) };
        Report::build(&request, find_runs(std::slice::from_ref(&sweep)).unwrap()).unwrap()
    };

    // The same arm under another name, and the same measure by flag, are no departure.
    for baseline in [None, Some("coordconv"), Some("a2c-coordconv")] {
        let report = build(baseline.map(|_| Primary::Final), baseline);
        assert_eq!(report.primary, Primary::Final);
        assert_eq!(report.comparisons[0].baseline.to_string(), "a2c-coordconv");
        assert_eq!(report.warnings, Vec::<String>::new());
    }

    for (primary, baseline) in [(Some(Primary::Area), None), (None, Some("a2c-conv"))] {
        let report = build(primary, baseline);
        assert_eq!(report.primary, primary.unwrap_or(Primary::Final));
        let expected = "Before its runs the sweep fixed that the final score against coordconv";
        assert!(report.warnings[0].starts_with(expected), "{:?}", report.warnings);
    }
}

#[test]
fn the_same_runs_give_the_same_bytes_wherever_the_report_lies() {
    let folder = tempfile::tempdir().unwrap();
    write_runs(&folder.path().join("runs"), &["conv", "coordconv"], &["pong", "catch"]);
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    let report = make(&folder.path().join("runs"), &a).unwrap();
    make(&folder.path().join("runs"), &b).unwrap();
    let names = |folder: &Path| -> Vec<PathBuf> {
        files(folder).iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
    };

    assert_eq!(names(&a), names(&b));
    assert_eq!(names(&a).len(), 2 + 2 * report.figures.len());
    for name in names(&a) {
        assert_eq!(
            fs::read(a.join(&name)).unwrap(),
            fs::read(b.join(&name)).unwrap(),
            "{}",
            name.display()
        );
    }

    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "something was left beside the reports"
    );
}

#[test]
fn the_page_says_what_matters_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_runs(&folder.path().join("runs"), &["conv", "coordconv"], &["pong", "catch"]);
    let report = make(&folder.path().join("runs"), &folder.path().join("out")).unwrap();
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    let parts = [
        "coordconv against conv: 0 better and 0 worse after Holm; uncorrected 2 better, 0 similar, 0 worse",
        "3 against 3 seeds no exact two-sided test can reach 0.05",
        "suggestive",
        "What cannot be concluded",
        "Performance profile",
        "IQM",
        "Permutation tests of the area on this page: 2, 0 of them estimated.",
        "the least possible p is 0.10, after the correction 0.20",
        "coordrl report",
    ];
    parts.iter().for_each(|part| assert!(page.contains(part), "`{part}` is not on the page"));
    let loads = ["http:", "https:", "<script", "src=", "@import", "url(h", "file:"];
    loads.iter().for_each(|part| assert!(!page.contains(part), "`{part}` is on the page"));
    for figure in &report.figures {
        assert_eq!(page.matches(&format!("id=\"{}\"", figure.name)).count(), 1);
        assert_eq!(page.matches(&format!("id=\"{}-clip", figure.name)).count(), 1);
    }

    assert_eq!(page.matches("<svg").count(), report.figures.len());
}

#[test]
fn many_seeds_are_tested_by_random_deals_and_the_page_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    for (arm, torso) in ["conv", "coordconv"].iter().enumerate() {
        for seed in 1..=14 {
            let end = arm as f64 * 50.0 + seed as f64;
            Fake::new("pong", torso, seed).with_scores(&[0.0, end]).write(&runs);
        }
    }

    let report = make(&runs, &folder.path().join("out")).unwrap();
    assert_eq!((report.tests.made, report.tests.estimated, report.tests.after_holm), (1, 1, 1));
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    let parts = [
        "Differences supported by the permutation test (p ≤ 0.05): 1; only suggestive: 0.",
        "or, where it says ≈, estimated by 100 000 random deals.",
        "p ≈ 0.000010",
        "Permutation tests of the area on this page: 1, 1 of them estimated.",
        "in no more than 20 million ways",
        "Phipson and Smyth 2010",
    ];
    parts.iter().for_each(|part| assert!(page.contains(part), "`{part}` is not on the page"));
}

#[test]
fn games_of_one_seed_bring_no_interval() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    write_runs(&runs, &["conv", "coordconv"], &["pong"]);
    for torso in ["conv", "coordconv"] {
        Fake::new("breakout", torso, 1).write(&runs);
    }

    let report = make(&runs, &folder.path().join("out")).unwrap();
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("beats one of conv with probability 0.75."));
    let profile = report.figures.iter().find(|figure| figure.name == "all-01-profile").unwrap();
    assert_eq!((profile.marks.lines.as_slice(), profile.marks.bands.len()), (&[81, 81][..], 0));
    let text = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let arm = &json["aggregates"][0]["arms"][0];
    assert!(arm["profile"]["low"].is_null() && arm["values"][0]["interval"].is_null());
}

#[test]
fn what_longer_runs_did_later_is_not_taken_as_compared() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    Fake::new("pong", "conv", 1).with_scores(&[0.0, 1.0]).write(&runs);
    Fake::new("pong", "coordconv", 1).with_scores(&[0.0, 1.0, 2.0]).write(&runs);
    let make = |out: &str| {
        make(&runs, &folder.path().join(out)).unwrap();
        fs::read_to_string(folder.path().join(out).join("index.html")).unwrap()
    };

    let page = make("one");
    assert!(page.contains(
        "Complete runs: 2. Games, and the frames at which scores are taken: pong (2 000)."
    ));
    assert!(page.contains("What happens after 2 000 frames"));
    Fake::new("catch", "conv", 1).write(&runs);
    let page = make("two");
    assert!(page.contains("scores are taken: catch (3 000), pong (2 000)."));
    assert!(page.contains("What happens after 2 000 frames"));
}

#[test]
fn a_damaged_run_is_listed_and_the_others_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    write_runs(&runs, &["conv", "coordconv"], &["pong"]);
    fs::write(runs.join("pong/a2c-conv/seed1/meta.json"), "{").unwrap();
    fs::write(runs.join("pong/a2c-conv/seed2/config.json"), "{").unwrap();
    let report = make(&runs, &folder.path().join("out")).unwrap();
    assert!(report.warnings[0].starts_with("Runs left out of all numbers: 2 damaged."));
    let text = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["excluded"][0]["game"], &json["excluded"][0]["seed"]),
        (&"pong".into(), &1.into())
    );
    assert!(json["excluded"][1]["game"].is_null());
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("meta.json is damaged") && page.contains("config.json is damaged"));
}

#[test]
fn scores_of_the_default_mode_put_no_other_mode_on_a_scale() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    for torso in ["conv", "coordconv"] {
        let mut run = Fake::new("pong", torso, 1);
        run.config.env.mode = Some(coordrl_envs::GameSetting::Number(1));
        run.write(&runs);
    }

    let report = make(&runs, &folder.path().join("out")).unwrap();
    assert!(report.aggregates[0].why_absent.is_some());
    assert!(
        report.figures.iter().all(|figure| figure.game.is_some()),
        "nothing is drawn over all games"
    );
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("Runs have `env.mode` 1, but the known scores"));
}

#[test]
fn names_cannot_break_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "<script>alert(1)</script>\"'&";
    let runs = folder.path().join("runs");
    for torso in ["conv", "x"] {
        let mut run = Fake::new("catch", torso, 1);
        if torso == "x" {
            run.config.torso = hostile.to_owned();
            run.config.game = "catch".to_owned();
            run.meta.commit = hostile.to_owned();
            run.meta.sessions[0].command = vec![hostile.to_owned()];
            run = run.in_folder("hostile");
        }
        run.write(&runs);
    }

    make(&runs, &folder.path().join("out")).unwrap();
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn report_json_holds_what_the_page_shows() {
    let folder = tempfile::tempdir().unwrap();
    write_runs(&folder.path().join("runs"), &["conv", "coordconv"], &["pong"]);
    make(&folder.path().join("runs"), &folder.path().join("out")).unwrap();
    let text = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pair = &json["comparisons"][0];
    assert_eq!((&pair["arm"], &pair["baseline"]), (&"a2c-coordconv".into(), &"a2c-conv".into()));
    assert_eq!(
        (&pair["games"][0]["verdict"], &pair["games"][0]["strength"]),
        (&"better".into(), &"suggestive".into())
    );
    assert_eq!(pair["count"]["better"], 1);
    assert_eq!(json["games"][0]["arms"][0]["seeds"][2]["final_score"], 0.3);
    assert_eq!((&json["tests"]["made"], &json["primary"]), (&1.into(), &"area".into()));
    // Over frames: six seeds, two means, a human's score, two bands; points at 2000 and 3000
    // frames.
    assert_eq!(
        json["figures"][0]["marks"],
        serde_json::json!({"lines": [2, 2, 2, 2, 2, 2, 2, 2, 2], "bands": [4, 4], "dots": 0})
    );
}

#[test]
fn one_arm_is_shown_without_verdict() {
    let folder = tempfile::tempdir().unwrap();
    write_runs(&folder.path().join("runs"), &["conv"], &["pong"]);
    let report = make(&folder.path().join("runs"), &folder.path().join("out")).unwrap();
    assert!(report.comparisons.is_empty() && report.aggregates.is_empty());
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("There is only one arm"));
}

#[test]
fn a_sweep_shows_what_it_lacks_and_how_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let cells = [("conv", 1), ("conv", 2), ("coordconv", 1), ("coordconv", 2)];
    let cells: Vec<(Fake, Option<&str>)> =
        cells.iter().map(|&(torso, seed)| (Fake::new("pong", torso, seed), None)).collect();
    cells[..3].iter().for_each(|(fake, _)| drop(fake.write(folder.path())));
    let sweep = write_sweep(folder.path(), &cells);
    let report = make(&sweep, &folder.path().join("out")).unwrap();
    assert!(report.warnings[0].starts_with("Runs left out of all numbers: 1 not begun."));
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(
        page.contains("planned, not begun") && page.contains("<code>coordrl sweep mine</code>")
    );
    assert!(page.contains("<code>coordrl train pong</code>"));
    let json = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    assert!(!json.contains("/bin/coordrl") && !page.contains("/bin/coordrl"));
    assert!(page.contains("1 unknown"));
}

#[test]
fn runs_that_failed_are_counted_as_the_worst_in_a_second_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let cells: Vec<(Fake, Option<&str>)> = ["conv", "coordconv"]
        .iter()
        .flat_map(|torso| (1..=4).map(move |seed| (torso, seed)))
        .map(|(torso, seed)| {
            let end = if *torso == "conv" { 1.0 } else { 9.0 } + seed as f64 / 10.0;
            let failure = (*torso == "coordconv" && seed > 2).then_some("loss is not finite");
            (Fake::new("pong", torso, seed).with_scores(&[0.0, end, end]), failure)
        })
        .collect();
    let complete = cells.iter().filter(|(_, failure)| failure.is_none());
    complete.for_each(|(fake, _)| drop(fake.write(folder.path())));
    let sweep = write_sweep(folder.path(), &cells);

    let report = make(&sweep, &folder.path().join("out")).unwrap();
    let seeds = |comparisons: &[ComparisonRow]| comparisons[0].games[0].seeds;
    assert_eq!(seeds(&report.comparisons), [2, 4]);
    assert_eq!(seeds(&report.failed_as_worst), [4, 4]);
    let finals = report.failed_as_worst[0].games[0].final_score.difference;
    assert!((finals - ((9.1 + 9.2 + 1.1 + 1.1) / 4.0 - 1.25)).abs() < 1e-9, "{finals}");
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(
        page.contains("If failed runs count") && page.contains("<td class=\"number\">4 / 4</td>")
    );

    write_runs(&folder.path().join("whole"), &["conv", "coordconv"], &["pong"]);
    let whole = make(&folder.path().join("whole"), &folder.path().join("whole-out")).unwrap();
    assert!(whole.failed_as_worst.is_empty());
}

#[test]
fn a_place_that_cannot_be_written_is_a_wrong_request_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    write_runs(&folder.path().join("runs"), &["conv"], &["pong"]);
    fs::write(folder.path().join("file"), "").unwrap();
    for out in ["file/out", "file/a/out"] {
        let error = make(&folder.path().join("runs"), &folder.path().join(out)).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::BadRequest);
        assert!(error.to_string().starts_with("cannot write the report to "), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
