//! The checks of a change, cheapest first.

use crate::layout::Layout;
use crate::{process, talk};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// One check: a cargo command, or another program.
pub struct Gate {
    pub name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// A program that does not come with Rust, and its installation command.
    tool: Option<Tool>,
}

#[derive(Clone, Copy)]
struct Tool {
    probe: &'static [&'static str],
    install: &'static str,
}

const FMT: Gate = cargo("fmt", &["fmt", "--all", "--check"]);
const TYPOS: Gate = Gate {
    name: "typos",
    program: "typos",
    arguments: &[],
    environment: &[],
    tool: Some(Tool {
        probe: &["typos", "--version"],
        install: "cargo install typos-cli --locked",
    }),
};
const CLIPPY: Gate = cargo(
    "clippy",
    &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
);
const DOCS: Gate = Gate {
    environment: &[("RUSTDOCFLAGS", "-D warnings")],
    ..cargo("docs", &["doc", "--workspace", "--no-deps", "--locked"])
};
const TESTS: Gate = cargo("tests", &["test", "--workspace", "--locked"]);
const DENY: Gate = Gate {
    tool: Some(Tool {
        probe: &["cargo", "deny", "--version"],
        install: "cargo install cargo-deny --locked",
    }),
    ..cargo("deny", &["deny", "check"])
};
const WITHOUT_ALE: Gate = cargo(
    "build without ALE",
    &["build", "--package", "coordrl-envs", "--no-default-features", "--locked"],
);

/// All gates, as required of every change.
pub const ALL: &[Gate] = &[FMT, TYPOS, CLIPPY, DOCS, TESTS, DENY, WITHOUT_ALE];
/// The gates that need no tool beyond Rust's own and run no code.
pub const LINTS: &[Gate] = &[FMT, CLIPPY, DOCS];
/// The gates of the continuous integration.
pub const CI: &[Gate] = &[FMT, CLIPPY, DOCS, TESTS];

/// Runs `gates` until one fails. A missing tool fails too, but only at the end: the other checks
/// still report.
pub fn run(layout: &Layout, gates: &[Gate]) -> Result<()> {
    let mut missing = Vec::new();
    for gate in gates {
        if let Some(tool) = gate.tool.filter(|tool| !is_there(tool)) {
            talk::line(format!("gate {}: not run, no `{}`", gate.name, tool.probe.join(" ")));
            missing.push(format!("{} (get it with: {})", gate.name, tool.install));
            continue;
        }
        talk::line(format!("gate {}", gate.name));
        process::run(&mut command(layout, gate))?;
    }

    if !missing.is_empty() {
        bail!("not run for want of a tool: {}", missing.join("; "));
    }

    talk::line("all gates passed");
    Ok(())
}

/// Builds `cargo test` with these arguments, over the whole workspace unless they name packages.
pub fn test_command(layout: &Layout, arguments: &[OsString]) -> Command {
    let mut command = process::cargo();
    command.args(["test", "--locked", "--manifest-path"]).arg(layout.manifest());
    if !name_packages(arguments) {
        command.arg("--workspace");
    }
    command.args(arguments);
    command
}

/// Returns `true` if the arguments name packages: cargo would let `--workspace` override them.
fn name_packages(arguments: &[OsString]) -> bool {
    let for_cargo =
        arguments.iter().take_while(|word| *word != "--").map(|word| word.to_string_lossy());
    for_cargo
        .into_iter()
        .any(|word| word.starts_with("-p") || word == "--package" || word.starts_with("--package="))
}

/// Builds `cargo run --release -- train …`.
pub fn train_command(layout: &Layout, arguments: &[OsString]) -> Command {
    let mut command = process::cargo();
    command.args(["run", "--release", "--locked", "--manifest-path"]).arg(layout.manifest());
    command.args(["--bin", "coordrl", "--", "train"]).args(arguments);
    command
}

