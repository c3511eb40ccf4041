//! The folder of a run: its name, its lock, and the only code that knows its file names.

mod json;
mod kind;
mod meta;

pub use json::{read_json, write_json};
pub use kind::{Kind, RunConfiguration};
pub use meta::{Meta, Session, host_name, now_unix_secs};

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::durable_file::replace_file;
use crate::exit_code::ExitCode;
use crate::metrics::LogAxis;
use crate::metrics::read::read_last_training_point;
use crate::text::names;
use crate::text::path_text::shell_word;

/// Files of a run before its first log point and first checkpoint, including partial ones.
pub(crate) const EARLY_FILES: [&str; 8] =
    [LOCK, CONFIG, "config.tmp", META, "meta.tmp", METRICS, CHECKPOINTS, EVENTS];

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const META: &str = "meta.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
const EVENTS: &str = "tb";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
const VIDEOS: &str = "videos";
const LOCK: &str = "run.lock";
const EVALUATION: &str = "evaluation.json";
const DIVERGED: &str = "diverged.safetensors";

/// Error creating or using a run folder.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The `--name` is taken.
    #[error("{} exists already; continue it with `--resume`, or choose another `--name`", .0.display())]
    Exists(PathBuf),
    /// The folder cannot be created in the runs folder.
    #[error("cannot create the run folder {}: {cause}; choose another `--runs-dir`", .path.display())]
    CannotCreate {
        /// Folder to be created.
        path: PathBuf,
        /// Error from the operating system.
        cause: io::Error,
    },
    /// The given path is not a run folder.
    #[error("{} is not a run folder: {cause}", .path.display())]
    NotARun {
        /// Path given.
        path: PathBuf,
        /// Missing part.
        cause: String,
    },
    /// Another process is training in it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A file of the run does not parse.
    #[error("{} is damaged: {cause}", .path.display())]
    Damaged {
        /// File in question.
        path: PathBuf,
        /// Location and kind of the damage.
        cause: String,
    },
    /// A file of the run is intact but was written by another version of this program.
    #[error("{} is of another version of this program: {cause}", .path.display())]
    OtherVersion {
        /// File in question.
        path: PathBuf,
        /// Version that wrote it, and the mismatch.
        cause: String,
    },
    /// A study was given where a game run is expected, or vice versa.
    #[error("{} is {found}; `{} {}` continues it", .path.display(), .found.resume(), shell_word(.path))]
    OtherKind {
        /// Run folder.
        path: PathBuf,
        /// Kind found.
        found: Kind,
    },
    /// The run is for another game than requested.
    #[error("{} is a run of `{found}`, not of `{wanted}`", .path.display())]
    OtherGame {
        /// Run folder.
        path: PathBuf,
        /// Game in its `config.json`.
        found: String,
        /// Game requested.
        wanted: String,
    },
    /// The folder belongs to a run with other settings.
    #[error("{} belongs to another run: {cause}", .path.display())]
    OtherRun {
        /// Run folder.
        path: PathBuf,
        /// Differences found.
        cause: String,
    },
    /// Writing inside the folder failed.
    #[error("cannot write {}: {cause}", .path.display())]
    CannotWrite {
        /// File in question.
        path: PathBuf,
        /// Error from the operating system.
        cause: io::Error,
    },
}

impl RunDirError {
    /// Returns the process exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Exists(_) => ExitCode::BadRequest,
            // Any other reason lies in the path, which the user chose.
            Self::CannotCreate { cause, .. } if is_out_of_space(cause) => ExitCode::MachineRefused,
            Self::CannotCreate { .. } => ExitCode::BadRequest,
            Self::NotARun { .. }
            | Self::InUse(_)
            | Self::Damaged { .. }
            | Self::OtherVersion { .. }
            | Self::OtherKind { .. }
            | Self::OtherGame { .. }
            | Self::OtherRun { .. } => ExitCode::BadRun,
            Self::CannotWrite { .. } => ExitCode::MachineRefused,
        }
    }

    pub(crate) fn damaged(path: &Path, cause: impl Display) -> Self {
        Self::Damaged { path: path.to_owned(), cause: cause.to_string() }
    }

    pub(crate) fn cannot_write(path: &Path, cause: io::Error) -> Self {
        Self::CannotWrite { path: path.to_owned(), cause }
    }
}

fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A run folder. The lock is held while it is open for training.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Released by the operating system when the process ends, even by a crash.
    _lock: Option<File>,
}

impl RunDir {
    /// Builds `<group>/<name>`, with `seed<k>-<time>` as the default name; `group` is the folder of
    /// all runs of a kind, such as `runs/pong/a2c-conv`.
    ///
    /// # Errors
    /// If the name is not a valid folder name, or is taken.
    pub fn planned_path(group: &Path, seed: u64, name: Option<&str>) -> anyhow::Result<PathBuf> {
        let Some(name) = name else {
            return Ok(group.join(format!("seed{seed}-{}", meta::timestamp())));
        };
        names::check_folder_name("--name", name, 0)?;
        let path = group.join(name);
        // Early, to refuse before environments and weights are made; creating the folder is what
        // claims the name.
        if path.exists() {
            return Err(RunDirError::Exists(path).into());
        }
        Ok(path)
    }

    /// Creates the folder and takes its lock. An automatic name that is taken gets a numeric
    /// suffix.
    pub fn create(planned: &Path, named_by_user: bool) -> Result<Self, RunDirError> {
        let cannot = |cause| RunDirError::CannotCreate { path: planned.to_owned(), cause };
        if let Some(parent) = planned.parent() {
            fs::create_dir_all(parent).map_err(cannot)?;
        }

        let mut path = planned.to_owned();
        let mut copies = 1;
        // Creating the folder is the claim on its name: it fails if another process was faster.
        while let Err(error) = fs::create_dir(&path) {
            match error.kind() {
                io::ErrorKind::AlreadyExists if named_by_user => {
                    return Err(RunDirError::Exists(path));
                }
                io::ErrorKind::AlreadyExists => {
                    copies += 1;
                    let mut numbered = planned.as_os_str().to_owned();
                    numbered.push(format!("-{copies}"));
                    path = PathBuf::from(numbered);
                }
                _ => return Err(cannot(error)),
            }
        }

        // The lock comes first: a sweep recognises a run stopped while starting by it.
        let lock = take_lock(&path)?;
        fs::create_dir(path.join(CHECKPOINTS)).map_err(cannot)?;
        fs::create_dir(path.join(EVENTS)).map_err(cannot)?;
        Ok(Self { path, _lock: Some(lock) })
    }

    /// Opens a run for training and takes its lock.
    pub fn open_to_train(path: &Path) -> Result<Self, RunDirError> {
        // Opened first: locking a folder that is no run would leave a lock file in it.
        let mut run = Self::open_to_read(path)?;
        run._lock = Some(take_lock(path)?);
        Ok(run)
    }

