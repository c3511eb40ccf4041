//! `coordrl zoo`: trained agents small enough to be kept with the code.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::exit_code::ExitCode;
use crate::metrics::console::print_result;
use crate::text::path_text::shell_word;
use crate::zoo::{Packed, pack};

const EXAMPLES: &str = "\
Examples:
  coordrl zoo pack runs/breakout/a2c-coordconv/seed3-20260101-120000
  coordrl eval runs/zoo/breakout
  coordrl play runs/zoo/breakout --video breakout.gif

An agent has the last weights of its run in 16 bits, its settings, its curve and the evaluation of
those weights; it is a run folder that cannot be resumed. At most 6 agents, one a game, 5 MiB each and
20 MiB together.";

/// Keep trained agents.
#[derive(Debug, Subcommand)]
pub enum Zoo {
    /// Pack the last weights of a run.
    Pack(Pack),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Pack {
    /// Run folder; the run has ended, and its last weights are evaluated
    run: PathBuf,
    /// Folder of the agents
    #[arg(long, value_name = "DIR", default_value = "runs/zoo")]
    zoo: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Zoo {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Pack(Pack { run, zoo, json }) = self;
        let packed = pack(&run, &zoo)?;
        let text = if json { serde_json::to_string(&packed)? } else { as_text(&packed) };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }
}

fn as_text(packed: &Packed) -> String {
    let Packed { folder, game, torso, frames, mean_return, bytes } = packed;
    format!(
        "{}: {game}, torso {torso}, {frames} frames, mean return {mean_return:.2}, {} KiB\n\
         play it with: coordrl play {}",
        folder.display(),
        bytes >> 10,
        shell_word(folder)
    )
}
