//! Downloads through pip, which honours the user's index, mirror, proxy and certificates.

use crate::hash;
use crate::layout::Layout;
use crate::pins::{Pin, PinFormat};
use crate::{process, talk, unpack};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the verified download of `pin`, fetching it if necessary.
pub fn fetch(pin: &Pin, layout: &Layout) -> Result<PathBuf> {
    let downloads = layout.downloads();
    let file = downloads.join(pin.file_name());
    if file.exists() && hash::sha256_of(&file)? == pin.sha256 {
        talk::line(format!("  {} {}: downloaded before", pin.package, pin.version));
        return Ok(file);
    }

    talk::line(format!("  {} {}: downloading {} MB", pin.package, pin.version, pin.megabytes));
    let partial = unpack::fresh_neighbour(&file)?;
    let requirements = partial.join("requirements.txt");
    write(
        &requirements,
        &format!("{}=={} --hash=sha256:{}\n", pin.package, pin.version, pin.sha256),
    )?;
    let found = partial.join("found");
    let mut command = python();
    command.args(download_arguments(pin, &requirements, &found));
    if pin.format == PinFormat::Source {
        command.env("PYTHONPATH", metadata_backend(pin, &partial)?);
    }

    run_pip(&mut command, &format!("{} {}", pin.package, pin.version))?;
    keep_verified(pin, &found, &file)?;
    unpack::remove(&partial)?;
    Ok(file)
}

/// Installs hashed `requirements` into the folder `target`, for use through `PYTHONPATH`.
pub fn install(requirements: &Path, target: &Path) -> Result<()> {
    let mut command = python();
    command.args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]);
    command.arg("--requirement").arg(requirements).arg("--target").arg(target);
    run_pip(&mut command, "the Python packages of the comparison")
}

/// The Python used by set-up: the first on the path; its version does not matter.
pub fn python() -> Command {
    Command::new("python3")
}

fn download_arguments(pin: &Pin, requirements: &Path, into: &Path) -> Vec<OsString> {
    // The cache would keep a second copy of every download.
    let mut arguments: Vec<OsString> =
        ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--require-hashes"]
            .map(OsString::from)
            .into();
    arguments.extend(["--requirement".into(), requirements.into(), "--dest".into(), into.into()]);
    let of_format: Vec<&str> = match pin.format {
        // Tags of the pinned files, whatever Python runs pip: only their libraries are used. `none`
        // marks wheels without compiled Python modules.
        PinFormat::Wheel { platform } => vec![
            "--only-binary=:all:",
            "--python-version=3.12",
            "--implementation=cp",
            "--abi=cp312",
            "--abi=none",
            "--platform",
            platform,
        ],
        // Isolated, pip would install the real backend instead of finding `metadata_backend`'s.
        PinFormat::Source => vec!["--no-binary=:all:", "--no-build-isolation"],
    };

    arguments.extend(of_format.into_iter().map(OsString::from));
    arguments
}

/// Writes a stand-in for the package's build backend, first on Python's module path. Before pip
/// delivers a source package it asks the backend for name and version, which would require CMake
/// and a few more packages. Nothing is built here, so the stand-in only answers that question.
fn metadata_backend(pin: &Pin, dir: &Path) -> Result<PathBuf> {
    let path = dir.join("backend");
    let package = path.join("scikit_build_core");
    fs::create_dir_all(&package).with_context(|| format!("cannot create {}", package.display()))?;
    write(&package.join("__init__.py"), "")?;
    let distribution = pin.package.replace('-', "_");
    let name = pin.package;
    let version = pin.version;
    let code = format!(
        r#"import os

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = "{distribution}-{version}.dist-info"
    os.makedirs(os.path.join(metadata_directory, folder), exist_ok=True)
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise RuntimeError("set-up only downloads this package")
"#
    );
    write(&package.join("build.py"), &code)?;
    Ok(path)
}

fn keep_verified(pin: &Pin, found: &Path, file: &Path) -> Result<()> {
    let mut names =
        fs::read_dir(found).with_context(|| format!("cannot read {}", found.display()))?;
    let Some(entry) = names.next() else {
        bail!("pip said it fetched {} {} but left no file", pin.package, pin.version);
    };

    // pip checks hashes too, but what is unpacked must not depend on that.
    let path = entry?.path();
    let sha256 = hash::sha256_of(&path)?;
    if sha256 != pin.sha256 {
        bail!("{} {} has SHA-256 {sha256}, expected {}", pin.package, pin.version, pin.sha256);
    }
    fs::rename(&path, file).with_context(|| format!("cannot rename {}", path.display()))
}

/// Runs pip, with its progress bar on a terminal and quietly elsewhere; explains failures.
fn run_pip(command: &mut Command, what: &str) -> Result<()> {
    command.args(["--disable-pip-version-check", "--no-input"]);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }

    // Only stderr is a pipe: with a second one, pip could block on it while this thread reads the
    // first.
    command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr())).stderr(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("cannot start `{}`", process::shown(command)))?;
    let said = child.stderr.take().map(relay).unwrap_or_default();
    if child.wait().context("cannot wait for pip")?.success() {
        return Ok(());
    }

    bail!("pip could not fetch {what}: {}", explain(&said))
}

