//! `meta.json`: the program, sources and machines that produced a run.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::without_secrets;
use crate::text::path_text::encode;

/// Commit this program was built from.
const COMMIT: &str = env!("COORDRL_BUILD_COMMIT");
/// Version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Provenance of a run: `config.json` holds the settings, this the program and the machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the program that last trained the run.
    pub version: String,
    /// Commit of the program that began it, or `unknown`; with `-dirty` if the sources had
    /// uncommitted changes. Each session has its own.
    pub commit: String,
    /// Seed of the run.
    pub seed: u64,
    /// Preset the settings are based on.
    pub preset: Option<String>,
    /// Run and checkpoint this one was forked from, in the form of [`crate::text::path_text`].
    pub forked_from: Option<String>,
    /// Source of its initial weights, in the same form.
    pub init_from: Option<String>,
    /// Number of trainable parameters.
    pub parameters: u64,
    /// Start and each resume, oldest first.
    pub sessions: Vec<Session>,
}

/// One process that worked on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Start time, in seconds since 1970.
    pub started_unix_secs: u64,
    /// Position at that time: frames trained, or updates of a study.
    pub start_position: u64,
    /// Commit the program was built from; absent in runs of the first versions.
    #[serde(default)]
    pub commit: Option<String>,
    /// The command line, each word in the form of [`crate::text::path_text`].
    pub command: Vec<String>,
    /// Device of the network.
    pub device: String,
    /// Number of worker threads.
    pub threads: usize,
    /// Host name.
    pub host: String,
    /// Operating system and processor family.
    pub platform: String,
    /// Processor model; absent if the system does not report it, and in runs of the first versions.
    #[serde(default)]
    pub cpu: Option<String>,
    /// Number of cores available to the process.
    pub cores: usize,
}

impl Session {
    /// Describes this process, starting at `start_position`.
    pub fn this_process(start_position: u64, device: String, threads: usize) -> Self {
        Self {
            started_unix_secs: now_unix_secs(),
            start_position,
            commit: Some(COMMIT.to_owned()),
            command: without_secrets(std::env::args_os().map(encode)),
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
    /// Describes a new run without sessions.
    pub fn new(seed: u64, parameters: u64) -> Self {
        Self {
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            seed,
            preset: None,
            forked_from: None,
            init_from: None,
            parameters,
            sessions: Vec::new(),
        }
    }

    /// Adds a session of this program.
    pub fn add_session(&mut self, session: Session) {
        self.version = VERSION.to_owned();
        self.sessions.push(session);
    }

    /// Describes the program that last trained the run and this one, if they differ.
    pub fn other_writer(&self) -> Option<String> {
        // Not the last of `commits`, where a commit keeps the place of its first session.
        let last = self.sessions.last().and_then(|session| session.commit.as_deref());
        let commit = last.unwrap_or(&self.commit);
        let is_this = self.version == VERSION && commit == COMMIT;
        (!is_this).then(|| {
            format!(
                "it was written by version {} ({commit}), this is {VERSION} ({COMMIT})",
                self.version
            )
        })
    }

    /// Lists every commit that worked on the run once, in the order of their first sessions.
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

/// Returns the current time in seconds since 1970.
pub fn now_unix_secs() -> u64 {
    Timestamp::now().as_second().try_into().unwrap_or(0)
}

/// Formats the current UTC time as `YYYYMMDD-HHMMSS`, so that names sort by time everywhere.
pub(super) fn timestamp() -> String {
    Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string()
}

/// Reads the processor model from `/proc/cpuinfo`.
fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Returns the host name, for `meta.json` and event files.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_of(commit: &str) -> Session {
        let this = Session::this_process(0, "cpu".to_owned(), 1);
        Session { commit: Some(commit.to_owned()), ..this }
    }

    #[test]
    fn the_last_writer_is_that_of_the_last_session() {
        let mut meta = Meta { commit: "old".to_owned(), ..Meta::new(1, 1) };
        let writer = |meta: &Meta| meta.other_writer().unwrap();
        assert!(writer(&meta).contains("(old)"), "{}", writer(&meta));

        for commit in ["old", "new", "old"] {
            meta.add_session(session_of(commit));
            assert!(writer(&meta).contains(&format!("({commit})")), "{}", writer(&meta));
        }
        assert_eq!(meta.commits(), ["old", "new"]);

        meta.add_session(session_of(COMMIT));
        assert_eq!(meta.other_writer(), None);
    }

    #[test]
    fn a_session_of_this_program_replaces_the_version() {
        let mut meta = Meta { version: "0.0.1".to_owned(), ..Meta::new(1, 1) };
        assert!(meta.other_writer().unwrap().contains("version 0.0.1"));
        meta.add_session(session_of(COMMIT));
        assert_eq!((meta.version.as_str(), meta.other_writer()), (VERSION, None));
    }
}
