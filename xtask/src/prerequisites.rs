//! Prerequisites of set-up that the machine must provide.

use crate::{pip, process};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use thiserror::Error;

/// A missing prerequisite, with its fix.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Missing {
    #[error(
        "no C++17 compiler (tried `{tried}`).\n  Fix: apt install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora), \
         or set CXX to yours"
    )]
    CppCompiler { tried: String },
    #[error("no python3 on the path.\n  Fix: apt install python3 python3-pip (Debian, Ubuntu)")]
    Python,
    #[error(
        "python3 has no pip, which fetches libtorch and ALE.\n  Fix: apt install python3-pip (Debian, Ubuntu), or \
         python3 -m ensurepip"
    )]
    Pip,
    #[error(
        "{} has {free_megabytes} MB of free space, set-up needs {needed_megabytes} MB.\n  Fix: free some space, or set \
         COORDRL_DEPS_DIR to a folder on a larger disk", .dir.display()
    )]
    Space { dir: PathBuf, free_megabytes: u64, needed_megabytes: u64 },
    #[error(
        "no pinned libtorch for {os} on {arch}: set-up fetches it for Linux on x86_64.\n  Fix: unpack libtorch 2.13.0 \
         for this machine and set LIBTORCH to its folder"
    )]
    Platform { os: &'static str, arch: &'static str },
}

/// Fails if any prerequisite is missing, listing all of them.
pub fn all_present(findings: impl IntoIterator<Item = Result<String, Missing>>) -> Result<()> {
    let missing: Vec<String> =
        findings.into_iter().filter_map(|finding| Some(finding.err()?.to_string())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine is not ready:\n- {}", missing.join("\n- "))
}

/// Finds the compiler for ALE and libtorch's wrapper, and tests it on a line of C++17.
pub fn cpp_compiler() -> Result<String, Missing> {
    let program = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    cpp_compiler_named(&program)
}

fn cpp_compiler_named(program: &str) -> Result<String, Missing> {
    let missing = || Missing::CppCompiler { tried: program.to_owned() };
    // CXX may hold a launcher and flags as well: `ccache g++`.
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().ok_or_else(missing)?);
    command.args(words);
    // The header came with C++17: this also fails where only the library is too old.
    let code = "#include <filesystem>\nstd::filesystem::path path;\n";
    let compile = ["-std=c++17", "-fsyntax-only", "-x", "c++", "-"];
    if !accepts_input(
        Command::new(command.get_program()).args(command.get_args()).args(compile),
        code,
    ) {
        return Err(missing());
    }

    process::first_line(command.arg("--version")).ok_or_else(missing)
}

pub fn python() -> Result<String, Missing> {
    process::first_line(pip::python().arg("--version")).ok_or(Missing::Python)
}

pub fn pip() -> Result<String, Missing> {
    let line =
        process::first_line(pip::python().args(["-m", "pip", "--version"])).ok_or(Missing::Pip)?;
    Ok(line.split(" from ").next().unwrap_or(&line).to_owned())
}

/// Checks the free space on the disk of `dir`.
pub fn space(dir: &Path, needed_megabytes: u64) -> Result<String, Missing> {
    let Ok(disk) = rustix::fs::statvfs(dir) else {
        // Not a reason to refuse: a disk that fills up is reported by the step that fills it.
        return Ok("free space unknown".to_owned());
    };

    // `f_bfree` would include the blocks reserved for root.
    let free_megabytes = disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000;
    if free_megabytes < needed_megabytes {
        return Err(Missing::Space { dir: dir.to_path_buf(), free_megabytes, needed_megabytes });
    }
    Ok(format!("{free_megabytes} MB free"))
}

/// Checks that the pinned libtorch supports this machine.
pub fn platform() -> Result<String, Missing> {
    let os = std::env::consts::OS;
    let arch = std::env::consts::ARCH;
    if (os, arch) == ("linux", "x86_64") {
        Ok(format!("{os} {arch}"))
    } else {
        Err(Missing::Platform { os, arch })
    }
}

fn accepts_input(command: &mut Command, input: &str) -> bool {
    use std::io::Write as _;
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = piped else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // If the compiler has exited already, its status decides.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_not_there_or_cannot_compile_is_missing() {
        for program in ["no-such-compiler", "false", ""] {
            let missing = cpp_compiler_named(program).unwrap_err();
            assert!(missing.to_string().contains("apt install g++"), "{missing}");
        }
    }

    #[test]
    fn the_compiler_of_this_machine_is_found() {
        assert!(!cpp_compiler().unwrap().is_empty());
    }

    #[test]
    fn too_little_space_says_how_much_is_needed_and_there() {
        let missing = space(Path::new("."), u64::MAX).unwrap_err();
        assert!(matches!(missing, Missing::Space { needed_megabytes: u64::MAX, .. }));
        assert!(missing.to_string().contains("COORDRL_DEPS_DIR"), "{missing}");
        assert!(space(Path::new("."), 0).is_ok());
    }

    #[test]
    fn all_missing_parts_are_named_at_once_each_with_a_fix() {
        let found = [Err(Missing::Python), Ok("fine".to_owned()), Err(Missing::Pip)];
        let text = all_present(found).unwrap_err().to_string();
        assert!(text.contains("no python3") && text.contains("no pip"), "{text}");
        assert_eq!(text.matches("Fix:").count(), 2);
        assert!(all_present([Ok(String::new())]).is_ok());
    }

    #[test]
    fn an_unknown_platform_is_told_about_libtorch_of_its_own() {
        let text = Missing::Platform { os: "macos", arch: "aarch64" }.to_string();
        assert!(text.contains("LIBTORCH") && text.contains("2.13.0"), "{text}");
    }
}
