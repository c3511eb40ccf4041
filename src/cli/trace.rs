//! `coordrl trace`: runs an environment with fixed actions and prints one JSON line per step.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use coordrl_envs::EnvSpec;
use coordrl_envs::trace::{Begin, RandomActions, TraceRecord, Tracer};

use super::npy::NpyWriter;
use super::settings::note_rules_left_out;
use crate::config::assets;
use crate::config::{ConfigError, Layers, RunConfig, parse_count};
use crate::exit_code::{BadRequest, ExitCode};
use crate::text::names;

const EXAMPLES: &str = "\
Examples:
  coordrl trace pong --protocol raw --steps 100 --action-seed 7
  coordrl trace breakout --protocol classic --seed 3 --actions actions.txt --obs-out obs.npy
  coordrl trace beam_rider --protocol raw --begin reset --steps 100 --action-seed 7
  coordrl trace qbert --steps 50 --action-seed 1 --set env.noop_max=0 --save-state half.bin

Each line has step, action, reward, lives, terminated, truncated, ram_crc32 and screen_crc32. The
trace stops after the line that ends the game. To compare with a library that resets the emulator
after loading (Gymnasium, EnvPool, Stable-Baselines3), pass `--begin reset`: in Beam Rider and more
than a dozen other games, the same actions lead to a different trajectory from there.

An actions file has one index per line, into ALE's minimal action set in ALE's order (raw, classic)
or into all 18 actions (machado).";

/// Trace an environment under fixed actions, for comparing emulators.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Trace {
    /// Atari game
    game: String,
    /// Environment protocol
    #[arg(long, value_enum, default_value_t = ProtocolName::Classic)]
    protocol: ProtocolName,
    /// Starting point of the first game
    #[arg(long, value_enum, default_value_t = BeginName::Loaded)]
    begin: BeginName,
    /// Seed for no-ops and sticky actions
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seed: u64,
    /// Number of steps [default: length of `--actions`]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// File of actions, one index per line
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "action_seed",
        required_unless_present = "action_seed"
    )]
    actions: Option<PathBuf>,
    /// Draw actions uniformly at random, from this seed
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true, requires = "steps")]
    action_seed: Option<u64>,
    /// Set one key, as in `env.noop_max=0`; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the stacked observation after each step: NumPy, `u8 [lines, C, H, W]`, newest last
    #[arg(long, value_name = "FILE.npy")]
    obs_out: Option<PathBuf>,
    /// Write the environment's state after the last step
    #[arg(long, value_name = "FILE")]
    save_state: Option<PathBuf>,
    /// Start from a state written by `--save-state`
    #[arg(long, value_name = "FILE")]
    load_state: Option<PathBuf>,
}

/// Protocol names on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProtocolName {
    /// One emulator frame per step, no wrappers, no sticky actions
    Raw,
    /// Mnih et al. 2015: no sticky actions, minimal actions
    Classic,
    /// Machado et al. 2018: sticky actions, all 18 actions
    Machado,
}

/// Starting points on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BeginName {
    /// Right after the ROM is loaded, as in training
    Loaded,
    /// After one more emulator reset, as in Gymnasium, EnvPool and Stable-Baselines3
    Reset,
}

impl From<BeginName> for Begin {
    fn from(name: BeginName) -> Self {
        match name {
            BeginName::Loaded => Self::Loaded,
            BeginName::Reset => Self::Reset,
        }
    }
}

impl Trace {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.settings()?;
        note_rules_left_out(&self.game, &config.env);
        let assets = assets(config.rom_dir.as_deref());
        let begin = self.begin.into();
        let mut tracer = Tracer::try_new(&self.game, &config.env, &assets, self.seed, begin)?;
        let actions = self.read_actions(tracer.spec())?;
        if let Some(path) = &self.load_state {
            load_state(&mut tracer, path)?;
        }

        self.check_save_state()?;
        let mut observations = self.open_npy(tracer.spec())?;
        print_steps(&mut tracer, actions, observations.as_mut())?;
        if let Some(npy) = observations {
            npy.finish().context("cannot write `--obs-out`")?;
        }

        if let Some(path) = &self.save_state {
            fs::write(path, tracer.save_state()?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }

        Ok(ExitCode::Ok)
    }