/// Cargo's target folder, derived from this program's own path in its `debug` folder.
pub fn target_dir(layout: &Layout) -> PathBuf {
    // Not simply `target`: a variable or a configuration file may have moved it.
    let program = std::env::current_exe().ok();
    let target = program.as_deref().and_then(|path| path.parent()?.parent());
    target.map_or_else(|| layout.root().join("target"), PathBuf::from)
}

const fn cargo(name: &'static str, arguments: &'static [&'static str]) -> Gate {
    Gate { name, program: "cargo", arguments, environment: &[], tool: None }
}

fn command(layout: &Layout, gate: &Gate) -> Command {
    let mut command =
        if gate.program == "cargo" { process::cargo() } else { Command::new(gate.program) };
    command.args(gate.arguments).envs(gate.environment.iter().copied()).current_dir(layout.root());
    command
}

fn is_there(tool: &Tool) -> bool {
    let mut command = Command::new(tool.probe[0]);
    command.args(&tool.probe[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PASSES: Gate = program("passes", "true");
    const FAILS: Gate = program("fails", "false");
    const LACKS: Gate = Gate {
        tool: Some(Tool { probe: &["no-such-tool-here"], install: "cargo install no-such-tool" }),
        ..program("lacks", "true")
    };

    const fn program(name: &'static str, program: &'static str) -> Gate {
        Gate { name, program, arguments: &[], environment: &[], tool: None }
    }

    fn layout() -> Layout {
        Layout::at(Path::new(".").to_path_buf())
    }

    #[test]
    fn passing_gates_pass_and_a_failing_one_is_named() {
        run(&layout(), &[PASSES]).unwrap();
        assert!(
            run(&layout(), &[PASSES, FAILS]).unwrap_err().to_string().contains("`false` failed")
        );
    }

    #[test]
    fn a_missing_tool_fails_with_the_way_to_get_it_after_the_other_gates_ran() {
        let error = run(&layout(), &[LACKS, PASSES]).unwrap_err().to_string();
        assert!(error.contains("lacks") && error.contains("cargo install no-such-tool"), "{error}");
        let error = run(&layout(), &[LACKS, FAILS]).unwrap_err().to_string();
        assert!(error.contains("`false` failed"), "{error}");
    }

    #[test]
    fn arguments_reach_the_program_unchanged_and_in_order() {
        let words: Vec<OsString> =
            ["pong", "--set", "a2c.envs=8", "--name=a b", "--", "-x"].map(OsString::from).into();
        let command = train_command(&layout(), &words);
        let found: Vec<OsString> = command.get_args().map(OsString::from).collect();
        assert!(found.ends_with(&words));
        assert_eq!(found[found.len() - words.len() - 1], "train");
        let found = words_of_test(&["--set", "a b", "--", "-x"]);
        assert_eq!(found[0], "test");
        assert!(found.ends_with(&["--set", "a b", "--", "-x"].map(str::to_owned)));
    }

    fn words_of_test(arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let command = test_command(&layout(), &arguments);
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn tests_run_over_the_workspace_unless_packages_are_named() {
        let whole =
            |arguments: &[&str]| words_of_test(arguments).contains(&"--workspace".to_owned());
        assert!(whole(&[]) && whole(&["--release"]) && whole(&["name", "--", "-p"]));
        for one in [
            &["-p", "xtask"][..],
            &["-pxtask"],
            &["--package", "xtask"],
            &["--release", "--package=xtask"],
        ] {
            assert!(!whole(one), "{one:?}");
        }
    }

    #[test]
    fn what_ci_runs_is_part_of_all_gates_in_the_same_order() {
        let all: Vec<&str> = ALL.iter().map(|gate| gate.name).collect();
        let places: Vec<usize> =
            CI.iter().map(|gate| all.iter().position(|name| *name == gate.name).unwrap()).collect();
        assert!(places.is_sorted());
    }
}
