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
    packed.inspect_err(|_| drop(fs::remove_dir_all(&temporary)))
}

fn write(run: &RunDir, config: &RunConfig, to: &Path) -> anyhow::Result<Packed> {
    // The last, never the best: a checkpoint chosen by its games scores too well on them.
    let entry = checkpoint::choose(&run.checkpoints_dir(), "last")?;
    let (manifest, weights) = checkpoint::read_weights(&entry, Some(&identity(config)))?;
    let evaluation = final_evaluation(run, manifest.position)?;

    let weights: NamedTensors = weights
        .into_iter()
        .map(|(name, tensor)| {
            let is_number = tensor.kind() == Kind::Float;
            let tensor = if is_number { tensor.to_kind(Kind::Half) } else { tensor };
            (name, tensor)
        })
        .collect();
    fs::create_dir(to)?;
    write_json(&to.join("config.json"), config)?;
    write_json(&to.join("meta.json"), &without_paths(run.read_meta()?))?;
    write_json(&to.join("evaluation.json"), &evaluation)?;
    write_compressed(&run.metrics_path(), &to.join("metrics.jsonl.gz"))?;
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

/// Leaves out of the commands where the program and the runs lay.
fn without_paths(mut meta: Meta) -> Meta {
    for session in &mut meta.sessions {
        let words = std::mem::take(&mut session.command);
        let program = words.first().map(|word| name_of(word));
        let mut rest = words.into_iter().skip(1);
        session.command.extend(program);
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--runs-dir" => drop(rest.next()),
                word if word.starts_with("--runs-dir=") => {}
                _ => session.command.push(word),
            }
        }
    }
    meta
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn write_compressed(from: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&fs::read(from)?)?;
    fs::write(to, encoder.finish()?)
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
