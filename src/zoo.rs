//! Trained agents small enough to be kept with the code.
//!
//! A packed agent is a run folder with what plays and what is known about it: settings, who made it,
//! the numbers of its training, the evaluation of its last weights, and those weights alone, in 16
//! bits. `eval`, `play`, `report` and `--init-from` take it like any run.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use coordrl_agents::nn::NamedTensors;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;
use tch::Kind;

use crate::config::RunConfig;
use crate::exit_code::BadRequest;
use crate::game::training::identity;
use crate::run::checkpoint;
use crate::run::run_dir::{Meta, RunDir, read_json, write_json};

/// Most agents of a zoo, bytes of one, and bytes of all.
const MOST_AGENTS: usize = 6;
const MOST_BYTES: u64 = 5 << 20;
const MOST_BYTES_IN_ALL: u64 = 20 << 20;
/// Name of a run's numbers in an archive.
const COMPRESSED: &str = "metrics.jsonl.gz";
/// Folder that is being written, until it is complete.
const TEMPORARY: &str = ".packing";

/// A packed agent.
#[derive(Clone, Debug, Serialize)]
pub struct Packed {
    /// Its folder.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub folder: PathBuf,
    /// Game.
    pub game: String,
    /// Torso.
    pub torso: String,
    /// Emulator frames trained.
    pub frames: u64,
    /// Mean return of the final evaluation, with the weights of 32 bits.
    pub mean_return: f64,
    /// Size of the folder.
    pub bytes: u64,
}

/// Packs the last weights of a run to `<zoo>/<game>`.
///
/// # Errors
/// If the run's last weights have no final evaluation, the place is taken, or the agent or the zoo
/// would be too large. Nothing is left behind then.
pub fn pack(run: &Path, zoo: &Path) -> anyhow::Result<Packed> {
    let run = RunDir::open_to_read(run)?;
    let config: RunConfig = run.read_config()?;
    let folder = zoo.join(&config.game);
    if folder.exists() {
        return Err(refusal(format!(
            "{} exists already: one agent a game; remove it first",
            folder.display()
        )));
    }

    let temporary = zoo.join(TEMPORARY);
    fs::create_dir_all(zoo).with_context(|| format!("cannot create {}", zoo.display()))?;
    // Left by a process that was killed.
    drop(fs::remove_dir_all(&temporary));
    let packed = write(&run, &config, &temporary)
        .and_then(|packed| check_sizes(zoo, &temporary).map(|bytes| Packed { bytes, ..packed }))
        .and_then(|packed| {
            fs::rename(&temporary, &folder)?;
            Ok(Packed { folder, ..packed })
        });
    packed.inspect_err(|_| {
        drop(fs::remove_dir_all(&temporary));
        // Only if it is empty, as one that was made for this agent.
        drop(fs::remove_dir(zoo));
    })
}

fn write(run: &RunDir, config: &RunConfig, to: &Path) -> anyhow::Result<Packed> {
    // The last, never the best: a checkpoint chosen by its games scores too well on them.
    let entry = checkpoint::choose(&run.checkpoints_dir(), "last")?;
    let (manifest, weights) = checkpoint::read_weights(&entry, Some(&identity(config)))?;
    let evaluation = final_evaluation(run, manifest.position)?;

    let weights: NamedTensors = weights
        .into_iter()
        .map(|(name, tensor)| {
            let is_float = tensor.kind() == Kind::Float;
            let tensor = if is_float { tensor.to_kind(Kind::Half) } else { tensor };
            (name, tensor)
        })
        .collect();
    for (name, tensor) in &weights {
        if tensor.kind() == Kind::Half && !bool::try_from(tensor.isfinite().all())? {
            return Err(refusal(format!("`{name}` has weights that 16 bits cannot hold")));
        }
    }
    fs::create_dir(to)?;
    write_json(&to.join("config.json"), config)?;
    write_json(&to.join("meta.json"), &without_paths(run.read_meta()?))?;
    write_json(&to.join("evaluation.json"), &evaluation)?;
    compress(&run.metrics_path(), &to.join(COMPRESSED))?;
    checkpoint::write_weights(&to.join("checkpoints"), &manifest, &weights)?;
    Ok(Packed {
        folder: to.to_owned(),
        game: config.game.clone(),
        torso: config.torso.clone(),
        frames: manifest.position,
        mean_return: evaluation["mean_return"].as_f64().unwrap_or(f64::NAN),
        bytes: 0,
    })
}

/// Returns the evaluation of the weights at `frames`, with names in the place of paths.
fn final_evaluation(run: &RunDir, frames: u64) -> anyhow::Result<Value> {
    if run.evaluated_frames() != Some(frames) {
        return Err(refusal(format!(
            "{} has no evaluation of its last weights, of {frames} frames; a run that \
             is evaluated (`evaluation.every_frames`) writes one at its end",
            run.path().display()
        )));
    }
    let mut evaluation: Value = read_json(&run.evaluation_path())?;
    for key in ["run", "checkpoint"] {
        let path = evaluation[key].as_str().map(Path::new).and_then(Path::file_name);
        evaluation[key] = path.map(|name| name.to_string_lossy()).into();
    }
    Ok(evaluation)
}

/// Leaves out where the program and its files lay, which is nobody else's concern.
fn without_paths(mut meta: Meta) -> Meta {
    for session in &mut meta.sessions {
        let mut words = std::mem::take(&mut session.command).into_iter();
        session.command.extend(words.next().map(|program| name_of(&program)));
        while let Some(word) = words.next() {
            match word.as_str() {
                "--runs-dir" => drop(words.next()),
                word if word.starts_with("--runs-dir=") => {}
                _ => session.command.push(without_folder(&word)),
            }
        }
    }
    for origin in [&mut meta.init_from, &mut meta.forked_from] {
        *origin = origin.as_deref().map(name_of);
    }
    meta
}

/// Shortens an absolute path, alone or after a flag's `=`.
fn without_folder(word: &str) -> String {
    match word.split_once('=') {
        Some((flag, path)) if Path::new(path).is_absolute() => format!("{flag}={}", name_of(path)),
        _ if Path::new(word).is_absolute() => name_of(word),
        _ => word.to_owned(),
    }
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Compresses a run's numbers, unless they are.
fn compress(from: &Path, to: &Path) -> anyhow::Result<()> {
    let compressed = from.with_file_name(COMPRESSED);
    let bytes = match compressed.exists() {
        true => fs::read(&compressed),
        false => fs::read(from).and_then(|bytes| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&bytes)?;
            encoder.finish()
        }),
    };
    let bytes = bytes.with_context(|| format!("cannot read {}", from.display()))?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

/// Returns the size of the new agent.
fn check_sizes(zoo: &Path, new: &Path) -> anyhow::Result<u64> {
    let bytes = size_of(new)?;
    let mut agents = 0;
    for entry in fs::read_dir(zoo)? {
        agents += usize::from(entry?.path().is_dir());
    }
    if agents > MOST_AGENTS {
        return Err(refusal(format!(
            "{} has {MOST_AGENTS} agents, which is the most; remove one first",
            zoo.display()
        )));
    }
    // The new one is among them.
    for (what, bytes, most) in
        [("the agent", bytes, MOST_BYTES), ("the zoo", size_of(zoo)?, MOST_BYTES_IN_ALL)]
    {
        if bytes > most {
            return Err(refusal(format!(
                "{what} would be {} KiB, and the most is {} KiB",
                bytes >> 10,
                most >> 10
            )));
        }
    }
    Ok(bytes)
}

fn size_of(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size_of(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

fn refusal(text: String) -> anyhow::Error {
    BadRequest::error(text)
}
