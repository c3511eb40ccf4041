//! `meta.json`: by which program, from what, and on which machines a run was made.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::path_text::encode;

/// Commit that this program was built from.
const COMMIT: &str = env!("COORDRL_BUILD_COMMIT");

/// What produced a run; `config.json` says what was asked, this says by whom and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of this program.
    pub version: String,
    /// Commit it was built from, or `unknown`; with `-dirty` if the sources were not those of the
    /// commit.
    pub commit: String,
    /// Seed of the run.
    pub seed: u64,
    /// Preset the settings started from.
    pub preset: Option<String>,
    /// Run and checkpoint this one was forked from, in the form of [`crate::text::path_text`].
    pub forked_from: Option<String>,
    /// Weights this one started from, in the same form.
    pub init_from: Option<String>,
    /// Trainable numbers in the network.
    pub parameters: u64,
    /// One entry for the start and each resume, oldest first.
    pub sessions: Vec<Session>,
}

/// One process that worked on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it started, in seconds since 1970.
    pub started_unix_secs: u64,
    /// Where the run stood then: frames trained, or updates of a study.
    pub start_position: u64,
    /// Commit that the program was built from; absent in runs of the first versions.
    #[serde(default)]
    pub commit: Option<String>,
    /// The command line, each word in the form of [`crate::text::path_text`].
    pub command: Vec<String>,
    /// Where the network was.
    pub device: String,
    /// Worker threads.
    pub threads: usize,
    /// Host name.
    pub host: String,
    /// Operating system and processor family.
    pub platform: String,
    /// Model of the processor; absent where the system does not tell, and in runs of the first
    /// versions.
    #[serde(default)]
    pub cpu: Option<String>,
    /// Cores the process may use.
    pub cores: usize,
}

impl Session {
    /// This process, working on a run that stands at `start_position`.
    pub fn this_process(start_position: u64, device: String, threads: usize) -> Self {
        Self {
            started_unix_secs: now_unix_secs(),
            start_position,
            commit: Some(COMMIT.to_owned()),
            command: std::env::args_os().map(encode).collect(),
            device,
            threads,
            host: host_name(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: cpu_model(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Meta {
    /// A run of this program that nobody has worked on yet.
    pub fn new(seed: u64, parameters: u64) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            seed,
            preset: None,
            forked_from: None,
            init_from: None,
            parameters,
            sessions: Vec::new(),
        }
    }
}

impl Meta {
    /// Which program wrote the run last and which one this is, if they are not the same.
    pub fn other_writer(&self) -> Option<String> {
        let this = env!("CARGO_PKG_VERSION");
        let commit = self.commits().pop().unwrap_or_default();
        let is_this = self.version == this && commit == COMMIT;
        (!is_this).then(|| {
            format!(
                "it was written by version {} ({commit}), this is {this} ({COMMIT})",
                self.version
            )
        })
    }

    /// Every commit whose program worked on the run, in order.
    pub fn commits(&self) -> Vec<&str> {
        let mut commits = vec![self.commit.as_str()];
        for commit in self.sessions.iter().filter_map(|session| session.commit.as_deref()) {
            if !commits.contains(&commit) {
                commits.push(commit);
            }
        }
        commits
    }
}

/// Seconds since 1970.
pub fn now_unix_secs() -> u64 {
    Timestamp::now().as_second().try_into().unwrap_or(0)
}

/// `YYYYMMDD-HHMMSS` in UTC, so that names sort by time everywhere.
pub(super) fn timestamp() -> String {
    Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string()
}

/// The processor as Linux names it in a line `model name : …`.
fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The machine's name, for `meta.json` and event files.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
}