    fn settings(&self) -> anyhow::Result<RunConfig> {
        let mut layers = Layers::<RunConfig>::default();
        layers.add_flag("--protocol", "env.protocol", Some(self.protocol.name()));
        self.set.iter().for_each(|assignment| layers.add_assignment(assignment));
        let layered = layers.finish()?;
        // Nothing is trained, so only the settings of the environment are checked.
        let mut problems = layered.problems;
        problems.extend(layered.config.env.check());
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems).into());
        }
        Ok(layered.config)
    }

    /// Returns the actions to take; those of a file are checked before the first step.
    fn read_actions(&self, spec: &EnvSpec) -> anyhow::Result<Box<dyn Iterator<Item = usize>>> {
        if self.steps == Some(0) {
            return Err(BadRequest::error("`--steps 0`: the least is 1"));
        }

        let steps = self.steps.map(|steps| usize::try_from(steps).unwrap_or(usize::MAX));
        let Some(path) = &self.actions else {
            // clap requires one source of actions, and a number of steps with this one.
            let seed = self.action_seed.unwrap_or_default();
            return Ok(Box::new(
                RandomActions::new(seed, spec.num_actions()).take(steps.unwrap_or_default()),
            ));
        };

        let mut actions = parse_actions(path, spec)?;
        let wanted = steps.unwrap_or(actions.len());
        if actions.is_empty() || actions.len() < wanted {
            let text = format!(
                "{} holds {} actions, not {}",
                path.display(),
                actions.len(),
                wanted.max(1)
            );
            return Err(BadRequest::error(text));
        }

        actions.truncate(wanted);
        Ok(Box::new(actions.into_iter()))
    }

    /// Rejects a mistyped path before running all the steps.
    fn check_save_state(&self) -> anyhow::Result<()> {
        let Some(path) = &self.save_state else { return Ok(()) };
        names::check_path("--save-state", path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if path.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
            let text = format!(
                "cannot write `--save-state {}`: no such folder, or a folder itself",
                path.display()
            );
            return Err(BadRequest::error(text));
        }
        Ok(())
    }

    fn open_npy(&self, spec: &EnvSpec) -> anyhow::Result<Option<NpyWriter>> {
        let Some(path) = &self.obs_out else { return Ok(None) };
        let npy = NpyWriter::create(path, &spec.obs_shape).map_err(|error| {
            BadRequest::error(format!("cannot write `--obs-out {}`: {error}", path.display()))
        })?;
        Ok(Some(npy))
    }
}

fn parse_actions(path: &Path, spec: &EnvSpec) -> anyhow::Result<Vec<usize>> {
    let text = fs::read_to_string(path)
        .map_err(|error| bad_file("--actions", path, &error.to_string()))?;
    let count = spec.num_actions();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let actions = lines.map(|(index, line)| match line.trim().parse::<usize>() {
        Ok(action) if action < count => Ok(action),
        _ => {
            let cause = format!(
                "line {} is `{line}`; `{}` has actions 0 to {}",
                index + 1,
                spec.name,
                count - 1
            );
            Err(bad_file("--actions", path, &cause))
        }
    });

    actions.collect()
}

fn load_state(tracer: &mut Tracer, path: &Path) -> anyhow::Result<()> {
    let state =
        fs::read(path).map_err(|error| bad_file("--load-state", path, &error.to_string()))?;
    tracer.load_state(&state).map_err(|error| bad_file("--load-state", path, &error.to_string()))
}

fn bad_file(flag: &str, path: &Path, cause: &str) -> anyhow::Error {
    BadRequest::error(format!("`{flag} {}`: {cause}", path.display()))
}

fn print_steps(
    tracer: &mut Tracer,
    actions: impl Iterator<Item = usize>,
    mut npy: Option<&mut NpyWriter>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for action in actions {
        let Some(record) = tracer.step(action)? else { break };
        if !print_line(&mut out, &record)? {
            return Ok(());
        }
        if let Some(npy) = npy.as_deref_mut() {
            npy.append(tracer.obs()).context("cannot write `--obs-out`")?;
        }
    }

    ignore_broken_pipe(out.flush())?;
    Ok(())
}

/// Writes one line; returns `false` if the reader has closed, as in `coordrl trace … | head`.
fn print_line(out: &mut impl Write, record: &TraceRecord) -> anyhow::Result<bool> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(ignore_broken_pipe(out.write_all(&line))?)
}

fn ignore_broken_pipe(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

impl ProtocolName {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Classic => "classic",
            Self::Machado => "machado",
        }
    }
}