    /// Opens a run read-only, without its lock.
    pub fn open_to_read(path: &Path) -> Result<Self, RunDirError> {
        let not_a_run =
            |cause: &str| RunDirError::NotARun { path: path.to_owned(), cause: cause.to_owned() };
        if !path.is_dir() {
            return Err(not_a_run("no such folder"));
        }

        if !path.join(CONFIG).is_file() {
            return Err(not_a_run(if path.join(LOCK).is_file() {
                "it has no config.json: a run was stopped here before it began; delete the folder and start it anew"
            } else {
                "it has no config.json"
            }));
        }

        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// Returns the frame count of the last training line of `metrics.jsonl`; 0 if there is none.
    pub fn last_logged_frames(&self) -> u64 {
        let last = read_last_training_point(&self.metrics_path()).ok().flatten();
        last.and_then(|point| point.position(LogAxis::Frames)).unwrap_or(0)
    }

    /// Returns `true` if another process is training in this folder.
    pub fn is_in_use(path: &Path) -> bool {
        // Looked for first, because taking a lock that does not exist would create its file.
        path.join(LOCK).is_file() && matches!(take_lock(path), Err(RunDirError::InUse(_)))
    }

    /// Locks a folder that holds no run yet, so that no other process starts one there.
    pub fn lock_leftover(path: &Path) -> Result<File, RunDirError> {
        take_lock(path)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the parent folder, spelled as in its path.
    ///
    /// # Errors
    /// If the path ends in `..` and cannot be resolved.
    pub fn parent(&self) -> io::Result<PathBuf> {
        let real;
        let path = match self.path.file_name() {
            Some(_) => &self.path,
            None => {
                real = fs::canonicalize(&self.path)?;
                &real
            }
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(parent.unwrap_or(Path::new(".")).to_owned())
    }

    /// Returns the path of the settings file.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Returns the path of the metrics, one JSON object per log point.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// Returns the path of the batch a diverged run was learning from.
    pub fn diverged_path(&self) -> PathBuf {
        self.path.join(DIVERGED)
    }

    /// Returns the path of the evaluation of the final weights.
    pub fn evaluation_path(&self) -> PathBuf {
        self.path.join(EVALUATION)
    }

    /// Returns the frames trained by the weights evaluated in `evaluation.json`; `None` without
    /// one.
    pub fn evaluated_frames(&self) -> Option<u64> {
        let evaluation: Value = read_json(&self.evaluation_path()).ok()?;
        evaluation.get("frames")?.as_u64()
    }

    /// Returns the folder of TensorBoard event files.
    pub fn events_dir(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    /// Returns the folder of all checkpoints.
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Writes `videos/<frames>.gif` atomically.
    pub fn write_video(&self, frames: u64, bytes: &[u8]) -> Result<(), RunDirError> {
        let path = self.path.join(VIDEOS).join(format!("{frames:012}.gif"));
        fs::create_dir_all(self.path.join(VIDEOS))
            .and_then(|()| replace_file(&path, bytes))
            .map_err(|cause| RunDirError::cannot_write(&path, cause))
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// If it is damaged, of another kind of run, or written by another version of this program.
    /// Only the first is reported as damage, since users delete damaged files.
    pub fn read_config<C: RunConfiguration>(&self) -> Result<C, RunDirError> {
        let path = self.config_path();
        let value: Value = read_json(&path)?;
        match Kind::of(&value) {
            Some(found) if !C::describes(&found) => {
                Err(RunDirError::OtherKind { path: self.path.clone(), found })
            }
            _ => serde_json::from_value(value).map_err(|error| self.misfit(path, &error)),
        }
    }

    /// Classifies a `config.json` that is valid JSON but does not fit: written by another version,
    /// or damaged.
    fn misfit(&self, path: PathBuf, error: &serde_json::Error) -> RunDirError {
        let writer = self.read_meta().ok().and_then(|meta| meta.other_writer());
        match writer {
            Some(writer) => RunDirError::OtherVersion { path, cause: format!("{writer}: {error}") },
            None => RunDirError::Damaged { path, cause: error.to_string() },
        }
    }

    /// Writes `config.json` atomically.
    pub fn write_config<C: Serialize>(&self, config: &C) -> Result<(), RunDirError> {
        write_json(&self.config_path(), config)
    }

    /// Reads `meta.json`.
    pub fn read_meta(&self) -> Result<Meta, RunDirError> {
        read_json(&self.path.join(META))
    }

    /// Writes `meta.json` atomically.
    pub fn write_meta(&self, meta: &Meta) -> Result<(), RunDirError> {
        write_json(&self.path.join(META), meta)
    }

    /// Returns an error if the run is for another game than requested.
    pub fn expect_game(&self, found: &str, wanted: &str) -> Result<(), RunDirError> {
        if found == wanted {
            return Ok(());
        }
        Err(RunDirError::OtherGame {
            path: self.path.clone(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        })
    }
}

fn take_lock(path: &Path) -> Result<File, RunDirError> {
    let lock_path = path.join(LOCK);
    // The file's content is irrelevant; only its advisory lock counts, which the kernel drops on
    // close.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|cause| RunDirError::cannot_write(&lock_path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunDirError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(RunDirError::cannot_write(&lock_path, cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::exit_code_of;
    use crate::config::RunConfig;

    #[test]
    fn automatic_names_hold_seed_and_time() {
        let path = RunDir::planned_path(Path::new("runs/pong/a2c-conv"), 7, None).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let time = name.strip_prefix("seed7-20").unwrap(); // good until 2099
        assert_eq!((time.len(), &time[6..7]), (13, "-"), "{name}");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let group = Path::new("runs/pong/a2c-conv");
        for name in ["", "..", "../x", "a/b", ".hidden", &"x".repeat(256)] {
            let error = RunDir::planned_path(group, 1, Some(name)).unwrap_err();
            assert_eq!(exit_code_of(&error), ExitCode::BadRequest, "{name}");
        }
        let path = RunDir::planned_path(group, 1, Some("mine")).unwrap();
        assert_eq!(path, Path::new("runs/pong/a2c-conv/mine"));
    }

    #[test]
    fn a_run_is_locked_while_it_is_open_for_training() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("a"), true).unwrap();
        run.write_config(&RunConfig::default()).unwrap();
        let error = RunDir::open_to_train(run.path()).unwrap_err();
        assert!(matches!(error, RunDirError::InUse(_)), "{error}");
        RunDir::open_to_read(run.path()).unwrap();
        let path = run.path().to_owned();
        drop(run);
        RunDir::open_to_train(&path).unwrap();
    }

    #[test]
    fn a_taken_automatic_name_gets_a_number_and_a_taken_own_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let planned = folder.path().join("seed1");
        RunDir::create(&planned, false).unwrap();
        let second = RunDir::create(&planned, false).unwrap();
        assert_eq!(second.path(), folder.path().join("seed1-2"));
        assert!(matches!(RunDir::create(&planned, true), Err(RunDirError::Exists(_))));
    }

    #[test]
    fn a_config_of_another_version_or_kind_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("a"), true).unwrap();
        let read = || run.read_config::<RunConfig>().unwrap_err();
        let write = |text: &str| fs::write(run.config_path(), text).unwrap();

        write(r#"{"game": "pong", "frobnicate": 3}"#);
        run.write_meta(&Meta { version: "99.0.0".to_owned(), ..Meta::new(1, 1) }).unwrap();
        let error = read();
        assert!(matches!(error, RunDirError::OtherVersion { .. }), "{error}");
        assert_eq!(error.exit_code(), ExitCode::BadRun);
        let text = error.to_string();
        for part in ["config.json", "version 99.0.0", env!("CARGO_PKG_VERSION"), "`frobnicate`"] {
            assert!(text.contains(part), "{part} not in {text}");
        }

        run.write_meta(&Meta::new(1, 1)).unwrap();
        assert!(matches!(read(), RunDirError::Damaged { .. }), "this very program wrote it");
        write(r#"{"game": "pong", "fro"#);
        run.write_meta(&Meta { version: "99.0.0".to_owned(), ..Meta::new(1, 1) }).unwrap();
        assert!(matches!(read(), RunDirError::Damaged { .. }), "no version writes half an object");

        write(r#"{"task": "classify", "layer": "conv"}"#);
        let text = read().to_string();
        assert!(
            text.contains("is a study") && text.contains("`coordrl study classify --resume "),
            "{text}"
        );
        write(r#"{"game": "pong"}"#);
        let text = run.read_config::<crate::study::StudyRunConfig>().unwrap_err().to_string();
        assert!(
            text.contains("is a run of a game") && text.contains("`coordrl train --resume "),
            "{text}"
        );
    }

    #[test]
    fn replacing_a_file_that_cannot_be_written_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        replace_file(&path, b"old").unwrap();
        fs::create_dir(folder.path().join("x.tmp")).unwrap();
        replace_file(&path, b"new").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
