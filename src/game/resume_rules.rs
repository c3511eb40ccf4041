//! Settings of a game's run that may change when it is resumed or forked.

use crate::config::{Layered, RunConfig};
use crate::exit_code::BadRequest;
use crate::run::launch::changes;

/// Settings that may change on resume: they affect where and how fast the run executes and how
/// often it reports, but not what it learns.
pub const FREE_ON_RESUME: &[&str] = &[
    "device",
    "threads",
    "torch_threads",
    "rom_dir",
    "log_every_frames",
    "checkpoint_every_frames",
    "keep_checkpoints",
    "evaluation.every_frames",
    "evaluation.episodes",
    "evaluation.max_frames",
    "evaluation.final_episodes",
    "evaluation.final_max_frames",
    "video.every_frames",
    "video.max_frames",
];

/// Settings outside an algorithm's table that decide the shape of a checkpoint; not even a fork may
/// change them.
const FIXED_ON_FORK: &[&str] = &["game", "algo", "torso", "seed"];

/// Returns whether the algorithm in use cannot fork with a different value of `key`.
fn is_fixed_by_algorithm(config: &RunConfig, key: &str, same_moments: bool) -> bool {
    let algorithm = config.algorithm().algorithm();
    let Some(key) = key.strip_prefix(algorithm.name).and_then(|key| key.strip_prefix('.')) else {
        return false;
    };
    // These two decide which running averages the optimiser stores.
    let decides_moments = matches!(
        key.strip_prefix(algorithm.optimizer_table).and_then(|key| key.strip_prefix('.')),
        Some("centered" | "momentum")
    );
    algorithm.fixed_on_fork.contains(&key) || (!same_moments && decides_moments)
}

/// Lists the changes that would turn a resumed run into a different one, each with its reason. The
/// remedy depends on the command.
pub fn refused_on_resume(old: &RunConfig, new: &RunConfig, frames_done: u64) -> Vec<String> {
    let mut refusals = Vec::new();
    for (key, change) in changes(old, new) {
        if key == "frames" {
            refusals.extend(refuse_frames(old, new, frames_done));
        } else if !FREE_ON_RESUME.contains(&key.as_str()) {
            refusals.push(format!("`{key}`: {change} alters the algorithm"));
        }
    }
    refusals
}

/// Rejects changes that would turn a run resumed by `coordrl train` into a different one.
pub fn check_resume(
    old: &RunConfig,
    new: &Layered<RunConfig>,
    frames_done: u64,
) -> anyhow::Result<()> {
    let refusals = refused_on_resume(old, &new.config, frames_done);
    if refusals.is_empty() {
        return Ok(());
    }
    let list = refusals.join("\n  - ");
    let way_on = way_on(old, &new.config, frames_done);
    Err(BadRequest::error(format!("a resumed run must stay the same run:\n  - {list}\n{way_on}")))
}

/// Suggests a command that accepts changes a resume rejects.
fn way_on(old: &RunConfig, new: &RunConfig, frames_done: u64) -> String {
    if check_fork(old, new).is_err() {
        return "not even `--fork` takes all of these; a new run with `--init-from` takes over weights alone"
            .to_owned();
    }

    match new.frames > frames_done {
        true => "add `--fork` to start a new run from this checkpoint".to_owned(),
        false => {
            format!(
                "with `--fork` and `--frames` above {frames_done} a new run starts from this checkpoint"
            )
        }
    }
}

/// Suggests flags to extend a finished run.
pub fn how_to_extend(config: &RunConfig) -> &'static str {
    match has_constant_schedule(config) {
        true => "a larger `--frames` extends it",
        false => {
            "its schedule of learning rates ends there, so it cannot be extended; `--fork` with a larger \
             `--frames` starts a new run from its last checkpoint"
        }
    }
}

fn has_constant_schedule(config: &RunConfig) -> bool {
    config.algorithm().optimizer().schedule == coordrl_agents::Schedule::Constant
}

/// Rejects changes that the checkpoint's contents cannot support.
pub fn check_fork(old: &RunConfig, new: &RunConfig) -> anyhow::Result<()> {
    let same_moments = moments(old) == moments(new);
    let refusals: Vec<String> = changes(old, new)
        .into_iter()
        .filter(|(key, _)| {
            FIXED_ON_FORK.contains(&key.as_str())
                || key.starts_with("env.")
                || is_fixed_by_algorithm(old, key, same_moments)
        })
        .map(|(key, change)| {
            format!("`{key}`: {change} does not fit the saved environments, generators, moments or weights")
        })
        .collect();
    match refusals.as_slice() {
        [] => Ok(()),
        _ => Err(BadRequest::error(format!(
            "cannot fork:\n  - {}\na new run with `--init-from` takes over weights alone",
            refusals.join("\n  - ")
        ))),
    }
}

fn moments(config: &RunConfig) -> (bool, bool) {
    let optimizer = config.algorithm().optimizer();
    (optimizer.centered, optimizer.momentum > 0.0)
}

fn refuse_frames(old: &RunConfig, new: &RunConfig, frames_done: u64) -> Option<String> {
    let change = format!("`frames`: {} → {}", old.frames, new.frames);
    if new.frames < old.frames {
        return Some(format!(
            "{change} is shorter; it stands at {frames_done}, and a run can only be extended"
        ));
    }
    // A schedule stretches over the whole run, so a longer run would have used other rates already.
    (!has_constant_schedule(new)).then(|| {
        format!("{change} alters the learning rates already used: its schedule is not constant")
    })
}