/// Prints pip's output line by line and returns it.
fn relay(from: impl std::io::Read) -> String {
    let mut kept = String::new();
    // Read as bytes: a line that is not UTF-8 must not close the pipe that pip still writes to.
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        talk::line(format!("    {}", line.trim_end_matches('\r')));
        kept.push_str(&line);
        kept.push('\n');
    }
    kept
}

/// Suggests a fix for a failure of pip, based on its output.
fn explain(said: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["DO NOT MATCH THE HASHES"]) {
        "the package index serves another file than the pinned one. \
         Fix: look for a proxy or mirror that alters files; never skip this check"
    } else if says(&["No space left on device", "Errno 28"]) {
        "the disk is full. Fix: free some space, then run the command again; finished downloads are kept"
    } else if says(&[
        // Before the case of "No matching distribution", with which pip ends after these as well.
        "NewConnectionError",
        "Temporary failure in name resolution",
        "ConnectTimeout",
        "ReadTimeout",
        "Connection broken",
        "Network is unreachable",
        "ProxyError",
        "SSLError",
    ]) {
        "no network, or no way to the package index. Fix: check the connection and pip's proxy, index and \
         certificate settings (`python3 -m pip config list`), then run the command again; finished downloads are kept"
    } else if says(&["No module named pip"]) {
        "this python3 has no pip. Fix: apt install python3-pip (or python3 -m ensurepip)"
    } else if says(&["No matching distribution", "Could not find a version"]) {
        "the package index does not offer this file. Fix: check the connection and which index pip uses \
         (`python3 -m pip config list`); a mirror may lack it"
    } else {
        "see pip's own message above. Running the command again goes on where it stopped"
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut file =
        fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pins;

    fn words(pin: &Pin) -> Vec<String> {
        let arguments = download_arguments(pin, Path::new("req.txt"), Path::new("out"));
        arguments.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_wheel_is_asked_for_by_hash_and_independently_of_the_local_python() {
        let words = words(&pins::LIBTORCH[0]);
        for word in ["--require-hashes", "--no-deps", "--abi=cp312", "--python-version=3.12"] {
            assert!(words.iter().any(|found| found == word), "{word} is missing");
        }
        assert!(words.windows(2).any(|pair| pair == ["--platform", "manylinux_2_28_x86_64"]));
    }

    #[test]
    fn a_source_package_is_asked_for_as_source() {
        let words = words(&pins::ALE);
        assert!(words.iter().any(|word| word == "--no-binary=:all:"));
        assert!(!words.iter().any(|word| word.starts_with("--abi")));
    }

    #[test]
    fn a_file_with_another_hash_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let found = dir.path().join("found");
        fs::create_dir(&found).unwrap();
        fs::write(found.join("torch.whl"), "not torch").unwrap();
        let kept = dir.path().join("kept");
        let error = keep_verified(&pins::LIBTORCH[0], &found, &kept).unwrap_err().to_string();
        assert!(
            error.contains("torch 2.13.0") && error.contains(pins::LIBTORCH[0].sha256),
            "{error}"
        );
        assert!(!kept.exists());
    }

    #[test]
    fn a_file_with_the_right_hash_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let found = dir.path().join("found");
        fs::create_dir(&found).unwrap();
        fs::write(found.join("abc.whl"), "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let kept = dir.path().join("kept");
        keep_verified(&Pin { sha256, ..pins::ALE }, &found, &kept).unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), "abc");
    }

    #[test]
    fn each_failure_of_pip_comes_with_its_fix() {
        let cases = [
            ("THESE PACKAGES DO NOT MATCH THE HASHES", "another file than the pinned one"),
            ("OSError: [Errno 28] No space left on device", "disk is full"),
            (
                "NewConnectionError: Failed to establish\nERROR: No matching distribution",
                "no network",
            ),
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            ("ERROR: No matching distribution found for torch", "a mirror may lack it"),
            ("something else", "pip's own message"),
        ];
        for (said, fix) in cases {
            assert!(explain(said).contains(fix), "{said} → {}", explain(said));
        }
    }

    #[test]
    fn the_stand_in_build_program_answers_with_name_and_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = metadata_backend(&pins::ALE, dir.path()).unwrap();
        let ask = "import scikit_build_core.build as b, sys; print(b.prepare_metadata_for_build_wheel(sys.argv[1]))";
        let mut command = python();
        command.env("PYTHONPATH", path).args(["-c", ask]).arg(dir.path());
        assert_eq!(process::first_line(&mut command).unwrap(), "ale_py-0.12.1.dist-info");
        let metadata =
            fs::read_to_string(dir.path().join("ale_py-0.12.1.dist-info/METADATA")).unwrap();
        assert!(metadata.contains("Name: ale-py\nVersion: 0.12.1\n"), "{metadata}");
    }
}
