//! `cargo xtask doctor`: the state of each part of the set-up, and the fix if it is missing.

use crate::layout::Layout;
use crate::prerequisites as machine;
use crate::{deps_dir, digits, libale, libtorch, pins, redis, roms, setup, talk};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

const SET_UP: &str = "cargo xtask setup";

/// State of one part: a description, or the problem and its fix.
struct Finding {
    part: &'static str,
    state: Result<String, String>,
}

impl Finding {
    fn new(part: &'static str, state: Result<String, String>) -> Self {
        Self { part, state }
    }
}

/// Prints the state of every part; fails if one is missing.
pub fn run(layout: &Layout) -> ExitCode {
    let findings = findings(layout);
    for finding in &findings {
        talk::answer(line(finding));
    }
    if findings.iter().all(|finding| finding.state.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn line(finding: &Finding) -> String {
    match &finding.state {
        Ok(found) => format!("ok       {:<20} {found}", finding.part),
        Err(problem) => format!("missing  {:<20} {problem}", finding.part),
    }
}

fn findings(layout: &Layout) -> Vec<Finding> {
    // A folder that cannot be created is reported below as not writable.
    let _ = deps_dir::prepare(layout);
    vec![
        Finding::new(
            "C++ compiler",
            machine::cpp_compiler().map_err(|missing| missing.to_string()),
        ),
        Finding::new("python3", machine::python().map_err(|missing| missing.to_string())),
        Finding::new("pip", machine::pip().map_err(|missing| missing.to_string())),
        Finding::new("disk space", space(layout)),
        Finding::new("libtorch", libtorch_state(layout)),
        Finding::new("device", device(layout)),
        Finding::new("ALE library", ale_library(layout)),
        Finding::new(
            "ROMs",
            roms::check(&layout.roms()).map_err(|error| format!("{error:#}. Fix: {SET_UP}")),
        ),
        Finding::new("digits", digits::state(layout)),
        Finding::new("Redis", redis::state(layout)),
        Finding::new(".deps writable", writable(layout.deps())),
        Finding::new("target writable", writable(&crate::gates::target_dir(layout))),
        Finding::new("runs writable", writable(&layout.root().join("runs"))),
    ]
}

fn space(layout: &Layout) -> Result<String, String> {
    machine::space(layout.deps(), setup::needed_megabytes(layout))
        .map_err(|missing| missing.to_string())
}

fn libtorch_state(layout: &Layout) -> Result<String, String> {
    let own = libtorch::own(layout);
    let fix = match &own {
        Some(_) => "set LIBTORCH to a libtorch 2.13.0, or unset it and run cargo xtask setup",
        None => SET_UP,
    };

    let dir = own.clone().unwrap_or_else(|| layout.default_libtorch_variable());
    let Some(version) = libtorch::version_in(&dir) else {
        return Err(format!("nothing usable in {}. Fix: {fix}", dir.display()));
    };

    // Wheels append their build, as in `2.13.0+cu130`.
    let named = version.split('+').next().unwrap_or(&version);
    if named != libtorch::VERSION || !dir.join("lib/libtorch_cpu.so").exists() {
        return Err(format!(
            "version {version} in {}, needs {}. Fix: {fix}",
            dir.display(),
            libtorch::VERSION
        ));
    }

    if !libtorch::is_ready(layout) {
        return Err(format!("version {version}, but not (all) from this set-up. Fix: {fix}"));
    }

    Ok(format!("{version} in {}", dir.display()))
}

/// Returns the compute device. CUDA libraries can be missing only if there is a driver; otherwise
/// the CPU is correct.
fn device(layout: &Layout) -> Result<String, String> {
    match libtorch::nvidia_driver() {
        None => Ok("CPU (no NVIDIA driver)".to_owned()),
        Some(driver) if libtorch::own(layout).is_some() || libtorch::has_cuda_libraries(layout) => {
            Ok(format!("CUDA ({driver})"))
        }
        Some(driver) => Err(format!("CUDA libraries for {driver}; the CPU works. Fix: {SET_UP}")),
    }
}

fn ale_library(layout: &Layout) -> Result<String, String> {
    if libale::is_ready(layout) {
        return Ok(format!("{} in {}", pins::ALE.version, layout.ale_library().display()));
    }
    Err(format!("no {} of this set-up. Fix: {SET_UP}", layout.ale_library().display()))
}

/// Tests by writing a file: permissions alone are not conclusive (read-only disks, containers).
fn writable(dir: &Path) -> Result<String, String> {
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let tried = fs::create_dir_all(dir)
        .and_then(|()| fs::write(&probe, ""))
        .and_then(|()| fs::remove_file(&probe));
    match tried {
        Ok(()) => Ok(dir.display().to_string()),
        Err(error) => Err(format!(
            "{}: {error}. Fix: make the folder yours, or use another checkout",
            dir.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_checkout_lacks_libtorch_ale_and_roms_and_says_how_to_get_them() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path().to_path_buf());
        let findings = findings(&layout);
        for part in ["ALE library", "ROMs", "digits"] {
            let finding = findings.iter().find(|finding| finding.part == part).unwrap();
            assert!(
                finding.state.as_ref().unwrap_err().contains("Fix: cargo xtask setup"),
                "{part}"
            );
            assert!(line(finding).starts_with("missing  "));
        }

        let folder = findings.iter().find(|finding| finding.part == ".deps writable").unwrap();
        assert!(line(folder).starts_with("ok       "), "{}", line(folder));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_not_writable() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(writable(&dir.path().join("file/below")).unwrap_err().contains("Fix:"));
        assert!(writable(dir.path()).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the probe is gone");
    }
}
