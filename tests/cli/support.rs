//! Runs the binary and reads its output.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Settings of a run that takes a second: small screens and rollouts, many log points and
/// checkpoints.
pub const QUICK: &[&str] = &[
    "--device=cpu",
    "--envs=4",
    "--set=env.screen_size=36",
    "--set=a2c.rollout_agent_steps=5",
    "--set=a2c.optimizer.schedule=constant",
    "--set=log_every_frames=200",
    "--set=checkpoint_every_frames=500",
    "--set=keep_checkpoints=2",
];

/// A temporary folder to run commands in.
pub struct Sandbox {
    folder: TempDir,
}

/// Exit code and output of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coordrl"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        // Not into the cache of whoever runs the tests.
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        heed_signals(&mut command);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// Runs it in another folder.
    pub fn run_in(&self, folder: &Path, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).current_dir(folder).output().unwrap())
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it with its output in the files `name.out` and `name.err`.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Background {
        let [stdout, stderr] = ["out", "err"].map(|end| self.path().join(format!("{name}.{end}")));
        let mut command = self.command(arguments);
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Background { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// Trains `catch` to completion with [`QUICK`] settings in the run folder `name`.
    pub fn train(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let ended = self.run(&self.train_arguments(name, arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.run_path(name)
    }

    pub fn train_arguments<'a>(&self, name: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["train", "catch", "--name", name], QUICK, arguments].concat()
    }

    pub fn run_path(&self, name: &str) -> PathBuf {
        self.path().join("runs/catch/a2c-conv").join(name)
    }

    /// Lists every path below the folder, to check that nothing was written.
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(self.path())
    }
}

/// A process whose output goes to files, so that it never waits for a reader. Killed when dropped.
pub struct Background {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Background {
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        send_signal(&self.child, signal);
    }

    /// Ends it without warning, also if it is stopped.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }

    /// Returns what it has written to stderr so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Returns exit code and output, once it has ended.
    pub fn ended(&mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let files = [&self.stdout, &self.stderr];
        let [stdout, stderr] = files.map(|file| fs::read_to_string(file).unwrap());
        Ended { code, stdout, stderr }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Restores signals that `nohup` or a background shell ignores: children inherit that.
fn heed_signals(command: &mut Command) {
    // SAFETY: `signal` may be called between fork and exec, and no handler of ours is installed.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
}

impl Ended {
    /// Asserts a rejection with this exit code and these message parts; no panic, no backtrace.
    pub fn expect_refusal(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "a refusal is talk, not a result");
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("backtrace"),
            "{self:?}"
        );
        assert_eq!(self.stderr.matches("error: ").count(), 1, "one message: {self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

/// Sends a signal by its name, such as `INT`, to a process that has not been waited for.
pub fn send_signal(child: &Child, signal: &str) {
    let process = child.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &process]).status().unwrap();
    assert!(sent.success(), "SIG{signal} was not sent");
}

/// Waits until a condition holds; fails after a minute.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        files.push(entry.path());
        files.extend(files_below(&entry.path()));
    }
    files
}

/// Reads `metrics.jsonl` without machine-dependent values.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let without_perf = |line: &str| {
        let mut point: Value = serde_json::from_str(line).unwrap();
        point.as_object_mut().unwrap().retain(|key, _| !key.starts_with("perf/"));
        point
    };
    text.lines().map(without_perf).collect()
}

/// Lists the run's checkpoint folders, oldest first, without partial ones.
pub fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    paths.sort();
    paths
}

/// Reads the weights of the last checkpoint as bytes.
pub fn last_weights(run: &Path) -> Vec<u8> {
    fs::read(checkpoints(run).last().unwrap().join("weights.safetensors")).unwrap()
}

/// Reads the optimiser state of the last checkpoint as bytes.
pub fn last_optimizer(run: &Path) -> Vec<u8> {
    fs::read(checkpoints(run).last().unwrap().join("optimizer.safetensors")).unwrap()
}

/// Asserts that two runs are identical bit for bit.
pub fn assert_same_run(a: &Path, b: &Path) {
    assert_eq!(metrics(a), metrics(b));
    assert!(!metrics(a).is_empty());
    assert!(last_weights(a) == last_weights(b), "weights differ");
    assert!(last_optimizer(a) == last_optimizer(b), "optimiser states differ");
}
