//! `cargo xtask page`: checks a report's page in headless Chromium: no errors, nothing loaded, the
//! marks of `report.json` drawn, nothing wider than the screen.

use crate::layout::Layout;
use crate::{gates, process, talk};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Widths at which the page is checked: a desktop's and a phone's.
const WIDTHS: [u64; 2] = [1280, 390];
/// Runs whose report is checked if none is given.
const EXAMPLE: &str = "docs/results/catch-coordinates/runs";
/// Program names of Chromium.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// No network traffic of its own, no first-run steps, no GPU.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
];
/// Under this policy any load is an error.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                      style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'\">";

/// Checks the report in `folder`, or one of the runs in [`EXAMPLE`], and saves screenshots to
/// `shots`.
pub fn run(layout: &Layout, folder: Option<&Path>, shots: &Path) -> Result<()> {
    fs::create_dir_all(shots).with_context(|| format!("cannot create {}", shots.display()))?;
    let scratch = tempfile::tempdir()?;
    let report = match folder {
        Some(folder) => folder.to_owned(),
        None => make_report(layout, scratch.path())?,
    };

    let page = read(&report.join("index.html"))?;
    let checked = with_check(&page, &read(&report.join("report.json"))?)?;
    fs::write(scratch.path().join("checked.html"), checked)?;

    let mut problems = Vec::new();
    for width in WIDTHS {
        let found = check(&report, scratch.path(), width, &shots.join(format!("{width}.png")))?;
        problems.extend(found.into_iter().map(|problem| format!("at {width} px: {problem}")));
    }

    if !problems.is_empty() {
        bail!("the page is not as it should be:\n  - {}", problems.join("\n  - "));
    }

    talk::line("page: as it should be");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes a report with this checkout's program.
fn make_report(layout: &Layout, scratch: &Path) -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["build", "--locked", "--bin", "coordrl", "--manifest-path"]).arg(layout.manifest());
    process::run(&mut build)?;

    let report = scratch.join("report");
    let mut command = Command::new(gates::target_dir(layout).join("debug/coordrl"));
    command.arg("report").arg(layout.root().join(EXAMPLE)).arg("--out").arg(&report);
    process::run(command.args(["--repetitions", "2000"]))?;
    Ok(report)
}

/// Views the page at one width; returns its problems.
fn check(report: &Path, scratch: &Path, width: u64, shot: &Path) -> Result<Vec<String>> {
    let around = scratch.join("around.html");
    fs::write(&around, framed(width))?;
    let options = ["--window-size=1600,1000", "--virtual-time-budget=10000", "--dump-dom"];
    let document = String::from_utf8(open(scratch, &around, &options)?.stdout)?;
    let seen = document
        .split("<pre id=\"seen\">")
        .nth(1)
        .and_then(|rest| rest.split("</pre>").next())
        .filter(|text| !text.is_empty())
        .context("the page's script did not run to its end")?;
    let seen: Value = serde_json::from_str(seen)?;

    let size = format!("--window-size={width},{}", seen["height"].as_f64().unwrap_or(1.0).ceil());
    let options = [size, format!("--screenshot={}", shot.display())];
    let log = open(scratch, &report.join("index.html"), &options.each_ref().map(String::as_str))?;
    talk::line(format!("page: {width} px wide, {} figures: {}", seen["figures"], shot.display()));

    let listed = seen["problems"].as_array().into_iter().flatten().map(Value::to_string);
    let log = String::from_utf8_lossy(&log.stderr).into_owned();
    let said = log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned);
    let mut problems: Vec<String> = listed.chain(said).collect();
    if seen["width"] != width {
        problems.push(format!("the frame is {} px wide", seen["width"]));
    }
    Ok(problems)
}

/// Opens a local page with a temporary profile.
fn open(scratch: &Path, page: &Path, options: &[&str]) -> Result<Output> {
    let program = NAMES
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .context("no Chromium (get it with: apt-get install chromium)")?;
    let page = fs::canonicalize(page).with_context(|| format!("no page {}", page.display()))?;
    let profile = format!("--user-data-dir={}", scratch.join("profile").display());
    let output = Command::new(program)
        .args(QUIET)
        .arg(profile)
        .args(options)
        .arg(format!("file://{}", page.display()))
        .output()?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}

/// Adds the checking script to the page, with the report it checks against.
fn with_check(page: &str, report: &str) -> Result<String> {
    if page.matches("<head>").count() != 1 {
        bail!("the page has not one <head>");
    }

    // An end tag within the report's texts would end the script.
    let report = report.replace('<', "\\u003c");
    let script = include_str!("page_check.js");
    let head = format!("<head>{POLICY}<script>const report = {report};\n{script}</script>");
    Ok(page.replacen("<head>", &head, 1))
}

/// Wraps the checked page in a frame: a browser's window cannot be as narrow as a phone, a frame
/// can.
fn framed(width: u64) -> String {
    format!(
        "<!DOCTYPE html><title>around</title><pre id=\"seen\"></pre><script>addEventListener('message', event => \
         {{ document.getElementById('seen').textContent = event.data; }});</script>\
         <iframe src=\"checked.html\" style=\"border: 0; width: {width}px; height: 900px\"></iframe>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_goes_into_the_head_before_anything_else() {
        let report = r#"{"title": "</script>"}"#;
        let page = with_check("<html><head><style></style></head></html>", report).unwrap();
        assert!(page.contains("<head><meta http-equiv") && page.contains("</script><style>"));
        assert_eq!(page.matches("</script>").count(), 1, "{page}");
        assert!(with_check("<html></html>", report).is_err());
    }
}
