//! `cargo xtask page`: checks a report's page in a real browser: no errors, nothing loaded, every
//! mark present, nothing wider than the screen.

mod browser;
mod example;
mod verify;

use crate::layout::Layout;
use crate::{gates, process, talk};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use browser::Browser;
use verify::{Seen, problems};

/// Widths at which the page is checked: a desktop's and a phone's.
const WIDTHS: [u32; 2] = [1280, 390];

/// File name of the copy that is checked.
const CHECKED: &str = "checked.html";

/// Checks the report in `folder`, or one made from synthetic runs, and saves screenshots to
/// `shots`.
pub fn run(layout: &Layout, folder: Option<&Path>, shots: &Path) -> Result<()> {
    let browser = Browser::find()?;
    let scratch = shots.join("scratch");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let outcome = match folder {
        Some(folder) => check(&browser, folder, shots, &scratch),
        None => make_report(layout, &scratch)
            .and_then(|report| check(&browser, &report, shots, &scratch)),
    };
    // Leftovers do no harm.
    let _ = fs::remove_dir_all(&scratch);
    outcome
}

/// Makes a report of synthetic runs with this checkout's program.
fn make_report(layout: &Layout, scratch: &Path) -> Result<PathBuf> {
    let runs = scratch.join("runs");
    let report = scratch.join("report");
    example::write_runs(&runs)?;
    let mut build = process::cargo();
    build.args(["build", "--locked", "--bin", "coordrl", "--manifest-path"]).arg(layout.manifest());
    process::run(&mut build)?;
    let mut command = Command::new(gates::target_dir(layout).join("debug/coordrl"));
    command.arg("report").arg(&runs).arg("--out").arg(&report).args(["--repetitions", "2000"]);
    process::run(&mut command)?;
    Ok(report)
}

fn check(browser: &Browser, report: &Path, shots: &Path, scratch: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = report.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };

    let page = read("index.html")?;
    let data: serde_json::Value =
        serde_json::from_str(&read("report.json")?).context("report.json")?;
    fs::write(scratch.join(CHECKED), with_check(&page)?)?;
    let mut all = Vec::new();
    for width in WIDTHS {
        let around = scratch.join("around.html");
        fs::write(&around, framed(width))?;
        let seen = Seen::read(&browser.document(&around)?)?;
        let found = problems(&seen, &data, width);
        all.extend(found.into_iter().map(|problem| format!("at {width} px: {problem}")));
        let shot = shots.join(format!("{width}.png"));
        let said = browser.picture(&report.join("index.html"), (width, seen.page_height), &shot)?;
        all.extend(said.into_iter().map(|line| format!("at {width} px: the console says: {line}")));
        talk::line(format!(
            "page: {width} px wide, {} figures, {} marks: {}",
            seen.figures.len(),
            seen.marks(),
            shot.display()
        ));
    }

    if !all.is_empty() {
        bail!("the page is not as it should be:\n  - {}", all.join("\n  - "));
    }

    talk::line("page: as it should be");
    Ok(())
}

/// Adds the checking script to the page, and a policy under which any load is an error.
fn with_check(page: &str) -> Result<String> {
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                  style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'\">";
    let head = format!("<head>{policy}<script>{}</script>", include_str!("check.js"));
    if page.matches("<head>").count() != 1 {
        bail!("the page has not one <head>");
    }
    Ok(page.replacen("<head>", &head, 1))
}

/// Wraps the checked page in a frame: a browser's window cannot be as narrow as a phone, a frame
/// can.
fn framed(width: u32) -> String {
    format!(
        "<!DOCTYPE html><title>around</title><pre id=\"seen\"></pre><script>addEventListener('message', event => \
         {{ document.getElementById('seen').textContent = event.data; }});</script>\
         <iframe src=\"{CHECKED}\" style=\"border: 0; width: {width}px; height: 900px\"></iframe>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_goes_into_the_head_before_anything_else() {
        let page = with_check("<html><head><style></style></head></html>").unwrap();
        assert!(page.contains("<head><meta http-equiv") && page.contains("</script><style>"));
        assert!(with_check("<html></html>").is_err());
    }
}
