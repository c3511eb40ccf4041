//! Headless Chromium, one process per query.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Program names of Chromium.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// No network traffic of its own, no first-run steps, no GPU.
const QUIET: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
];

/// An installed browser.
#[derive(Debug)]
pub struct Browser {
    program: &'static str,
}

impl Browser {
    /// Finds the first that runs.
    pub fn find() -> Result<Self> {
        let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
        match NAMES.iter().find(runs) {
            Some(program) => Ok(Self { program }),
            None => bail!("no Chromium (get it with: apt-get install chromium)"),
        }
    }

    /// Returns the document as text after its scripts and those of its frames had time to run.
    pub fn document(&self, page: &Path) -> Result<String> {
        let output = self.open(
            page,
            &["--window-size=1600,1000", "--virtual-time-budget=10000", "--dump-dom"],
        )?;
        String::from_utf8(output.stdout).context("the document is not UTF-8")
    }

    /// Saves a screenshot of the whole page and returns the console's messages. An earlier file is
    /// deleted first: it must not pass for the new one.
    pub fn picture(
        &self,
        page: &Path,
        (width, height): (u32, u32),
        file: &Path,
    ) -> Result<Vec<String>> {
        let size = format!("--window-size={width},{height}");
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
            }
            _ => {}
        }

        let output = self.open(page, &[&size, &format!("--screenshot={}", file.display())])?;
        if !file.is_file() {
            bail!("{} made no picture: {}", self.program, String::from_utf8_lossy(&output.stderr));
        }

        Ok(console_lines(&String::from_utf8_lossy(&output.stderr)))
    }

    /// Opens a local page with a temporary profile.
    fn open(&self, page: &Path, arguments: &[&str]) -> Result<Output> {
        let page = fs::canonicalize(page).with_context(|| format!("no page {}", page.display()))?;
        let profile = Profile::new()?;
        let mut command = Command::new(self.program);
        command.args(QUIET).arg(format!("--user-data-dir={}", profile.0.display())).args(arguments);
        command.arg(format!("file://{}", page.display()));
        let output = command.output().with_context(|| format!("cannot start {}", self.program))?;
        if !output.status.success() {
            bail!("{} failed: {}", self.program, String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }
}

struct Profile(PathBuf);

impl Profile {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("coordrl-page-{}", std::process::id()));
        // Left by a killed process.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // If it cannot be removed, it does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Filters the page's console messages from the browser's log.
fn console_lines(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_picture_does_not_pass_for_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let [page, shot] = ["page.html", "shot.png"].map(|name| folder.path().join(name));
        fs::write(&page, "").unwrap();
        fs::write(&shot, "old").unwrap();
        let makes_nothing = Browser { program: "true" };
        let error = makes_nothing.picture(&page, (9, 9), &shot).unwrap_err().to_string();
        assert!(error.contains("made no picture"), "{error}");
        assert!(!shot.exists());
    }

    #[test]
    fn only_the_console_counts() {
        let log = "[1:2:ERROR:dbus/bus.cc(408)] no bus\n[1:2:INFO:CONSOLE:3] \"boom\", source: file:///x (3)\n";
        assert_eq!(console_lines(log).len(), 1);
        assert!(console_lines(log)[0].contains("boom"));
    }
}
