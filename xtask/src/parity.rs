//! `cargo xtask parity`: the comparison with the reference emulator, run live by a Python script.

use crate::layout::Layout;
use crate::{gates, pins, pip, prerequisites as machine, process, stamp, talk, unpack};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::process::Command;

/// Installs the reference, builds the program, and becomes the script; returns only on failure.
pub fn run(layout: &Layout, arguments: &[OsString]) -> Result<std::convert::Infallible> {
    machine::all_present([machine::python(), machine::pip()])?;
    ensure_packages(layout)?;
    let mut build = process::cargo();
    build
        .args(["build", "--release", "--locked", "--bin", "coordrl", "--manifest-path"])
        .arg(layout.manifest());
    process::run(&mut build)?;
    Err(process::become_program(script(layout, arguments)))
}

fn ensure_packages(layout: &Layout) -> Result<()> {
    let lines = stamp_lines()?;
    let place = layout.parity_packages();
    if stamp::covers(&place, &lines) {
        return Ok(());
    }

    talk::line("parity: installing ale-py, numpy and OpenCV beside the project");
    let partial = unpack::fresh_neighbour(&place)?;
    let requirements = partial.join("requirements.txt");
    fs::write(&requirements, pins::PARITY_REQUIREMENTS)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    pip::install(&requirements, &partial)?;
    stamp::write(&partial, &lines)?;
    unpack::put_in_place(&partial, &place)
}

/// Compiled packages fit one Python version only, so the stamp includes it.
fn stamp_lines() -> Result<Vec<String>> {
    let version =
        process::first_line(pip::python().args(["-c", "import sys; print(*sys.version_info[:2])"]))
            .context("python3 does not run")?;
    let requirements = pins::PARITY_REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
    Ok(requirements.map(str::to_owned).chain([format!("python {version}")]).collect())
}

fn script(layout: &Layout, arguments: &[OsString]) -> Command {
    let program = gates::target_dir(layout).join("release").join("coordrl");
    let mut command = pip::python();
    // On the path of this one process only: the user's own Python stays as it is.
    command.env("PYTHONPATH", layout.parity_packages());
    command
        .arg(layout.root().join("envs/parity/parity.py"))
        .arg("--coordrl")
        .arg(program)
        .args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_script_gets_the_program_and_the_arguments() {
        let layout = Layout::at(Path::new("/checkout").to_path_buf());
        let command = script(&layout, &["--games".into(), "pong".into()]);
        let words: Vec<String> =
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words[0], "/checkout/envs/parity/parity.py");
        assert_eq!(words[1], "--coordrl");
        assert!(words[2].ends_with("release/coordrl"));
        assert_eq!(words[3..], ["--games", "pong"]);
    }
}
